"""From the native builder's progress to an IProgressMonitor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import _carnot

_BUILD = "Building an engine"
_COUNTED = "tune"  # its steps are known only when the first is done


class Cancelled(Exception):
    """A monitor has ended the build, in the phase named."""


@contextmanager
def monitored(monitor: Any) -> Iterator[Progress | None]:
    """Begins and finishes a build for a monitor; what it gives is carnot.build's progress."""
    if monitor is None:
        yield None
        return
    progress = Progress(monitor)
    monitor.phase_start(_BUILD, None, len(progress.phases))
    try:
        yield progress
        progress.enter(None, 1)
    finally:
        progress.abandon()
        monitor.phase_finish(_BUILD)


class Progress:
    """Called with (phase, done, all); tells a monitor of each phase and raises Cancelled."""

    def __init__(self, monitor: Any) -> None:
        self.phases = _carnot.build_phases()
        self._monitor = monitor
        self._phase: str | None = None
        self._started = False
        self._done = 0

    def __call__(self, phase: str, done: int, all: int) -> None:
        if phase != self._phase:
            self.enter(phase, all)
        if done > self._done:
            self._start(all)
            self._done = done
            self._step(phase, done - 1)

    def enter(self, phase: str | None, steps: int) -> None:
        """Ends the phase at hand and begins another, if there is one."""
        if self._phase is not None:
            ended = self._phase
            self._start(1)
            if self._done == 0:
                self._step(ended, 0)
            self.abandon()
            self._step(_BUILD, self.phases.index(ended))
        self._phase, self._done = phase, 0
        if phase is not None and phase != _COUNTED:
            self._start(steps)

    def abandon(self) -> None:
        """Finishes the phase at hand, complete or not."""
        phase, self._phase = self._phase, None
        if phase is not None and self._started:
            self._monitor.phase_finish(phase)
        self._started = False

    def _start(self, steps: int) -> None:
        if not self._started:
            self._started = True
            self._monitor.phase_start(self._phase, _BUILD, max(steps, 1))

    def _step(self, phase: str, step: int) -> None:
        if self._monitor.step_complete(phase, step) is False:
            raise Cancelled(phase)
