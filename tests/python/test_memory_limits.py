"""Builds and runs that need more memory than the process may have are refused, and say what they
need; they are not ended by the system."""

import resource
import subprocess

import pytest
from exec_output import read
from exec_program import BUILT, PROGRAM
from onnx import helper
from small_models import model_of, random

pytestmark = BUILT

MIB = 1 << 20


def carnot(*words, folder, most):
    """The program with `most` bytes of data: what it allocates, and its stacks."""
    return subprocess.run(
        [PROGRAM, *words], cwd=folder, timeout=200, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)))  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    node = helper.make_node
    # One product of 64 MiB of weights; and activations of 4 MiB an image, 3 of which live at once.
    (folder / "wide.onnx").write_bytes(model_of(
        [node("MatMul", ["x", "w"], ["y"])], [("x", ["rows", 4096])], [("y", ["rows", 4096])],
        [("w", random(4096, 4096))]))
    (folder / "deep.onnx").write_bytes(model_of(
        [node("Softmax", ["x"], ["a"], axis=3), node("Softmax", ["a"], ["b"], axis=2),
         node("Softmax", ["b"], ["c"], axis=3), node("Add", ["a", "c"], ["d"]),
         node("Softmax", ["d"], ["y"], axis=2)],
        [("x", ["images", 1, 1024, 1024])], [("y", ["images", 1, 1024, 1024])]))
    for name in ("wide", "deep"):
        built = carnot("build", f"{name}.onnx", "-o", f"{name}.engine", "--threads", "1",
                       "--timingCache", "none", folder=folder, most=4096 * MIB)
        assert built.returncode == 0, built.stderr
    return folder


def expect_refusal(text):
    assert "bytes of memory free, of" in text and "ulimit -d" in text
    assert "needs " in text and "raise the limit" in text
    assert "defect" not in text


def test_build(folder):
    refused = carnot("build", "wide.onnx", "-o", "refused.engine", "--threads", "1",
                     "--timingCache", "none", folder=folder, most=60 * MIB)
    assert refused.returncode == 1, refused.stderr
    expect_refusal(refused.stderr)
    assert not (folder / "refused.engine").exists()


def test_build_with_room_for_one_copy_of_the_weights(folder):
    """What is timed takes turns at fewer copies of the weights."""
    built = carnot("build", "wide.onnx", "-o", "tight.engine", "--threads", "1", "--level", "5",
                   "--timingCache", "none", folder=folder, most=400 * MIB)
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("images, status", [(4, 0), (200, 1)])
def test_run(folder, images, status):
    result = carnot("bench", "deep.engine", "--shapes", f"x:{images}x1x1024x1024", "--threads", "1",
                    "--iterations", "1", "--duration", "0", folder=folder, most=400 * MIB)
    assert result.returncode == status, result.stderr
    if status:
        expect_refusal(result.stderr)


def test_run_by_exec(folder):
    result = carnot("exec", "--loadEngine=deep.engine", "--shapes=x:40x1x1024x1024",
                    "--threads", "--iterations=1", "--duration=0", "--warmUp=0",
                    folder=folder, most=1000 * MIB)
    assert result.returncode == 1
    errors = read(result).lines["E"]
    expect_refusal(errors[0])
    assert "activations and scratch of" in errors[0]
