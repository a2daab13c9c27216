"""The device and contexts."""

from __future__ import annotations

import threading
from typing import Any

import _carnot

from ._errors import logic_error, translated

_threads = threading.local()


def _stack() -> list[Context]:
    if not hasattr(_threads, "contexts"):
        _threads.contexts = []
    return _threads.contexts


def device_kind() -> str:
    """Which device serves this module, "cpu" or "cuda": the one that CARNOT_DEVICE names, else a GPU
    if there is one to be used. Raises RuntimeError when CARNOT_DEVICE names none."""
    with translated():
        return _carnot.device_kind()


def init(flags: int = 0) -> None:
    """Checks that the device is there."""
    device_kind()


def get_version() -> tuple[int, int, int]:
    """The CUDA version that this module is shaped after."""
    return (12, 8, 0)


def get_driver_version() -> int:
    """As get_version, in one number: 1000 * major + 10 * minor."""
    major, minor, _ = get_version()
    return 1000 * major + 10 * minor


def mem_get_info() -> tuple[int, int]:
    """(free, total) bytes of the device, for all programs."""
    with translated():
        return _carnot.device_usage()[:2]


class ctx_flags:
    """Accepted by Device.make_context; they change nothing here."""
    SCHED_AUTO, SCHED_SPIN, SCHED_YIELD, SCHED_BLOCKING_SYNC = 0, 1, 2, 4
    SCHED_MASK, MAP_HOST, LMEM_RESIZE_TO_MAX, FLAGS_MASK = 7, 8, 16, 31


class Device:
    """The device; there is one, of number 0."""

    def __init__(self, number: int = 0) -> None:
        if number != 0:
            raise logic_error(f"device {number}", "0, the only device")
        init()
        self._number = number

    @staticmethod
    def count() -> int:
        """How many devices there are."""
        return 1

    def name(self) -> str:
        """What the hardware calls itself."""
        with translated():
            return _carnot.device_model()

    def total_memory(self) -> int:
        """Bytes."""
        return mem_get_info()[1]

    def compute_capability(self) -> tuple[int, int]:
        """(0, 0) on a CPU, which has none of CUDA's."""
        return _carnot.device_capability()

    def make_context(self, flags: int = 0) -> Context:
        """A context, made current on this thread."""
        context = Context(self)
        context.push()
        return context

    def retain_primary_context(self) -> Context:
        """A context that is not yet current."""
        return Context(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    def __hash__(self) -> int:
        return hash(self._number)

    def __repr__(self) -> str:
        return f"<Device {self._number}: {self.name()} ({device_kind()})>"


class Context:
    """Keeps the order of push and pop on a thread; nothing else hangs on it."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def push(self) -> None:
        """Makes it current on this thread."""
        _stack().append(self)

    @staticmethod
    def pop() -> None:
        """Makes the one before current. Raises LogicError when there is none to pop."""
        if not _stack():
            raise logic_error("no context is current on this thread", "a push for each pop")
        _stack().pop()

    def detach(self) -> None:
        """Lets go of it; pops it when it is current."""
        if _stack() and _stack()[-1] is self:
            _stack().pop()

    @staticmethod
    def get_current() -> Context | None:
        """That of this thread."""
        return _stack()[-1] if _stack() else None

    @staticmethod
    def get_device() -> Device:
        """The current context's device."""
        return Device(0)

    @staticmethod
    def synchronize() -> None:
        """Waits until all work on the device is done."""
        with translated():
            _carnot.device_synchronize()

    def __enter__(self) -> Context:
        self.push()
        return self

    def __exit__(self, *raised: Any) -> None:
        self.pop()
