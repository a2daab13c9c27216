"""Runs with lists of addresses, and shapes by binding index."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from ._enums import TensorIOMode
from ._logger import Severity
from ._types import Dims


class BindingRuns:
    """The part of IExecutionContext that takes lists of addresses and binding indices."""

    __slots__ = ()

    def _addresses_of(self: Any, bindings: Sequence[int]) -> dict[str, int] | None:
        """By name: of the active profile's indices in a list for all, or of a list for one."""
        engine = self._engine
        addresses = [operator.index(address) if hasattr(address, "__index__") else int(address)
                     for address in bindings]
        each, all = engine.num_io_tensors, engine.num_bindings
        if len(addresses) not in (each, all):
            self._fail(f"{len(addresses)} addresses in bindings",
                       f"{all}: {', '.join(engine)}", "pass one for each input and output")
            return None
        start = self._profile * each if len(addresses) == all else 0
        return dict(zip(engine._tensors, addresses[start:start + each]))

    def execute_v2(self: Any, bindings: Sequence[int]) -> bool:
        """Runs with these addresses, in the order of the engine's bindings."""
        addresses = self._addresses_of(bindings)
        if addresses is None or not self._run(addresses):
            return False
        if self._profiler is not None:
            self._report()
        return True

    def execute_async_v2(self: Any, bindings: Sequence[int], stream_handle: int,
                         input_consumed: Any = None) -> bool:
        """As execute_v2, on a stream."""
        addresses = self._addresses_of(bindings)
        if addresses is None or not self._run(addresses, operator.index(stream_handle)):
            return False
        if self._profiler is not None and self.enqueue_emits_profile:
            self._report()
        return True

    def _say_batch(self: Any, batch_size: int) -> None:
        if batch_size != 1 and "batch" not in self._said:
            self._said.add("batch")
            self._log(Severity.WARNING, f"batch_size {batch_size} is not used: shapes hold the "
                      "batch; call execute_v2 or execute_async_v3")

    def execute(self: Any, batch_size: int = 1, bindings: Sequence[int] = ()) -> bool:
        """As execute_v2; the batch is part of the shapes."""
        self._say_batch(batch_size)
        return self.execute_v2(bindings)

    def execute_async(self: Any, batch_size: int = 1, bindings: Sequence[int] = (),
                      stream_handle: int = 0, input_consumed: Any = None) -> bool:
        """As execute_async_v2; the batch is part of the shapes."""
        self._say_batch(batch_size)
        return self.execute_async_v2(bindings, stream_handle, input_consumed)

    def set_binding_shape(self: Any, binding: int, shape: Iterable[int]) -> bool:
        """The shape of an input of the active profile."""
        name = self._engine._tensor_of(binding)
        if name is None:
            return False
        if binding // self._engine.num_io_tensors != self._profile:
            other = binding // self._engine.num_io_tensors
            self._fail(f"binding {binding} is of profile {other}", f"one of profile {self._profile}")
            return False
        return self.set_input_shape(name, shape)

    def get_binding_shape(self: Any, binding: int) -> Dims:
        """As get_tensor_shape."""
        name = self._engine._tensor_of(binding)
        return self.get_tensor_shape(name) if name is not None else Dims()

    def get_strides(self: Any, binding: int) -> Dims:
        """As get_tensor_strides."""
        name = self._engine._tensor_of(binding)
        return self.get_tensor_strides(name) if name is not None else Dims()

    def set_shape_input(self: Any, binding: int, shape: Iterable[int]) -> bool:
        """Refused: no input holds a shape."""
        name = self._engine._tensor_of(binding)
        if name is not None and self._engine.get_tensor_mode(name) == TensorIOMode.INPUT:
            self._fail(f"{name} holds no shape", "set_binding_shape, then its memory")
        return False

    def get_shape(self: Any, binding: int) -> list[int]:
        """Empty: no input holds a shape."""
        return []
