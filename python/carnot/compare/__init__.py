"""A model in carnot beside the same in onnxruntime.

    from carnot.compare import compare
    report = compare("model.onnx")
    assert report.agrees, report.divergence

As a command: `carnot compare model.onnx`, or `python -m carnot.compare model.onnx`.
"""

from ._bisect import Culprit, Trial
from ._compare import Compared, Divergence, Report, compare
from ._difference import Difference, Tolerance

__all__ = ["Compared", "Culprit", "Difference", "Divergence", "Report", "Tolerance", "Trial",
           "compare"]
