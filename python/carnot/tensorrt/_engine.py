"""Engines, ready to run."""

from __future__ import annotations

import json
from typing import Any

import _carnot

from ._binding_names import BindingNames
from ._context import IExecutionContext
from ._enum import expect
from ._enums import (DataType, EngineCapability, ExecutionContextAllocationStrategy,
                     HardwareCompatibilityLevel, ProfilingVerbosity, SerializationFlag,
                     TensorFormat, TensorIOMode, TensorLocation)
from ._inspector import EngineInspector
from ._logger import ILogger, Reporting
from ._types import Dims, IHostMemory, shape_of, type_named


class ISerializationConfig:
    """What serialize_with_config leaves out."""

    __slots__ = ("flags",)

    def __init__(self) -> None:
        self.flags = 0

    def set_flag(self, flag: SerializationFlag) -> bool:
        self.flags |= 1 << expect(flag, SerializationFlag, "flag")
        return True

    def clear_flag(self, flag: SerializationFlag) -> bool:
        self.flags &= ~(1 << expect(flag, SerializationFlag, "flag"))
        return True

    def get_flag(self, flag: SerializationFlag) -> bool:
        return bool(self.flags >> expect(flag, SerializationFlag, "flag") & 1)


class IRuntimeConfig:
    """How a context is made; kept, since contexts always allocate by actual shape."""

    __slots__ = ("_strategy",)

    def __init__(self) -> None:
        self._strategy = ExecutionContextAllocationStrategy.STATIC

    def set_execution_context_allocation_strategy(
            self, strategy: ExecutionContextAllocationStrategy) -> None:
        self._strategy = expect(strategy, ExecutionContextAllocationStrategy, "strategy")

    def get_execution_context_allocation_strategy(self) -> ExecutionContextAllocationStrategy:
        return self._strategy


class ICudaEngine(Reporting, BindingNames):
    """An engine; immutable, shared by any number of contexts and threads."""

    __slots__ = ("_native", "_info", "_tensors", "_inputs", "_outputs", "_profiles", "_memory")

    def __init__(self, native: Any, logger: ILogger) -> None:
        super().__init__(logger)
        self._native = native
        self._info = native.info()
        self._inputs, self._outputs = native.inputs, native.outputs
        self._tensors = {info.name: info for info in (*self._inputs, *self._outputs)}
        self._profiles = [native.profile_shapes(i) for i in range(len(self._info["profiles"]))]
        self._memory: dict[int, int] = {}

    # Of the whole.

    @property
    def name(self) -> str:
        """The model's."""
        return self._info["model"]

    @property
    def num_layers(self) -> int:
        return self._info["layers"]

    @property
    def num_optimization_profiles(self) -> int:
        return max(len(self._profiles), 1)

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return False

    @property
    def max_batch_size(self) -> int:
        return 1

    @property
    def refittable(self) -> bool:
        return False

    @property
    def engine_capability(self) -> EngineCapability:
        return EngineCapability.STANDARD

    @property
    def hardware_compatibility_level(self) -> HardwareCompatibilityLevel:
        return HardwareCompatibilityLevel.NONE

    @property
    def profiling_verbosity(self) -> ProfilingVerbosity:
        return ProfilingVerbosity.DETAILED

    @property
    def tactic_sources(self) -> int:
        return 0

    @property
    def num_aux_streams(self) -> int:
        return 0

    @property
    def streamable_weights_size(self) -> int:
        return 0

    minimum_weight_streaming_budget = weight_streaming_scratch_memory_size = \
        streamable_weights_size

    @property
    def weight_streaming_budget_v2(self) -> int:
        """0: weights are mapped, and none are streamed. To set another is refused in the log."""
        return 0

    @weight_streaming_budget_v2.setter
    def weight_streaming_budget_v2(self, budget: int) -> None:
        if budget != 0:
            self._fail(f"a budget of {budget} bytes for weight streaming", "0: weights are mapped")

    weight_streaming_budget = weight_streaming_budget_v2

    def get_weight_streaming_automatic_budget(self) -> int:
        return 0

    @property
    def device_memory_size(self) -> int:
        """Bytes between layers, the most over all profiles."""
        return max(self.get_device_memory_size_for_profile(i)
                   for i in range(self.num_optimization_profiles))

    device_memory_size_v2 = device_memory_size

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        """Bytes between layers at the profile's largest shapes; 0 for one that is not there."""
        if profile_index not in self._memory:
            with self._reporting():
                self._memory[profile_index] = self._at_largest(profile_index).memory()[0]
        return self._memory.get(profile_index, 0)

    get_device_memory_size_for_profile_v2 = get_device_memory_size_for_profile

    def _at_largest(self, profile: int) -> Any:
        """A native context at a profile's largest shapes."""
        context = _carnot.AddressContext(self._native)
        shapes = self._native.profile_shapes(profile) if self._profiles else {}
        typical = self._native.typical_shapes({})
        for index, info in enumerate(self._inputs):
            shape = shapes[info.name][2] if self._enforces(profile) else typical[info.name]
            context.set_input_shape(index, shape)
        for index, info in enumerate(self._outputs):
            if not info.depends_on_data:
                context.output_shape(index)
        return context

    def _enforces(self, profile: int) -> bool:
        profiles = self._info["profiles"]
        return profile < len(profiles) and profiles[profile]["enforced"]

    def serialize(self) -> IHostMemory:
        """The engine's bytes."""
        return IHostMemory(self._native.serialize())

    def create_serialization_config(self) -> ISerializationConfig:
        return ISerializationConfig()

    def serialize_with_config(self, config: ISerializationConfig) -> IHostMemory | None:
        """As serialize; None and an error in the log when weights shall be left out."""
        if config.get_flag(SerializationFlag.EXCLUDE_WEIGHTS):
            self._fail("EXCLUDE_WEIGHTS", "an engine with its weights", "clear the flag")
            return None
        return self.serialize()

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(self, strategy: Any = None, *,
                                 runtime_config: Any = None) -> IExecutionContext | None:
        """A context, which allocates its own memory whatever the strategy."""
        with self._reporting():
            return IExecutionContext(self, strategy or runtime_config)
        return None

    def create_execution_context_without_device_memory(self) -> IExecutionContext | None:
        """As create_execution_context."""
        return self.create_execution_context(ExecutionContextAllocationStrategy.USER_MANAGED)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self._native, self._logger)

    # Of inputs and outputs, by name.

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        """Inputs first; "" and an error in the log for an index that is not there."""
        names = list(self._tensors)
        if not 0 <= index < len(names):
            self._fail(f"tensor {index}", f"0 to {len(names) - 1}")
            return ""
        return names[index]

    def _find(self, name: str) -> Any:
        expect(name, str, "name")
        if name not in self._tensors:
            self._fail(f"no tensor named {name!r}", f"one of: {', '.join(self._tensors)}")
            return None
        return self._tensors[name]

    def _index(self, name: str) -> tuple[bool, int]:
        """Whether a known tensor is an input, and its place among its like."""
        names = list(self._tensors)
        index = names.index(name)
        count = len(self._inputs)
        return (True, index) if index < count else (False, index - count)

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        if self._find(name) is None:
            return TensorIOMode.NONE
        return TensorIOMode.INPUT if self._index(name)[0] else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> Dims:
        """-1 where a dimension is dynamic."""
        info = self._find(name)
        return shape_of(info) if info else Dims()

    def get_tensor_dtype(self, name: str) -> DataType:
        info = self._find(name)
        return type_named(info.dtype) if info else DataType.FLOAT

    def get_tensor_location(self, name: str) -> TensorLocation:
        self._find(name)
        return TensorLocation.DEVICE

    def get_tensor_format(self, name: str, profile_index: int = 0) -> TensorFormat:
        self._find(name)
        return TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        info = self._find(name)
        return f"Row major linear {info.dtype} format (LINEAR)" if info else ""

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        """-1: tensors are not vectorized."""
        self._find(name)
        return -1

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        """-1: tensors are not vectorized."""
        self._find(name)
        return -1

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        """-1: tensors are not vectorized."""
        self._find(name)
        return -1

    def is_shape_inference_io(self, name: str) -> bool:
        self._find(name)
        return False

    def _written(self) -> dict[str, Any]:
        """Tensors that layers write, inputs and outputs of the engine left out."""
        layers = json.loads(self._native.layer_information())["Layers"]
        names = [tensor["Name"] for layer in layers for tensor in layer["Outputs"]]
        return dict.fromkeys(name for name in names if name not in self._tensors)

    def is_debug_tensor(self, name: str) -> bool:
        """Whether a debug listener can hear of the tensor: fusion has left it."""
        return name in self._written()

    def get_aliased_input_tensor(self, name: str) -> None:
        """None: outputs have memory of their own."""
        self._find(name)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        """[min, opt, max] of an input; empty and an error in the log for what is none."""
        info = self._find(name)
        if info is None or not self._index(name)[0]:
            if info is not None:
                self._fail(f"{name} is an output", "an input")
            return []
        if not self._profiles and profile_index == 0:
            return [shape_of(info)] * 3
        if not 0 <= profile_index < len(self._profiles):
            self._fail(f"profile {profile_index}", f"0 to {self.num_optimization_profiles - 1}")
            return []
        return [Dims(shape) for shape in self._profiles[profile_index][name]]

    def get_tensor_profile_values(self, name: str, profile_index: int) -> list[list[int]]:
        """Empty: no input holds a shape."""
        self._find(name)
        return []

    def __repr__(self) -> str:
        return f"<ICudaEngine {self.name}: {', '.join(self._tensors)}>"
