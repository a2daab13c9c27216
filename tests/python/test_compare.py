"""carnot compare: a model beside onnxruntime."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from compare_models import Faulty, chain, picture, save
from onnx import TensorProto, helper

import carnot
from carnot.compare import Tolerance, compare
from carnot.compare._bisect import Outcome, Suspect, Trial, find_culprit, first_bad
from carnot.compare._command import main
from carnot.compare._difference import measure
from carnot.compare._inputs import parse_shapes, rows_chosen_by
from carnot.compare._layers import nearest, windows
from carnot.compare._model import Model
from carnot.compare._report import culprit_text

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "bin" / "carnot"
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


# --- comparing

@pytest.mark.parametrize("isa", ["portable", "native"])
@pytest.mark.parametrize("shapes", [None, {"x": [3, 3, 32, 32]}])
def test_a_network_agrees(isa, shapes, tmp_path):
    report = compare(picture(tmp_path / "p.onnx"), isa=isa, shapes=shapes, **QUICK)
    assert report.agrees and report.compared == report.layers - len(report.left_out) > 4
    assert 0 < report.worst.difference.l2 < 1e-5
    assert report.inputs["x"].shape[0] == (3 if shapes else 1)


@pytest.mark.parametrize("changed", range(6))
def test_the_first_divergence_is_named(changed, tmp_path):
    path = chain(tmp_path / "c.onnx")
    other = chain(tmp_path / "other.onnx", changed=changed)
    seen = []
    report = compare(path, reference=other, on_tensor=seen.append, **QUICK)
    first = report.divergence.first
    assert first.tensor in (f"m{changed}", f"t{changed}")
    assert f"matmul{changed}" in first.layer.onnx_nodes
    assert first is seen[-1] and all(not one.difference.diverges for one in seen[:-1])
    assert report.compared == len(seen) == first.number
    assert list(report.divergence.inputs) == ([f"t{changed - 1}"] if changed else [])
    assert all(item.l2 < 1e-6 for item in report.divergence.inputs.values())
    assert report.divergence.culprit is None, "two models are not bisected unasked"


def test_windows_bound_what_onnxruntime_holds(tmp_path, monkeypatch):
    """Each session gives no more than fits, and no session outlives the next one's making."""
    sessions, alive = [], []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, *arguments, **options):
            assert not alive
            alive.append(self.__class__)
            super().__init__(*arguments, **options)

        def run(self, names, feeds):
            values = super().run(names, feeds)
            outputs = [value.name for value in self.get_outputs()]
            sessions.append((names, sum(array.nbytes for array in values), len(outputs)))
            return values

        def __del__(self):
            alive.pop()

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    path = chain(tmp_path / "c.onnx", layers=9)
    bytes_each = 4 * 32 * 4  # of t0, t1, …
    for window, most in ((bytes_each, 1), (2 * bytes_each, 2), (100 * bytes_each, 9)):
        sessions.clear()
        report = compare(path, shapes={"x": [4, 32]}, window=window, **QUICK)
        assert report.agrees and report.compared == 9
        assert report.sessions == [len(names) for names, _, _ in sessions]
        assert max(report.sessions) == most and sum(report.sessions) == 9
        assert all(size <= window for _, size, _ in sessions)
        assert all(outputs <= len(names) + 1 for names, _, outputs in sessions), "and its own"


def test_what_is_not_reached_is_not_computed(tmp_path):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=1)
    report = compare(path, reference=other, window=1, **QUICK)
    assert report.sessions == [1, 1] and report.divergence.first.number == 2


def test_dynamic_shapes_and_profiles(tmp_path):
    path = chain(tmp_path / "c.onnx")
    profile = {"x": ([1, 32], [2, 32], [8, 32])}
    assert compare(path, profiles=profile, **QUICK).inputs["x"].shape == (2, 32)
    assert compare(path, profiles=profile, shapes={"x": [8, 32]}, **QUICK).agrees
    with pytest.raises(carnot.Error, match="profile"):
        compare(path, profiles=profile, shapes={"x": [9, 32]}, **QUICK)


def test_external_data_is_read_from_the_folder(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    path = chain(folder / "c.onnx", save_as_external_data=True, size_threshold=16,
                 location="weights.bin")
    assert (folder / "weights.bin").exists() and (folder / "c.onnx").stat().st_size < 4000
    monkeypatch.chdir(tmp_path)
    assert compare("model/c.onnx", **QUICK).compared == 6
    assert compare(path, window=1, **QUICK).agrees


def test_integers_must_be_equal(tmp_path):
    def model(name, bias):
        nodes = [helper.make_node("Add", ["x", "b"], ["s"], "add"),
                 helper.make_node("Mul", ["s", "s"], ["q"], "square"),
                 helper.make_node("ReduceSum", ["q", "axes"], ["r"], "sum"),
                 helper.make_node("Greater", ["r", "zero"], ["y"], "greater")]
        return save(tmp_path / name, nodes, [("x", TensorProto.INT64, [3, 8])],
                    [("y", TensorProto.BOOL, [3, 1]), ("r", TensorProto.INT64, [3, 1])],
                    {"b": np.int64([bias] * 8), "axes": np.int64([1]), "zero": np.int64(0)})

    path = model("a.onnx", 2**40)
    assert compare(path, **QUICK).agrees
    report = compare(path, reference=model("b.onnx", 2**40 + 1), **QUICK)
    assert "sum" in report.divergence.first.layer.onnx_nodes or report.divergence.first.number == 1
    assert report.divergence.first.difference.wrong > 0


def test_what_went_through_half_precision_is_coarse(tmp_path):
    """A float32 tensor made of float16 ones is held to their precision, one that is not, is not."""
    def model(name, scale):
        nodes = [helper.make_node("Cast", ["x"], ["h"], "halve", to=TensorProto.FLOAT16),
                 helper.make_node("MatMul", ["h", "w"], ["m"], "matmul"),
                 helper.make_node("Cast", ["m"], ["f"], "widen", to=TensorProto.FLOAT),
                 helper.make_node("Mul", ["f", "s"], ["y"], "scale"),
                 helper.make_node("Mul", ["x", "s"], ["z"], "other")]
        return save(tmp_path / name, nodes, [("x", TensorProto.FLOAT, [8, 16])],
                    [("y", TensorProto.FLOAT, [8, 16]), ("m", TensorProto.FLOAT16, [8, 16]),
                     ("z", TensorProto.FLOAT, [8, 16])],
                    {"w": np.eye(16, dtype=np.float16), "s": F(scale)})

    path = model("a.onnx", 1)
    assert compare(path, **QUICK).agrees
    report = compare(path, reference=model("b.onnx", 1.003), **QUICK)
    assert report.divergence.first.tensor == "z"


def test_tensors_of_functions(tmp_path):
    """What a function gives bears the caller's name, what is inside it none."""
    body = [helper.make_node("Relu", ["a"], ["r"], "relu"),
            helper.make_node("MatMul", ["r", "b"], ["m"], "product")]
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Half", ["a", "b"], ["m"], body, opset)
    nodes = [helper.make_node("Half", ["x", "w"], ["m"], "first", domain="own"),
             helper.make_node("Half", ["m", "w"], ["r"], "second", domain="own"),
             helper.make_node("Exp", ["r"], ["y"], "exp")]
    path = save(tmp_path / "f.onnx", nodes, [("x", TensorProto.FLOAT, [4, 8])],
                [("y", TensorProto.FLOAT, [4, 8])],
                {"w": np.random.default_rng(0).standard_normal((8, 8)).astype(F) / 3})
    model = onnx.load(path)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    onnx.save(model, path)
    seen = []
    report = compare(path, on_tensor=seen.append, patch_limit=0, **QUICK)
    assert report.agrees and [one.tensor for one in seen] == ["m", "r", "y"]
    assert len(report.left_out) == 2, "the two Relu"


def test_nothing_to_compare(tmp_path):
    path = save(tmp_path / "b.onnx",
                [helper.make_node("Cast", ["x"], ["y"], "cast", to=TensorProto.BFLOAT16)],
                [("x", TensorProto.FLOAT, [2])], [("y", TensorProto.BFLOAT16, [2])])
    with pytest.raises(carnot.Error, match="no tensor that can be compared"):
        compare(path, **QUICK)


def test_nan_on_both_sides_agrees(tmp_path):
    def model(name, shift):
        nodes = [helper.make_node("Log", ["x"], ["l"], "log"),
                 helper.make_node("Add", ["l", "one"], ["y"], "add"),
                 helper.make_node("Max", ["y", "shift"], ["z"], "max")]
        return save(tmp_path / name, nodes, [("x", TensorProto.FLOAT, [6, 50])],
                    [("y", TensorProto.FLOAT, [6, 50])], {"one": F(1), "shift": F(0)})

    path = model("a.onnx", 0)
    report = compare(path, **QUICK)
    assert report.agrees and report.inputs["x"].min() < 0, "half of the logarithms are NaN"
    nodes = [helper.make_node("Abs", ["x"], ["a"], "abs"),
             helper.make_node("Log", ["a"], ["l"], "log"),
             helper.make_node("Add", ["l", "one"], ["y"], "add")]
    other = save(tmp_path / "b.onnx", nodes, [("x", TensorProto.FLOAT, [6, 50])],
                 [("y", TensorProto.FLOAT, [6, 50])], {"one": F(1)})
    difference = compare(path, reference=other, **QUICK).divergence.first.difference
    assert difference.nan[0] > 100 and difference.nan[1] == 0
    assert math.isnan(difference.has) and not math.isnan(difference.wanted)


def test_an_engine_in_place_of_a_build(tmp_path, capsys):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=3)
    for source, name in ((path, "right.engine"), (other, "wrong.engine")):
        carnot.build(source, **QUICK).save(tmp_path / name)
    assert compare(path, engine=tmp_path / "right.engine", **QUICK).compared == 6
    report = compare(path, engine=tmp_path / "wrong.engine", **QUICK)
    assert report.divergence.first.tensor == "t3"
    assert report.divergence.culprit.kind == "unsteady", "a new build is right"
    assert run(path, "--engine", tmp_path / "wrong.engine", "--level=0") == 1
    assert "does not show in a new build" in capsys.readouterr().out
    assert run(tmp_path / "right.engine") == 2
    assert "--engine" in capsys.readouterr().err
    assert run(path, "--engine", path) == 2


def test_outputs_only(tmp_path):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=0)
    report = compare(path, outputs_only=True, **QUICK)
    assert report.compared == 1 and report.sessions == [1] and report.agrees
    report = compare(path, reference=other, outputs_only=True, **QUICK)
    assert report.divergence.first.tensor == "t5"


def test_layers_are_counted_not_tensors(tmp_path):
    def model(name, scale):
        nodes = [helper.make_node("TopK", ["x", "k"], ["v", "i"], "top"),
                 helper.make_node("Mul", ["v", "s"], ["y"], "scale")]
        return save(tmp_path / name, nodes, [("x", TensorProto.FLOAT, [4, 64])],
                    [("y", TensorProto.FLOAT, [4, 5]), ("i", TensorProto.INT64, [4, 5])],
                    {"k": np.int64([5]), "s": F(scale)})

    path = model("a.onnx", 2)
    report = compare(path, **QUICK)
    assert (report.agrees, report.layers, report.compared) == (True, 2, 3)
    report = compare(path, reference=model("b.onnx", 3), **QUICK)
    assert report.divergence.first.tensor == "y" and report.divergence.first.number == 2


def test_outputs_that_no_layer_writes(tmp_path):
    """An input, a constant and the same tensor twice."""
    nodes = [helper.make_node("Identity", ["x"], ["same"], "same"),
             helper.make_node("Relu", ["x"], ["r"], "relu"),
             helper.make_node("Identity", ["r"], ["again"], "again"),
             helper.make_node("Identity", ["w"], ["fixed"], "fixed")]
    values = [(name, TensorProto.FLOAT, [2, 3]) for name in ("same", "r", "again", "fixed")]
    path = save(tmp_path / "i.onnx", nodes, [("x", TensorProto.FLOAT, [2, 3])], values,
                {"w": np.ones((2, 3), F)})
    seen = []
    assert compare(path, on_tensor=seen.append, **QUICK).agrees
    assert sorted(one.tensor for one in seen) == ["again", "fixed", "r", "same"]


def test_onnxruntime_s_refusal_is_passed_on(tmp_path, monkeypatch):
    path = save(tmp_path / "b.onnx", [helper.make_node("Relu", ["x"], ["y"], "r")],
                [("x", TensorProto.FLOAT, [2])], [("y", TensorProto.FLOAT, [2])])
    other = save(tmp_path / "o.onnx", [helper.make_node("Relu", ["x"], ["y"], "r")],
                 [("x", TensorProto.FLOAT, [3])], [("y", TensorProto.FLOAT, [3])])
    with pytest.raises(carnot.Error, match="onnxruntime does not run it") as caught:
        compare(path, reference=other, **QUICK)
    assert "o.onnx" in str(caught.value)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(carnot.Error, match="pip install onnxruntime"):
        compare(path, **QUICK)


# --- the search for the culprit

@pytest.mark.parametrize("count", [1, 2, 3, 100, 1000])
def test_first_bad(count):
    for guilty in {1, 2, count // 2 + 1, count}:
        asked = []

        def is_bad(limit):
            asked.append(limit)
            return limit >= guilty

        if guilty <= count:
            assert first_bad(0, count, is_bad) == guilty
            assert len(asked) <= math.ceil(math.log2(count)) if count > 1 else not asked


PATCHES = [SimpleNamespace(number=i + 1, pass_name=f"pass-{i // 10}", label="", node=f"n{i}")
           for i in range(100)]


class World:
    """A build in which some things are wrong: a stand-in for building."""

    def __init__(self, kernels=(), patch=None, operator=False, order=("fast", "slow", "reference"),
                 quick=True, only_fused=False):
        self.kernels, self.patch, self.operator = kernels, patch, operator
        self.order, self.quick, self.only_fused = order, quick, only_fused
        self.trials = []

    def __call__(self, trial):
        self.trials.append(trial)
        out = {name.partition("@")[0] for name in trial.without_kernels}
        kernel = next(name for name in self.order
                      if name == "reference" or (name not in out and "cpu" not in out))
        patched = (self.patch is not None
                   and (trial.patch_limit is None or trial.patch_limit >= self.patch)
                   and PATCHES[self.patch - 1].pass_name not in trial.skip_passes)
        wrong = kernel in self.kernels or patched or self.operator
        return Outcome(wrong and (self.quick or not trial.quick), kernel)


SUSPECTS = [Suspect("fast", "node")]


@pytest.mark.parametrize("world, kind, kernels, number, skip", [
    (World(kernels=["fast"]), "kernel", ("fast@node",), None, ""),
    (World(kernels=["fast", "slow"]), "kernel", ("fast@node", "slow@node"), None, ""),
    (World(patch=1), "patch", (), 1, "pass-0"),
    (World(patch=37), "patch", (), 37, "pass-3"),
    (World(patch=100), "patch", (), 100, "pass-9"),
    (World(patch=37, quick=False), "patch", (), 37, "pass-3"),
    (World(operator=True), "operator", (), None, ""),
    (World(), "unsteady", (), None, ""),
])
def test_find_culprit(world, kind, kernels, number, skip):
    culprit = find_culprit(world, SUSPECTS, ["node"], PATCHES)
    assert (culprit.kind, culprit.kernels, culprit.skip) == (kind, kernels, skip)
    assert (culprit.patch and culprit.patch.number) == number
    assert len(world.trials) < 20
    if not world.quick:
        assert not any(trial.quick for trial in world.trials if trial.patch_limit is not None)


def test_no_kernel_but_a_chain_of_them():
    """Fused, the layer is right in no kernel; alone, its operators are wrong in one."""
    def attempt(trial):
        kernel = "fast" if trial.patch_limit == 0 else "reference"
        left_out = any(name.startswith(("fast", "cpu")) for name in trial.without_kernels)
        return Outcome(not left_out, "reference" if left_out else kernel)

    culprit = find_culprit(attempt, [Suspect("reference", "node")], ["node"], PATCHES)
    assert (culprit.kind, culprit.kernels) == ("kernel", ("fast@node",))


def test_a_layer_before_may_be_guilty():
    def attempt(trial):
        return Outcome("move@other" not in trial.without_kernels, "reference")

    culprit = find_culprit(attempt, [Suspect("reference", "node"), Suspect("move", "other")],
                           ["node", "other"], PATCHES)
    assert (culprit.kind, culprit.kernels) == ("kernel", ("move@other",))


def test_trials_that_do_not_tell():
    def attempt(trial):
        return Outcome(None if trial.patch_limit else trial.patch_limit is None, "reference")

    culprit = find_culprit(attempt, SUSPECTS[:0], ["node"], PATCHES)
    assert culprit.kind == "unclear" and "100 rewrites" in culprit.why


# --- the same on real builds

def test_bisects_to_a_kernel(tmp_path):
    """The kernel of one product is wrong: what is left out is that kernel in that layer."""
    path = picture(tmp_path / "p.onnx")
    kernel = next(layer.kernel for layer in carnot.build(path, **QUICK).profile(runs=1)
                  if "conv_a" in layer.onnx_nodes and "Conv" in layer.operators)

    def is_wrong(output, patches):
        return output.kernel == kernel and "conv_a" in output.onnx_nodes

    report = compare(path, builder=Faulty(is_wrong), optimization_level=0)
    assert "conv_a" in report.divergence.first.layer.onnx_nodes
    culprit = report.divergence.culprit
    assert (culprit.kind, culprit.kernels) == ("kernel", (f"{kernel}@relu1",))
    assert culprit.instead not in ("", kernel)
    text = culprit_text(culprit)
    assert f"--withoutKernel {kernel}@relu1" in text and culprit.instead in text


def test_bisects_to_a_rewrite(tmp_path):
    path = chain(tmp_path / "c.onnx")
    patches = []
    carnot.build(path, patches=patches.append, **QUICK)
    guilty = next(patch for patch in patches if "tanh3" in patch.onnx_nodes or
                  "matmul3" in patch.onnx_nodes)

    def is_wrong(output, applied):
        done = any((p.pass_name, p.node) == (guilty.pass_name, guilty.node) for p in applied)
        return done and output.tensor == "t3"

    faulty = Faulty(is_wrong)
    report = compare(path, builder=faulty, optimization_level=0)
    assert report.divergence.first.tensor == "t3"
    culprit = report.divergence.culprit
    assert culprit.kind == "patch" and culprit.patch == guilty and culprit.skip == guilty.pass_name
    text = culprit_text(culprit)
    for part in (f"rewrite {guilty.number}: {guilty.label}", ", ".join(guilty.onnx_nodes),
                 f"--patchLimit {guilty.number - 1}", f"--skipPass {guilty.pass_name}"):
        assert part in text, text
    assert faulty.builds < 25
    assert compare(path, builder=faulty, optimization_level=0,
                   skip_passes=[culprit.skip]).agrees


def test_bisects_to_the_operator(tmp_path):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=2)
    report = compare(path, reference=other, bisect=True, **QUICK)
    assert report.divergence.culprit.kind == "operator"


# --- the command

def run(*words):
    return main([str(word) for word in words])


def test_command_agrees(tmp_path, capsys):
    path = picture(tmp_path / "p.onnx")
    assert run(path, "--level=0", "--timingCache=none") == 0
    text = capsys.readouterr()
    assert "agrees: " in text.out and "float32[1, 3, 32, 32]" in text.out and text.err == ""
    assert run(path, "--level=0", "--timingCache=none", "--all", "--shapes", "x:2x3x32x32") == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_command_diverges(tmp_path, capsys):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=2)
    np.save(tmp_path / "x.npy", np.ones((3, 32), F))
    report = tmp_path / "report.json"
    assert run(path, "--reference", other, "--level=0", "--timingCache=none", "--bisect", "--json",
               report, "--input", f"x:{tmp_path / 'x.npy'}", "--window", "0") == 1
    text = capsys.readouterr().out
    for part in ("diverges at layer 3 of 6", "matmul2 (MatMul)", "float32[3, 32]", "relative L2",
                 "carnot ", "onnxruntime ", "t1: relative L2 error", "born here", "culprit: "):
        assert part in text, text
    written = json.loads(report.read_text())
    assert not written["agrees"] and written["divergence"]["tensor"] == "t2"
    assert written["culprit"]["kind"] == "operator" and written["sessions"] == [1, 1, 1]
    assert [entry["tensor"] for entry in written["compared"]] == ["t0", "t1", "t2"]
    assert written["divergence"]["inputs"].keys() == {"t1"}


def test_command_takes_tolerances(tmp_path):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=2)
    flags = (path, "--reference", other, "--level=0", "--timingCache=none")
    assert run(*flags) == 1
    assert run(*flags, "--l2", "10", "--rtol", "10", "--atol", "10") == 0


@pytest.mark.parametrize("words, said", [
    (["nothing.onnx"], "nothing.onnx"),
    (["bad.onnx"], "bad.onnx"),
    (["c.onnx", "--input", "x"], "NAME:FILE.npy"),
    (["c.onnx", "--input", "x:nothing.npy"], "nothing.npy"),
    (["c.onnx", "--input", "x:bad.onnx"], "bad.onnx"),
    (["c.onnx", "--input", "x:several.npz"], "several arrays"),
    (["c.onnx", "--input", "x:doubles.npy"], "float64"),
    (["c.onnx", "--engine", "bad.onnx"], "bad.onnx"),
    (["c.onnx", "--reference", "bad.onnx"], "bad.onnx"),
    (["c.onnx", "--shapes", "x:3"], "shape 3"),
    (["c.onnx", "--shapes", "x;3"], "shape 'x;3'"),
    (["c.onnx", "--shapes", "z:3x32"], "input z"),
    (["c.onnx", "--skipPass", "fuse"], "fuse"),
    (["c.onnx", "--json", "no/where.json"], "no/where.json"),
])
def test_command_cannot(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chain("c.onnx")
    Path("bad.onnx").write_bytes(b"no model at all")
    np.savez("several.npz", a=np.zeros(1), b=np.zeros(1))
    np.save("doubles.npy", np.zeros((1, 32)))
    assert run(*words, "--level=0", "--timingCache=none") == 2
    text = capsys.readouterr().err
    assert text.startswith("carnot: error: ") and said in text


def test_a_defect_is_no_divergence(tmp_path, monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError("planted")

    monkeypatch.setattr("carnot.compare._compare.survey", broken)
    assert run(chain(tmp_path / "c.onnx"), "--level=0", "--timingCache=none") == 2
    assert "planted; this is a defect" in capsys.readouterr().err


@pytest.mark.parametrize("words, said", [
    ([], "MODEL.onnx"), (["m", "--outputOnly"], "did you mean '--outputsOnly'?"),
    (["m", "n"], "unknown argument 'n'"), (["m", "--l2", "-1"], "less than"),
    (["m", "--level", "9"], "--level")])
def test_command_not_understood(words, said, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_module_runs(tmp_path):
    path = chain(tmp_path / "c.onnx")
    result = subprocess.run([sys.executable, "-m", "carnot.compare", path, "--level=0"],
                            capture_output=True, text=True, timeout=300,
                            env={**os.environ, "CARNOT_CACHE": str(tmp_path),
                                 "PYTHONPATH": os.pathsep.join(sys.path)})
    assert result.returncode == 0 and "agrees: 6 tensors over 6 layers" in result.stdout


@pytest.mark.skipif(not PROGRAM.exists(), reason="build/bin/carnot is not built")
def test_program_hands_over_to_python(tmp_path):
    def program(*words, **environment):
        environment = {**os.environ, "CARNOT_CACHE": str(tmp_path), **environment}
        return subprocess.run([PROGRAM, "compare", *words], capture_output=True, text=True,
                              timeout=300, env=environment)

    path = chain(tmp_path / "c.onnx")
    here = {"CARNOT_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = program(path, "--level=0", **here)
    assert result.returncode == 0 and "agrees: " in result.stdout, result
    assert "MODEL.onnx" in program("--help", **here).stdout
    assert program(path, "--alll", **here).returncode == 2
    beside = tmp_path / "bin"
    beside.mkdir()
    (beside / "carnot").symlink_to(PROGRAM)
    (beside / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (beside / "python").chmod(0o755)
    for start in (str(beside / "carnot"), "carnot"):  # by its path, and found on PATH
        result = subprocess.run(
            [start, "compare", path, "--level=0"], capture_output=True, text=True, timeout=300,
            env={"PATH": f"{beside}:/usr/bin", "CARNOT_CACHE": str(tmp_path),
                 "PYTHONPATH": here["PYTHONPATH"]})
        assert result.returncode == 0 and "agrees: " in result.stdout, result
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 72\n")  # what the probe says where onnxruntime is missing
    bare.chmod(0o755)
    for python, said in ((bare, "has no onnxruntime"), ("/bin/false", "does not run"),
                         (tmp_path / "none", "does not run")):
        result = program(path, CARNOT_PYTHON=str(python))
        assert result.returncode == 2 and result.stdout == ""
        for part in (str(python), said, "pip install onnxruntime", "CARNOT_PYTHON"):
            assert part in result.stderr
