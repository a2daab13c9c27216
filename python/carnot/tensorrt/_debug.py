"""What tensors between layers hold, told while a context runs."""

from __future__ import annotations

from typing import Any

from .._watch import LayerOutput
from ._enum import expect
from ._enums import TensorLocation
from ._interfaces import IDebugListener
from ._logger import Severity
from ._types import Dims, type_named


class DebugTensors:
    """The part of IExecutionContext that tells a debug listener.

    Only tensors that fusion has left can be told. A run that tells takes copies, and its profiler
    hears nothing.
    """

    __slots__ = ()

    def set_debug_listener(self: Any, listener: IDebugListener | None) -> bool:
        """Who is told, or None."""
        if listener is not None:
            expect(listener, IDebugListener, "listener")
        self._listener = listener
        return True

    def get_debug_listener(self: Any) -> IDebugListener | None:
        return self._listener

    def set_tensor_debug_state(self: Any, name: str, flag: bool) -> bool:
        """Whether the listener is told of one tensor. False for one that is not there to tell."""
        if not self._engine.is_debug_tensor(name):
            self._fail(f"no tensor named {name!r} between layers",
                       f"one of: {', '.join(self._engine._written())}",
                       "mark it as an output of the network to keep it")
            return False
        (self._debugged.add if flag else self._debugged.discard)(name)
        return True

    def set_all_tensors_debug_state(self: Any, flag: bool) -> bool:
        """The state of tensors marked for it in the network; engines keep no such marks."""
        self._log(Severity.VERBOSE, "no tensor is marked for debugging; "
                  "unfused_tensors_debug_state tells of all that fusion has left")
        return True

    def get_debug_state(self: Any, name: str) -> bool:
        """Whether the listener is told of a tensor."""
        return name in self._debugged or (bool(self.unfused_tensors_debug_state)
                                          and self._engine.is_debug_tensor(name))

    def _listens(self: Any) -> bool:
        return self._listener is not None and bool(self.unfused_tensors_debug_state
                                                   or self._debugged)

    def _run_told(self: Any, stream: int) -> None:
        def told(*fields: Any) -> None:
            output = LayerOutput(*fields)
            if output.tensor in self._engine._tensors:
                return
            if self.unfused_tensors_debug_state or output.tensor in self._debugged:
                array = output.array()
                self._listener.process_debug_tensor(
                    array.ctypes.data, TensorLocation.HOST, type_named(output.dtype),
                    Dims(output.shape), output.tensor, stream)

        self._native.run_watched(told, stream)
