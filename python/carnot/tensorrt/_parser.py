"""ONNX models into networks."""

from __future__ import annotations

import os
from typing import Any

import _carnot

from .._error import Error
from ._enum import expect
from ._enums import ErrorCode, OnnxParserFlag
from ._logger import ILogger, Reporting, Severity
from ._network import INetworkDefinition, ITensor
from ._onnx_wire import count_nodes, model_of_one_node


class ParserError:
    """One thing that keeps a model from being parsed."""

    __slots__ = ("_code", "_issue", "_file", "_func")

    def __init__(self, issue: Any, file: str, func: str) -> None:
        self._issue, self._file, self._func = issue, file, func
        in_node = issue.node_index >= 0
        self._code = {
            "Unsupported": ErrorCode.UNSUPPORTED_NODE if in_node else ErrorCode.UNSUPPORTED_GRAPH,
            "InvalidModel": (ErrorCode.INVALID_NODE if in_node
                             else ErrorCode.MODEL_DESERIALIZE_FAILED),
            "InvalidArgument": ErrorCode.INVALID_VALUE,
            "Io": ErrorCode.MODEL_DESERIALIZE_FAILED,
            "OutOfMemory": ErrorCode.MEM_ALLOC_FAILED,
        }.get(issue.code, ErrorCode.INTERNAL_ERROR)

    def code(self) -> ErrorCode:
        return self._code

    def desc(self) -> str:
        """What there is, what is needed, and what to do."""
        return self._issue.text

    def file(self) -> str:
        """The model's path; "" when it came as bytes."""
        return self._file

    def line(self) -> int:
        """0: a model has no lines."""
        return 0

    def func(self) -> str:
        """The call that found it."""
        return self._func

    def node(self) -> int:
        """The node's index in the model; -1 when it is the whole model."""
        return self._issue.node_index

    def node_name(self) -> str:
        return self._issue.node

    def node_operator(self) -> str:
        return self._issue.operator_type

    def local_function_stack(self) -> list[str]:
        return []

    def local_function_stack_size(self) -> int:
        return 0

    def __str__(self) -> str:
        where = ""
        if self.node() >= 0:
            where = (f"In node {self.node()} with name: {self.node_name()} and operator: "
                     f"{self.node_operator()} ({self._func}): ")
        return f"{where}{self._code.name}: {self.desc()}"

    __repr__ = __str__


class _Issue:
    """An issue that stands for an Error of the whole model."""

    node, operator_type, node_index = "", "", -1

    def __init__(self, error: Error) -> None:
        self.code, self.text = error.code, str(error)


class OnnxParser(Reporting):
    """Fills a network from an ONNX model. What goes wrong is logged and kept in a list."""

    __slots__ = ("_network", "_errors", "_flags", "_subgraphs")

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        super().__init__(logger)
        self._network: INetworkDefinition = expect(network, INetworkDefinition, "network")
        self._errors: list[ParserError] = []
        self._flags = 1 << OnnxParserFlag.NATIVE_INSTANCENORM
        self._subgraphs: list[tuple[list[int], bool]] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError | None:
        """None for an index that is not there."""
        return self._errors[index] if 0 <= index < len(self._errors) else None

    def clear_errors(self) -> None:
        self._errors.clear()

    def _note(self, issue: Any, file: str, func: str) -> None:
        error = ParserError(issue, file, func)
        self._errors.append(error)
        self._fail(Error(issue.code, f"parser: {error}"))

    def _take(self, native: Any) -> bool:
        self._network._fill(native)
        self._network._parsed = True
        self._log(Severity.INFO,
                  f"parsed {native.name or 'a model'}: {native.layer_count()} layers, "
                  f"{len(native.inputs())} inputs, {len(native.outputs())} outputs")
        return True

    def _is_free(self, func: str) -> bool:
        if self._network._parsed:
            self._note(_Issue(Error("InvalidArgument", "the network holds a model already",
                                    "a network that is empty", "create another")), "", func)
        return not self._network._parsed

    def parse(self, model: Any, path: str | None = None) -> bool:
        """Reads a serialized model.

        Args:
            model: bytes, or what has the buffer protocol.
            path: of the file that they came from; external data is read from its folder.

        Returns:
            True, or False with the reasons in the log and in get_error.
        """
        data, file = bytes(memoryview(model)), path or ""
        folder = os.path.dirname(os.path.abspath(file)) if file else ""
        if not self._is_free("parse"):
            return False
        try:
            return self._take(_carnot.Network.parse(data, folder))
        except Error as error:
            issues: list[Any] = _carnot.Network.check(data, folder) or [_Issue(error)]
        for issue in issues:
            self._note(issue, file, "parse")
        return False

    def parse_with_weight_descriptors(self, model: Any, path: str | None = None) -> bool:
        """As parse."""
        return self.parse(model, path)

    def parse_from_file(self, model: str) -> bool:
        """Reads a model's file; external data lies beside it."""
        path = os.fspath(model)
        if not self._is_free("parse_from_file"):
            return False
        try:
            return self._take(_carnot.Network.parse_file(path))
        except Error as error:
            issues: list[Any] = [_Issue(error)]
        if issues[0].code != "Io":
            with open(path, "rb") as file:
                issues = _carnot.Network.check(file.read(), os.path.dirname(path)) or issues
        for issue in issues:
            self._note(issue, path, "parse_from_file")
        return False

    def supports_model(self, model: Any, path: str | None = None
                       ) -> tuple[bool, list[tuple[list[int], bool]]]:
        """Whether a model can be parsed, and its nodes as runs of those that can and cannot."""
        return self.supports_model_v2(model, path), [(list(nodes), supported)
                                                     for nodes, supported in self._subgraphs]

    def supports_model_v2(self, model: Any, path: str | None = None) -> bool:
        """Whether a model can be parsed; the runs of nodes are kept for get_subgraph_nodes."""
        data, file = bytes(memoryview(model)), path or ""
        issues = _carnot.Network.check(data, os.path.dirname(file))
        for issue in issues:
            self._note(issue, file, "supports_model")
        faulty = {issue.node_index for issue in issues}
        self._subgraphs = []
        for node in range(count_nodes(data)):
            supported = node not in faulty and -1 not in faulty
            if not self._subgraphs or self._subgraphs[-1][1] != supported:
                self._subgraphs.append(([], supported))
            self._subgraphs[-1][0].append(node)
        return not issues

    @property
    def num_subgraphs(self) -> int:
        """Of the last supports_model_v2."""
        return len(self._subgraphs)

    def is_subgraph_supported(self, index: int) -> bool:
        return self._subgraphs[index][1]

    def get_subgraph_nodes(self, index: int) -> list[int]:
        return list(self._subgraphs[index][0])

    def supports_operator(self, op_name: str) -> bool:
        """Whether an operator of ONNX's own domain is known, in some form."""
        issues = _carnot.Network.check(model_of_one_node(op_name))
        return not any(issue.code == "Unsupported" and issue.operator_type == op_name
                       for issue in issues)

    def get_layer_output_tensor(self, name: str, i: int) -> ITensor | None:
        """Output `i` of the layer that came from the node of that name."""
        for layer in self._network:
            if layer._layer.name == name or name in layer._layer.origins:
                return layer.get_output(i)
        return None

    @property
    def flags(self) -> int:
        """Bits of OnnxParserFlag by position."""
        return self._flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._flags = int(flags)

    def set_flag(self, flag: OnnxParserFlag) -> None:
        self._flags |= 1 << expect(flag, OnnxParserFlag, "flag")

    def clear_flag(self, flag: OnnxParserFlag) -> None:
        self._flags &= ~(1 << expect(flag, OnnxParserFlag, "flag"))

    def get_flag(self, flag: OnnxParserFlag) -> bool:
        return bool(self._flags >> expect(flag, OnnxParserFlag, "flag") & 1)

    def get_used_vc_plugin_libraries(self) -> list[str]:
        """None are used."""
        return []
