"""onnxruntime as the one to agree with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._error import Error
from ._model import Model


def load_onnxruntime() -> Any:
    """The package. Raises Error (Unsupported) saying what to install."""
    try:
        import onnxruntime
    except ImportError as error:
        raise Error("Unsupported", f"onnxruntime cannot be imported ({error})",
                    "the Python package onnxruntime, to compare with",
                    "pip install onnxruntime") from None
    return onnxruntime


class Reference:
    """A model in onnxruntime, as it stands in the file: no rewriting, one session for each set of
    tensors asked for, and nothing kept between them.

    Attributes:
        model: the file.
        version: of onnxruntime.
    """

    def __init__(self, model: Model, threads: int = 0) -> None:
        self.model = model
        self._runtime = load_onnxruntime()
        self.version = self._runtime.__version__
        self._threads = threads

    def has(self, tensor: str) -> bool:
        return tensor in self.model.producers or tensor in self.model.outputs

    def run(self, tensors: Sequence[str], inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The values of some tensors. Raises Error (Unsupported) with what onnxruntime said."""
        options = self._runtime.SessionOptions()
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False  # which would keep the most that was ever needed
        options.enable_mem_pattern = False
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 4
        folder = os.path.dirname(os.path.abspath(self.model.path))
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", folder)
        try:
            session = self._runtime.InferenceSession(self.model.with_outputs(tensors), options,
                                                     providers=["CPUExecutionProvider"])
            known = {value.name for value in session.get_inputs()}
            values = session.run(list(tensors),
                                 {name: array for name, array in inputs.items() if name in known})
        except Error:
            raise
        except Exception as error:  # noqa: BLE001: onnxruntime has a dozen of its own
            raise Error("Unsupported", f"onnxruntime does not run it: {error}", "",
                        "see whether it runs there without carnot",
                        (f"file {self.model.path}",)) from None
        return dict(zip(tensors, values))
