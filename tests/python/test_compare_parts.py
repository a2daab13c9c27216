"""What comparing is made of: distances, the model's file, windows, inputs."""

import json
import math

import numpy as np
import onnx
import pytest
from compare_models import chain, picture, save
from onnx import TensorProto, helper

import carnot
from carnot.compare import Tolerance, compare
from carnot.compare._difference import measure
from carnot.compare._inputs import parse_shapes, rows_chosen_by
from carnot.compare._layers import nearest, windows
from carnot.compare._model import Model

QUICK = {"timing_cache": False, "optimization_level": 0}


# --- how far two arrays lie apart

F = np.float32
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("has, wanted, tolerance, differs", [
    (F([1, 2, 3]), F([1, 2, 3]), {}, False),
    (F([1, 2, 3]), F([1, 2, 3.01]), {}, True),
    (F([1, 2, 3]), F([1, 2, 3.01]), {"l2": 0.1, "rtol": 0.1}, False),
    (F([1, 2, 3]), F([1, 2, 3.01]), {"l2": 0.1, "rtol": 0, "atol": 0.001}, True),
    (F([0, 2e-7]), F([0, 0]), {}, False),
    (F([0, 2e-7]), F([0, 0]), {"atol": 1e-8}, True),
    (F([0, 1]), F([0, 0]), {}, True),
    # One element of many, lost in the norm.
    (np.r_[F([1.05]), np.ones(2**20, F)], np.ones(2**20 + 1, F), {}, True),
    (F([NAN, 1, INF, -INF]), F([NAN, 1, INF, -INF]), {}, False),
    (F([NAN, 1]), F([1, 1]), {}, True),
    (F([1, 1]), F([1, NAN]), {}, True),
    (F([INF, 1]), F([-INF, 1]), {}, True),
    (F([3e38, 1]), F([INF, 1]), {}, True),
    (np.float16([1, 2.004]), np.float16([1, 2]), {}, False),
    (np.float16([1, 2.1]), np.float16([1, 2]), {}, True),
    (np.int64([1, 2**60 + 1]), np.int64([1, 2**60]), {}, True),
    (np.int64([1, 5]), np.int64([1, 4]), {"atol": 1}, False),
    (np.uint8([7, 255]), np.uint8([8, 254]), {}, False),
    (np.uint8([7]), np.uint8([9]), {}, True),
    (np.uint8([0]), np.uint8([255]), {}, True),
    (np.array([True, False]), np.array([True, True]), {}, True),
    (np.complex64([1 + 1j]), np.complex64([1 + 1j]), {}, False),
    (np.complex64([1 + 1j]), np.complex64([1 - 1j]), {}, True),
    (F([]), F([]), {}, False),
    (F(3), F(3), {}, False),
    (F([1]), F([[1]]), {}, True),
    (F([1]), np.float64([1]), {}, True),
])
def test_measure(has, wanted, tolerance, differs):
    assert measure(has, wanted, Tolerance(**tolerance)).diverges == differs


def test_measure_names_the_worst_element():
    wanted = np.arange(1, 600001, dtype=F).reshape(2, 3, 100000)
    has = wanted.copy()
    has[0, 1, 7] += 1e5
    has[1, 2, 99999] += 5e5
    has[1, 0, 0] = NAN
    found = measure(has, wanted, Tolerance())
    assert found.index == (1, 0, 0) and math.isnan(found.has) and found.wanted == wanted[1, 0, 0]
    assert (found.wrong, found.count, found.nan, found.inf) == (3, 600000, (1, 0), (0, 0))
    assert found.max_abs == 5e5 and found.max_rel == pytest.approx(1e5 / wanted[0, 1, 7])
    json.dumps(found.as_json(), allow_nan=False)
    has[1, 0, 0] = wanted[1, 0, 0]
    found = measure(has, wanted, Tolerance())
    assert found.index == (1, 2, 99999) and found.has - found.wanted == 5e5
    wide, wanted = has.astype(np.float64), wanted.astype(np.float64)
    assert found.l2 == pytest.approx(np.linalg.norm(wide - wanted) / np.linalg.norm(wanted))


# --- the model's file

def test_a_model_is_read_without_onnx(tmp_path):
    path = picture(tmp_path / "p.onnx")
    model, parsed = Model.read(path), onnx.load(path).graph
    assert [(n.name, n.type, list(n.inputs), list(n.outputs)) for n in model.nodes] == [
        (n.name, n.op_type, list(n.input), list(n.output)) for n in parsed.node]
    assert model.initializers == {t.name: tuple(t.dims) for t in parsed.initializer}
    assert model.outputs == ["y"]
    extended = onnx.load_model_from_string(model.with_outputs(["c1", "y", "s"]))
    assert [value.name for value in extended.graph.output] == ["y", "c1", "s"]
    assert len(extended.graph.node) == len(parsed.node)


@pytest.mark.parametrize("content", [b"\x0a", b"\x3a\xff\xff\x03ab", b"\xff" * 30, b"\x3b\x3c"])
def test_a_damaged_file_is_named(content, tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(carnot.Error, match="bad.onnx"):
        Model.read(path)


def test_nearest_known_tensors(tmp_path):
    model = Model.read(picture(tmp_path / "p.onnx"))
    assert nearest("s", model, {"c1": 0, "r0": 0, "c0": 0}) == ["r0", "c1"]
    assert nearest("y", model, {"r0": 0}) == ["r0"]
    assert nearest("c0", model, {"y": 0}) == []


@pytest.mark.parametrize("sizes, limit, wanted", [
    ([], 10, []), ([4, 4, 4], 8, [(0, 2), (2, 3)]), ([4, 4, 4], 100, [(0, 3)]),
    ([4, 50, 4], 8, [(0, 1), (1, 2), (2, 3)]), ([0, 0], 0, [(0, 2)]),
    ([1, 1], 0, [(0, 1), (1, 2)])])
def test_windows(sizes, limit, wanted):
    assert [(part.start, part.stop) for part in windows(sizes, limit)] == wanted


# --- inputs

def test_made_up_ids_are_rows_of_their_tables(tmp_path):
    def gather(table, indices, out):
        return helper.make_node("Gather", [table, indices], [out])

    nodes = [helper.make_node("Cast", ["ids"], ["ids32"], to=TensorProto.INT32),
             gather("words", "ids32", "a"), gather("kinds", "kind", "b"),
             helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
             helper.make_node("Unsqueeze", ["m", "last"], ["mm"]),
             helper.make_node("Add", ["a", "b"], ["ab"]),
             helper.make_node("Mul", ["ab", "mm"], ["y"])]
    random = np.random.default_rng(0)
    path = save(tmp_path / "ids.onnx", nodes,
                [(name, TensorProto.INT64, ["batch", "seq"]) for name in ("ids", "kind", "mask")],
                [("y", TensorProto.FLOAT, ["batch", "seq", 4])],
                {"words": random.standard_normal((1000, 4)).astype(F),
                 "kinds": random.standard_normal((2, 4)).astype(F), "last": np.int64([-1])})
    model = Model.read(path)
    assert [rows_chosen_by(name, model) for name in ("ids", "kind", "mask")] == [1000, 2, 0]
    report = compare(path, shapes={"ids": [2, 50]}, **QUICK)
    assert report.agrees
    ids, kind, mask = (report.inputs[name] for name in ("ids", "kind", "mask"))
    assert ids.shape == kind.shape == mask.shape == (2, 50)
    assert ids.min() >= 0 and 500 < ids.max() < 1000 and set(kind.ravel()) == {0, 1} and mask.all()
    again = compare(path, shapes={"ids": [2, 50]}, **QUICK)
    assert all(np.array_equal(report.inputs[name], again.inputs[name]) for name in report.inputs)
    other = compare(path, shapes={"ids": [2, 50]}, seed=2, **QUICK)
    assert not np.array_equal(ids, other.inputs["ids"])


def test_given_arrays_are_used(tmp_path):
    path = chain(tmp_path / "c.onnx")
    x = np.random.default_rng(9).standard_normal((5, 32)).astype(F)
    report = compare(path, inputs={"x": x}, **QUICK)
    assert report.agrees and report.inputs["x"] is x
    with pytest.raises(carnot.Error, match="did you mean"):
        compare(path, inputs={"xx": x}, **QUICK)


def test_shapes_in_text():
    assert parse_shapes("a:1x2,b:c:3,s:") == {"a": [1, 2], "b:c": [3], "s": []}
    for text in ("a", ":1", "a:1xx2", "a:-1", "a:1,a:2"):
        with pytest.raises(carnot.Error, match="shape"):
            parse_shapes(text)
