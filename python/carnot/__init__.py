"""Carnot rebuilds trained networks for the machine at hand and runs them.

    import carnot
    engine = carnot.build("model.onnx")
    outputs = engine.run({"x": array})
"""

from ._build import AppliedPatch, build, load
from ._engine import Context, Engine, Explanation, Layer, Profile, TensorInfo
from ._error import Error
from ._watch import LayerOutput

from _carnot import build_phases
from _carnot import version as __version__

__all__ = ["AppliedPatch", "Context", "Engine", "Error", "Explanation", "Layer", "LayerOutput",
           "Profile", "TensorInfo", "build", "build_phases", "load", "__version__"]
