"""Device memory and copies."""

from __future__ import annotations

from typing import Any, SupportsInt, Union

import numpy as np

import _carnot

from ._errors import logic_error, translated
from ._streams import Stream, handle_of

Address = Union[int, "DeviceAllocation", SupportsInt]


class DeviceAllocation:
    """Bytes on the device; int() gives the address. Freed with the object, or by free()."""

    def __init__(self, base: int, size: int) -> None:
        self._base, self._size, self._live = base, size, True

    @property
    def size(self) -> int:
        """Bytes asked for."""
        return self._size

    def free(self) -> None:
        """Gives the memory back now. Raises LogicError the second time."""
        with translated():
            _carnot.device_release(self._base)
        self._live = False

    def __int__(self) -> int:
        return self._base

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceAllocation) and self._base == other._base

    def __hash__(self) -> int:
        return hash(self._base)

    def __del__(self) -> None:
        if getattr(self, "_live", False):
            self._live = False
            _carnot.device_release(self._base)

    def __repr__(self) -> str:
        state = f"{self._size} bytes" if self._live else "freed"
        return f"<DeviceAllocation at {self._base:#x}, {state}>"


def address_of(pointer: Address) -> int:
    """An address as int, from an int or from an object that stands for one."""
    if isinstance(pointer, bool) or not hasattr(pointer, "__int__") or hasattr(pointer, "shape"):
        raise TypeError(f"{type(pointer).__name__} is no device address; needs an int or a "
                        "DeviceAllocation")
    address = int(pointer)
    if not 0 <= address < 2**64:
        raise logic_error(f"address {address}", "0 to 2^64 - 1")
    return address


def _host(buffer: Any, writable: bool) -> Any:
    """An object with the buffer protocol over the host memory meant."""
    if isinstance(buffer, np.ndarray) and not (buffer.flags.c_contiguous or
                                               buffer.flags.f_contiguous):
        raise ValueError("array is not contiguous; copy it first (numpy.ascontiguousarray)")
    try:
        memoryview(buffer)
        return buffer
    except (TypeError, ValueError, BufferError):
        array = np.asarray(buffer)
    if array.dtype == object:
        raise TypeError(f"{type(buffer).__name__} has no memory that can be copied; needs an array")
    if writable and not (array.flags.writeable and np.shares_memory(array, np.asarray(buffer))):
        raise TypeError(f"{type(buffer).__name__} has no memory that can be written")
    return array.view(np.uint8) if array.ndim else array


def mem_alloc(bytes: int) -> DeviceAllocation:
    """Allocates device memory, contents undefined. Raises LogicError for 0 bytes, MemoryError."""
    size = int(bytes)
    if size < 0:
        raise logic_error(f"{size} bytes of device memory asked for", "1 or more")
    with translated():
        return DeviceAllocation(_carnot.device_allocate(size), size)


def mem_alloc_like(array: np.ndarray) -> DeviceAllocation:
    """Room for an array's bytes."""
    return mem_alloc(array.nbytes)


def to_device(buffer: Any) -> DeviceAllocation:
    """A copy of host memory on the device."""
    allocation = mem_alloc(memoryview(buffer).nbytes)
    memcpy_htod(allocation, buffer)
    return allocation


def from_device(source: Address, shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """A new array from the device."""
    array = np.empty(shape, dtype, order)
    memcpy_dtoh(array, source)
    return array


def from_device_like(source: Address, other: np.ndarray) -> np.ndarray:
    """A new array from the device, of another's shape and dtype."""
    array = np.empty_like(other)
    memcpy_dtoh(array, source)
    return array


def memcpy_htod(dest: Address, src: Any) -> None:
    """Copies all of a host buffer to the device. Raises LogicError when it does not fit there."""
    with translated():
        _carnot.device_copy_in(address_of(dest), _host(src, False))


def memcpy_dtoh(dest: Any, src: Address) -> None:
    """Fills a host buffer from the device. Raises LogicError when fewer bytes are there."""
    with translated():
        _carnot.device_copy_out(_host(dest, True), address_of(src))


def memcpy_dtod(dest: Address, src: Address, size: int) -> None:
    """Copies `size` bytes on the device."""
    with translated():
        _carnot.device_copy(address_of(dest), address_of(src), size, "on_device")


def memcpy_htod_async(dest: Address, src: Any, stream: Stream | None = None) -> None:
    """As memcpy_htod, on a stream. From page-locked memory, which must stay as it is until the stream
    is through, the call does not wait; other memory may be used again when it returns."""
    with translated():
        _carnot.device_copy_in(address_of(dest), _host(src, False), handle_of(stream))


def memcpy_dtoh_async(dest: Any, src: Address, stream: Stream | None = None) -> None:
    """As memcpy_dtoh, on a stream: filled when the stream is through. Into page-locked memory, which
    must live until then, the call does not wait."""
    with translated():
        _carnot.device_copy_out(_host(dest, True), address_of(src), handle_of(stream))


def memcpy_dtod_async(dest: Address, src: Address, size: int, stream: Stream | None = None) -> None:
    """As memcpy_dtod, on a stream."""
    with translated():
        _carnot.device_copy(address_of(dest), address_of(src), size, "on_device",
                            handle_of(stream))


def _fill(dest: Address, data: int, width: int, count: int, stream: int | None = None) -> None:
    with translated():
        _carnot.device_fill(address_of(dest), data & (1 << 8 * width) - 1, width, count, stream)


def memset_d8(dest: Address, data: int, count: int) -> None:
    """Sets `count` bytes."""
    _fill(dest, data, 1, count)


def memset_d16(dest: Address, data: int, count: int) -> None:
    """Sets `count` values of two bytes."""
    _fill(dest, data, 2, count)


def memset_d32(dest: Address, data: int, count: int) -> None:
    """Sets `count` values of four bytes."""
    _fill(dest, data, 4, count)


def memset_d8_async(dest: Address, data: int, count: int, stream: Stream | None = None) -> None:
    """As memset_d8, on a stream."""
    _fill(dest, data, 1, count, handle_of(stream))


def memset_d16_async(dest: Address, data: int, count: int, stream: Stream | None = None) -> None:
    """As memset_d16, on a stream."""
    _fill(dest, data, 2, count, handle_of(stream))


def memset_d32_async(dest: Address, data: int, count: int, stream: Stream | None = None) -> None:
    """As memset_d32, on a stream."""
    _fill(dest, data, 4, count, handle_of(stream))
