"""Builds engines."""

from __future__ import annotations

from typing import Any

import _carnot

from ._config import IBuilderConfig
from ._engine import ICudaEngine
from ._enum import expect
from ._enums import BuilderFlag, DataType, MemoryPoolType, NetworkDefinitionCreationFlag
from ._interfaces import IStreamWriter
from ._logger import ILogger, Reporting, Severity, threshold
from ._network import INetworkDefinition
from ._plugins import IPluginRegistry, get_plugin_registry
from ._profile import IOptimizationProfile, ranges_of
from ._progress import Cancelled, monitored
from ._types import IHostMemory, type_name

_PERMITS = {BuilderFlag.FP16: DataType.HALF, BuilderFlag.BF16: DataType.BF16}

# What is asked for and cannot be had; the build goes on without it.
_WITHOUT = {
    BuilderFlag.REFIT: "the engine cannot be refitted",
    BuilderFlag.REFIT_IDENTICAL: "the engine cannot be refitted",
    BuilderFlag.REFIT_INDIVIDUAL: "the engine cannot be refitted",
    BuilderFlag.STRIP_PLAN: "the engine keeps its weights",
    BuilderFlag.WEIGHT_STREAMING: "weights are not streamed",
    BuilderFlag.SPARSE_WEIGHTS: "sparse weights are treated as dense",
    BuilderFlag.FP8: "layers stay in wider types",
    BuilderFlag.FP4: "layers stay in wider types",
    BuilderFlag.INT4: "layers stay in wider types",
}


def _constraints(config: IBuilderConfig) -> int:
    """None, prefer or obey. Before version 8.2 there was one flag for the last two."""
    if config.get_flag(BuilderFlag.OBEY_PRECISION_CONSTRAINTS):
        return 2
    return int(config.get_flag(BuilderFlag.PREFER_PRECISION_CONSTRAINTS))


class Builder(Reporting):
    """Makes networks, configurations and engines.

    Attributes:
        max_batch_size, max_threads, gpu_allocator: kept; change nothing here.
    """

    __slots__ = ("max_batch_size", "max_threads", "gpu_allocator")

    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger)
        self.reset()
        with self._reporting():
            self._log(Severity.INFO, f"Carnot {_carnot.version} on {_carnot.device_kind()}: "
                      f"{_carnot.device_model()} ({_carnot.device_reason()})")

    def reset(self) -> None:
        """All as at first."""
        self.max_batch_size = self.max_threads = 1
        self.gpu_allocator: Any = None

    @property
    def logger(self) -> ILogger:
        return self._logger

    @property
    def platform_has_fast_fp16(self) -> bool:
        """Whether layers compute in 16 bits here: on a GPU; the CPU's kernels compute in 32."""
        return _carnot.device_kind() == "cuda"

    @property
    def platform_has_fast_int8(self) -> bool:
        """Whether 8-bit arithmetic is faster here; Carnot's fast kernels compute in 32 bits."""
        return False

    @property
    def platform_has_tf32(self) -> bool:
        return _carnot.device_kind() == "cuda"

    @property
    def num_DLA_cores(self) -> int:
        return 0

    @property
    def max_DLA_batch_size(self) -> int:
        return 0

    def get_plugin_registry(self) -> IPluginRegistry:
        return get_plugin_registry()

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        """An empty network. Flags are bits by position; STRONGLY_TYPED alone changes anything."""
        return INetworkDefinition(self, int(flags), self._logger)

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig(self._logger)

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition,
                                 config: IBuilderConfig) -> IHostMemory | None:
        """The engine's bytes, for a Runtime to deserialize; None when the log says why not."""
        native = self._build(network, config)
        return IHostMemory(native.serialize()) if native else None

    def build_serialized_network_to_stream(self, network: INetworkDefinition,
                                           config: IBuilderConfig, writer: IStreamWriter) -> bool:
        """As build_serialized_network, into a writer."""
        engine = self.build_serialized_network(network, config)
        if engine is None:
            return False
        data: bytes = engine
        while data:
            taken = writer.write(data)
            if taken <= 0:
                self._fail(f"a writer that took {taken} bytes", "one that takes the engine's")
                return False
            data = data[taken:]
        return True

    def build_engine_with_config(self, network: INetworkDefinition,
                                 config: IBuilderConfig) -> ICudaEngine | None:
        """An engine that is ready to run; None when the log says why not."""
        native = self._build(network, config)
        return ICudaEngine(native, self._logger) if native else None

    def build_engine(self, network: INetworkDefinition,
                     config: IBuilderConfig) -> ICudaEngine | None:
        """As build_engine_with_config; the name before version 10."""
        return self.build_engine_with_config(network, config)

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        """Whether the network can be built with the configuration, as far as flags tell."""
        return self._admits(network, config)

    def _admits(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        expect(network, INetworkDefinition, "network")
        expect(config, IBuilderConfig, "config")
        with self._reporting():
            _carnot.device_kind()  # an Error when CARNOT_DEVICE names none that is there
            return self._admits_flags(network, config)
        return False

    def _admits_flags(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        if network.num_outputs == 0:
            self._fail("a network without outputs", "one or more",
                       "parse a model, or mark tensors as outputs")
            return False
        typed = network.get_flag(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        wide = [flag.name for flag in (*_PERMITS, BuilderFlag.INT8, BuilderFlag.FP8)
                if config.get_flag(flag)]
        if typed and wide:
            self._fail(f"a strongly typed network with the flag {wide[0]}",
                       "its own types alone", "clear the flag, or create the network without "
                       "STRONGLY_TYPED")
            return False
        if config.get_flag(BuilderFlag.INT8):
            self._fail("the flag INT8", "8-bit arithmetic, which is not there yet",
                       "build at FP32 or FP16")
            return False
        return True

    def _options(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        options = _carnot.BuildOptions()
        options.device = _carnot.device_kind()
        options.profiles = [ranges for ranges in map(ranges_of, config._profiles) if ranges]
        options.permits = [type_name(dtype) for flag, dtype in _PERMITS.items()
                           if config.get_flag(flag)]
        options.layer_precisions = network._layer_precisions()
        options.precision_constraints = _constraints(config)
        options.tf32 = config.get_flag(BuilderFlag.TF32)
        options.workspace_bytes = config._pools.get(MemoryPoolType.WORKSPACE, 0)
        options.optimization_level = config.builder_optimization_level
        options.log_level = threshold(self._logger)
        if config.get_flag(BuilderFlag.DISABLE_TIMING_CACHE):
            options.timing_cache = "none"
        elif config._cache is not None:
            options.timings = config._cache._text
        return options

    def _build(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        if not self._admits(network, config):
            return None
        for flag, consequence in _WITHOUT.items():
            if config.get_flag(flag):
                self._log(Severity.WARNING, f"flag {flag.name}: {consequence}")
        dynamic = [tensor.name for tensor in network._inputs if -1 in tensor.shape]
        if dynamic and not config._profiles:
            self._log(Severity.WARNING,
                      f"inputs {', '.join(dynamic)} are dynamic and no profile says for which shapes: "
                      "every shape runs, and the engine is tuned for batches of 1")
        try:
            with self._reporting(), monitored(config.progress_monitor) as progress:
                options = self._options(network, config)
                native = _carnot.build(
                    network._native, options,
                    log=lambda severity, text: self._log(Severity(severity), text),
                    progress=progress)
                if config._cache is not None and options.timings is not None:
                    config._cache._text = options.timings
                return native
        except Cancelled as cancelled:
            self._log(Severity.WARNING,
                      f"the build was cancelled in phase {cancelled} by the progress monitor")
        return None
