"""The `carnot` program as a user meets it: what it prints, where, and with which exit status."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from terminal import terminal

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "bin" / "carnot"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="build/bin/carnot is not built")


def carnot(*arguments, cwd, **options):
    environment = {**os.environ, "CARNOT_CACHE": str(cwd)}
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        text=True,
        timeout=300,
        **{"capture_output": True, **options},
    )


def succeeded(result):
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def refused(result, *parts, status=1):
    assert result.returncode == status, result
    assert result.stdout == ""
    assert result.stderr.startswith("carnot: error: ")
    for part in parts:
        assert part in result.stderr
    return result.stderr


def write_model(path, convolutions=1):
    """Conv + Relu, `convolutions` times, and MatMul; batch is dynamic.

    Each convolution but the first adds a row, so that each is a problem of its own.
    """
    random = np.random.default_rng(1)
    nodes, weights = [], []

    def weight(name, *dims):
        weights.append(numpy_helper.from_array(random.standard_normal(dims, np.float32), name))
        return name

    value = "x"
    for i in range(convolutions):
        kernel = weight(f"w{i}", 8, 3 if i == 0 else 8, 3, 3)
        pads = [1, 1, 1 if i == 0 else 2, 1]
        nodes.append(helper.make_node("Conv", [value, kernel], [f"c{i}"], f"conv{i}", pads=pads))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"))
        value = f"r{i}"
    nodes.append(helper.make_node("MatMul", [value, weight("m", 16, 5)], ["y"], "matmul"))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8, 15 + convolutions, 5])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With small.onnx and small.engine."""
    folder = tmp_path_factory.mktemp("cli")
    write_model(folder / "small.onnx")
    succeeded(carnot("build", "small.onnx", "-o", "small.engine", cwd=folder))
    return folder


def test_build_says_what_it_wrote(folder, tmp_path):
    output = tmp_path / "new.engine"
    text = succeeded(carnot("build", "small.onnx", "-o", output, cwd=folder))
    assert output.stat().st_size > 0
    for word in (str(output), "CARNOT_DEVICE asks for a GPU", "layers", "weights", "seconds"):
        assert word in text


def test_same_cache_gives_the_same_bytes(folder, tmp_path):
    for name in ("a", "b"):
        succeeded(carnot("build", "small.onnx", "-o", tmp_path / name, cwd=folder))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_profiles(folder, tmp_path):
    engine = tmp_path / "range.engine"
    flags = ("--minShapes", "x:1x3x16x16", "--optShapes=x:2x3x16x16", "--maxShapes", "x:4x3x16x16")
    succeeded(carnot("build", "small.onnx", "-o", engine, *flags, cwd=folder))
    profile = json.loads(succeeded(carnot("inspect", engine, "--json", cwd=folder)))["profiles"][0]
    assert profile == {"enforced": True, "symbols": {"batch": {"min": 1, "opt": 2, "max": 4}}}
    quick = ("--iterations", "1", "--duration", "0", "--warmUp", "0")
    succeeded(carnot("bench", engine, "--shapes", "x:4x3x16x16", *quick, cwd=folder))
    refused(carnot("bench", engine, "--shapes", "x:5x3x16x16", *quick, cwd=folder), "batch")


def test_dump_stop_and_skip(folder, tmp_path):
    flags = ("--stopAfter", "fuse", "--dumpIr", tmp_path / "ir", "--withoutKernel", "cpu/conv")
    text = succeeded(carnot("build", "small.onnx", *flags, cwd=folder))
    assert "fuse" in text
    assert any("fuse" in path.name for path in (tmp_path / "ir").iterdir())


def test_kernels_left_out(folder):
    flags = ("--noWinograd", "--noStrassen", "--withoutKernel", "cpu/conv/depthwise")
    text = succeeded(carnot("explain", "small.onnx", *flags, cwd=folder))
    for kernel in ("conv/winograd", "matmul/strassen", "conv/depthwise"):
        assert re.search(rf"cpu/{kernel} +left out", text)


@pytest.mark.parametrize("source", ["small.onnx", "small.engine"])
def test_bench_json(folder, source):
    flags = ("--json", "--iterations", "5", "--duration", "0.01", "--percentile", "50,99")
    shapes = ("--shapes", "x:2x3x16x16")
    report = json.loads(succeeded(carnot("bench", source, *flags, *shapes, cwd=folder)))
    assert report["inputShapes"] == {"x": [2, 3, 16, 16]}
    assert report["outputShapes"] == {"y": [2, 8, 16, 5]}
    assert report["iterations"] >= 5
    assert report["throughput"] > 0
    latency = report["latency"]
    assert 0 < latency["minimum"] <= latency["median"] <= latency["maximum"]
    assert latency["minimum"] <= latency["mean"] <= latency["maximum"]
    assert [entry["percent"] for entry in latency["percentiles"]] == [50, 99]
    memory = report["memory"]
    assert memory["arenaBytes"] >= memory["lowerBoundBytes"] > 0
    assert memory["weightBytes"] > 0
    assert report["machine"]["flopsPerSecond"] > 0
    assert report["threads"] >= 1
    assert report["carnot"] and report["device"] and report["isa"]
    origins = set()
    for layer in report["layers"]:
        assert set(layer) == {
            "name", "operators", "kernel", "precision", "origins", "milliseconds", "share", "flops",
            "bytes", "intensity", "bound",
        }  # fmt: skip
        assert layer["bound"] in ("compute", "memory")
        origins.update(layer["origins"])
    assert {"conv0", "relu0", "matmul"} <= origins
    assert sum(layer["share"] for layer in report["layers"]) == pytest.approx(1)


def test_bench_table(folder):
    quick = ("--iterations", "1", "--duration", "0", "--warmUp", "0")
    text = succeeded(carnot("bench", "small.engine", "--top", "1", *quick, cwd=folder))
    for word in ("throughput", "median", "p99", "flop/B", "ONNX nodes", "1 of "):
        assert word in text
    everything = succeeded(carnot("bench", "small.engine", "--all", *quick, cwd=folder))
    assert everything.index("conv0") < everything.index("matmul")


def test_explain(folder):
    text = succeeded(carnot("explain", "small.engine", cwd=folder))
    for word in ("conv0, relu0", "candidate", "refused", "batch="):
        assert word in text
    one = succeeded(carnot("explain", "small.engine", "--layer", "matmul", cwd=folder))
    assert "matmul" in one and "Conv+Relu\n" not in one
    record = json.loads(
        succeeded(carnot("explain", "small.onnx", "--json", "--layer", "matmul", cwd=folder))
    )
    assert [step["origins"] for step in record["steps"]] == [["matmul"]]
    refused(carnot("explain", "small.engine", "--layer", "matmol", cwd=folder), "'matmul'?")


def test_inspect(folder):
    text = succeeded(carnot("inspect", "small.engine", "--verify", cwd=folder))
    for word in ("carnot ", "float32[batch, 3, 16, 16]", "threads", "weights", "profile 0"):
        assert word in text
    described = json.loads(succeeded(carnot("inspect", "small.engine", "--json", cwd=folder)))
    assert described["inputs"] == [
        {"name": "x", "dtype": "float32", "dims": ["batch", "3", "16", "16"]}
    ]
    assert described["model"] == "small"


@pytest.mark.parametrize("command", ["", "build", "bench", "explain", "inspect", "exec", "version"])
def test_help(folder, command):
    text = succeeded(carnot(*command.split(), "--help", cwd=folder))
    assert "usage: carnot " + command in text


def test_version(folder):
    assert succeeded(carnot("version", cwd=folder)) == succeeded(carnot("--version", cwd=folder))


USAGE_ERRORS = {
    "no command": ([], "no command"),
    "command": (["biuld"], "did you mean 'build'?"),
    "flag": (["bench", "small.engine", "--iteration", "3"], "did you mean '--iterations'?"),
    "flag with =": (["build", "small.onnx", "--thread=3", "-o", "x"], "did you mean '--threads'?"),
    "no model": (["build"], "model is required"),
    "no output": (["build", "small.onnx"], "-o is required"),
    "value missing": (["bench", "small.engine", "--threads"], "--threads"),
    "no number": (["bench", "small.engine", "--threads", "two"], "--threads"),
    "level": (["build", "small.onnx", "-o", "x", "--level", "6"], "--level"),
    "budget": (["build", "small.onnx", "-o", "x", "--buildBudget", "-1"], "0 or more"),
    "no time": (["bench", "small.engine", "--duration", "nan"], "0 or more"),
    "phase": (["build", "small.onnx", "-o", "x", "--stopAfter", "fuze"], "fuse"),
    "shape without a name": (["bench", "small.onnx", "--shapes", "1x3"], "no input's name"),
    "shape without dims": (["bench", "small.onnx", "--shapes", "x:axb"], "no count"),
    "two kinds of shapes": (
        ["build", "small.onnx", "-o", "x", "--shapes", "x:1", "--minShapes", "x:1"],
        "excludes",
    ),
    "two arguments": (["inspect", "small.engine", "other.engine"], "'other.engine'"),
}


@pytest.mark.parametrize("arguments, message", USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_usage_error(folder, arguments, message):
    text = refused(carnot(*arguments, cwd=folder), message, status=2)
    assert "usage: carnot" in text


ERRORS = {
    "missing model": (["build", "none.onnx", "-o", "x"], "none.onnx"),
    "missing engine": (["inspect", "none.engine"], "none.engine"),
    "model as engine": (["inspect", "small.onnx"], "no engine"),
    "missing folder": (["build", "small.onnx", "-o", "none/x.engine"], "none"),
    "model overwritten": (["build", "small.onnx", "-o", "./small.onnx"], "model itself"),
    "full disk": (["build", "small.onnx", "-o", "/dev/full"], "No space left"),
    "rank": (["build", "small.onnx", "-o", "x", "--shapes", "x:1x3"], "file small.onnx"),
    "input's name": (["build", "small.onnx", "-o", "x", "--shapes", "z:1x3x16x16"], "mean x?"),
    "dims": (["bench", "small.engine", "--shapes", "x:1x4x16x16"], "[batch, 3, 16, 16]"),
    "build flag beside an engine": (["bench", "small.engine", "--isa", "avx2"], "--isa"),
    "isa": (["build", "small.onnx", "-o", "x", "--isa", "avx3"], "avx3"),
    "pass": (["build", "small.onnx", "-o", "x", "--skipPass", "nonsense"], "nonsense"),
    "kernel": (["build", "small.onnx", "-o", "x", "--withoutKernel", "cpu/cnv"], "mean cpu/conv?"),
}


@pytest.mark.parametrize("arguments, message", ERRORS.values(), ids=ERRORS.keys())
def test_error(folder, arguments, message):
    before = sorted(folder.iterdir())
    refused(carnot(*arguments, cwd=folder), message)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name, command", [("small.engine", "inspect"), ("small.onnx", "explain")])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.6, 0.99])
def test_truncated_file(folder, tmp_path, name, command, keep):
    content = (folder / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(content[: int(len(content) * keep)])
    refused(carnot(command, cut, cwd=folder), str(cut))


def test_altered_weights_are_found(folder, tmp_path):
    content = bytearray((folder / "small.engine").read_bytes())
    content[-1] ^= 0xFF
    altered = tmp_path / "altered.engine"
    altered.write_bytes(content)
    refused(carnot("inspect", "--verify", altered, cwd=folder), "altered.engine")


def test_full_standard_output(folder):
    with open("/dev/full", "w") as full:
        result = carnot("version", cwd=folder, capture_output=False, stdout=full, stderr=-1)
    assert result.returncode == 1
    assert "standard output" in result.stderr


def test_closed_pipe_is_quiet(folder):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        result = carnot("version", cwd=folder, capture_output=False, stdout=closed, stderr=-1)
    assert (result.returncode, result.stderr) == (-signal.SIGPIPE, "")


def start_long_build(folder, **options):
    write_model(folder / "long.onnx", convolutions=200)
    # A shell that runs the tests in the background has them ignore SIGINT.
    return subprocess.Popen(
        # A large batch: timing 200 layers takes seconds on any machine.
        [PROGRAM, "build", "long.onnx", "-o", "long.engine", "--level", "5", "--timingCache", "none",
         "--shapes", "x:64x3x16x16", "--verbose"],
        cwd=folder,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def test_progress_is_for_terminals_and_interrupts_leave_nothing(tmp_path):
    with terminal() as shown:
        build = start_long_build(tmp_path, stderr=shown.end_for_program(), stdout=subprocess.PIPE,
                                 env={**os.environ, "TERM": "xterm"})
        shown.close_programs_end()
        shown.read_until(b"tune: ")
        build.send_signal(signal.SIGINT)
        shown.read_rest()
    assert build.wait(60) == 130
    assert build.stdout.read() == b""
    build.stdout.close()
    assert b"\r\x1b[Kcarnot: interrupted: " in shown.text
    assert [path.name for path in tmp_path.iterdir()] == ["long.onnx"]


def test_interrupt_without_a_terminal(tmp_path):
    build = start_long_build(tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while "phase candidates" not in (line := build.stderr.readline()):
        assert line, "the build ended before it timed kernels"
    build.send_signal(signal.SIGINT)
    result, errors = build.communicate(timeout=60)
    assert (build.returncode, result) == (130, "")
    assert "carnot: interrupted: " in errors
    assert [path.name for path in tmp_path.iterdir()] == ["long.onnx"]
