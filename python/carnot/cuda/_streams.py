"""Streams and events."""

from __future__ import annotations

import itertools
import time

from ._errors import logic_error

_handles = itertools.count(1)


class Stream:
    """Work in order. On the CPU it is done when the call that asks for it returns.

    Attributes:
        handle: a number that stands for the stream where one is asked for.
    """

    def __init__(self, flags: int = 0) -> None:
        self.handle = next(_handles)

    def synchronize(self) -> None:
        """Waits until all work is done."""

    def is_done(self) -> bool:
        """Whether all work is done."""
        return True

    def wait_for_event(self, event: Event) -> None:
        """Lets later work wait for an event."""

    def __int__(self) -> int:
        return self.handle

    __index__ = __int__

    def __repr__(self) -> str:
        return f"<Stream {self.handle}>"


class event_flags:
    """Accepted by Event; they change nothing here."""
    DEFAULT, BLOCKING_SYNC, DISABLE_TIMING, INTERPROCESS = 0, 1, 2, 4


class Event:
    """A point in a stream's work, with the time at which it was reached."""

    def __init__(self, flags: int = 0) -> None:
        self._time: int | None = None

    def record(self, stream: Stream | None = None) -> Event:
        """Marks the point reached when the work asked for so far is done."""
        self._time = time.perf_counter_ns()
        return self

    def synchronize(self) -> Event:
        """Waits until the point is reached."""
        return self

    def query(self) -> bool:
        """Whether the point is reached."""
        return True

    def time_since(self, event: Event) -> float:
        """Milliseconds from another event to this. Raises LogicError unless both are recorded."""
        if self._time is None or event._time is None:
            raise logic_error("an event that was not recorded", "two recorded events",
                              "call record first")
        return (self._time - event._time) / 1e6

    def time_till(self, event: Event) -> float:
        """Milliseconds from this event to another."""
        return event.time_since(self)
