"""Inputs to compare with: files, and made-up arrays that a network can make sense of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .._engine import Engine, TensorInfo
from .._error import Error
from ._model import Model

# What hands ids on as they are, from its first input to its first output.
_KEEPS_VALUES = {"Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
                 "Expand", "Slice"}


def make_inputs(engine: Engine, model: Model, given: Mapping[str, np.ndarray],
                shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, np.ndarray]:
    """An array for each input of the engine: those given, else made up of `seed`.

    Made-up numbers are uniform in [-1, 1). Integers that choose rows of a table (Gather) are valid
    rows, bytes are any bytes; other integers and truth values, masks mostly, are 1. Shapes that are
    neither given nor follow from those given are the ones that the engine was tuned for.
    """
    for name in (*given, *shapes):
        engine._native.input_index(name)
    known = {name: list(dims) for name, dims in shapes.items()}
    known.update((name, list(np.shape(array))) for name, array in given.items())
    dims = engine._native.typical_shapes(known)
    arrays = {}
    for index, info in enumerate(engine.inputs):
        random = np.random.default_rng([seed, index])
        if info.name in given:
            arrays[info.name] = given[info.name]
        else:
            arrays[info.name] = _make(info, dims[info.name], model, random)
    return arrays


def _make(info: TensorInfo, dims: Sequence[int], model: Model,
          random: np.random.Generator) -> np.ndarray:
    dtype = info.numpy_dtype
    if dtype.kind == "c":
        return (random.uniform(-1, 1, dims) + 1j * random.uniform(-1, 1, dims)).astype(dtype)
    if dtype.kind in "fV":
        return random.uniform(-1, 1, dims).astype(dtype)
    if dtype.kind in "iu":
        rows = rows_chosen_by(info.name, model)
        if rows:
            return random.integers(0, min(rows, np.iinfo(dtype).max), dims).astype(dtype)
        if dtype.itemsize == 1 and info.dtype in ("int8", "uint8"):
            return random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, dims, dtype)
    return np.ones(dims, dtype)


def rows_chosen_by(name: str, model: Model) -> int:
    """Rows of the smallest constant table into which a tensor's values index; 0 for none."""
    aliases, rows = {name}, []
    for node in model.nodes:  # in topological order, as ONNX demands
        if node.type in _KEEPS_VALUES and node.inputs[:1] and node.inputs[0] in aliases:
            aliases.add(node.outputs[0])
        elif node.type == "Gather" and len(node.inputs) == 2 and node.inputs[1] in aliases:
            table = model.initializers.get(node.inputs[0])
            if table:
                rows.append(table[0])
    return min(rows, default=0)


def load_input(text: str) -> tuple[str, np.ndarray]:
    """(name, array) of "name:file.npy". Raises Error (InvalidArgument, Io)."""
    name, colon, path = text.rpartition(":")
    if not colon or not name:
        raise Error("InvalidArgument", f"input '{text}'", "NAME:FILE.npy")
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Error("Io", f"file {path} cannot be read: {error}",
                    "an array as numpy.save writes it") from None
    if not isinstance(array, np.ndarray):
        raise Error("InvalidArgument", f"file {path} holds several arrays",
                    "one, as numpy.save writes it")
    return name, array


def parse_shapes(text: str) -> dict[str, list[int]]:
    """Dims by input of "image:1x3x224x224,scale:". Raises Error (InvalidArgument)."""
    shapes: dict[str, list[int]] = {}
    for entry in text.split(",") if text else []:
        name, colon, dims = entry.rpartition(":")
        parts = dims.split("x") if dims else []
        if not colon or not name or name in shapes or not all(part.isdecimal() for part in parts):
            raise Error("InvalidArgument", f"shape '{entry}'", "NAME:DIMxDIM…, each input once",
                        "write for instance image:1x3x224x224")
        shapes[name] = [int(part) for part in parts]
    return shapes
