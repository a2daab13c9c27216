"""Scripts written for TensorRT, run unedited through carnot.shim and with their imports changed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import classifier, random, wanted

import carnot.cuda as cuda

SCRIPTS = Path(__file__).parent / "scripts"
X = random(3, 3, 32, 32)
EXACT = 1e-5 if cuda.device_kind() == "cpu" else 1e-3  # a GPU multiplies float32 in TF32


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "model.onnx").write_bytes(classifier())
    np.save(folder / "x.npy", X)
    return folder


@pytest.fixture(scope="module")
def expected():
    return wanted(classifier(), input=X)["output"]


def run(*arguments, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=120)


def edited(script, folder):
    """The script with nothing but its imports changed."""
    text = (SCRIPTS / script).read_text()
    for has, needs in (("import tensorrt as", "import carnot.tensorrt as"),
                       ("import pycuda.driver as", "import carnot.cuda as"),
                       ("import pycuda.autoinit", "import carnot.cuda.autoinit")):
        assert has in text
        text = text.replace(has, needs)
    path = folder / script
    path.write_text(text)
    return path


@pytest.mark.parametrize("how", ["imports changed", "shim"])
def test_two_contexts_on_two_streams(files, expected, tmp_path, how):
    script = ["-m", "carnot.shim", SCRIPTS / "two_streams.py"] if how == "shim" else \
        [edited("two_streams.py", tmp_path)]
    ran = run(*script, files / "model.onnx", files / "x.npy", tmp_path / "out.npz")
    assert ran.returncode == 0, ran.stderr
    assert "beside each other" in ran.stdout
    for output in np.load(tmp_path / "out.npz").values():
        np.testing.assert_allclose(output, expected, atol=EXACT)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("how", ["imports changed", "shim"])
def test_onnx_to_engine_to_inference(files, expected, tmp_path, precision, how):
    script = ["-m", "carnot.shim", SCRIPTS / "pipeline.py"] if how == "shim" else \
        [edited("pipeline.py", tmp_path)]
    out, engine = tmp_path / "out.npz", tmp_path / "model.engine"
    ran = run(*script, files / "model.onnx", precision, files / "x.npy", out, engine)
    assert ran.returncode == 0, ran.stderr
    outputs = np.load(out)
    assert set(outputs) == {"by_name", "by_list", "by_index"}
    for output in outputs.values():
        np.testing.assert_allclose(output, expected, atol=EXACT if precision == "fp32" else 1e-2)
    assert ("float16 is allowed: used for" in ran.stderr) == (precision == "fp16")
    assert engine.stat().st_size > 1000


@pytest.mark.parametrize("script", ["style_8_6.py", "style_10.py", "style_11.py"])
def test_styles_of_every_version(files, expected, tmp_path, script):
    out = tmp_path / "out.npz"
    ran = run("-m", "carnot.shim", SCRIPTS / script, files / "model.onnx", files / "x.npy", out)
    assert ran.returncode == 0, ran.stderr
    outputs = np.load(out)
    np.testing.assert_allclose(outputs["output"], expected, atol=1e-2)
    if "one" in outputs:
        np.testing.assert_allclose(outputs["one"], expected[:1], atol=1e-2)
