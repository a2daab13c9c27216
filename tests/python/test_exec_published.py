"""Commands published for trtexec, as they were written: on files of the names that they give, run by
the shell, with `trtexec` replaced by `carnot exec` and with trtexec standing for it under the shim."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from exec_output import read
from exec_program import BUILT, PROGRAM, passed, save
from onnx import TensorProto, helper
from small_models import random

pytestmark = BUILT

# By what is in the report; line breaks as published.
COMMANDS = {
    "basic": """trtexec --onnx=resnet50.onnx \\
        --fp16 \\
        --workspace=4096 \\
        --warmUp=500 \\
        --iterations=1000 \\
        --verbose
""",
    "dynamic": """trtexec --onnx=model.onnx \\
        --minShapes=input:1x3x224x224 \\
        --optShapes=input:8x3x224x224 \\
        --maxShapes=input:32x3x224x224 \\
        --fp16
""",
    "profile": """trtexec --loadEngine=model.engine \\
        --dumpProfile \\
        --exportProfile=profile.json
""",
}
ROWS = ("Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Small networks of a classifier's inputs: resnet50.onnx, model.onnx, model.engine."""
    folder = tmp_path_factory.mktemp("published")
    node = helper.make_node
    save(folder / "model.onnx",
         [node("Conv", ["input", "w"], ["c"], "conv", strides=[4, 4]),
          node("Relu", ["c"], ["r"], "relu"), node("GlobalAveragePool", ["r"], ["p"], "pool"),
          node("Flatten", ["p"], ["f"], "flatten"), node("MatMul", ["f", "v"], ["output"], "head")],
         [("input", TensorProto.FLOAT, ["batch", 3, 224, 224])],
         [("output", TensorProto.FLOAT, ["batch", 10])],
         [("w", random(16, 3, 7, 7, scale=0.1)), ("v", random(16, 10))])
    shutil.copy(folder / "model.onnx", folder / "resnet50.onnx")
    passed("--onnx=model.onnx", "--saveEngine=model.engine", "--skipInference", cwd=folder)
    return folder


@pytest.mark.parametrize("way", ["exec", "shim"])
@pytest.mark.parametrize("name", COMMANDS)
def test_published_command(models, name, way):
    script = models / f"{name}-{way}.sh"
    command = COMMANDS[name]
    script.write_text(command if way == "shim" else command.replace("trtexec", f"{PROGRAM} exec"))
    line = [sys.executable, "-m", "carnot.shim"] if way == "shim" else []
    result = subprocess.run([*line, "bash", script], cwd=models, text=True, capture_output=True,
                            timeout=300, env={**os.environ, "CARNOT_CACHE": str(models)})
    report = read(result)
    assert result.returncode == 0, report.lines["E"]
    assert report.value("Throughput") > 0
    assert all(report.row(label)["max"] > 0 for label in ROWS)
    if name == "basic":
        assert report.value("Total Host Walltime") >= 3  # the default, which 1,000 are within
        assert "Precision: FP32+FP16" in report.sections["Build Options"]
        assert report.lines["V"]
    elif name == "dynamic":
        assert any("input with dimensions 8x3x224x224" in text for text in report.lines["I"])
    else:
        iterations, rows = report.profile()
        exported = json.loads((models / "profile.json").read_text())
        assert exported[0] == {"count": iterations}
        assert [layer["name"] for layer in exported[1:]] == [row[-1] for row in rows[:-1]]
        for layer in exported[1:]:  # the time, its share, the precision
            assert layer["timeMs"] >= 0 and 0 <= layer["percentage"] <= 100
            assert layer["precision"] == "float32"
