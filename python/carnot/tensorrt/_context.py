"""Runs an engine."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import partial
from typing import Any

import _carnot

from .._error import Error
from ._binding_runs import BindingRuns
from ._debug import DebugTensors
from ._enum import expect
from ._enums import ExecutionContextAllocationStrategy, ProfilingVerbosity, TensorIOMode
from ._interfaces import IOutputAllocator
from ._logger import Reporting
from ._types import Dims, shape_of, volume

_ALIGNMENT = 256


class IExecutionContext(Reporting, BindingRuns, DebugTensors):
    """One inference at a time: shapes, then addresses, then a run.

    An address may be of device memory (carnot.cuda) or of any memory of the process. It is looked at
    when the context runs. On a GPU work goes to the stream that is named, and the call returns when it
    is issued if all memory is the device's, no shape depends on data and nobody listens; else, as on
    the CPU, when it is done.

    Attributes:
        name: kept.
        profiler: an IProfiler that hears of each layer, or None.
        enqueue_emits_profile: whether it does so right after execute_async_v3, or waits for
            report_to_profiler.
        unfused_tensors_debug_state: whether the debug listener hears of all tensors between layers.
        debug_sync, nvtx_verbosity, persistent_cache_limit, temporary_allocator: kept.
    """

    __slots__ = ("_engine", "_native", "_profile", "_shapes", "_addresses", "_allocators", "_times",
                 "_config", "_consumed", "name", "_profiler", "enqueue_emits_profile", "debug_sync",
                 "nvtx_verbosity", "persistent_cache_limit", "temporary_allocator", "_memory",
                 "_said", "_listener", "_debugged", "unfused_tensors_debug_state")

    def __init__(self, engine: Any, config: Any = None) -> None:
        super().__init__(engine._logger)
        self.error_recorder = engine.error_recorder
        self._engine, self._config = engine, config
        self._native = _carnot.AddressContext(engine._native)
        self._shapes: dict[str, list[int]] = {}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, IOutputAllocator] = {}
        self._times: list[tuple[str, float]] = []
        self._consumed = self._memory = 0
        self._said: set[str] = set()
        self.name = ""
        self._profiler: Any = None
        self.enqueue_emits_profile, self.debug_sync = True, False
        self.nvtx_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.persistent_cache_limit = 0
        self.temporary_allocator: Any = None
        self._listener: Any = None
        self._debugged: set[str] = set()
        self.unfused_tensors_debug_state = False
        self._use_profile(0)

    @property
    def engine(self) -> Any:
        return self._engine

    # Profiles.

    def _use_profile(self, index: int) -> None:
        if self._engine._enforces(index):
            self._native.set_profile(index)
        self._profile = index
        self._shapes.clear()
        for place, info in enumerate(self._engine._inputs):
            if not info.dims or all(dim.isdigit() for dim in info.dims):
                self._shapes[info.name] = [int(dim) for dim in info.dims]
                self._native.set_input_shape(place, self._shapes[info.name])

    @property
    def active_optimization_profile(self) -> int:
        """Settable, as before version 10; then the inputs' shapes must be set again."""
        return self._profile

    @active_optimization_profile.setter
    def active_optimization_profile(self, index: int) -> None:
        self.set_optimization_profile_async(index, 0)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Whose ranges hold from now on; the inputs' shapes must be set again."""
        count = self._engine.num_optimization_profiles
        if not 0 <= operator.index(profile_index) < count:
            self._fail(f"profile {profile_index}", f"0 to {count - 1}")
            return False
        with self._reporting():
            self._use_profile(operator.index(profile_index))
            return True
        return False

    # Shapes.

    def set_input_shape(self, name: str, shape: Iterable[int]) -> bool:
        """False, with the reason in the log, for what is no input and a shape that cannot be."""
        dims = [operator.index(dim) for dim in shape]
        info = self._engine._find(name)
        if info is None:
            return False
        is_input, place = self._engine._index(name)
        if not is_input:
            self._fail(f"{name} is an output", "an input to set the shape of")
            return False
        if not self._admits(name, info, dims):
            return False
        with self._reporting():
            self._native.set_input_shape(place, dims)
            self._shapes[name] = dims
            return True
        return False

    def _admits(self, name: str, info: Any, dims: list[int]) -> bool:
        declared = shape_of(info)
        fits = len(dims) == len(declared) and all(
            has >= 0 and needs in (has, -1) for has, needs in zip(dims, declared))
        if not fits:
            self._fail(f"shape {Dims(dims)} for input {name}", f"{declared}, -1 being any dim",
                       "set the shape of the array that is passed")
            return False
        if not self._engine._enforces(self._profile):
            return True
        low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
        if all(a <= dim <= b for a, dim, b in zip(low, dims, high)):
            return True
        self._fail(f"shape {Dims(dims)} for input {name}",
                   f"{low} to {high}, the range of profile {self._profile}",
                   "pass a shape within it, use another profile, or build with a wider one")
        return False

    def get_tensor_shape(self, name: str) -> Dims:
        """-1 where shapes of inputs that decide are not set."""
        info = self._engine._find(name)
        if info is None:
            return Dims()
        is_input, place = self._engine._index(name)
        if is_input:
            return Dims(self._shapes[name]) if name in self._shapes else shape_of(info)
        if self._unset():
            return shape_of(info)
        if info.depends_on_data:
            try:
                return Dims(self._native.output_shape(place))
            except Error:  # before the run that decides
                return shape_of(info)
        with self._reporting():
            return Dims(self._native.output_shape(place))
        return Dims()

    def _unset(self) -> list[str]:
        """Inputs whose shape is not set."""
        return [info.name for info in self._engine._inputs if info.name not in self._shapes]

    def infer_shapes(self) -> list[str]:
        """Inputs whose shape is not set. Raises RuntimeError when those set contradict."""
        missing = self._unset()
        if not missing:
            try:
                for place, info in enumerate(self._engine._outputs):
                    if not info.depends_on_data:
                        self._native.output_shape(place)
            except Error as error:
                self._fail(error)
                raise RuntimeError(str(error)) from error
        return missing

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self._unset()

    @property
    def all_shape_inputs_specified(self) -> bool:
        return True

    def get_tensor_strides(self, name: str) -> Dims:
        """In elements, row by row."""
        shape = list(self.get_tensor_shape(name))
        return Dims(volume(shape[axis + 1:]) for axis in range(len(shape)))

    def get_max_output_size(self, name: str) -> int:
        """Bytes of an output at the profile's largest shapes; -1 for what is none."""
        info = self._engine._find(name)
        if info is None or self._engine.get_tensor_mode(name) != TensorIOMode.OUTPUT:
            return -1
        with self._reporting():
            context = self._engine._at_largest(self._profile)
            shape = context.output_shape(self._engine._index(name)[1])
            return int(-(-volume(shape) * self._engine.get_tensor_dtype(name).itemsize // 1))
        return -1

    # Memory.

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Memory of an input or output, an address. False for a name or address that cannot be."""
        address = operator.index(memory)
        if self._engine._find(name) is None:
            return False
        state, _, size = _carnot.device_find(address)
        if state == "freed":
            self._fail(f"address {address:#x} for {name} is freed device memory"
                       + (f" (of {size} bytes)" if size else ""), "live memory",
                       "keep the allocation while its address is in use")
            return False
        self._addresses[name] = address
        return True

    def get_tensor_address(self, name: str) -> int:
        """0 when none is set."""
        self._engine._find(name)
        return self._addresses.get(name, 0)

    def set_output_allocator(self, name: str, output_allocator: IOutputAllocator | None) -> bool:
        """Gives memory for an output when a run knows its size. None takes the allocator away."""
        if self._engine.get_tensor_mode(name) != TensorIOMode.OUTPUT:
            self._fail(f"{name} is no output", "an output")
            return False
        if output_allocator is None:
            self._allocators.pop(name, None)
        else:
            self._allocators[name] = expect(output_allocator, IOutputAllocator, "output_allocator")
        return True

    def get_output_allocator(self, name: str) -> IOutputAllocator | None:
        return self._allocators.get(name)

    def update_device_memory_size_for_shapes(self) -> int:
        """Bytes between layers at the shapes set; 0 when shapes are missing."""
        if not self._unset():
            with self._reporting():
                for place, info in enumerate(self._engine._outputs):
                    if not info.depends_on_data:
                        self._native.output_shape(place)
                return self._native.memory()[0]
        return 0

    @property
    def device_memory(self) -> int:
        """Kept; the context allocates its own."""
        return self._memory

    @device_memory.setter
    def device_memory(self, memory: int) -> None:
        self._memory = operator.index(memory)

    def set_device_memory(self, memory: int, size: int) -> None:
        """Kept; the context allocates its own."""
        self._memory = operator.index(memory)

    def set_aux_streams(self, aux_streams: list[int]) -> None:
        """None are used."""

    def set_input_consumed_event(self, event: int) -> bool:
        """Recorded behind each run on a stream, as an event of carnot.cuda or cudart; 0: none."""
        self._consumed = operator.index(event)
        return True

    def get_input_consumed_event(self) -> int:
        return self._consumed

    def get_runtime_config(self) -> Any:
        config = self._engine.create_runtime_config()
        if isinstance(self._config, ExecutionContextAllocationStrategy):
            config.set_execution_context_allocation_strategy(self._config)
        return self._config if isinstance(self._config, type(config)) else config

    # Runs.

    @property
    def profiler(self) -> Any:
        return self._profiler

    @profiler.setter
    def profiler(self, profiler: Any) -> None:
        self._profiler = profiler
        self._times = []

    def report_to_profiler(self) -> bool:
        """Tells the profiler of the last run, once."""
        if self._profiler is None or not self._times:
            self._fail("no run to report", "a profiler, and a run since it was told")
            return False
        self._report()
        return True

    def _report(self) -> None:
        times, self._times = self._times, []
        for layer, milliseconds in times:
            self._profiler.report_layer_time(layer, milliseconds)

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Runs with the addresses set, on a stream. False, with the reason in the log, when it
        cannot."""
        stream = operator.index(stream_handle)
        if not self._run(self._addresses, stream):
            return False
        if self._consumed:
            with self._reporting():
                _carnot.event_record(self._consumed, stream)
        if self._profiler is not None and self.enqueue_emits_profile:
            self._report()
        return True

    def _run(self, addresses: dict[str, int], stream: int | None = None) -> bool:
        """Without a stream: done when the call returns, in the default stream's order."""
        missing = self._unset()
        if missing:
            self._fail(f"no shape set for {', '.join(missing)}", "the shape of every dynamic input",
                       "call set_input_shape")
            return False
        try:
            return self._run_at(addresses, stream or 0, stream is None)
        finally:
            for name in self._allocators:  # which refer to this context
                if self._engine._find(name).depends_on_data:
                    self._native.set_output_allocator(self._engine._index(name)[1], None)

    def _run_at(self, addresses: dict[str, int], stream: int, waits: bool) -> bool:
        with self._reporting():
            shapes = self._allocate(addresses, stream)
            absent = [name for name in self._engine._tensors
                      if name not in addresses and name not in shapes]
            if absent:
                raise Error("InvalidArgument", f"no address set for {', '.join(absent)}",
                            "the address of every input and output", "call set_tensor_address")
            for name, address in addresses.items():
                if self._engine._find(name).depends_on_data:
                    continue
                is_input, place = self._engine._index(name)
                (self._native.set_input if is_input else self._native.set_output)(place, address)
            self._times = []
            if self._listens():
                self._run_told(stream)
            elif self._profiler is None:
                self._native.run(stream, waits)
            else:
                self._times = self._native.run_timed(stream)
            for name, shape in shapes.items():
                self._allocators[name].notify_shape(name, shape)
            return True
        return False

    def _allocate(self, addresses: dict[str, int], stream: int) -> dict[str, Dims]:
        """Asks the allocators for memory; gives the shapes of their outputs.

        Those of shapes that depend on data are asked within the run, which fills in the shapes."""
        shapes: dict[str, Dims] = {}
        for name, allocator in self._allocators.items():
            if self._engine._find(name).depends_on_data:
                shapes[name] = Dims()
                self._native.set_output_allocator(self._engine._index(name)[1], partial(
                    self._found, name, allocator, addresses, stream, shapes))
                continue
            shape = self._native.output_shape(self._engine._index(name)[1])
            size = int(-(-volume(shape) * self._engine.get_tensor_dtype(name).itemsize // 1))
            address = allocator.reallocate_output_async(name, addresses.get(name, 0), size,
                                                        _ALIGNMENT, stream)
            if not address and size:
                raise Error("OutOfMemory", f"the output allocator gave no memory for {name}",
                            f"{size} bytes")
            addresses[name] = operator.index(address or 0)
            shapes[name] = Dims(shape)
        return shapes

    def _found(self, name: str, allocator: IOutputAllocator, addresses: dict[str, int], stream: int,
               shapes: dict[str, Dims], size: int, shape: list[int]) -> int:
        """Memory for an output whose shape a run has found."""
        address = allocator.reallocate_output_async(name, addresses.get(name, 0), size, _ALIGNMENT,
                                                    stream)
        if not address and size:
            raise Error("OutOfMemory", f"the output allocator gave no memory for {name}",
                        f"{size} bytes")
        addresses[name] = operator.index(address or 0)
        shapes[name] = Dims(shape)
        return addresses[name]
