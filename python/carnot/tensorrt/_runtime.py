"""Engines from their bytes."""

from __future__ import annotations

from typing import Any

import _carnot

from .._error import Error
from ._engine import ICudaEngine
from ._enums import TempfileControlFlag
from ._interfaces import IStreamReader, IStreamReaderV2
from ._logger import ILogger, Reporting, Severity
from ._plugins import IPluginRegistry, get_plugin_registry

_CHUNK = 64 << 20


class Runtime(Reporting):
    """Loads engines.

    Attributes:
        max_threads, DLA_core, gpu_allocator, engine_host_code_allowed, temporary_directory,
        tempfile_control_flags: kept; change nothing here.
    """

    __slots__ = ("max_threads", "DLA_core", "gpu_allocator", "engine_host_code_allowed",
                 "temporary_directory", "tempfile_control_flags")

    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger)
        self.max_threads, self.DLA_core = 1, -1
        self.gpu_allocator: Any = None
        self.engine_host_code_allowed = False
        self.temporary_directory: str | None = None
        self.tempfile_control_flags = (1 << TempfileControlFlag.ALLOW_IN_MEMORY_FILES |
                                       1 << TempfileControlFlag.ALLOW_TEMPORARY_FILES)
        with self._reporting():
            self._log(Severity.INFO, f"Carnot {_carnot.version} on {_carnot.device_kind()}: "
                      f"{_carnot.device_model()} ({_carnot.device_reason()})")

    @property
    def logger(self) -> ILogger:
        return self._logger

    @property
    def num_DLA_cores(self) -> int:
        return 0

    def get_plugin_registry(self) -> IPluginRegistry:
        return get_plugin_registry()

    def deserialize_cuda_engine(self, serialized_engine: Any) -> ICudaEngine | None:
        """An engine from its bytes, or from a stream reader; None when the log says why not."""
        if isinstance(serialized_engine, IStreamReader):
            data = b"".join(iter(lambda: bytes(serialized_engine.read(_CHUNK)), b""))
        elif isinstance(serialized_engine, IStreamReaderV2):
            data = b"".join(iter(lambda: bytes(serialized_engine.read(_CHUNK, 0)), b""))
        else:
            view = memoryview(serialized_engine)  # TypeError for what has no bytes
            data = view.obj if type(view.obj) is bytes and view.c_contiguous else bytes(view)
        with self._reporting():
            _carnot.device_kind()  # an Error when CARNOT_DEVICE names none that is there
            return ICudaEngine(_carnot.load(data, False, 0), self._logger)
        return None

    def load_runtime(self, path: str) -> None:
        """Refused: engines hold no code of their own."""
        self._fail(Error("Unsupported", f"a runtime library to load, {path}",
                         "none: engines are data", "deserialize with this Runtime"))
