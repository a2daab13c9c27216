"""Polygraphy, a program of others for TensorRT, on Carnot by carnot.shim."""

import subprocess
import sys

import pytest
from small_models import classifier

pytest.importorskip("polygraphy")

SHAPES = [f"--trt-{kind}-shapes=input:[{batch},3,32,32]"
          for kind, batch in (("min", 1), ("opt", 2), ("max", 4))]
INPUT = "--input-shapes=input:[3,3,32,32]"

LOADERS = """
import numpy as np
from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy.backend.trt import CreateConfig, EngineFromNetwork, NetworkFromOnnxPath, Profile
from polygraphy.backend.trt import TrtRunner

profile = Profile().add("input", (1, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32))
build = EngineFromNetwork(NetworkFromOnnxPath("model.onnx"), CreateConfig(profiles=[profile]))
x = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
with TrtRunner(build) as ours, OnnxrtRunner(SessionFromOnnx("model.onnx")) as theirs:
    for batch in (3, 1):
        has = ours.infer({"input": x[:batch]})["output"]
        np.testing.assert_allclose(has, theirs.infer({"input": x[:batch]})["output"], atol=1e-5)
print("agreed")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("polygraphy")
    (path / "model.onnx").write_bytes(classifier())
    return path


def shim(folder, code, *arguments):
    ran = subprocess.run([sys.executable, "-m", "carnot.shim", "-c", code, *arguments], cwd=folder,
                         capture_output=True, text=True, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


def polygraphy(folder, *arguments):
    return shim(folder, "import sys; from polygraphy.tools import main; sys.exit(main())", *arguments)


def test_loaders_and_runners(folder):
    code, text = shim(folder, LOADERS)
    assert code == 0 and "agreed" in text, text


@pytest.mark.parametrize("options", [
    [*SHAPES, "--fp16", "--atol=1e-2"],
    ["--trt-outputs", "mark", "all", "--onnx-outputs", "mark", "all", "--atol=1e-4"],
    [*SHAPES, "--allocation-strategy=runtime", "--atol=1e-4"],
    ["--strongly-typed", "--profiling-verbosity=detailed", "--pool-limit", "workspace:100M",
     "--builder-optimization-level=1", "--save-timing-cache=times.json", "--atol=1e-4"],
], ids=["fp16", "every tensor", "memory by shape", "strongly typed"])
def test_runs_beside_onnxruntime(folder, options):
    code, text = polygraphy(folder, "run", "model.onnx", "--trt", "--onnxrt", INPUT, *options)
    assert code == 0 and "Pass Rate: 100.00%" in text, text


def test_engines_are_kept_and_inspected(folder):
    code, text = polygraphy(folder, "convert", "model.onnx", "-o", "kept.engine", *SHAPES)
    assert code == 0, text
    code, text = polygraphy(folder, "inspect", "model", "kept.engine", "--model-type=engine",
                            "--show", "layers")
    assert code == 0 and "max=(4, 3, 32, 32)" in text and "stem_relu" in text, text
    code, text = polygraphy(folder, "run", "kept.engine", "--model-type=engine", "--trt", INPUT)
    assert code == 0, text


def test_networks_are_inspected(folder):
    code, text = polygraphy(folder, "inspect", "model", "model.onnx", "--show", "layers",
                            "--display-as=trt")
    assert code == 0 and "LayerType.CONVOLUTION" in text, text
    code, text = polygraphy(folder, "inspect", "capability", "model.onnx")
    assert code == 0 and "fully supported" in text, text
