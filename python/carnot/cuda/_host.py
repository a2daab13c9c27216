"""Host memory that copies quickly: locked for a GPU; on the CPU, memory that starts on a page."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np

import _carnot

_PAGE = 4096


class host_alloc_flags:
    """Accepted by pagelocked_empty; they change nothing here."""
    PORTABLE, DEVICEMAP, WRITECOMBINED = 1, 2, 4


class mem_host_register_flags:
    """Accepted by register_host_memory; they change nothing here."""
    PORTABLE, DEVICEMAP = 1, 2


def aligned_empty(shape: Any, dtype: Any, order: str = "C", alignment: int = _PAGE) -> np.ndarray:
    """A new array, contents undefined, at a multiple of `alignment` bytes."""
    bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(bytes + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start:start + bytes].view(dtype).reshape(shape, order=order)


def aligned_zeros(shape: Any, dtype: Any, order: str = "C", alignment: int = _PAGE) -> np.ndarray:
    """As aligned_empty, of zeros."""
    array = aligned_empty(shape, dtype, order, alignment)
    array.fill(0)
    return array


def pagelocked_empty(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """A new array, contents undefined."""
    bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if _carnot.device_kind() == "cpu" or bytes == 0:
        return aligned_empty(shape, dtype, order)
    base = _carnot.host_allocate(bytes)
    memory = (ctypes.c_uint8 * bytes).from_address(base)
    weakref.finalize(memory, _carnot.host_release, base)  # arrays keep `memory`
    return np.frombuffer(memory, np.uint8).view(dtype).reshape(shape, order=order)


def pagelocked_zeros(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """A new array of zeros."""
    array = pagelocked_empty(shape, dtype, order)
    array.fill(0)
    return array


def pagelocked_empty_like(array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
    """A new array of another's shape and dtype."""
    return pagelocked_empty(array.shape, array.dtype)


def pagelocked_zeros_like(array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
    """A new array of zeros, of another's shape and dtype."""
    return pagelocked_zeros(array.shape, array.dtype)


def register_host_memory(ary: np.ndarray, flags: int = 0) -> np.ndarray:
    """The array, which needs nothing more to be copied from or to."""
    return ary
