"""Runs programs written for TensorRT unedited, with Carnot in its place.

    python -m carnot.shim script.py arguments…
    python -m carnot.shim -m module arguments…
    python -m carnot.shim -c code arguments…
    python -m carnot.shim command arguments…        (bash run.sh, make, trtexec --onnx=…)

In Python, `tensorrt`, `pycuda` and `cuda` mean carnot.tensorrt and carnot.cuda; on PATH, `trtexec`
means `carnot exec`. Programs that the program starts see the same.
"""

from ._finder import install

__all__ = ["install"]
