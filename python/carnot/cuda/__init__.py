"""What `pycuda.driver` is to a script, over the memory of Carnot's device.

    import carnot.cuda as cuda
    import carnot.cuda.autoinit
    address = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod(address, array)

A GPU serves if there is one to be used, else the CPU; CARNOT_DEVICE says otherwise; `Device(0).name()`
and `device_kind()` tell. On a GPU streams, events and copies are the driver's. On the CPU, device
memory is host memory in a range of addresses of its own, and work on a stream is done when the call
that asks for it returns, so streams are always idle; events tell real time. No context is needed, and
those made here only keep the order of push and pop.
"""

from ._device import (Context, Device, ctx_flags, device_kind, get_driver_version, get_version,
                      init, mem_get_info)
from ._errors import Error, LogicError, MemoryError, RuntimeError
from ._host import (aligned_empty, aligned_zeros, host_alloc_flags, mem_host_register_flags,
                    pagelocked_empty, pagelocked_empty_like, pagelocked_zeros,
                    pagelocked_zeros_like, register_host_memory)
from ._memory import (DeviceAllocation, from_device, from_device_like, mem_alloc, mem_alloc_like,
                      memcpy_dtod, memcpy_dtod_async, memcpy_dtoh, memcpy_dtoh_async, memcpy_htod,
                      memcpy_htod_async, memset_d8, memset_d8_async, memset_d16, memset_d16_async,
                      memset_d32, memset_d32_async, to_device)
from ._streams import Event, Stream, event_flags

__all__ = [
    "Context", "Device", "DeviceAllocation", "Error", "Event", "LogicError", "MemoryError",
    "RuntimeError", "Stream", "aligned_empty", "aligned_zeros", "ctx_flags", "device_kind",
    "event_flags", "from_device", "from_device_like", "get_driver_version", "get_version",
    "host_alloc_flags", "init", "mem_alloc", "mem_alloc_like", "mem_get_info",
    "mem_host_register_flags", "memcpy_dtod", "memcpy_dtod_async", "memcpy_dtoh",
    "memcpy_dtoh_async", "memcpy_htod", "memcpy_htod_async", "memset_d16", "memset_d16_async",
    "memset_d32", "memset_d32_async", "memset_d8", "memset_d8_async", "pagelocked_empty",
    "pagelocked_empty_like", "pagelocked_zeros", "pagelocked_zeros_like", "register_host_memory",
    "to_device",
]
