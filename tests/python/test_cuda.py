"""carnot.cuda: what pycuda.driver and cuda.cudart are to a script."""

import ctypes
import os
import subprocess
import sys
import time

import ml_dtypes
import numpy as np
import pytest

import carnot
import carnot.cuda as cuda
import carnot.cuda.autoinit
from carnot.cuda import cudart

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("array", [
    X, np.asfortranarray(X), X.astype(np.float16), X.astype(ml_dtypes.bfloat16),
    np.float32(7).reshape(()), X > 3, X.astype(">i8"),
], ids=["plain", "fortran", "half", "bfloat16", "scalar", "bool", "big endian"])
def test_arrays_go_there_and_back(array):
    address = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod(address, array)
    back = np.empty_like(array)
    cuda.memcpy_dtoh(back, address)
    np.testing.assert_array_equal(back, array)


def test_bytes_go_there_and_back():
    address = cuda.to_device(b"carnot")
    back = bytearray(6)
    cuda.memcpy_dtoh(back, address)
    assert back == b"carnot"


def test_streams_events_and_async_copies():
    stream, other = cuda.Stream(), cuda.Stream()
    start, end = cuda.Event(), cuda.Event(cuda.event_flags.DISABLE_TIMING)
    a, b = cuda.mem_alloc(X.nbytes), cuda.mem_alloc_like(X)
    back = cuda.pagelocked_empty(X.shape, X.dtype)
    start.record(stream)
    cuda.memcpy_htod_async(a, X, stream)
    cuda.memcpy_dtod_async(b, a, X.nbytes, stream)
    cuda.memcpy_dtoh_async(back, b, stream)
    time.sleep(0.02)
    end.record(stream).synchronize()
    stream.wait_for_event(end)
    stream.synchronize()
    assert stream.is_done() and end.query()
    assert 15 <= end.time_since(start) < 2000  # a device may mark the start late
    assert start.time_till(end) == end.time_since(start)
    assert stream.handle != other.handle and int(stream) == stream.handle
    np.testing.assert_array_equal(back, X)


@pytest.mark.parametrize("fill, value, count, dtype, wanted", [
    (cuda.memset_d8, 0x3f, 4, np.uint8, 0x3f), (cuda.memset_d16, 0x1234, 2, np.uint16, 0x1234),
    (cuda.memset_d32, 0x3f800000, 1, np.float32, 1), (cuda.memset_d8_async, -1, 4, np.int8, -1),
    (cuda.memset_d32_async, 7, 1, np.int32, 7), (cuda.memset_d16_async, 7, 2, np.int16, 7),
])
def test_memory_is_filled(fill, value, count, dtype, wanted):
    address = cuda.mem_alloc(4)
    fill(address, value, count)
    assert (cuda.from_device(address, count, dtype) == wanted).all()


def test_addresses_are_numbers():
    address = cuda.to_device(X)
    assert int(address) % 256 == 0 and address.size == X.nbytes
    rest = np.empty(20, np.float32)
    cuda.memcpy_dtoh(rest, int(address) + 16)
    np.testing.assert_array_equal(rest, X.ravel()[4:])
    np.testing.assert_array_equal(cuda.from_device_like(address, X), X)
    assert address != cuda.to_device(X) and len({address, address}) == 1


@pytest.mark.parametrize("make", [cuda.pagelocked_empty, cuda.pagelocked_zeros, cuda.aligned_zeros])
@pytest.mark.parametrize("shape", [(), 5, (0,), (3, 4)])
def test_page_locked_arrays(make, shape):
    array = make(shape, np.float16, order="F")
    assert array.shape == np.empty(shape).shape and array.dtype == np.float16
    assert array.ctypes.data % 4096 == 0 or array.size == 0
    array[...] = 1
    assert cuda.pagelocked_zeros_like(array).sum() == 0
    assert cuda.pagelocked_empty_like(array).shape == array.shape
    assert cuda.register_host_memory(array) is array


def test_device_and_contexts():
    device = cuda.Device(0)
    assert cuda.Device.count() == 1 and cuda.device_kind() in ("cpu", "cuda") and device.name()
    free, total = cuda.mem_get_info()
    assert 0 < free <= total == device.total_memory()
    assert cuda.Context.get_current() is carnot.cuda.autoinit.context
    assert carnot.cuda.autoinit.device == device
    context = device.make_context()
    assert cuda.Context.get_current() is context
    cuda.Context.synchronize()
    cuda.Context.pop()
    with device.retain_primary_context() as primary:
        assert cuda.Context.get_current() is primary
    context.detach()
    assert cuda.Context.get_current() is carnot.cuda.autoinit.context
    assert len(cuda.get_version()) == 3 and cuda.get_driver_version() >= 12000


def freed():
    address = cuda.mem_alloc(64)
    address.free()
    return address


@pytest.mark.parametrize("act, kind, parts", [
    (lambda: cuda.mem_alloc(0), cuda.LogicError, ["0 bytes"]),
    (lambda: cuda.mem_alloc(-1), cuda.LogicError, ["-1 bytes"]),
    (lambda: cuda.mem_alloc(1 << 60), cuda.MemoryError, ["bytes are free", "ask for less"]),
    (lambda: freed().free(), cuda.LogicError, ["freed", "once"]),
    (lambda: cuda.memcpy_htod(freed(), X), cuda.LogicError, ["freed device memory (of 64 bytes"]),
    (lambda: cuda.memcpy_dtoh(np.empty(99), freed()), cuda.LogicError, ["freed", "792 bytes"]),
    (lambda: cuda.memcpy_htod(cuda.mem_alloc(95), X), cuda.LogicError,
     ["95 bytes of device memory", "needs 96 bytes"]),
    (lambda: cuda.memcpy_dtoh(np.empty(3), cuda.mem_alloc(23)), cuda.LogicError,
     ["23 bytes", "24 bytes"]),
    (lambda: cuda.memcpy_htod(X.ctypes.data, X), cuda.LogicError, ["not device memory"]),
    (lambda: cuda.memcpy_htod(-5, X), cuda.LogicError, ["address -5"]),
    (lambda: cuda.memcpy_htod(X, X), TypeError, ["no device address"]),
    (lambda: cuda.memcpy_htod(cuda.mem_alloc(96), X[:, :, ::2]), ValueError, ["not contiguous"]),
    (lambda: cuda.memcpy_htod(cuda.mem_alloc(96), {}), TypeError, ["dict"]),
    (lambda: cuda.memcpy_dtoh(b"1234", cuda.mem_alloc(96)), (BufferError, TypeError), []),
    (lambda: cuda.Event().time_since(cuda.Event().record()), cuda.LogicError, ["not recorded"]),
    (lambda: cuda.Device(1), cuda.LogicError, ["device 1", "the only device"]),
])
def test_misuse_is_named(act, kind, parts):
    with pytest.raises(kind) as caught:
        act()
    for part in parts:
        assert part in str(caught.value)
    if kind in (cuda.LogicError, cuda.MemoryError):
        assert isinstance(caught.value, cuda.Error) and isinstance(caught.value, carnot.Error)


def test_memory_goes_with_its_object():
    import _carnot
    before = _carnot.device_usage()[2]
    for _ in range(100):
        cuda.mem_alloc(1 << 20)
    assert _carnot.device_usage()[2] == before


@pytest.mark.parametrize("device, wanted", [("cpu", "cpu"), ("", "c"), ("abacus", "CARNOT_DEVICE")])
def test_the_device_is_named_by_the_environment(device, wanted):
    ran = subprocess.run([sys.executable, "-c", "import carnot.cuda as c; print(c.device_kind())"],
                         env={**os.environ, "CARNOT_DEVICE": device}, capture_output=True, text=True)
    assert wanted in ran.stdout + ran.stderr


def ok(result):
    assert result[0] == cudart.cudaError_t.cudaSuccess, cudart.cudaGetErrorString(result[0])
    return result[1] if len(result) == 2 else result[1:]


def test_cudart_copies_by_every_kind():
    kinds = cudart.cudaMemcpyKind
    stream = ok(cudart.cudaStreamCreate())
    a, b = ok(cudart.cudaMalloc(X.nbytes)), ok(cudart.cudaMallocAsync(X.nbytes, stream))
    locked = ok(cudart.cudaMallocHost(X.nbytes))
    host = np.ctypeslib.as_array(ctypes.cast(locked, ctypes.POINTER(ctypes.c_float)), (X.size,))
    for kind in ((kinds.cudaMemcpyHostToDevice, kinds.cudaMemcpyDeviceToDevice,
                  kinds.cudaMemcpyDeviceToHost), [kinds.cudaMemcpyDefault] * 3):
        host[:] = 0
        ok(cudart.cudaMemcpyAsync(a, X, X.nbytes, kind[0], stream))
        ok(cudart.cudaMemcpy(b, a, X.nbytes, kind[1]))
        ok(cudart.cudaMemcpyAsync(host, b, X.nbytes, kind[2], stream))
        ok(cudart.cudaStreamSynchronize(stream))
        np.testing.assert_array_equal(host, X.ravel())
    ok(cudart.cudaMemset(a, 0, X.nbytes))
    ok(cudart.cudaMemcpy(host.ctypes.data, a, X.nbytes, kinds.cudaMemcpyDeviceToHost))
    assert not host.any()
    ok(cudart.cudaMemcpy(host, X.ctypes.data, X.nbytes, kinds.cudaMemcpyHostToHost))
    assert host.any()
    for result in (cudart.cudaFree(a), cudart.cudaFreeAsync(b, stream), cudart.cudaFree(0),
                   cudart.cudaFreeHost(locked), cudart.cudaStreamDestroy(stream),
                   cudart.cudaDeviceSynchronize(), cudart.cudaSetDevice(0)):
        ok(result)


def test_cudart_events_and_device():
    start, end = ok(cudart.cudaEventCreate()), ok(cudart.cudaEventCreate())
    ok(cudart.cudaEventRecord(start, 0))
    ok(cudart.cudaEventRecord(end, 0))
    assert ok(cudart.cudaEventElapsedTime(start, end)) >= 0
    ok(cudart.cudaEventDestroy(end))
    assert ok(cudart.cudaGetDeviceCount()) == 1 and ok(cudart.cudaGetDevice()) == 0
    assert ok(cudart.cudaGetDeviceProperties(0)).name
    free, total = ok(cudart.cudaMemGetInfo())
    assert 0 < free <= total


@pytest.mark.parametrize("call, code, text", [
    (lambda: cudart.cudaMalloc(1 << 60), "cudaErrorMemoryAllocation", b"bytes are free"),
    (lambda: cudart.cudaFree(int(freed())), "cudaErrorInvalidValue", b"freed device memory"),
    (lambda: cudart.cudaMemcpy(int(freed()), X, 4, cudart.cudaMemcpyKind.cudaMemcpyHostToDevice),
     "cudaErrorInvalidValue", b"freed device memory"),
    (lambda: cudart.cudaMemcpy(3, 5, 4, 0), "cudaErrorInvalidValue", b"not memory of this process"),
    (lambda: cudart.cudaStreamDestroy(77), "cudaErrorInvalidResourceHandle", b"77"),
    (lambda: cudart.cudaStreamSynchronize(77), "cudaErrorInvalidResourceHandle", b"77"),
    (lambda: cudart.cudaSetDevice(3), "cudaErrorInvalidValue", b"device 3"),
    (lambda: cudart.cudaFreeHost(12), "cudaErrorInvalidValue", b"cudaMallocHost"),
])
def test_cudart_gives_errors(call, code, text):
    result = call()
    assert result[0] == cudart.cudaError_t[code]
    assert text in ok(cudart.cudaGetErrorString(result[0]))
    assert ok(cudart.cudaGetErrorName(result[0])).decode() == code
    assert cudart.cudaPeekAtLastError() == cudart.cudaGetLastError() == (result[0],)
    assert cudart.cudaGetLastError() == (cudart.cudaError_t.cudaSuccess,)


@pytest.fixture(scope="module")
def library():
    """The library that carnot.shim lets programs find as libcudart.so."""
    import _carnot
    path = os.environ.get("CARNOT_CUDART") or os.path.join(
        os.path.dirname(_carnot.__file__), "..", "shim", "libcudart.so")
    return ctypes.CDLL(os.path.realpath(path))


def test_libcudart_shares_the_memory(library):
    pointer, stream, size = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t(X.nbytes)
    assert library.cudaStreamCreate(ctypes.byref(stream)) == 0
    assert library.cudaMalloc(ctypes.byref(pointer), size) == 0
    assert library.cudaMemcpyAsync(pointer, ctypes.c_void_p(X.ctypes.data), size, 1, stream) == 0
    np.testing.assert_array_equal(cuda.from_device(pointer.value, X.shape, X.dtype), X)
    back = np.zeros_like(X)
    for kind in (2, 4):
        assert library.cudaMemcpy(ctypes.c_void_p(back.ctypes.data), pointer, size, kind) == 0
        np.testing.assert_array_equal(back, X)
    assert library.cudaMemset(pointer, 0, size) == 0
    assert not cuda.from_device(pointer.value, X.shape, X.dtype).any()
    events = [ctypes.c_void_p(), ctypes.c_void_p()]
    for event in events:
        assert library.cudaEventCreate(ctypes.byref(event)) == 0
        assert library.cudaEventRecord(event, stream) == 0
    took = ctypes.c_float(-1)
    assert library.cudaEventSynchronize(events[1]) == 0
    assert library.cudaEventElapsedTime(ctypes.byref(took), *events) == 0 and took.value >= 0
    assert library.cudaEventDestroy(events[0]) == 0
    assert library.cudaStreamSynchronize(stream) == library.cudaStreamDestroy(stream) == 0
    assert library.cudaFree(pointer) == library.cudaFree(None) == 0


@pytest.mark.parametrize("call, status, text", [
    (lambda c: c.cudaFree(ctypes.c_void_p(int(freed()))), 1, b"freed device memory"),
    (lambda c: c.cudaMalloc(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(1 << 60)), 2, b"free"),
    (lambda c: c.cudaMemset(ctypes.c_void_p(X.ctypes.data), 0, ctypes.c_size_t(4)), 1,
     b"not device memory"),
    (lambda c: c.cudaMemcpy(ctypes.c_void_p(64), ctypes.c_void_p(64), ctypes.c_size_t(4), 9), 1,
     b"kind 9"),
    (lambda c: c.cudaStreamDestroy(ctypes.c_void_p(77)), 400, b"stream"),
    (lambda c: c.cudaEventSynchronize(ctypes.c_void_p(77)), 400, b"event"),
    (lambda c: c.cudaSetDevice(1), 101, b"device"),
])
def test_libcudart_gives_errors(library, call, status, text):
    library.cudaGetErrorString.restype = ctypes.c_char_p
    assert call(library) == status == library.cudaPeekAtLastError()
    assert text in library.cudaGetErrorString(status)
    assert library.cudaGetLastError() == status and library.cudaGetLastError() == 0
