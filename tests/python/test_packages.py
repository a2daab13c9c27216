"""Carnot as others take it: what `cmake --install` puts down, and the wheel."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import small_models

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


def run(*command, **options):
    result = subprocess.run([*map(str, command)], text=True, capture_output=True, timeout=600,
                            **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def bare():
    """An environment that says nothing of this tree."""
    return {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(small_models.classifier())
    return path


def test_example_against_the_installed_library(tmp_path, bare, model):
    installed = tmp_path / "installed"
    run("cmake", "--install", BUILD, "--component", "sdk", "--prefix", installed)
    assert not list(installed.rglob("*.cpp"))
    run("cmake", "-S", ROOT / "examples", "-B", tmp_path / "example", "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={installed}", "-DCMAKE_BUILD_TYPE=Debug", env=bare)
    run("cmake", "--build", tmp_path / "example", env=bare)
    text = run(tmp_path / "example" / "run_model", model, env=bare)
    assert text.startswith("output: 1 10 = 0.")
    engine = tmp_path / "model.engine"
    run(installed / "bin" / "carnot", "build", model, "-o", engine, env=bare)
    assert run(tmp_path / "example" / "run_model", engine, env=bare) == text


def test_wheel_in_a_clean_environment(tmp_path, bare, model):
    run(sys.executable, "-m", "pip", "wheel", ROOT, "--no-build-isolation", "--no-deps",
        "--no-index", "-w", tmp_path, f"--config-settings=build-dir={BUILD}", cwd=ROOT)
    (wheel,) = tmp_path.glob("carnot-*.whl")
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", packages,
        wheel)
    numpy = Path(np.__file__).resolve().parent
    for name in ("numpy", "numpy.libs"):
        (packages / name).symlink_to(numpy.parent / name)

    script = (f"import carnot, numpy as np; engine = carnot.build({str(model)!r});"
              "x = np.ones((2, 3, 32, 32), np.float32);"
              "print(carnot.__file__, engine.run({'input': x})['output'].shape);"
              "import carnot.tensorrt, carnot.compare")
    file, shape = run(folder / "bin" / "python", "-c", script, env=bare).split(" ", 1)
    assert Path(file).is_relative_to(folder)
    assert shape == "(2, 10)\n"
    program = packages / "bin" / "carnot"  # where --target puts scripts
    shown = run(folder / "bin" / "python", program, "explain", model, env=bare)
    assert "stem" in shown
    helped = run(folder / "bin" / "python", "-m", "carnot.shim", "trtexec", "--help", env=bare)
    assert "carnot exec" in helped
