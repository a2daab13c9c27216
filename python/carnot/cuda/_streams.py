"""Streams and events."""

from __future__ import annotations

import _carnot

from ._errors import translated


class Stream:
    """Work in order, beside that of other streams. On the CPU it is done when the call that asks for
    it returns.

    Attributes:
        handle: a number that stands for the stream where one is asked for; on a GPU the driver's, as
            other libraries give and take it.
    """

    def __init__(self, flags: int = 0) -> None:
        """flags: 0, in order with the default stream too; 1, beside it."""
        self.handle = 0
        with translated():
            self.handle = _carnot.stream_create(not flags & 1)

    def synchronize(self) -> None:
        """Waits until all work is done."""
        with translated():
            _carnot.stream_synchronize(self.handle)

    def is_done(self) -> bool:
        """Whether all work is done."""
        with translated():
            return _carnot.stream_is_idle(self.handle)

    def wait_for_event(self, event: Event) -> None:
        """Lets later work wait for an event."""
        with translated():
            _carnot.stream_wait(self.handle, event.handle)

    def __int__(self) -> int:
        return self.handle

    __index__ = __int__

    def __del__(self) -> None:
        if getattr(self, "handle", 0):
            _carnot.stream_destroy(self.handle)

    def __repr__(self) -> str:
        return f"<Stream {self.handle}>"


def handle_of(stream: Stream | int | None) -> int:
    """That of a stream, or of the default one."""
    return 0 if stream is None else int(stream)


class event_flags:
    """Accepted by Event; they change nothing here."""
    DEFAULT, BLOCKING_SYNC, DISABLE_TIMING, INTERPROCESS = 0, 1, 2, 4


class Event:
    """A point in a stream's work, with the time at which it was reached.

    Attributes:
        handle: a number that stands for the event.
    """

    def __init__(self, flags: int = 0) -> None:
        self.handle = 0
        with translated():
            self.handle = _carnot.event_create()

    def record(self, stream: Stream | int | None = None) -> Event:
        """Marks the point reached when the work asked for so far is done."""
        with translated():
            _carnot.event_record(self.handle, handle_of(stream))
        return self

    def synchronize(self) -> Event:
        """Waits until the point is reached."""
        with translated():
            _carnot.event_synchronize(self.handle)
        return self

    def query(self) -> bool:
        """Whether the point is reached."""
        with translated():
            return _carnot.event_is_reached(self.handle)

    def time_since(self, event: Event) -> float:
        """Milliseconds from another event to this, by the device's clock. Raises LogicError unless
        both are recorded and reached."""
        with translated():
            return _carnot.event_milliseconds_between(event.handle, self.handle)

    def time_till(self, event: Event) -> float:
        """Milliseconds from this event to another."""
        return event.time_since(self)

    def __del__(self) -> None:
        if getattr(self, "handle", 0):
            _carnot.event_destroy(self.handle)
