"""The `carnot` command of an installed package: the program itself, in this process."""

from __future__ import annotations

import os
import sys

from ._native import native_folder


def main() -> None:
    program = str(native_folder() / "bin" / "carnot")
    os.execv(program, [program, *sys.argv[1:]])
