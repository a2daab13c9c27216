"""What `cuda.cudart` of cuda-python is to a script: functions give (error, values…), none raises.

Addresses may be ints or anything with the buffer protocol; see carnot.cuda for what the device is.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import _carnot

from .._error import Error as CarnotError
from ._device import device_kind, get_driver_version, mem_get_info
from ._errors import logic_error
from ._host import pagelocked_empty
from ._streams import Event, Stream, handle_of


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInitializationError = 3
    cudaErrorInvalidMemcpyDirection = 21
    cudaErrorNoDevice = 100
    cudaErrorInvalidDevice = 101
    cudaErrorInvalidResourceHandle = 400
    cudaErrorNotReady = 600
    cudaErrorUnknown = 999


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3
    cudaMemcpyDefault = 4


class cudaDeviceProp:
    """The device: name (bytes), totalGlobalMem, major, minor, multiProcessorCount."""

    def __init__(self) -> None:
        self.name = _carnot.device_model().encode()
        self.totalGlobalMem = mem_get_info()[1]
        self.major, self.minor = _carnot.device_capability()
        self.multiProcessorCount = _carnot.device_multiprocessors()


cudaStreamDefault, cudaStreamNonBlocking = 0, 1
cudaHostAllocDefault, cudaHostAllocPortable, cudaHostAllocMapped, cudaHostAllocWriteCombined = \
    0, 1, 2, 4
cudaEventDefault, cudaEventBlockingSync, cudaEventDisableTiming = 0, 1, 2

_CODES = {"InvalidArgument": cudaError_t.cudaErrorInvalidValue,
          "OutOfMemory": cudaError_t.cudaErrorMemoryAllocation,
          "Unsupported": cudaError_t.cudaErrorNoDevice}

class _NotReady(Exception):
    """Of a query: no failure."""


def _ready(is_so: bool) -> None:
    if not is_so:
        raise _NotReady


_streams: dict[int, Stream] = {}
_events: dict[int, Event] = {}
_host_memory: dict[int, np.ndarray] = {}
_last: list[Any] = [cudaError_t.cudaSuccess, ""]


def _reporting(values: int) -> Callable[[Callable[..., Any]], Callable[..., tuple[Any, ...]]]:
    """A function whose results come after an error code; on failure that many are None."""
    def wrap(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
        @functools.wraps(function)
        def call(*args: Any, **named: Any) -> tuple[Any, ...]:
            try:
                result = function(*args, **named)
            except CarnotError as error:
                _last[:] = [_CODES.get(error.code, cudaError_t.cudaErrorUnknown), str(error)]
                return (_last[0], *[None] * values)
            except _NotReady:
                return (cudaError_t.cudaErrorNotReady, *[None] * values)
            except LookupError as error:
                _last[:] = [cudaError_t.cudaErrorInvalidResourceHandle, str(error)]
                return (_last[0], *[None] * values)
            if values == 0:
                return (cudaError_t.cudaSuccess,)
            return (cudaError_t.cudaSuccess, *(result if values > 1 else [result]))
        return call
    return wrap


def _address(pointer: Any) -> int:
    if pointer is None:
        return 0
    if hasattr(pointer, "__array_interface__"):
        return pointer.__array_interface__["data"][0]
    if hasattr(pointer, "__int__"):
        return int(pointer)
    if hasattr(pointer, "value"):  # of ctypes
        return pointer.value or 0
    return np.frombuffer(pointer, np.uint8).ctypes.data


def _stream(stream: Any) -> int:
    """The handle, after a check."""
    handle = handle_of(stream)
    try:
        _carnot.stream_check(handle)
    except CarnotError as error:
        raise LookupError(str(error)) from error
    return handle


@_reporting(1)
def cudaMalloc(size: int) -> int:
    return _carnot.device_allocate(size) if size else 0


@_reporting(1)
def cudaMallocAsync(size: int, stream: Any) -> int:
    _stream(stream)
    return _carnot.device_allocate(size) if size else 0


@_reporting(0)
def cudaFree(pointer: Any) -> None:
    _carnot.device_release(_address(pointer))


@_reporting(0)
def cudaFreeAsync(pointer: Any, stream: Any) -> None:
    _stream(stream)
    _carnot.device_release(_address(pointer))


def _allocate_host(size: int) -> int:
    array = pagelocked_empty(max(size, 1), np.uint8)
    _host_memory[array.ctypes.data] = array
    return array.ctypes.data


@_reporting(1)
def cudaMallocHost(size: int) -> int:
    return _allocate_host(size)


@_reporting(1)
def cudaHostAlloc(size: int, flags: int) -> int:
    return _allocate_host(size)


@_reporting(0)
def cudaFreeHost(pointer: Any) -> None:
    if _host_memory.pop(_address(pointer), None) is None:
        raise logic_error(f"{_address(pointer):#x} is not memory of cudaMallocHost",
                          "what it gave, once")


_DIRECTIONS = ("on_host", "to_device", "to_host", "on_device")


def _copy(to: Any, source: Any, count: int, kind: cudaMemcpyKind,
          stream: int | None = None) -> None:
    to, source = _address(to), _address(source)
    if kind == cudaMemcpyKind.cudaMemcpyDefault:
        device = [_carnot.device_find(address)[0] != "foreign" for address in (to, source)]
        kind = cudaMemcpyKind(2 * device[1] + device[0])
    _carnot.device_copy(to, source, count, _DIRECTIONS[int(kind)], stream)


@_reporting(0)
def cudaMemcpy(dst: Any, src: Any, count: int, kind: cudaMemcpyKind) -> None:
    _copy(dst, src, count, kind)


@_reporting(0)
def cudaMemcpyAsync(dst: Any, src: Any, count: int, kind: cudaMemcpyKind, stream: Any) -> None:
    _copy(dst, src, count, kind, _stream(stream))


@_reporting(0)
def cudaMemset(pointer: Any, value: int, count: int) -> None:
    _carnot.device_fill(_address(pointer), value & 0xff, 1, count)


@_reporting(0)
def cudaMemsetAsync(pointer: Any, value: int, count: int, stream: Any) -> None:
    _carnot.device_fill(_address(pointer), value & 0xff, 1, count, _stream(stream))


@_reporting(2)
def cudaMemGetInfo() -> tuple[int, int]:
    return mem_get_info()


def _create_stream(flags: int) -> int:
    stream = Stream(flags)
    _streams[stream.handle] = stream
    return stream.handle


@_reporting(1)
def cudaStreamCreate() -> int:
    return _create_stream(cudaStreamDefault)


@_reporting(1)
def cudaStreamCreateWithFlags(flags: int) -> int:
    return _create_stream(flags)


@_reporting(1)
def cudaStreamCreateWithPriority(flags: int, priority: int) -> int:
    return _create_stream(flags)


@_reporting(0)
def cudaStreamDestroy(stream: Any) -> None:
    del _streams[int(stream)]


@_reporting(0)
def cudaStreamSynchronize(stream: Any) -> None:
    _carnot.stream_synchronize(_stream(stream))


@_reporting(0)
def cudaStreamQuery(stream: Any) -> None:
    _ready(_carnot.stream_is_idle(_stream(stream)))


@_reporting(0)
def cudaStreamWaitEvent(stream: Any, event: Any, flags: int = 0) -> None:
    _carnot.stream_wait(_stream(stream), _events[int(event)].handle)


@_reporting(0)
def cudaDeviceSynchronize() -> None:
    _carnot.device_synchronize()


@_reporting(1)
def cudaEventCreate() -> int:
    return _create_event()


@_reporting(1)
def cudaEventCreateWithFlags(flags: int) -> int:
    return _create_event()


def _create_event() -> int:
    event = Event()
    _events[event.handle] = event
    return event.handle


@_reporting(0)
def cudaEventRecord(event: int, stream: Any = None) -> None:
    _events[event].record(_stream(stream))


@_reporting(0)
def cudaEventSynchronize(event: int) -> None:
    _events[event].synchronize()


@_reporting(0)
def cudaEventQuery(event: int) -> None:
    _ready(_events[event].query())


@_reporting(1)
def cudaEventElapsedTime(start: int, end: int) -> float:
    _ready(_events[start].query() and _events[end].query())
    return _events[end].time_since(_events[start])


@_reporting(0)
def cudaEventDestroy(event: int) -> None:
    del _events[event]


@_reporting(1)
def cudaGetDeviceCount() -> int:
    device_kind()
    return 1


@_reporting(1)
def cudaGetDevice() -> int:
    return 0


@_reporting(0)
def cudaSetDevice(device: int) -> None:
    if device != 0:
        raise logic_error(f"device {device}", "0, the only device")


@_reporting(1)
def cudaGetDeviceProperties(device: int) -> cudaDeviceProp:
    if device != 0:
        raise logic_error(f"device {device}", "0, the only device")
    return cudaDeviceProp()


@_reporting(1)
def cudaRuntimeGetVersion() -> int:
    return get_driver_version()


@_reporting(1)
def cudaDriverGetVersion() -> int:
    return get_driver_version()


@_reporting(1)
def cudaGetErrorName(error: cudaError_t) -> bytes:
    return cudaError_t(error).name.encode()


@_reporting(1)
def cudaGetErrorString(error: cudaError_t) -> bytes:
    """The last error's own text where it is the one asked for, else its name in words."""
    if error == _last[0] and _last[1]:
        return _last[1].encode()
    name = cudaError_t(error).name.removeprefix("cuda").removeprefix("Error")
    words = "".join(" " + letter.lower() if letter.isupper() else letter for letter in name)
    return ("no error" if error == 0 else words.strip()).encode()


def cudaGetLastError() -> tuple[cudaError_t]:
    last = _last[0]
    _last[:] = [cudaError_t.cudaSuccess, ""]
    return (last,)


def cudaPeekAtLastError() -> tuple[cudaError_t]:
    return (_last[0],)
