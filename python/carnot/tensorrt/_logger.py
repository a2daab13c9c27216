"""Loggers, and how errors reach them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._error import Error
from ._enum import Enum
from ._enums import ErrorCodeTRT


class Severity(Enum):
    """How much a message matters; the least number matters most."""
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


_Severity = Severity  # inside ILogger, the name is the class's own


class ILogger:
    """Hears what Carnot has to say. Derive from it and define log."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def __init__(self) -> None:
        pass

    def log(self, severity: _Severity, msg: str) -> None:
        """Takes one message."""
        raise NotImplementedError(f"{type(self).__name__} does not define log(severity, msg)")

    def __enter__(self) -> ILogger:
        return self

    def __exit__(self, *raised: Any) -> None:
        pass


class Logger(ILogger):
    """Writes messages to standard error.

    Attributes:
        min_severity: messages that matter less are dropped.
    """

    def __init__(self, min_severity: _Severity = _Severity.WARNING) -> None:
        super().__init__()
        self.min_severity = min_severity

    @property
    def min_severity(self) -> _Severity:
        return self._min_severity

    @min_severity.setter
    def min_severity(self, severity: _Severity) -> None:
        if not isinstance(severity, _Severity):
            raise TypeError(f"min_severity is {severity!r}; needs a Logger.Severity")
        self._min_severity = severity

    def log(self, severity: _Severity, msg: str) -> None:
        if severity <= self._min_severity:
            letter = "FEWIV"[severity]
            print(f"{time.strftime('[%m/%d/%Y-%H:%M:%S]')} [TRT] [{letter}] {msg}",
                  file=sys.stderr, flush=True)


_CODES = {
    "InvalidArgument": ErrorCodeTRT.INVALID_ARGUMENT, "InvalidModel": ErrorCodeTRT.INVALID_ARGUMENT,
    "Unsupported": ErrorCodeTRT.UNSUPPORTED_STATE, "Incompatible": ErrorCodeTRT.INVALID_STATE,
    "OutOfMemory": ErrorCodeTRT.FAILED_ALLOCATION, "Io": ErrorCodeTRT.FAILED_INITIALIZATION,
    "Interrupted": ErrorCodeTRT.FAILED_EXECUTION, "Internal": ErrorCodeTRT.INTERNAL_ERROR,
}


class Reporting:
    """An object that tells its logger, and its error recorder if it has one, what went wrong."""

    __slots__ = ("_logger", "_recorder", "__weakref__")

    def __init__(self, logger: ILogger) -> None:
        if not isinstance(logger, ILogger):
            raise TypeError(f"logger is a {type(logger).__name__}; needs an ILogger")
        self._logger = logger
        self._recorder: Any = None

    @property
    def error_recorder(self) -> Any:
        """The IErrorRecorder that is told of errors, or None."""
        return self._recorder

    @error_recorder.setter
    def error_recorder(self, recorder: Any) -> None:
        self._recorder = recorder

    def _log(self, severity: Severity, message: str) -> None:
        self._logger.log(severity, message)

    def _fail(self, error: Error | str, needs: str = "", remedy: str = "") -> None:
        """Reports an error, given whole or in parts."""
        if isinstance(error, str):
            error = Error("InvalidArgument", error, needs, remedy)
        code = _CODES.get(error.code, ErrorCodeTRT.UNSPECIFIED_ERROR)
        self._logger.log(Severity.ERROR, f"[{code.name}] {error}")
        if self._recorder is not None:
            self._recorder.report_error(code, str(error))

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Reports what Carnot raises in the block, and goes on after it."""
        try:
            yield
        except Error as error:
            self._fail(error)

    def __del__(self) -> None:
        """Some scripts call it; objects go with their last reference."""

    # Context managers do nothing, as upstream.
    def __enter__(self) -> Any:
        return self

    def __exit__(self, *raised: Any) -> None:
        pass


def threshold(logger: ILogger) -> int:
    """The least important severity that a logger wants to hear."""
    return int(logger.min_severity) if isinstance(logger, Logger) else int(Severity.VERBOSE)
