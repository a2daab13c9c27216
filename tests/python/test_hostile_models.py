"""What hostile models claim is refused in little memory, by an error that says what is wrong; or they
are built, since nothing is wrong with them, and refused when they ask for memory. The bounds on time
show only that no work is exponential."""

import os
import resource
import subprocess

import carnot as carnot_python
import pytest
from exec_program import BUILT, PROGRAM
from hostile_models import *  # noqa: F403
from onnx import TensorProto, helper
from small_models import model_of

pytestmark = BUILT

MEMORY = 2 << 30  # of addresses, which stacks and arenas of threads take part of
SECONDS = 200


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def carnot(command, model, folder, *flags):
    path = folder / "model.onnx"
    path.write_bytes(model)
    return subprocess.run(
        [PROGRAM, command, path, "--threads", "1", "--timingCache", "none", *flags], cwd=folder,
        preexec_fn=limit_memory, timeout=SECONDS, capture_output=True, text=True)


def expect_refusal(result, word):
    assert result.returncode == 1, (result.returncode, result.stderr[-2000:])
    assert result.stderr.startswith("carnot: error: ")
    assert word in result.stderr and "defect" not in result.stderr
    assert len(result.stderr) < 50_000


REFUSED = [
    (huge_initializer, "0 bytes of data; needs 4611686018427387904"),
    (overflowing_initializer, "more than 2^63 - 1 elements"),
    (sparse_bomb, "a sparse tensor of"),
    (cycle, "used before any node makes it"),
    (self_reading, "used before any node makes it"),
    (repeated_output, "defined twice"),
    (repeated_initializer, "defined twice"),
    (function_bomb, "once functions are inlined"),
    (function_chain, "without recursion"),
    (recursive_function, "without recursion"),
    (mutual_functions, "without recursion"),
    (deep_branches, "levels of nesting"),
    (deep_types, "a sequence; needs a tensor"),
    (deep_groups, "broken protobuf data"),
    (many_nodes, "a smaller model"),
    (folding_range, "4611686018427387904 elements"),
    (folding_eye, "2305843009213693952 elements"),
    (folding_pad, "4611686018427387905 elements"),
    (folding_resize, "4611686018427387904 elements"),
    (huge_window, "bytes of memory free"),
    (giant_type, "not supported"),
    (attribute_list, "perm"),
    (huge_rank, "rank 100000; needs rank 64 at most"),
    (huge_rank_by_reshape, "rank 100000; needs rank 64 at most"),
    (einsum_bomb, "overflows 64 bits"),
]

BUILT_AS_THEY_ARE = [giant_name, attribute_bomb, many_inputs, many_splits, referring_attribute,
                     endless_folded_loop]

REFUSED_TO_RUN = [huge_input, huge_intermediate, folding_bomb, folding_tile, folding_growth,
                  growing_loop]


@pytest.mark.parametrize("make, word", REFUSED, ids=lambda row: getattr(row, "__name__", ""))
def test_refused(make, word, tmp_path):
    expect_refusal(carnot("build", make(), tmp_path, "-o", "model.engine"), word)
    assert not (tmp_path / "model.engine").exists()


@pytest.mark.parametrize("make", BUILT_AS_THEY_ARE + REFUSED_TO_RUN)
def test_built(make, tmp_path):
    result = carnot("build", make(), tmp_path, "-o", "model.engine")
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / "model.engine").stat().st_size < 80 << 20  # folding: 64 MiB a tensor


@pytest.mark.parametrize("make", REFUSED_TO_RUN)
def test_refused_to_run(make, tmp_path):
    result = carnot("bench", make(), tmp_path, "--iterations", "1", "--duration", "0")
    expect_refusal(result, "bytes")


def test_error_with_bytes_that_are_no_text():
    pad = helper.make_node("Pad", ["x"], ["y"], mode=b"const\x80nt", pads=[0, 0])
    model = model_of([pad], [("x", [1])], [("y", None)], opset=10)
    with pytest.raises(carnot_python.Error, match="const\ufffdnt"):
        carnot_python.build(model)


# External data: where a weight says that its bytes lie.

def model_with_weight_at(location, length=16, offset=0):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4],
                         data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        weight.external_data.add(key=key, value=value)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "external",
                              [value("x", TensorProto.FLOAT, [4])],
                              [value("y", TensorProto.FLOAT, [4])], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()


@pytest.fixture
def folder(tmp_path):
    """A model's folder with weights, beside what it must not reach."""
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(bytes(64))
    (inside / "weights").write_bytes(bytes(64))
    (inside / "below").mkdir()
    (inside / "below" / "weights").write_bytes(bytes(64))
    os.symlink("../secret", inside / "link")
    os.symlink(tmp_path, inside / "up")
    os.symlink("/dev/zero", inside / "zero")
    os.mkfifo(inside / "pipe")
    return inside


@pytest.mark.parametrize("location", [
    "../secret", "below/../../secret", "/etc/passwd", "link", "up/secret", "/dev/zero", "zero", "pipe",
    "below", "", ".", "missing", "weights/x", "weights\0x", "a" * 5000, "/proc/self/mem"])
def test_external_data_elsewhere(location, folder):
    expect_refusal(carnot("build", model_with_weight_at(location), folder, "-o", "e"), "tensor w")


@pytest.mark.parametrize("place", [
    {"offset": 60}, {"offset": 1 << 62}, {"offset": -1}, {"length": 1 << 62}, {"length": -1},
    {"length": 8}, {"offset": 1 << 70}, {"offset": "x"}])
def test_external_data_beyond(place, folder):
    expect_refusal(carnot("build", model_with_weight_at("weights", **place), folder, "-o", "e"),
                   "tensor w")


@pytest.mark.parametrize("location", ["weights", "below/weights", "./weights"])
def test_external_data_in_its_folder(location, folder):
    result = carnot("build", model_with_weight_at(location), folder, "-o", "e")
    assert result.returncode == 0, result.stderr
