"""python -m carnot.shim; see the package."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys

from . import __doc__ as usage
from . import install
from ._environment import prepared


def _is_python(path: str) -> bool:
    """Whether a file is a Python script: by its name, or by its first line."""
    if not os.path.isfile(path):
        return False
    if path.endswith((".py", ".pyw")):
        return True
    with open(path, "rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and b"python" in first


def _run_command(arguments: list[str]) -> int:
    try:
        code = subprocess.call(arguments)
    except KeyboardInterrupt:
        return 130
    return 128 - code if code < 0 else code


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    what, rest = arguments[0], arguments[1:]
    if what in ("-m", "-c") and not rest:
        needed = "a module" if what == "-m" else "code"
        print(f"carnot.shim: {what} needs {needed}", file=sys.stderr)
        return 2
    with prepared():
        install()
        if what == "-m":
            sys.argv = rest
            sys.path[0] = os.getcwd()
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif what == "-c":
            sys.argv = ["-c", *rest[1:]]
            sys.path[0] = ""
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        elif _is_python(what):
            sys.argv = arguments
            sys.path[0] = os.path.dirname(os.path.abspath(what))
            runpy.run_path(what, run_name="__main__")
        elif program := shutil.which(what):
            return _run_command([program, *rest])
        else:
            print(f"carnot.shim: {what} is neither a Python script nor a program; needs a script, "
                  "-m module, -c code or a command", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
