"""What child processes see: trtexec on PATH, and Python that finds Carnot under other names."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import _carnot

from .._error import Error
from .._native import native_folder

_TRTEXEC = """#!/bin/sh
exec {carnot} exec "$@"
"""

# Runs before a program's own code; then the sitecustomize that it hides, if there is one.
_SITECUSTOMIZE = """import os, runpy, sys
runpy.run_path({finder!r})["install"]()
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
del sys.modules["sitecustomize"]
try:
    import sitecustomize
except ImportError as error:
    if error.name != "sitecustomize":
        raise
    sys.modules["sitecustomize"] = sys  # what imports it holds must not be missing
"""


def carnot_program() -> str:
    """The path of the `carnot` program."""
    built = native_folder() / "bin" / "carnot"
    beside = Path(sys.executable).parent / "carnot"
    for candidate in (built, beside):
        if os.access(candidate, os.X_OK):
            return str(candidate)
    found = shutil.which("carnot")
    if not found:
        raise Error("Io", "no `carnot` program beside Carnot's modules or on PATH",
                    "it, to stand for trtexec", "build it, or put it on PATH")
    return found


def _prepend(variable: str, *folders: str) -> None:
    before = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([*folders, *([before] if before else [])])


@contextmanager
def prepared() -> Iterator[None]:
    """Changes this process's environment, which its children inherit, while the block runs."""
    package = Path(__file__).resolve().parent
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="carnot-shim-") as folder:
        programs, modules = Path(folder, "bin"), Path(folder, "python")
        programs.mkdir()
        modules.mkdir()
        trtexec = programs / "trtexec"
        trtexec.write_text(_TRTEXEC.format(carnot=f"'{carnot_program()}'"))
        trtexec.chmod(0o755)
        (modules / "sitecustomize.py").write_text(
            _SITECUSTOMIZE.format(finder=str(package / "_finder.py")))
        _prepend("PATH", str(programs))
        _prepend("PYTHONPATH", str(modules), str(package.parent.parent),
                 str(Path(_carnot.__file__).resolve().parent))
        libraries = native_folder() / "shim"
        if libraries.is_dir():  # with libcudart.so, for programs that load it themselves
            _prepend("LD_LIBRARY_PATH", str(libraries))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
