"""Where Carnot's programs and libraries are: in the package's folder when installed, else in the
build's."""

from __future__ import annotations

from pathlib import Path

import _carnot


def native_folder() -> Path:
    """The folder with bin/carnot, the `carnot` program, and shim/libcudart.so."""
    package = Path(__file__).resolve().parent
    return package if (package / "bin").is_dir() else Path(_carnot.__file__).resolve().parents[1]
