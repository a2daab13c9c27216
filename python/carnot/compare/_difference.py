"""How far two arrays lie apart."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_CHUNK = 1 << 18  # elements looked at together, so that little memory is needed
# Of float32: what cancels in one order of adding but not in another, and the error of functions
# that end near zero at one side (Sigmoid).
NOISE = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Tolerance:
    """What still counts as equal; None: by the element type.

    Attributes:
        l2: the most that the relative L2 error may be, |has - wanted| / |wanted|. By default 1e-4,
            or 8 units in the last place of 1 of the coarsest type that the numbers went through.
        rtol, atol: an element may be off by atol + rtol * |wanted|. By default rtol is 1e-3, or
            those 8 units, and atol is rtol times the largest magnitude in the tensor. Integers must
            be equal, but for those of 8 bits: quantized numbers may be off by one step.
    """

    l2: float | None = None
    rtol: float | None = None
    atol: float | None = None

    def limits(self, dtype: np.dtype, largest: float, unit: float
               ) -> tuple[float, float, float]:
        """(l2, rtol, atol) for a tensor; `unit`: the coarsest one that it went through."""
        if dtype.kind in "biu":
            step = 1.0 if dtype.itemsize == 1 and dtype.kind != "b" else 0.0
            return math.inf, self.rtol or 0.0, step if self.atol is None else self.atol
        coarse = 8 * max(unit, unit_of(dtype))
        l2 = max(1e-4, coarse) if self.l2 is None else self.l2
        rtol = max(1e-3, coarse) if self.rtol is None else self.rtol
        atol = max(rtol * largest, NOISE) if self.atol is None else self.atol
        return l2, rtol, atol


@dataclass(frozen=True)
class Difference:
    """Of one tensor.

    Attributes:
        reason: why it counts as different; empty when it does not.
        l2: relative L2 error over the elements that are finite on both sides.
        max_abs: the largest |has - wanted| of those.
        max_rel: the largest |has - wanted| / |wanted| of those beyond atol.
        wrong, count: elements beyond the tolerance, and all.
        index, has, wanted: the worst element; None when shape or type differ or there are none.
        nan, inf: counts, ours and the reference's.
    """

    reason: str
    l2: float = 0.0
    max_abs: float = 0.0
    max_rel: float = 0.0
    wrong: int = 0
    count: int = 0
    index: tuple[int, ...] | None = None
    has: Any = None
    wanted: Any = None
    nan: tuple[int, int] = (0, 0)
    inf: tuple[int, int] = (0, 0)

    @property
    def diverges(self) -> bool:
        return bool(self.reason)

    def as_json(self) -> dict[str, Any]:
        fields = asdict(self)
        return {name: str(value) if isinstance(value, complex) or value in (math.inf, -math.inf)
                or value != value else value for name, value in fields.items()}


def unit_of(dtype: np.dtype) -> float:
    """The unit in the last place of 1; 0 where numbers are exact."""
    return float(np.finfo(dtype).eps) if dtype.kind in "fc" else 0.0


def measure(has: np.ndarray, wanted: np.ndarray, tolerance: Tolerance,
            unit: float = 0.0) -> Difference:
    """Compares an array with the reference's.

    `unit`: of the coarsest type that the numbers went through on their way, see unit_of.
    """
    if has.shape != wanted.shape or has.dtype != wanted.dtype:
        return Difference(f"{_type(has)} in place of {_type(wanted)}")
    flat = [np.ascontiguousarray(array).reshape(-1) for array in (has, wanted)]
    limits = tolerance.limits(has.dtype, _largest(flat[1]), unit)
    sums = _Sums(limits)
    for start in range(0, flat[0].size, _CHUNK):
        sums.add(start, *(array[start:start + _CHUNK] for array in flat))
    return sums.finish(*flat, has.shape)


def _type(array: np.ndarray) -> str:
    return f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"


def _wide(chunk: np.ndarray) -> np.ndarray:
    return chunk.astype(np.complex128 if chunk.dtype.kind == "c" else np.float64)


def _largest(flat: np.ndarray) -> float:
    largest = 0.0
    for start in range(0, flat.size, _CHUNK):
        sizes = np.abs(_wide(flat[start:start + _CHUNK]))
        largest = max(largest, float(np.max(sizes, initial=0.0, where=np.isfinite(sizes))))
    return largest


class _Sums:
    """What is gathered over the chunks of a tensor."""

    def __init__(self, limits: tuple[float, float, float]) -> None:
        self.l2_limit, self.rtol, self.atol = limits
        self.error = self.norm = self.max_abs = self.max_rel = 0.0
        self.wrong = self.unequal = 0  # beyond the tolerance; of those not finite on both sides
        self.nan, self.inf = [0, 0], [0, 0]
        self.worst, self.worst_at = -1.0, 0

    def add(self, start: int, has: np.ndarray, wanted: np.ndarray) -> None:
        same = has == wanted
        a, b = _wide(has), _wide(wanted)
        for i, side in enumerate((a, b)):
            self.nan[i] += int(np.count_nonzero(np.isnan(side)))
            self.inf[i] += int(np.count_nonzero(np.isinf(side)))
        same |= np.isnan(a) & np.isnan(b)
        finite = np.isfinite(a) & np.isfinite(b)
        size = np.abs(np.where(finite, b, 0))
        error = np.abs(np.where(finite & ~same, a, 0) - np.where(finite & ~same, b, 0))
        self.error += float(np.dot(error, error))
        self.norm += float(np.dot(size, size))
        self.max_abs = max(self.max_abs, float(error.max(initial=0.0)))
        beyond = (error > self.atol) & (size > 0)
        if beyond.any():
            self.max_rel = max(self.max_rel, float((error[beyond] / size[beyond]).max()))
        allowed = self.atol + self.rtol * size
        # Integers beyond 2^53 may differ and yet be equal as doubles.
        exact = has.dtype.kind in "biu" and self.atol == self.rtol == 0
        unequal = ~finite & ~same
        wrong = unequal | (~same if exact else error > allowed)
        self.unequal += int(np.count_nonzero(unequal))
        self.wrong += int(np.count_nonzero(wrong))
        badness = np.where(unequal, np.inf, error / np.where(allowed > 0, allowed, 1) + wrong)
        at = int(badness.argmax())
        if badness[at] > self.worst:
            self.worst, self.worst_at = float(badness[at]), start + at

    def finish(self, has: np.ndarray, wanted: np.ndarray, shape: tuple[int, ...]) -> Difference:
        l2 = math.sqrt(self.error / self.norm) if self.norm > 0 else math.inf if self.error else 0.0
        reason = ""
        if self.unequal:
            reason = f"{self.unequal} of {has.size} elements are NaN or infinite on one side only"
        elif l2 > self.l2_limit and self.max_abs > min(self.atol, NOISE):
            reason = f"relative L2 error {l2:.2g} above {self.l2_limit:.2g}"
        elif self.wrong:
            reason = (f"{self.wrong} of {has.size} elements are off by more than "
                      f"{self.atol:.2g} + {self.rtol:.2g} × their size")
        at = self.worst_at
        return Difference(
            reason, l2, self.max_abs, self.max_rel, self.wrong, has.size,
            *((tuple(map(int, np.unravel_index(at, shape))), has[at].item(), wanted[at].item())
              if has.size else (None, None, None)),
            tuple(self.nan), tuple(self.inf))
