"""What each layer of a running engine writes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ._arrays import from_raw, type_of


@dataclass(frozen=True)
class LayerOutput:
    """A tensor right after its layer wrote it.

    Attributes:
        layer: name of the layer in the engine.
        operators: what it carries out, as "Conv+Add+Relu".
        kernel: which kernel does it at these shapes.
        onnx_nodes: the nodes of the model that it came from.
        inputs: names of the tensors that it reads, constants left out.
        tensor: name of the tensor; where the tensor is one of the model's, its name there.
        layout: how it is stored: "plain", "channels_last" or "blocked16" (or another block).
        dtype: element type, as "float32".
        shape: dims of the tensor.
        stored: dims as stored, innermost last.
    """

    layer: str
    operators: str
    kernel: str
    onnx_nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    tensor: str
    layout: str
    dtype: str
    shape: tuple[int, ...]
    stored: tuple[int, ...]
    _bytes: np.ndarray = field(repr=False)

    def array(self) -> np.ndarray:
        """A copy in row-major order; to be taken before the watcher returns."""
        type = type_of(self.dtype)
        if type.per_byte > 1:
            raw = self._bytes
        else:
            raw = self._bytes.view(type.raw).reshape(self.stored)
            raw = np.array(_plain(raw, self.layout, self.shape), order="C")
        return from_raw(raw, type, self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor in row-major order."""
        type = type_of(self.dtype)
        return -(-math.prod(self.shape) * type.raw.itemsize // type.per_byte)


def _plain(stored: np.ndarray, layout: str, shape: tuple[int, ...]) -> np.ndarray:
    """[N, spatial..., C] or [N, C / block, spatial..., block] as [N, C, spatial...]."""
    if layout == "plain":
        return stored
    if layout == "channels_last":
        return np.moveaxis(stored, -1, 1)
    lanes = np.moveaxis(stored, -1, 2)
    channels = lanes.shape[1] * lanes.shape[2]
    return lanes.reshape(lanes.shape[0], channels, *lanes.shape[3:])[:, :shape[1]]
