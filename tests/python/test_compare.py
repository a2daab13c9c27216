"""carnot compare: a model beside onnxruntime."""

import math
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from compare_models import chain, picture, save
from onnx import TensorProto, helper

import carnot
from carnot.compare import compare
from carnot.compare._command import main

QUICK = {"timing_cache": False, "optimization_level": 0}
F = np.float32


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
    assert main([str(path), "--engine", str(tmp_path / "wrong.engine"), "--level=0"]) == 1
    assert "does not show in a new build" in capsys.readouterr().out
    assert main([str(tmp_path / "right.engine")]) == 2
    assert "--engine" in capsys.readouterr().err
    assert main([str(path), "--engine", str(path)]) == 2


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
