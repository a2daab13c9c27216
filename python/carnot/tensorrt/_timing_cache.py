"""What builds have measured, to be kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import _carnot

from ._enum import expect
from ._logger import ILogger, Reporting
from ._types import IHostMemory


def _hash(*texts: str) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(texts).encode()).digest()[:8], "big")


@dataclass(frozen=True)
class TimingCacheKey:
    """A problem that kernels were timed on, on a device; as text, a number."""

    _number: int

    @staticmethod
    def parse(text: str) -> TimingCacheKey:
        """From its text. Raises ValueError for another."""
        return TimingCacheKey(int(text, 16))

    def __str__(self) -> str:
        return f"0x{self._number:016x}"


@dataclass(frozen=True)
class TimingCacheValue:
    """A kernel, by the hash of its name, and its time in milliseconds."""

    tacticHash: int
    timingMSec: float


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

    def _problems(self, content: Any) -> dict[TimingCacheKey, dict[str, float]]:
        """Seconds by kernel, by problem."""
        return {TimingCacheKey(_hash(device, problem)): times
                for device, problems in content.get("devices", {}).items()
                for problem, times in problems.items()}

    def _content(self) -> Any:
        return json.loads(self._text) if self._text else {}

    def queryKeys(self) -> list[TimingCacheKey]:
        """All problems."""
        return list(self._problems(self._content()))

    def query(self, key: TimingCacheKey) -> TimingCacheValue:
        """The fastest kernel of a problem; of no hash and time 0 for one that is not known."""
        times = self._problems(self._content()).get(expect(key, TimingCacheKey, "key"))
        if not times:
            self._fail(f"no times for {key}", "a key of queryKeys")
            return TimingCacheValue(0, 0.0)
        kernel = min(times, key=lambda name: times[name])
        return TimingCacheValue(_hash(kernel), times[kernel] * 1e3)

    def update(self, key: TimingCacheKey, value: TimingCacheValue) -> bool:
        """Sets a kernel's time, by which builds choose. False for a kernel that is not known."""
        content = self._content()
        times = self._problems(content).get(expect(key, TimingCacheKey, "key"), {})
        for kernel in times:
            if _hash(kernel) == value.tacticHash and value.timingMSec >= 0:
                times[kernel] = value.timingMSec / 1e3
                self._text = json.dumps(content)
                return True
        self._fail(f"kernel {value.tacticHash:#x} in {value.timingMSec} ms for {key}",
                   f"one of: {', '.join(f'{_hash(kernel):#x} ({kernel})' for kernel in times)}")
        return False
