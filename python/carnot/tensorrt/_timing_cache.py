"""What builds have measured, to be kept."""

from __future__ import annotations

import _carnot

from ._logger import ILogger, Reporting
from ._types import IHostMemory


class ITimingCache(Reporting):
    """Times of kernels on this machine. With the same cache, builds give the same bytes."""

    __slots__ = ("_text",)

    def __init__(self, logger: ILogger, text: str) -> None:
        super().__init__(logger)
        self._text = text

    def serialize(self) -> IHostMemory:
        """Its bytes, for IBuilderConfig.create_timing_cache."""
        return IHostMemory(self._text.encode())

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Takes over what another knows and this does not."""
        with self._reporting():
            self._text = _carnot.merge_timings(self._text, input_cache._text)
            return True
        return False

    def reset(self) -> bool:
        """Forgets all."""
        self._text = ""
        return True
