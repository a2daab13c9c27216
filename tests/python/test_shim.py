"""python -m carnot.shim: programs for TensorRT, unedited."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from small_models import classifier

import carnot

LOOK = """
import sys
import tensorrt, tensorrt_lean, tensorrt_dispatch
import pycuda.driver as driver, pycuda.autoinit
from cuda import cuda, cudart
import cuda.bindings.runtime as runtime
from pycuda import autoinit
assert tensorrt is tensorrt_lean is tensorrt_dispatch and autoinit is pycuda.autoinit
assert tensorrt.__name__ == "carnot.tensorrt" and runtime is cudart
assert driver.Context.get_current() is autoinit.context
import tensorrt.tensorrt as inner
assert inner is tensorrt
print("seen", __name__, sys.argv)
"""


def shim(*arguments, cwd=None, **environment):
    return subprocess.run([sys.executable, "-m", "carnot.shim", *map(str, arguments)], cwd=cwd,
                          capture_output=True, text=True, env={**os.environ, **environment},
                          timeout=120)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "look.py"
    path.write_text(LOOK)
    return path


def test_scripts(script):
    ran = shim(script, "-m", "--flag")
    assert ran.stdout == f"seen __main__ ['{script}', '-m', '--flag']\n", ran.stderr


def test_scripts_import_their_neighbours(script):
    (script.parent / "neighbour.py").write_text("import tensorrt\nword = tensorrt.__version__[:2]\n")
    script.write_text("import neighbour\nprint(neighbour.word)\n")
    assert shim(script).stdout == "10\n"


def test_scripts_without_a_suffix(tmp_path):
    path = tmp_path / "tool"
    path.write_text("#!/usr/bin/env python3\nimport tensorrt\nprint(tensorrt.__name__)\n")
    assert shim(path).stdout == "carnot.tensorrt\n"


def test_modules(script):
    ran = shim("-m", "look", "a", cwd=script.parent)
    assert f"seen __main__ ['{script}', 'a']" in ran.stdout, ran.stderr


def test_code():
    ran = shim("-c", LOOK, "a")
    assert ran.stdout == "seen __main__ ['-c', 'a']\n", ran.stderr


def test_versions_of_packages():
    ran = shim("-c", textwrap.dedent("""
        from importlib.metadata import PackageNotFoundError, distributions, version
        import tensorrt
        assert version("tensorrt") == tensorrt.__version__ and version("cuda_python")
        assert {"tensorrt", "pycuda"} < {found.metadata["Name"] for found in distributions()}
        try:
            version("tensorrt_llm")
        except PackageNotFoundError:
            print("told")
    """))
    assert ran.stdout == "told\n", ran.stderr


def test_commands_and_their_children(script):
    ran = shim("sh", "-c", f"cd / && {sys.executable} {script} x && command -v trtexec")
    seen, trtexec = ran.stdout.splitlines()
    assert seen == f"seen __main__ ['{script}', 'x']", ran.stderr
    assert trtexec.endswith("/trtexec") and not os.path.exists(trtexec)


def test_children_of_scripts(script):
    parent = script.parent / "parent.py"
    parent.write_text(textwrap.dedent(f"""
        import subprocess, sys
        subprocess.run([sys.executable, {str(script)!r}], check=True)
        subprocess.run([sys.executable, "-m", "carnot.shim", {str(script)!r}], check=True)
    """))
    assert shim(parent).stdout.count("seen __main__") == 2


def test_trtexec(tmp_path):
    (tmp_path / "model.onnx").write_bytes(classifier())
    ran = shim("trtexec", "--onnx=model.onnx", "--minShapes=input:1x3x32x32",
               "--optShapes=input:2x3x32x32", "--maxShapes=input:4x3x32x32", "--fp16", "--warmUp=0",
               "--iterations=2", "--duration=0", "--saveEngine=model.engine", cwd=tmp_path)
    assert ran.returncode == 0 and "GPU Compute Time" in ran.stdout, ran.stdout + ran.stderr
    assert (tmp_path / "model.engine").stat().st_size > 1000
    ran = shim("-c", textwrap.dedent("""
        import tensorrt as trt
        with open("model.engine", "rb") as f:
            print(trt.Runtime(trt.Logger()).deserialize_cuda_engine(f.read()).num_io_tensors)
    """), cwd=tmp_path)
    assert ran.stdout == "2\n", ran.stderr


def test_a_sitecustomize_of_the_users_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = 'yes'\n")
    ran = shim("sh", "-c", f"{sys.executable} -c 'import tensorrt; print(customized)'",
               PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert ran.stdout == "yes\n", ran.stderr


@pytest.mark.parametrize("arguments, code, part", [
    (["-c", "import sys; sys.exit(5)"], 5, ""),
    (["-c", "raise ValueError('word')"], 1, "ValueError: word"),
    (["sh", "-c", "exit 7"], 7, ""),
    (["sh", "-c", "kill -9 $$"], 128 + signal.SIGKILL, ""),
    (["absent.py"], 2, "absent.py is neither"),
    (["no-such-program"], 2, "no-such-program is neither"),
    ([], 2, "carnot.shim script.py"),
    (["-m"], 2, "-m needs a module"),
    (["-c"], 2, "-c needs code"),
    (["-c", "import pycuda.compiler"], 1, "No module named 'pycuda.compiler'"),
])
def test_how_programs_end(arguments, code, part):
    ran = shim(*arguments)
    assert ran.returncode == code and part in ran.stderr


def test_help_and_the_environment():
    ran = shim("--help")
    assert ran.returncode == 0 and "python -m carnot.shim" in ran.stdout
    before = dict(os.environ)
    from carnot.shim._environment import prepared
    with prepared():
        assert os.environ["PATH"] != before["PATH"]
    assert dict(os.environ) == before


def test_nothing_is_replaced_without_it():
    ran = subprocess.run([sys.executable, "-c", "import carnot.tensorrt, tensorrt"],
                         capture_output=True, text=True)
    assert "No module named 'tensorrt'" in ran.stderr and carnot.__version__
