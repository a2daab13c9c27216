"""Between arrays of the caller and memory that an engine reads and writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._error import Error

try:
    import ml_dtypes
except ImportError:  # types that NumPy lacks then travel as unsigned integers of their size
    ml_dtypes = None

_NUMPY = ("float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool "
          "complex64 complex128").split()
_ML = {
    "bfloat16": "bfloat16", "float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2", "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu", "int4": "int4", "uint4": "uint4", "int2": "int2",
    "uint2": "uint2", "float4e2m1": "float4_e2m1fn",
}
_BITS = {"bfloat16": 16, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2, "float4e2m1": 4}


class Type:
    """How tensors of one element type travel.

    Attributes:
        name: as Carnot writes it ("float32").
        dtype: of the arrays that a caller gives and gets.
        raw: of the memory shared with the engine.
        per_byte: elements in a byte, when more than one: arrays then hold one element a byte.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        bits = _BITS.get(name, 8)
        self.per_byte = 8 // bits if bits < 8 else 1
        if name in _NUMPY:
            self.dtype = self.raw = np.dtype(name)
            return
        self.raw = np.dtype(np.uint16 if bits == 16 else np.uint8)
        custom = getattr(ml_dtypes, _ML[name], None)
        signed = name in ("int4", "int2")
        self.dtype = np.dtype(custom or (np.int8 if signed else self.raw))


_TYPES = {name: Type(name) for name in (*_NUMPY, *_ML)}


def type_of(name: str) -> Type:
    return _TYPES[name]


def is_numpy(name: str) -> bool:
    """Whether NumPy has the type itself."""
    return name in _NUMPY


def _pack(array: np.ndarray, per_byte: int) -> np.ndarray:
    """One element a byte to `per_byte` in each, the first in the low bits."""
    bits = 8 // per_byte
    codes = np.ascontiguousarray(array).view(np.uint8).reshape(-1) & (2**bits - 1)
    codes = np.concatenate([codes, np.zeros(-codes.size % per_byte, np.uint8)])
    packed = np.zeros(codes.size // per_byte, np.uint8)
    for i in range(per_byte):
        packed |= codes[i::per_byte] << (bits * i)
    return packed


def _unpack(packed: np.ndarray, type: Type, shape: list[int]) -> np.ndarray:
    bits = 8 // type.per_byte
    codes = np.stack([packed >> (bits * i) & (2**bits - 1) for i in range(type.per_byte)], axis=1)
    codes = codes.reshape(-1)[: int(np.prod(shape))]
    if type.name.startswith("int"):  # the sign bit, up to the byte's
        codes = (codes ^ (1 << (bits - 1))).astype(np.int8) - np.int8(1 << (bits - 1))
        codes = codes.view(np.uint8)
    if type.dtype.kind == "V":
        return codes.view(type.dtype).reshape(shape)
    return codes.view(type.dtype).reshape(shape)


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"


def _wrong(what: str, info: Any, array: np.ndarray) -> Error:
    return Error("InvalidArgument", f"{what} {info.name} is {_describe(array)}", str(info),
                 f"convert it to {info.dtype}")


def set_input(native: Any, index: int, info: Any, value: Any) -> None:
    """Hands an array to a native context; copies only what is not laid out row by row."""
    type = type_of(info.dtype)
    if not isinstance(value, np.ndarray):
        if hasattr(value, "__dlpack__"):
            try:
                value = np.from_dlpack(value)
            except Exception:  # a type or device that NumPy lacks: DLPack itself may do
                native.set_input(index, value)
                return
        else:
            value = _from_values(info, type, value)
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    if value.dtype != type.raw or type.raw != type.dtype:
        if value.dtype != type.dtype and (type.per_byte > 1 or value.dtype != type.raw):
            raise _wrong("input", info, value)
        if type.per_byte > 1:
            native.set_input(index, _pack(value, type.per_byte), list(value.shape))
            return
    if not value.flags.c_contiguous or not value.flags.aligned:
        value = np.array(value, order="C")
    if type.raw != type.dtype:
        value = value.view(type.raw)
    native.set_input(index, value)


def set_state(native: Any, index: int, info: Any, array: Any) -> None:
    """Gives state `index` its memory, which must be writable where it lies."""
    type = type_of(info.dtype)
    if isinstance(array, np.ndarray) and type.per_byte == 1 and array.dtype == type.dtype:
        array = array.view(type.raw)
    native.set_state(index, array)


def _from_values(info: Any, type: Type, value: Any) -> np.ndarray:
    """Numbers and nested lists take the declared type."""
    try:
        return np.asarray(value, dtype=type.dtype)
    except (TypeError, ValueError) as cause:
        raise Error("InvalidArgument", f"input {info.name} is a {value.__class__.__name__} ({cause})",
                    str(info), "pass a NumPy array, an object with DLPack or nested lists") from cause


def from_raw(raw: np.ndarray, type: Type, shape: Any) -> np.ndarray:
    """What a caller gets of memory shared with the engine."""
    return raw.view(type.dtype) if type.per_byte == 1 else _unpack(raw, type, shape)


class Output:
    """Memory for one output: of the caller, or new."""

    def __init__(self, native: Any, index: int, info: Any, given: Any) -> None:
        self._type = type_of(info.dtype)
        self._native, self._index = native, index
        self._found = info.depends_on_data
        if self._found:
            if given is not None:
                raise Error("InvalidArgument", f"an array for output {info.name}", "none, since the"
                            f" shape {info} depends on the inputs' data", "take what run() returns")
            native.find_output(index)
            return
        self._shape = native.output_shape(index)
        self._given = given
        self._raw = None
        if given is None or self._type.per_byte > 1:
            shape = self._shape
            if self._type.per_byte > 1:
                shape = [-(-int(np.prod(shape)) // self._type.per_byte)]
            self._raw = np.empty(shape, self._type.raw)
            native.set_output(index, self._raw, packed=self._type.per_byte > 1)
        elif isinstance(given, np.ndarray) and self._type.raw != self._type.dtype:
            if given.dtype not in (self._type.dtype, self._type.raw):
                raise _wrong("output", info, given)
            native.set_output(index, given.view(self._type.raw))
        else:
            native.set_output(index, given)

    def finish(self) -> Any:
        """The array to give back, once the run is over."""
        if self._found:
            shape = self._native.output_shape(self._index)
            raw = self._native.found_output(self._index)
            if self._type.per_byte > 1:
                return from_raw(raw, self._type, shape)
            return raw.view(self._type.dtype).reshape(shape)
        if self._raw is None:
            return self._given
        array = from_raw(self._raw, self._type, self._shape)
        if self._given is None or self._type.per_byte == 1:
            return array
        self._given[...] = array
        return self._given
