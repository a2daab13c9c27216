"""What comparing needs to know of an ONNX file, read off its bytes.

The file is a protocol buffer, whose fields may come again later: a GraphProto appended to a model
adds its outputs to those of the model's own graph. So tensors become outputs with nothing parsed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .._error import Error

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE = 1, 2, 3, 4
_TENSOR_DIMS, _TENSOR_NAME = 1, 8
_VALUE_NAME = 1

_ENGINE = b"\x89CARNOT\n"  # how an engine's file starts


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise IndexError


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, number or bytes) of each field of a message. Raises Error (InvalidModel)."""
    at = 0
    try:
        while at < len(data):
            key, at = _varint(data, at)
            kind = key & 7
            if kind == 0:
                value, at = _varint(data, at)
                yield key >> 3, value
                continue
            size, at = (8, at) if kind == 1 else (4, at) if kind == 5 else _varint(data, at)
            if kind not in (1, 2, 5) or at + size > len(data):
                raise IndexError
            yield key >> 3, data[at:at + size]
            at += size
    except IndexError:
        raise Error("InvalidModel", "a protocol buffer that is cut off or damaged", "an ONNX file",
                    "export or download it again") from None


def _text(data: int | memoryview) -> str:
    return "" if isinstance(data, int) else bytes(data).decode("utf-8", "surrogateescape")


def _encode(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _message(number: int, content: bytes) -> bytes:
    return _encode(number << 3 | 2) + _encode(len(content)) + content


@dataclass(frozen=True)
class Node:
    """A node of the main graph; one without a name is called after its type and place."""

    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass
class Model:
    """A file and its main graph.

    Attributes:
        nodes: in the file's order.
        initializers: dims by name.
        outputs: names, in order.
        producers: the node that makes a tensor, by the tensor's name.
    """

    path: str
    nodes: list[Node] = field(default_factory=list)
    initializers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    producers: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Model:
        """Raises Error (Io, InvalidModel) naming the file."""
        model = cls(os.fspath(path))
        try:
            content = model.bytes()
            if content.startswith(_ENGINE):
                raise Error("InvalidModel", "an engine", "the ONNX model that it was built of",
                            "name the engine with --engine")
            for number, value in _fields(memoryview(content)):
                if number == _MODEL_GRAPH and not isinstance(value, int):
                    model._read_graph(value)
        except Error as error:
            raise Error(error.code, error.has, error.needs, error.remedy,
                        (f"file {model.path}", *error.context)) from None
        for node in model.nodes:
            model.producers.update((name, node) for name in node.outputs if name)
        return model

    def bytes(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except OSError as error:
            raise Error("Io", f"cannot be read: {error.strerror}", "an ONNX model") from None

    def with_outputs(self, names: Iterable[str]) -> bytes:
        """The model with these tensors as further outputs."""
        graph = b"".join(
            _message(_GRAPH_OUTPUT, _message(_VALUE_NAME, name.encode("utf-8", "surrogateescape")))
            for name in names if name not in self.outputs)
        return self.bytes() + _message(_MODEL_GRAPH, graph)

    def _read_graph(self, graph: memoryview) -> None:
        for number, value in _fields(graph):
            if isinstance(value, int):
                continue
            if number == _GRAPH_NODE:
                self.nodes.append(_read_node(value, len(self.nodes)))
            elif number == _GRAPH_INITIALIZER:
                name, dims = _read_tensor(value)
                self.initializers[name] = dims
            elif number == _GRAPH_OUTPUT:
                self.outputs += [_text(inner) for key, inner in _fields(value)
                                 if key == _VALUE_NAME]


def _read_node(data: memoryview, index: int) -> Node:
    name = type = ""
    inputs, outputs = [], []
    for number, value in _fields(data):
        if number == _NODE_NAME:
            name = _text(value)
        elif number == _NODE_TYPE:
            type = _text(value)
        elif number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(value))
    return Node(name or f"{type}_{index}", type, tuple(inputs), tuple(outputs))


def _read_tensor(data: memoryview) -> tuple[str, tuple[int, ...]]:
    name, dims = "", []
    for number, value in _fields(data):
        if number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_DIMS and isinstance(value, int):
            dims.append(value)
        elif number == _TENSOR_DIMS:  # packed
            at = 0
            while at < len(value):
                dim, at = _varint(value, at)
                dims.append(dim)
    return name, tuple(dims)
