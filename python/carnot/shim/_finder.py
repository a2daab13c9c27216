"""Imports of other names that find Carnot's modules.

Needs the standard library only and no package around it: child processes run this file by its path
before anything else is imported.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys

# None: a package that is empty but for the modules named here.
ALIASES = {
    "tensorrt": "carnot.tensorrt",
    "tensorrt.tensorrt": "carnot.tensorrt",
    "tensorrt_bindings": "carnot.tensorrt",
    "tensorrt_lean": "carnot.tensorrt",
    "tensorrt_dispatch": "carnot.tensorrt",
    "pycuda": None,
    "pycuda.driver": "carnot.cuda",
    "pycuda.autoinit": "carnot.cuda.autoinit",
    "pycuda.autoprimaryctx": "carnot.cuda.autoinit",
    "cuda": None,
    "cuda.cudart": "carnot.cuda.cudart",
    "cuda.cuda": "carnot.shim.cuda_driver",
    "cuda.bindings": None,
    "cuda.bindings.runtime": "carnot.cuda.cudart",
    "cuda.bindings.driver": "carnot.shim.cuda_driver",
}

# Packages that programs ask for the version of, as upstream names them.
VERSIONS = {"tensorrt": "10.16.0.0", "tensorrt-lean": "10.16.0.0", "tensorrt-dispatch": "10.16.0.0",
            "pycuda": "2024.1.2", "cuda-python": "12.8.0", "cuda-bindings": "12.8.0"}


class Stand(importlib.metadata.Distribution):
    """What importlib.metadata knows of a package that Carnot stands for."""

    def __init__(self, name):
        self._name = name

    def read_text(self, filename):
        if filename not in ("METADATA", "PKG-INFO"):
            return None
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {VERSIONS[self._name]}\n"

    def locate_file(self, path):
        return path


class AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the names of ALIASES; the module that an import gives is Carnot's own."""

    def find_spec(self, name, path=None, target=None):
        if name not in ALIASES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def find_distributions(self, context=None):
        wanted = getattr(context, "name", None)
        names = VERSIONS if wanted is None else [wanted.lower().replace("_", "-")]
        return [Stand(name) for name in names if name in VERSIONS]

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        target = ALIASES[module.__name__]
        if target:  # the import system gives what stands here when this returns
            sys.modules[module.__name__] = importlib.import_module(target)


def install():
    """Lets imports from now on find Carnot's modules."""
    if not any(type(finder).__name__ == "AliasFinder" for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())
