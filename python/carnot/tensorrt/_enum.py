"""What all enumerations share."""

from __future__ import annotations

import enum
from typing import Any


class Enum(enum.IntEnum):
    """Named values that are also ints, so that `1 << flag` and int(flag) work."""

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}: {int(self)}>"

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else str(self)


def expect(value: Any, kind: type, what: str) -> Any:
    """The value, if it is of that type; raises TypeError otherwise."""
    if not isinstance(value, kind):
        raise TypeError(f"{what} is {value!r} of type {type(value).__name__}; "
                        f"needs a {kind.__name__}")
    return value
