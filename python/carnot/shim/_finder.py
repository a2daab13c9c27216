"""Imports of other names that find Carnot's modules.

Needs the standard library only and no package around it: child processes run this file by its path
before anything else is imported.
"""

import importlib
import importlib.abc
import importlib.machinery
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


class AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the names of ALIASES; the module that an import gives is Carnot's own."""

    def find_spec(self, name, path=None, target=None):
        if name not in ALIASES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

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
