"""`carnot exec` interrupted, and its progress on a terminal."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from exec_output import read
from exec_program import BUILT, PROGRAM, folder, save  # noqa: F401
from onnx import TensorProto, helper
from terminal import terminal

pytestmark = BUILT


def start(*arguments, cwd, **options):
    return subprocess.Popen(
        [PROGRAM, "exec", *arguments],
        cwd=cwd,
        env={**os.environ, "CARNOT_CACHE": str(cwd), "TERM": "xterm"},
        # A shell that runs the tests in the background has them ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


@pytest.mark.parametrize("duration, status", [("-1", 0), ("1000", 130)])
def test_interrupted_inference(folder, duration, status):
    flags = ("--loadEngine=small.engine", "--warmUp=0", f"--duration={duration}", "--idleTime=1")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with start(*flags, cwd=folder, **pipes) as run:
        lines = []
        while "Starting inference" not in (line := run.stdout.readline()):
            assert line, "it ended before it ran"
            lines.append(line)
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        rest, errors = run.communicate(timeout=60)
    assert run.returncode == status
    report = read(subprocess.CompletedProcess([], status, "".join([*lines, line]) + rest, errors))
    if status == 0:
        assert report.value("Throughput") > 0
    else:
        assert any("cancelled" in text for text in report.lines["E"])


def test_progress_and_interrupt_of_a_build(tmp_path):
    nodes, weights, value = [], [], "x"
    random = np.random.default_rng(1)
    for i in range(60):
        weights.append((f"w{i}", random.standard_normal((16, 16, 3, 3), np.float32)))
        # Each layer adds a row, so that each is a problem of its own.
        operands = [value, f"w{i}"]
        nodes.append(helper.make_node("Conv", operands, [f"c{i}"], f"conv{i}", pads=[1, 1, 2, 1]))
        value = f"c{i}"
    save(
        tmp_path / "long.onnx",
        nodes,
        [("x", TensorProto.FLOAT, [32, 16, 16, 16])],
        [(value, TensorProto.FLOAT, [32, 16, 76, 16])],
        weights,
    )
    flags = ("--onnx=long.onnx", "--noBuilderCache", "--builderOptimizationLevel=5",
             "--saveEngine=long.engine")  # fmt: skip
    with terminal() as shown, start(*flags, cwd=tmp_path, stdout=subprocess.PIPE,
                                    stderr=shown.end_for_program()) as run:
        shown.close_programs_end()
        shown.read_until(b"tune: ")
        run.send_signal(signal.SIGINT)
        shown.read_rest()
        output = run.stdout.read()
    assert run.returncode == 130
    assert b"[E] " in shown.text
    assert output.splitlines()[-1].startswith(b"&&&& FAILED")
    assert [path.name for path in tmp_path.iterdir()] == ["long.onnx"]
