"""Runs `carnot exec` on small models."""

import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from exec_output import read
from onnx import TensorProto, helper, numpy_helper

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "bin" / "carnot"

BUILT = pytest.mark.skipif(not PROGRAM.exists(), reason="build/bin/carnot is not built")

QUICK = ("--iterations=12", "--duration=0", "--warmUp=0")
WEIGHT = np.random.default_rng(1).standard_normal((8, 5), np.float32)


def execute(*arguments, cwd, **options):
    environment = {**os.environ, "CARNOT_CACHE": str(cwd)}
    return subprocess.run(
        [PROGRAM, "exec", *map(str, arguments)],
        cwd=cwd, env=environment, text=True, timeout=300, **{"capture_output": True, **options},
    )  # fmt: skip


def passed(*arguments, cwd):
    result = execute(*arguments, cwd=cwd)
    report = read(result)
    assert result.returncode == 0, report.lines["E"]
    assert report.lines["E"] == []
    return report


def failed(*arguments, cwd):
    """The errors of a command line that must fail."""
    result = execute(*arguments, cwd=cwd)
    assert result.returncode == 1, result
    errors = read(result).lines["E"]
    assert errors
    return errors


def save(path, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def write_models(folder):
    """small.onnx and dynamic.onnx: relu(x) @ w; two.onnx: (first + second) * scale; fused.onnx:
    a convolution of 20 channels c, and relu(c)."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w"], ["y"], "matmul"),
    ]
    for name, batch in (("small", 1), ("dynamic", "batch")):
        save(
            folder / f"{name}.onnx",
            nodes,
            [("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
            [("y", TensorProto.FLOAT, [batch, 3, 8, 5])],
            [("w", WEIGHT)],
        )
    kernel = np.random.default_rng(3).standard_normal((20, 3, 3, 3), np.float32)
    save(
        folder / "fused.onnx",
        [
            helper.make_node("Conv", ["x", "k"], ["c"], "conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["y"], "relu"),
        ],
        [("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [("y", TensorProto.FLOAT, [1, 20, 8, 8])],
        [("k", kernel)],
    )
    save(
        folder / "two.onnx",
        [
            helper.make_node("Add", ["first:0", "second:0"], ["sum"], "add"),
            helper.make_node("Mul", ["sum", "scale"], ["y"], "mul"),
        ],
        [
            ("first:0", TensorProto.FLOAT, ["n", 4]),
            ("second:0", TensorProto.FLOAT, ["n", 4]),
            ("scale", TensorProto.FLOAT, []),
        ],
        [("y", TensorProto.FLOAT, ["n", 4])],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exec")
    write_models(folder)
    x = np.random.default_rng(2).standard_normal((1, 3, 8, 8), np.float32)
    x.tofile(folder / "x.bin")
    np.save(folder / "x.npy", x)
    (folder / "short.bin").write_bytes(b"1234")
    passed("--onnx=small.onnx", "--saveEngine=small.engine", "--skipInference", cwd=folder)
    passed(
        "--onnx=dynamic.onnx", "--saveEngine=dynamic.engine", "--buildOnly",
        "--minShapes=x:2x3x8x8", "--optShapes=x:4x3x8x8", "--maxShapes=x:8x3x8x8", cwd=folder,
    )  # fmt: skip
    return folder
