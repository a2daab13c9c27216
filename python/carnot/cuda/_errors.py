"""The errors that a script written for pycuda may catch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .._error import Error as CarnotError


class Error(CarnotError):
    """What the device could not carry out; see carnot.Error for its parts."""


class LogicError(Error):
    """A wrong address, size, order or object."""


class MemoryError(Error):
    """Not enough memory."""


class RuntimeError(Error):
    """Anything else that the device refused."""


_TYPES = {"InvalidArgument": LogicError, "OutOfMemory": MemoryError}


def logic_error(has: str, needs: str = "", remedy: str = "") -> LogicError:
    return LogicError("InvalidArgument", has, needs, remedy)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raises what the native module raises as this module's types."""
    try:
        yield
    except Error:
        raise
    except CarnotError as error:
        kind = _TYPES.get(error.code, RuntimeError)
        raise kind(error.code, error.has, error.needs, error.remedy, error.context) from None
