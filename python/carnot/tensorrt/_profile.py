"""Ranges of shapes."""

from __future__ import annotations

from collections.abc import Iterable

from ._types import Dims

_Shapes = tuple[Dims, Dims, Dims]


class IOptimizationProfile:
    """For each dynamic input, the least, the best and the largest shape.

    Engines are tuned at the best and refuse shapes outside the range.

    Attributes:
        extra_memory_target: kept; changes nothing here.
    """

    __slots__ = ("_shapes", "_values", "extra_memory_target")

    def __init__(self) -> None:
        self._shapes: dict[str, _Shapes] = {}
        self._values: dict[str, tuple[list[int], list[int], list[int]]] = {}
        self.extra_memory_target = 1.0

    def set_shape(self, input: str, min: Iterable[int], opt: Iterable[int],
                  max: Iterable[int]) -> None:
        """Sets an input's range. Raises ValueError unless 0 <= min <= opt <= max everywhere."""
        shapes = (Dims(min), Dims(opt), Dims(max))
        if len({len(shape) for shape in shapes}) != 1:
            raise ValueError(f"shapes of input {input} have different ranks: {shapes}")
        for low, best, high in zip(*shapes):
            if not 0 <= low <= best <= high:
                raise ValueError(
                    f"input {input}: min {shapes[0]}, opt {shapes[1]}, max {shapes[2]}; "
                    "needs 0 <= min <= opt <= max in each dimension")
        self._shapes[input] = shapes

    def get_shape(self, input: str) -> list[Dims]:
        """[min, opt, max] of an input; empty when none are set."""
        return [Dims(shape) for shape in self._shapes.get(input, ())]

    def set_shape_input(self, input: str, min: Iterable[int], opt: Iterable[int],
                        max: Iterable[int]) -> None:
        """Sets the range of an input's values, for one that holds a shape; kept, not needed."""
        values = (list(min), list(opt), list(max))
        for low, best, high in zip(*values):
            if not low <= best <= high:
                raise ValueError(f"input {input}: values need min <= opt <= max")
        self._values[input] = values

    def get_shape_input(self, input: str) -> list[list[int]]:
        """[min, opt, max] of an input's values; empty when none are set."""
        return [list(values) for values in self._values.get(input, ())]

    def __bool__(self) -> bool:
        return True

    __nonzero__ = __bool__


def ranges_of(profile: IOptimizationProfile) -> dict[str, list[list[int]]]:
    """As the native builder takes them."""
    return {name: [list(shape) for shape in shapes] for name, shapes in profile._shapes.items()}
