"""How a network is built."""

from __future__ import annotations

import operator
from typing import Any

import _carnot

from ._enum import expect
from ._enums import (BuilderFlag, DeviceType, EngineCapability, HardwareCompatibilityLevel,
                     MemoryPoolType, PreviewFeature, ProfilingVerbosity, QuantizationFlag,
                     RuntimePlatform, TacticSource, TilingOptimizationLevel)
from ._logger import ILogger, Reporting
from ._network import ILayer
from ._profile import IOptimizationProfile
from ._timing_cache import ITimingCache

# Kept and given back; nothing depends on them.
_KEPT: dict[str, Any] = {
    "avg_timing_iterations": 1, "min_timing_iterations": 1, "profile_stream": 0,
    "engine_capability": EngineCapability.STANDARD, "default_device_type": DeviceType.GPU,
    "DLA_core": -1, "max_aux_streams": -1, "max_num_tactics": -1, "l2_limit_for_tiling": -1,
    "tiling_optimization_level": TilingOptimizationLevel.NONE, "plugins_to_serialize": [],
    "hardware_compatibility_level": HardwareCompatibilityLevel.NONE,
    "runtime_platform": RuntimePlatform.SAME_AS_BUILD,
}


class IBuilderConfig(Reporting):
    """Settings of a build.

    Attributes:
        builder_optimization_level: 0 (no timing) to 5 (every candidate is timed); 3 at first.
        profiling_verbosity: kept; engines always tell all.
        progress_monitor: an IProgressMonitor that hears of the build, or None.
        avg_timing_iterations, default_device_type, engine_capability, …: kept, change nothing.
    """

    __slots__ = ("_flags", "_pools", "_level", "_profiles", "_cache", "_sources", "_features",
                 "_quantization", "_device_types", "_calibration_profile", "profiling_verbosity",
                 "progress_monitor", *_KEPT)

    avg_timing_iterations: int
    min_timing_iterations: int
    profile_stream: int
    engine_capability: EngineCapability
    default_device_type: DeviceType
    DLA_core: int
    max_aux_streams: int
    max_num_tactics: int
    l2_limit_for_tiling: int
    tiling_optimization_level: TilingOptimizationLevel
    plugins_to_serialize: list[str]
    hardware_compatibility_level: HardwareCompatibilityLevel
    runtime_platform: RuntimePlatform

    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger)
        self.reset()

    def reset(self) -> None:
        """All as at first."""
        self._flags = 1 << BuilderFlag.TF32
        self._pools: dict[MemoryPoolType, int] = {}
        self._level = 3
        self._profiles: list[IOptimizationProfile] = []
        self._cache: ITimingCache | None = None
        self._sources = (1 << TacticSource.EDGE_MASK_CONVOLUTIONS
                         | 1 << TacticSource.JIT_CONVOLUTIONS)
        self._features: set[PreviewFeature] = {PreviewFeature.PROFILE_SHARING_0806}
        self._quantization = 0
        self._device_types: dict[str, DeviceType] = {}
        self._calibration_profile: IOptimizationProfile | None = None
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.progress_monitor: Any = None
        for name, value in _KEPT.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)

    @property
    def flags(self) -> int:
        """Bits of BuilderFlag by position."""
        return self._flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._flags = operator.index(flags)

    def set_flag(self, flag: BuilderFlag) -> None:
        self._flags |= 1 << expect(flag, BuilderFlag, "flag")

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags &= ~(1 << expect(flag, BuilderFlag, "flag"))

    def get_flag(self, flag: BuilderFlag) -> bool:
        return bool(self._flags >> expect(flag, BuilderFlag, "flag") & 1)

    def set_quantization_flag(self, flag: QuantizationFlag) -> None:
        self._quantization |= 1 << expect(flag, QuantizationFlag, "flag")

    def clear_quantization_flag(self, flag: QuantizationFlag) -> None:
        self._quantization &= ~(1 << expect(flag, QuantizationFlag, "flag"))

    def get_quantization_flag(self, flag: QuantizationFlag) -> bool:
        return bool(self._quantization >> expect(flag, QuantizationFlag, "flag") & 1)

    @property
    def quantization_flags(self) -> int:
        """Bits of QuantizationFlag by position."""
        return self._quantization

    @quantization_flags.setter
    def quantization_flags(self, flags: int) -> None:
        self._quantization = operator.index(flags)

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        """Bytes. WORKSPACE limits the scratch memory of each layer; the others are kept."""
        expect(pool, MemoryPoolType, "pool")
        size = operator.index(pool_size)
        if size < 0:
            self._fail(f"a limit of {size} bytes for {pool}", "0 or more")
            return
        self._pools[pool] = size

    def get_memory_pool_limit(self, pool: MemoryPoolType) -> int:
        """Bytes: what was set, else all the device's memory for WORKSPACE and 0 for the others."""
        expect(pool, MemoryPoolType, "pool")
        default = _carnot.device_usage()[1] if pool == MemoryPoolType.WORKSPACE else 0
        return self._pools.get(pool, default)

    @property
    def max_workspace_size(self) -> int:
        """The limit of the pool WORKSPACE, as versions before 10 had it."""
        return self.get_memory_pool_limit(MemoryPoolType.WORKSPACE)

    @max_workspace_size.setter
    def max_workspace_size(self, size: int) -> None:
        self.set_memory_pool_limit(MemoryPoolType.WORKSPACE, size)

    @property
    def builder_optimization_level(self) -> int:
        return self._level

    @builder_optimization_level.setter
    def builder_optimization_level(self, level: int) -> None:
        level = operator.index(level)
        if not 0 <= level <= 5:
            self._fail(f"builder_optimization_level {level}", "0 to 5")
            return
        self._level = level

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """The profile's index."""
        self._profiles.append(expect(profile, IOptimizationProfile, "profile"))
        return len(self._profiles) - 1

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_calibration_profile(self, profile: IOptimizationProfile) -> bool:
        """Keeps a profile for calibration."""
        self._calibration_profile = expect(profile, IOptimizationProfile, "profile")
        return True

    def get_calibration_profile(self) -> IOptimizationProfile | None:
        return self._calibration_profile

    def create_timing_cache(self, serialized_timing_cache: Any) -> ITimingCache | None:
        """A cache from ITimingCache.serialize's bytes; a new one from none."""
        text = bytes(memoryview(serialized_timing_cache)).decode(errors="replace")
        with self._reporting():
            if text:
                _carnot.merge_timings(text, "")
            return ITimingCache(self._logger, text)
        return None

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Builds read from and add to it; without one, they keep theirs in the user's folder."""
        self._cache = expect(cache, ITimingCache, "cache")
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self._cache

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        """Keeps bits of TacticSource by position."""
        self._sources = operator.index(tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        return self._sources

    def set_preview_feature(self, feature: PreviewFeature, enable: bool) -> None:
        expect(feature, PreviewFeature, "feature")
        (self._features.add if enable else self._features.discard)(feature)

    def get_preview_feature(self, feature: PreviewFeature) -> bool:
        return expect(feature, PreviewFeature, "feature") in self._features

    def set_device_type(self, layer: ILayer, device_type: DeviceType) -> None:
        """Keeps a layer's device; there is one."""
        self._device_types[expect(layer, ILayer, "layer").name] = expect(
            device_type, DeviceType, "device_type")

    def get_device_type(self, layer: ILayer) -> DeviceType:
        return self._device_types.get(layer.name, self.default_device_type)

    def is_device_type_set(self, layer: ILayer) -> bool:
        return layer.name in self._device_types

    def reset_device_type(self, layer: ILayer) -> None:
        self._device_types.pop(layer.name, None)

    def can_run_on_DLA(self, layer: ILayer) -> bool:
        """There is no DLA."""
        return False

    @property
    def int8_calibrator(self) -> None:
        """None: calibration is not there yet; to set one is refused in the log."""
        return None

    @int8_calibrator.setter
    def int8_calibrator(self, calibrator: Any) -> None:
        if calibrator is not None:
            self._fail("an INT8 calibrator", "a build without calibration",
                       "build at FP32 or FP16, or quantize the model (Q/DQ)")
