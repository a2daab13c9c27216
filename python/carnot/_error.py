"""The one exception of Carnot."""

from __future__ import annotations

import _carnot


class Error(Exception):
    """What could not be carried out, in parts: what is there, what is needed, what to do.

    Attributes:
        code: "InvalidArgument", "InvalidModel", "Unsupported", "Incompatible", "OutOfMemory", "Io",
            "Interrupted" or "Internal".
        has: what was met.
        needs: what is needed instead; may be empty.
        remedy: what to do; may be empty.
        context: where, outermost first: file, node, pass.
    """

    def __init__(self, code: str, has: str, needs: str = "", remedy: str = "",
                 context: tuple[str, ...] = ()) -> None:
        self.code, self.has, self.needs, self.remedy = code, has, needs, remedy
        self.context = tuple(context)
        super().__init__(code, has, needs, remedy, self.context)

    def __str__(self) -> str:
        text = "".join(f"{frame}: " for frame in self.context) + self.has
        if self.needs:
            text += f"; needs {self.needs}"
        if self.remedy:
            text += f"; {self.remedy}"
        return text


_carnot.set_error_type(Error)
