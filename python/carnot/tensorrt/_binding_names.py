"""An engine's inputs and outputs by index, as before version 10.

Each profile has its own indices: those of profile k begin at k * num_io_tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._enums import DataType, TensorFormat, TensorIOMode, TensorLocation
from ._types import Dims


class BindingNames:
    """The part of ICudaEngine that counts bindings."""

    __slots__ = ()

    @property
    def num_bindings(self: Any) -> int:
        return self.num_io_tensors * self.num_optimization_profiles

    def _tensor_of(self: Any, binding: int) -> str | None:
        if not 0 <= binding < self.num_bindings:
            self._fail(f"binding {binding}", f"0 to {self.num_bindings - 1}")
            return None
        return self.get_tensor_name(binding % self.num_io_tensors)

    def get_binding_name(self: Any, index: int) -> str:
        """Beyond the first profile, "name [profile k]"."""
        name = self._tensor_of(index)
        profile = index // self.num_io_tensors
        return f"{name} [profile {profile}]" if name and profile > 0 else name or ""

    def get_binding_index(self: Any, name: str) -> int:
        """-1 for a name that is not there."""
        names = [self.get_binding_name(index) for index in range(self.num_bindings)]
        return names.index(name) if name in names else -1

    def _named(self: Any, binding: int | str) -> str | None:
        if isinstance(binding, str):
            return binding.partition(" [profile ")[0]
        return self._tensor_of(binding)

    def binding_is_input(self: Any, binding: int | str) -> bool:
        name = self._named(binding)
        return name is not None and self.get_tensor_mode(name) == TensorIOMode.INPUT

    def get_binding_shape(self: Any, binding: int | str) -> Dims:
        """-1 where a dimension is dynamic."""
        name = self._named(binding)
        return self.get_tensor_shape(name) if name is not None else Dims()

    def get_binding_dtype(self: Any, binding: int | str) -> DataType:
        name = self._named(binding)
        return self.get_tensor_dtype(name) if name is not None else DataType.FLOAT

    def get_location(self: Any, binding: int | str) -> TensorLocation:
        name = self._named(binding)
        return self.get_tensor_location(name) if name is not None else TensorLocation.DEVICE

    def get_binding_format(self: Any, index: int) -> TensorFormat:
        return TensorFormat.LINEAR

    def get_binding_format_desc(self: Any, index: int) -> str:
        name = self._tensor_of(index)
        return self.get_tensor_format_desc(name) if name is not None else ""

    def get_binding_bytes_per_component(self: Any, index: int) -> int:
        """-1: tensors are not vectorized."""
        return -1

    def get_binding_components_per_element(self: Any, index: int) -> int:
        """-1: tensors are not vectorized."""
        return -1

    def get_binding_vectorized_dim(self: Any, index: int) -> int:
        """-1: tensors are not vectorized."""
        return -1

    def is_shape_binding(self: Any, binding: int) -> bool:
        return False

    def is_execution_binding(self: Any, binding: int) -> bool:
        return True

    def get_profile_shape(self: Any, profile_index: int, binding: int | str) -> list[Dims]:
        """[min, opt, max] of an input."""
        name = self._named(binding)
        return self.get_tensor_profile_shape(name, profile_index) if name is not None else []

    def get_profile_shape_input(self: Any, profile_index: int, binding: int | str) -> list[Any]:
        """Empty: no input holds a shape."""
        return []

    def __len__(self: Any) -> int:
        return self.num_bindings

    def __bool__(self) -> bool:
        return True

    def __iter__(self: Any) -> Iterator[str]:
        return iter([self.get_binding_name(index) for index in range(self.num_bindings)])

    def __getitem__(self: Any, key: int | str) -> int | str:
        """The name of an index, or the index of a name."""
        if isinstance(key, str):
            return self.get_binding_index(key)
        if not -self.num_bindings <= key < self.num_bindings:
            raise IndexError(f"binding {key}; the engine has {self.num_bindings}")
        return self.get_binding_name(key % self.num_bindings)
