"""carnot.build, load, Engine and Context."""

import copy
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import threading

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import carnot


def model_of(nodes, inputs, outputs, constants=(), opset=21):
    def infos(entries):
        return [helper.make_tensor_value_info(name, elem, dims) for name, elem, dims in entries]
    graph = helper.make_graph(nodes, "test", infos(inputs), infos(outputs),
                              [numpy_helper.from_array(array, name) for name, array in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


WEIGHT = np.arange(6, dtype=np.float32).reshape(3, 2)
BIAS = np.array([-30, 1], np.float32)


def perceptron():
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["t"], name="product"),
         helper.make_node("Add", ["t", "b"], ["u"], name="sum"),
         helper.make_node("Relu", ["u"], ["y"], name="relu")],
        [("x", TensorProto.FLOAT, ["batch", 3])], [("y", TensorProto.FLOAT, ["batch", 2])],
        [("w", WEIGHT), ("b", BIAS)])


def cast_model(source, target):
    return model_of([helper.make_node("Cast", ["x"], ["y"], to=target)], [("x", source, ["n"])],
                    [("y", target, ["n"])])


def build(model, **options):
    return carnot.build(model, **{"threads": 2, "optimization_level": 0, "timing_cache": False,
                                  **options})


@pytest.fixture(scope="module")
def engine():
    return build(perceptron())


def wanted(x):
    return np.maximum(np.asarray(x) @ WEIGHT + BIAS, 0)


class OnlyDlpack:
    """What another framework's array looks like."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


X = np.random.default_rng(0).uniform(0, 9, (5, 3)).astype(np.float32)


@pytest.mark.parametrize("x", [
    X, X[:0], X[::2], np.asfortranarray(X), X[:, ::-1], OnlyDlpack(X), OnlyDlpack(X[::2]),
    X.tolist(), X.astype(">f4"), np.frombuffer(X.tobytes(), np.float32).reshape(5, 3),
    np.frombuffer(b"." + X.tobytes(), np.float32, offset=1).reshape(5, 3),
], ids=["plain", "empty", "strided", "fortran", "reversed", "dlpack", "dlpack strided", "list",
        "big endian", "read only", "unaligned"])
def test_arrays_go_in(engine, x):
    has = engine.run({"x": x})["y"]
    array = x._array if isinstance(x, OnlyDlpack) else x
    np.testing.assert_allclose(has, wanted(np.asarray(array, np.float32)), rtol=1e-6)


def test_outputs_keep_their_names():
    """Also where several are one tensor, an input or a constant."""
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Identity", ["r"], ["again"]),
             helper.make_node("Identity", ["x"], ["same"]),
             helper.make_node("Identity", ["b"], ["fixed"]),
             helper.make_node("Reshape", ["r", "flat"], ["view"])]
    names = ["again", "r", "same", "fixed", "view"]
    engine = build(model_of(
        nodes, [("x", TensorProto.FLOAT, [2])],
        [(name, TensorProto.FLOAT, [2]) for name in names],
        [("b", BIAS), ("flat", np.array([-1]))]))
    assert [info.name for info in engine.outputs] == names
    result = engine.run({"x": np.array([-1, 2], np.float32)})
    assert [result[name].tolist() for name in names] == [[0, 2], [0, 2], [-1, 2], [-30, 1], [0, 2]]


def test_errors_name_the_file_once(tmp_path):
    model = model_of([helper.make_node("NoSuchThing", ["x"], ["y"])],
                     [("x", TensorProto.FLOAT, [2])], [("y", TensorProto.FLOAT, [2])])
    path = tmp_path / "odd.onnx"
    onnx.save(model, path)
    with pytest.raises(carnot.Error, match="NoSuchThing") as caught:
        carnot.build(path)
    assert str(caught.value).count("odd.onnx") == 1


def test_outputs_go_where_told(engine):
    context, y = engine.context(), np.full((5, 2), -1, np.float32)
    result = context.run({"x": X}, out={"y": y})
    assert result["y"] is y
    np.testing.assert_allclose(y, wanted(X), rtol=1e-6)
    assert context.memory()[0] >= context.memory()[1] >= 0


@pytest.mark.parametrize("inputs, out, parts", [
    ({"x": X.astype(np.float64)}, {}, ["input x is float64[5, 3]", "float32[batch, 3]"]),
    ({"x": X[:, :2]}, {}, ["[5, 2]", "input x", "[batch, 3]"]),
    ({"x": X[0]}, {}, ["[3]", "input x"]),
    ({"xs": X}, {}, ["'xs'", "did you mean 'x'?"]),
    ({}, {}, ["no array for input x", "float32[batch, 3]"]),
    ([X], {}, ["list", "dict"]),
    ({"x": "text"}, {}, ["input x is a str"]),
    ({"x": X.astype(ml_dtypes.bfloat16)}, {}, ["input x is bfloat16[5, 3]", "float32"]),
    ({"x": X}, {"z": X}, ["'z'", "one of: y"]),
    ({"x": X}, {"y": np.empty((4, 2), np.float32)}, ["output y", "[4, 2]", "[5, 2]"]),
    ({"x": X}, {"y": np.empty((5, 2))}, ["output y is float64[5, 2]"]),
    ({"x": X}, {"y": np.empty((2, 5), np.float32).T}, ["output y", "row-major"]),
    ({"x": X}, {"y": np.frombuffer(bytes(40), np.float32).reshape(5, 2)}, ["output y", "written"]),
    ({"x": X}, {"y": [0]}, ["output y is a list"]),
])
def test_what_does_not_fit_is_named(engine, inputs, out, parts):
    with pytest.raises(carnot.Error) as caught:
        engine.run(inputs, out)
    assert caught.value.code == "InvalidArgument"
    for part in parts:
        assert part in str(caught.value)
    np.testing.assert_allclose(engine.run({"x": X})["y"], wanted(X), rtol=1e-6)


@pytest.mark.parametrize("name, elem", [
    ("bfloat16", TensorProto.BFLOAT16), ("float8_e4m3fn", TensorProto.FLOAT8E4M3FN),
    ("float8_e5m2", TensorProto.FLOAT8E5M2), ("int4", TensorProto.INT4),
    ("uint4", TensorProto.UINT4)])
def test_types_that_numpy_lacks(name, elem):
    dtype = np.dtype(getattr(ml_dtypes, name))
    values = np.array([0, 1, 2, 3, 5, 7, 6], np.float32)
    if name != "uint4":
        values[2] = -2
    to_float = build(cast_model(elem, TensorProto.FLOAT))
    assert to_float.inputs[0].numpy_dtype == dtype
    np.testing.assert_array_equal(to_float.run({"x": values.astype(dtype)})["y"], values)
    if dtype.itemsize * 8 == 16 or name.startswith("float8"):
        raw = values.astype(dtype).view(np.uint16 if dtype.itemsize == 2 else np.uint8)
        np.testing.assert_array_equal(to_float.run({"x": raw})["y"], values)
    from_float = build(cast_model(TensorProto.FLOAT, elem))
    has = from_float.run({"x": values})["y"]
    assert has.dtype == dtype
    np.testing.assert_array_equal(has.astype(np.float32), values)
    out = np.zeros(7, dtype)
    assert from_float.run({"x": values}, {"y": out})["y"] is out
    np.testing.assert_array_equal(out.astype(np.float32), values)


def test_saves_and_loads(engine, tmp_path):
    path = tmp_path / "model.engine"
    engine.save(path)
    data = path.read_bytes()
    assert data == engine.serialize()
    for source in (path, str(path), data, bytearray(data)):
        loaded = carnot.load(source, verify=True, threads=1)
        assert loaded.inputs == engine.inputs and loaded.outputs == engine.outputs
        np.testing.assert_array_equal(loaded.run({"x": X})["y"], engine.run({"x": X})["y"])
    assert loaded.info["threads"] == 1 and loaded.info["tuned_threads"] == 2
    path.write_bytes(data[:-1])
    with pytest.raises(carnot.Error, match="model.engine") as caught:
        carnot.load(path)
    assert caught.value.code == "InvalidModel"
    with pytest.raises(carnot.Error) as caught:
        carnot.load(tmp_path / "none.engine")
    assert caught.value.code == "Io"
    with pytest.raises(carnot.Error) as caught:
        engine.save(tmp_path / "no" / "folder.engine")
    assert caught.value.code == "Io"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.engine"]


def test_a_full_disk_leaves_the_old_file(engine, tmp_path):
    path = tmp_path / "model.engine"
    path.write_bytes(b"the old one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the signal is ignored by Python
    try:
        with pytest.raises(carnot.Error) as caught:
            engine.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "Io" and "model.engine" in str(caught.value)
    assert path.read_bytes() == b"the old one" and len(list(tmp_path.iterdir())) == 1


def test_takes_models_in_every_form(tmp_path):
    model = perceptron()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    engines = [build(source).serialize()
               for source in (model, model.SerializeToString(), path, str(path))]
    assert len(set(engines)) == 1
    with pytest.raises(carnot.Error, match="a path, the bytes"):
        build(7)
    with pytest.raises(carnot.Error) as caught:
        build(tmp_path / "none.onnx")
    assert caught.value.code == "Io" and "none.onnx" in str(caught.value)
    path.write_bytes(b"\x12\x34 nothing")
    with pytest.raises(carnot.Error, match="model.onnx"):
        build(path)


def test_says_what_it_does_not_do():
    model = model_of([helper.make_node("NonesuchOp", ["x"], ["y"], name="the node")],
                     [("x", TensorProto.FLOAT, [2])], [("y", TensorProto.FLOAT, [2])])
    with pytest.raises(carnot.Error) as caught:
        build(model)
    error = caught.value
    assert error.code == "Unsupported"
    assert "NonesuchOp" in str(error) and "the node" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.has, again.needs, again.remedy, again.context) == (
        error.code, error.has, error.needs, error.remedy, error.context)
    assert str(again) == str(error) and str(copy.copy(error)) == str(error)


def test_profiles_are_enforced():
    engine = build(perceptron(), profiles={"x": ((1, 3), (4, 3), (8, 3))})
    assert engine.info["profiles"] == [{"ranges": {"batch": (1, 4, 8)}, "enforced": True}]
    engine.run({"x": np.ones((8, 3), np.float32)})
    with pytest.raises(carnot.Error, match="batch from 1 to 8"):
        engine.run({"x": np.ones((9, 3), np.float32)})
    fixed = build(perceptron(), profiles=[{"x": (2, 3)}, {"x": [(5, 3)] * 3}])
    for rows, fits in ((2, True), (5, True), (3, False)):
        if fits:
            fixed.run({"x": np.ones((rows, 3), np.float32)})
        else:
            with pytest.raises(carnot.Error, match="outside the profile"):
                fixed.run({"x": np.ones((rows, 3), np.float32)})
    for bad in ({"x": 3}, {"x": [(1, 3), (2, 3)]}, {"y": (1, 3)}, {"x": (1, 4)}):
        with pytest.raises(carnot.Error):
            build(perceptron(), profiles=bad)


def test_profile_and_explanation(engine):
    for inputs in (None, {"x": (7, 3)}, {"x": X}):
        layers = engine.profile(inputs, runs=3)
        assert sum(layer.share for layer in layers) == pytest.approx(1)
        nodes = [node for layer in layers for node in layer.onnx_nodes]
        assert set(nodes) == {"product", "sum", "relu"}
        assert all(layer.bound in ("compute", "memory") for layer in layers)
        assert layers[0].kernel in str(layers)
    assert sum(layer.flops for layer in layers) >= 2 * 5 * 3 * 2
    explanation = engine.explain()
    assert explanation["steps"][0]["candidates"]
    assert "chosen" in str(explanation) and "product" in str(explanation)


def test_threads_share_an_engine(engine):
    failures = []

    def work(rows):
        x = np.full((rows, 3), rows, np.float32)
        for _ in range(50):
            if not np.array_equal(engine.run({"x": x})["y"], wanted(x)):
                failures.append(rows)
    threads = [threading.Thread(target=work, args=(rows,)) for rows in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_builder_can_be_looked_into(tmp_path):
    seen = []
    build(perceptron(), dump_ir=tmp_path / "ir", progress=lambda *step: seen.append(step))
    assert {phase for phase, done, all in seen} <= set(carnot.build_phases())
    assert any("MatMul" in path.read_text() for path in (tmp_path / "ir").iterdir())
    assert build(perceptron(), stop_after="fuse") is None
    for options, part in [({"precision_constraints": "must"}, "prefer"),
                          ({"permits": ["half"]}, "float16"),
                          ({"layer_precisions": {"none": "float16"}}, "none"),
                          ({"stop_after": "fusion"}, "fuse"), ({"skip_passes": ["none"]}, "none"),
                          ({"isa": "sse9"}, "sse9"), ({"threads": 0}, "threads = 0")]:
        with pytest.raises(carnot.Error, match=part):
            build(perceptron(), **options)


def test_what_a_callback_raises_ends_the_build():
    def progress(phase, done, all):
        raise LookupError("enough")
    with pytest.raises(LookupError, match="enough"):
        build(perceptron(), progress=progress)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_interrupt_cancels_a_build():
    program = textwrap.dedent("""
        import sys, time
        sys.path[:0] = %r
        from test_api import build, perceptron
        def progress(phase, done, all):
            print(phase, flush=True)
            time.sleep(0.2)
        try:
            build(perceptron(), progress=progress)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """) % ([os.path.dirname(__file__)] + sys.path,)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0].splitlines()
    assert rest[-1] == "interrupted"
    assert "emit" not in rest
