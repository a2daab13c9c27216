"""Sequences and optionals, which an engine takes and gives as the tensors that make them up.

A sequence "x" of a model is three tensors of one dimension: "x:elements", all elements of its tensors
row by row, "x:dims", all their dimensions, and "x:ranks", how many dimensions each has. An optional "x"
is "x:present", a bool, before "x:value" or the three of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._error import Error

_SEQUENCE = ("elements", "dims", "ranks")


@dataclass(frozen=True)
class Group:
    """What one name of the model stands for.

    Attributes:
        name: the model's.
        optional: whether "<name>:present" is one of the parts.
        parts: TensorInfo by "present", "value", "elements", "dims", "ranks", in the engine's order.
    """

    name: str
    optional: bool
    parts: dict[str, Any]

    @property
    def is_sequence(self) -> bool:
        return "elements" in self.parts

    def names(self) -> list[str]:
        return [f"{self.name}:{part}" for part in self.parts]


def groups_of(infos: Iterable[Any]) -> dict[str, Group]:
    """By the model's names; other tensors are in none."""
    by_stem: dict[str, dict[str, Any]] = {}
    for info in infos:
        stem, _, part = info.name.rpartition(":")
        by_stem.setdefault(stem, {})[part] = info
    groups = {}
    for stem, parts in by_stem.items():
        names = tuple(parts)
        optional = names[0] == "present"
        if names[optional:] == _SEQUENCE or (optional and names == ("present", "value")):
            groups[stem] = Group(stem, optional, parts)
    return groups


def _array(value: Any, info: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    return np.asarray(value, info.numpy_dtype)


def _pack(group: Group, values: Any) -> dict[str, np.ndarray]:
    info = group.parts["elements"]
    if isinstance(values, (str, bytes, np.ndarray)) or not isinstance(values, Iterable):
        raise Error("InvalidArgument", f"input {group.name} is a {type(values).__name__}",
                    "a list of arrays, since the model says a sequence")
    arrays = [_array(value, info) for value in values]
    for i, array in enumerate(arrays):
        if array.dtype != info.numpy_dtype:
            raise Error("InvalidArgument", f"tensor {i} of input {group.name} is {array.dtype.name}",
                        info.dtype, f"convert it to {info.dtype}")
    flat = [np.empty(0, info.numpy_dtype), *(array.reshape(-1) for array in arrays)]
    return {"elements": np.concatenate(flat),
            "dims": np.asarray([dim for array in arrays for dim in array.shape], np.int64),
            "ranks": np.asarray([array.ndim for array in arrays], np.int64)}


def _known_dims(infos: Iterable[Any], given: Mapping[str, Any]) -> dict[Any, int]:
    """The values of symbols that arrays settle."""
    known: dict[Any, int] = {}
    for info in infos:
        if info.name in given:
            known.update(zip(info.shape, np.shape(given[info.name])))
    return known


def unfold(groups: Mapping[str, Group], infos: Iterable[Any], inputs: Mapping[str, Any]
           ) -> dict[str, Any]:
    """The inputs with lists and optionals (None: absent) as arrays under the engine's names."""
    given = {name: value for name, value in inputs.items() if name not in groups}
    for name, group in groups.items():
        if name not in inputs:
            continue
        value = inputs[name]
        parts: dict[str, Any] = {}
        if group.optional:
            parts["present"] = np.asarray(value is not None)
        if group.is_sequence:
            parts.update(_pack(group, [] if value is None else value))
        elif value is not None:
            parts["value"] = value
        else:
            info, known = group.parts["value"], _known_dims(infos, given)
            shape = [dim if isinstance(dim, int) else known.get(dim, 0) for dim in info.shape]
            parts["value"] = np.zeros(shape, info.numpy_dtype)
        given.update({f"{name}:{part}": array for part, array in parts.items()})
    return given


def _unpack(elements: np.ndarray, dims: np.ndarray, ranks: np.ndarray) -> list[np.ndarray]:
    arrays = []
    for rank in ranks.tolist():
        shape, dims = dims[:rank], dims[rank:]
        count = int(np.prod(shape))
        arrays.append(elements[:count].reshape(shape))
        elements = elements[count:]
    return arrays


def fold(groups: Mapping[str, Group], outputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs with lists of arrays, or None, where the model says sequences and optionals."""
    folded: dict[str, Any] = {}
    for name, array in outputs.items():
        group = groups.get(name.rpartition(":")[0])
        if group is None:
            folded[name] = array
        elif group.name not in folded:
            parts = {part: outputs[f"{group.name}:{part}"] for part in group.parts}
            if group.optional and not parts["present"]:
                folded[group.name] = None
            elif group.is_sequence:
                folded[group.name] = _unpack(*(parts[part] for part in _SEQUENCE))
            else:
                folded[group.name] = parts["value"]
    return folded
