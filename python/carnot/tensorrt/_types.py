"""Shapes, weights, memory, and element types beside NumPy's."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ._enums import DataType

# Carnot's names of element types.
_NAMES = {
    DataType.FLOAT: "float32", DataType.HALF: "float16", DataType.INT8: "int8",
    DataType.INT32: "int32", DataType.BOOL: "bool", DataType.UINT8: "uint8",
    DataType.FP8: "float8e4m3fn", DataType.BF16: "bfloat16", DataType.INT64: "int64",
    DataType.INT4: "int4", DataType.FP4: "float4e2m1", DataType.E8M0: "float8e8m0",
    DataType.DOUBLE: "float64", DataType.INT16: "int16", DataType.UINT16: "uint16",
    DataType.UINT32: "uint32", DataType.UINT64: "uint64", DataType.FP8_E5M2: "float8e5m2",
    DataType.UINT4: "uint4",
}
_TYPES = {name: dtype for dtype, name in _NAMES.items()}
_NUMPY = {dtype: np.dtype(name) for dtype, name in _NAMES.items()
          if name in ("float32 float16 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
                      "bool").split()}


def type_name(dtype: DataType) -> str:
    """Carnot's name of an element type."""
    return _NAMES[dtype]


def type_named(name: str) -> DataType:
    """The element type of Carnot's name; raises TypeError for one that has no counterpart."""
    if name not in _TYPES:
        raise TypeError(f"element type {name} has no counterpart in TensorRT")
    return _TYPES[name]


def nptype(trt_type: DataType) -> type:
    """NumPy's scalar type for an element type; raises TypeError when there is none."""
    if trt_type not in _NUMPY:
        raise TypeError(f"{trt_type} has no equivalent NumPy type")
    return _NUMPY[trt_type].type


def volume(iterable: Iterable[int]) -> int:
    """The product of all entries; 1 for none."""
    product = 1
    for entry in iterable:
        product *= entry
    return product


class Dims:
    """A shape: a sequence of int, -1 where a dimension is not known yet."""

    MAX_DIMS = 8
    __slots__ = ("_dims",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Iterable[int] = ()) -> None:
        self._dims = [operator.index(dim) for dim in shape]

    def __len__(self) -> int:
        return len(self._dims)

    def __iter__(self) -> Iterator[int]:
        return iter(self._dims)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self._dims[index]) if isinstance(index, slice) else self._dims[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            self._dims[index] = [operator.index(dim) for dim in value]
        else:
            self._dims[index] = operator.index(value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Dims, list, tuple)):
            return self._dims == list(other)
        return NotImplemented

    def __repr__(self) -> str:
        return str(tuple(self._dims))


class _FixedDims(Dims):
    _RANK = 0
    __slots__ = ()

    def __init__(self, *dims: Any) -> None:
        if len(dims) == 1 and isinstance(dims[0], (Sequence, Dims)):
            dims = tuple(dims[0])
        if dims and len(dims) != self._RANK:
            raise ValueError(f"{len(dims)} dims; needs {self._RANK}")
        super().__init__(dims or (0,) * self._RANK)


class Dims2(_FixedDims):
    """Two dims."""
    _RANK = 2
    __slots__ = ()


class Dims3(_FixedDims):
    """Three dims."""
    _RANK = 3
    __slots__ = ()


class Dims4(_FixedDims):
    """Four dims."""
    _RANK = 4
    __slots__ = ()


class DimsHW(Dims2):
    """Height and width."""
    __slots__ = ()

    @property
    def h(self) -> int:
        return self[0]

    @h.setter
    def h(self, value: int) -> None:
        self[0] = value

    @property
    def w(self) -> int:
        return self[1]

    @w.setter
    def w(self, value: int) -> None:
        self[1] = value


class Permutation(Dims):
    """An order of dimensions."""
    __slots__ = ()


class Weights:
    """An array of weights: of a NumPy array, which it keeps, or empty of a type."""

    __slots__ = ("_array", "_dtype")

    def __init__(self, a: Any = DataType.FLOAT) -> None:
        if isinstance(a, DataType):
            self._dtype, self._array = a, np.empty(0, _NUMPY.get(a, np.uint8))
            return
        self._array = np.asarray(a)
        found = [dtype for dtype, known in _NUMPY.items() if known == self._array.dtype]
        if not found:
            raise TypeError(f"weights of {self._array.dtype}; needs one of "
                            f"{', '.join(map(str, _NUMPY.values()))}")
        self._dtype = found[0]

    @property
    def dtype(self) -> DataType:
        return self._dtype

    @property
    def size(self) -> int:
        """Elements."""
        return self._array.size

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    def numpy(self) -> np.ndarray:
        """The array."""
        return self._array

    def __len__(self) -> int:
        return self.size


class IHostMemory(bytes):
    """Bytes that Carnot made: a serialized engine, a timing cache. Has the buffer protocol."""

    @property
    def nbytes(self) -> int:
        return len(self)

    @property
    def dtype(self) -> DataType:
        return DataType.INT8

    def __del__(self) -> None:
        """Some scripts call it; objects go with their last reference."""

    def __enter__(self) -> IHostMemory:
        return self

    def __exit__(self, *raised: Any) -> None:
        pass

    def __repr__(self) -> str:
        return f"<IHostMemory of {len(self)} bytes>"


def shape_of(info: Any) -> Dims:
    """The shape of a native tensor's description, -1 for each symbol."""
    return Dims(int(dim) if dim.isdigit() else -1 for dim in info.dims)
