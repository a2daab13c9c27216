"""Sequences and optionals of a model, as lists of arrays and None."""

import carnot
import numpy as np
import pytest
from onnx import TensorProto, helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

tensor = helper.make_tensor_value_info
sequence = helper.make_tensor_sequence_value_info


def _optional(name, elem_type, shape):
    held = helper.make_tensor_type_proto(elem_type, shape)
    return helper.make_value_info(name, helper.make_optional_type_proto(held))


def _built(nodes, inputs, outputs, opset=18):
    graph = helper.make_graph(nodes, "model", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return carnot.build(model.SerializeToString(), threads=1)


def _arrays(*shapes):
    random = np.random.default_rng(len(shapes))
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]


def _same(has, wanted):
    assert isinstance(has, list) and len(has) == len(wanted)
    for a, b in zip(has, wanted):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def shuffled():
    """The sequence without tensor i, with x before tensor i of that, and its length."""
    return _built([helper.make_node("SequenceErase", ["s", "i"], ["rest"]),
                   helper.make_node("SequenceInsert", ["rest", "x", "i"], ["y"]),
                   helper.make_node("SequenceLength", ["y"], ["length"])],
                  [sequence("s", FLOAT, None), tensor("x", FLOAT, ["n"]), tensor("i", INT64, [])],
                  [sequence("y", FLOAT, None), tensor("length", INT64, [])])


def test_lists_go_in_and_come_out(shuffled, tmp_path):
    shuffled.save(tmp_path / "shuffled.engine")
    for engine in (shuffled, carnot.load(tmp_path / "shuffled.engine")):
        for given, i in ((_arrays((2, 3), (), (0, 4), (5,)), 0), (_arrays((2, 3), (4,), ()), -1),
                         (_arrays((2,)), 0)):
            x, = _arrays((7,))
            wanted = list(given)
            del wanted[i]
            wanted.insert(i, x)
            found = engine.run({"s": given, "x": x, "i": np.int64(i)})
            _same(found["y"], wanted)
            assert found["length"] == len(wanted)


def test_the_parts_are_tensors_of_the_engine(shuffled):
    assert [str(info.name) for info in shuffled.inputs] == ["s:elements", "s:dims", "s:ranks",
                                                            "x", "i"]
    given = {"s:elements": np.float32([1, 2, 3]), "s:dims": np.int64([2, 1]),
             "s:ranks": np.int64([1, 1]), "x": np.float32([9]), "i": np.int64(0)}
    _same(shuffled.run(given)["y"], [np.float32([9]), np.float32([3])])


@pytest.mark.parametrize("given, says", [
    (np.zeros(3, np.float32), "a list of arrays"),
    ([np.zeros(2)], "tensor 0 of input s is float64; needs float32"),
    ([np.zeros(2, np.float32)], "position 3 in a sequence of 1"),
])
def test_what_does_not_fit_is_refused(shuffled, given, says):
    with pytest.raises(carnot.Error, match=says):
        shuffled.run({"s": given, "x": np.zeros(1, np.float32), "i": np.int64(3)})


def test_parts_that_do_not_fit_are_refused(shuffled):
    with pytest.raises(carnot.Error, match="as many dims as the ranks say"):
        shuffled.run({"s:elements": np.zeros(3, np.float32), "s:dims": np.int64([3]),
                      "s:ranks": np.int64([2]), "x": np.zeros(1, np.float32), "i": np.int64(0)})


def test_a_list_may_be_empty():
    engine = _built([helper.make_node("SequenceInsert", ["s", "x"], ["y"])],
                    [sequence("s", FLOAT, ["a"]), tensor("x", FLOAT, ["n"])],
                    [sequence("y", FLOAT, ["a"])])
    x, = _arrays((3,))
    _same(engine.run({"s": [], "x": x})["y"], [x])
    _same(engine.run({"s": [x, x[:1]], "x": x})["y"], [x, x[:1], x])


def test_types_of_less_than_a_byte_travel():
    import ml_dtypes

    engine = _built([helper.make_node("Identity", ["s"], ["y"])],
                    [sequence("s", TensorProto.INT4, None)], [sequence("y", TensorProto.INT4, None)],
                    opset=21)
    given = [np.asarray([1, -2, 3], ml_dtypes.int4), np.asarray([[-8]], ml_dtypes.int4)]
    _same(engine.run({"s": given})["y"], given)


def test_a_map_over_a_list_is_a_loop():
    body = helper.make_graph(
        [helper.make_node("Shape", ["t"], ["n"]), helper.make_node("Mul", ["t", "w"], ["twice"])],
        "body", [tensor("t", FLOAT, ["a", 2]), tensor("w", FLOAT, [2])],
        [tensor("twice", FLOAT, ["a", 2]), tensor("n", INT64, [2])])
    engine = _built([helper.make_node("SequenceMap", ["s", "w"], ["y", "n"], body=body),
                     helper.make_node("ConcatFromSequence", ["y"], ["all"], axis=0)],
                    [sequence("s", FLOAT, ["a", 2]), tensor("w", FLOAT, [2])],
                    [sequence("y", FLOAT, ["a", 2]), sequence("n", INT64, [2]),
                     tensor("all", FLOAT, ["rows", 2])])
    w, = _arrays((2,))
    for given in (_arrays((3, 2), (1, 2)), _arrays((0, 2), (4, 2), (2, 2))):
        found = engine.run({"s": given, "w": w})
        _same(found["y"], [array * w for array in given])
        _same(found["n"], [np.int64(array.shape) for array in given])
        np.testing.assert_array_equal(found["all"], np.concatenate(given) * w)
    with pytest.raises(carnot.Error, match="an empty sequence to put together"):
        engine.run({"s": [], "w": w})


def test_a_loop_gathers_a_list():
    body = helper.make_graph(
        [helper.make_node("Gather", ["x", "i"], ["row"], axis=0),
         helper.make_node("SequenceInsert", ["s", "row"], ["next"]),
         helper.make_node("Identity", ["c"], ["go"])],
        "body", [tensor("i", INT64, []), tensor("c", BOOL, []), sequence("s", FLOAT, None)],
        [tensor("go", BOOL, []), sequence("next", FLOAT, None)])
    engine = _built([helper.make_node("SequenceEmpty", [], ["none"]),
                     helper.make_node("Loop", ["trips", "", "none"], ["y"], body=body)],
                    [tensor("x", FLOAT, ["n", 3]), tensor("trips", INT64, [])],
                    [sequence("y", FLOAT, None)])
    x, = _arrays((4, 3))
    for trips in (3, 1, 0):
        _same(engine.run({"x": x, "trips": np.int64(trips)})["y"], list(x[:trips]))


@pytest.fixture(scope="module")
def maybe():
    """What the optional holds, else its negative input; and the optional itself."""
    has = helper.make_graph([helper.make_node("OptionalGetElement", ["o"], ["t"])], "then", [],
                            [tensor("t", FLOAT, ["n"])])
    lacks = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [],
                              [tensor("e", FLOAT, ["n"])])
    return _built([helper.make_node("OptionalHasElement", ["o"], ["there"]),
                   helper.make_node("If", ["there"], ["y"], then_branch=has, else_branch=lacks),
                   helper.make_node("Identity", ["o"], ["same"])],
                  [_optional("o", FLOAT, ["n"]), tensor("x", FLOAT, ["n"])],
                  [tensor("y", FLOAT, ["n"]), _optional("same", FLOAT, ["n"])])


def test_an_optional_is_what_it_holds_or_none(maybe):
    o, x = _arrays((3,), (3,))
    found = maybe.run({"o": o, "x": x})
    np.testing.assert_array_equal(found["y"], o)
    np.testing.assert_array_equal(found["same"], o)
    found = maybe.run({"o": None, "x": x})
    np.testing.assert_array_equal(found["y"], -x)
    assert found["same"] is None


def test_the_element_of_nothing_is_an_error():
    engine = _built([helper.make_node("OptionalGetElement", ["o"], ["t"]),
                     helper.make_node("Neg", ["t"], ["y"])],
                    [_optional("o", FLOAT, ["n"])], [tensor("y", FLOAT, ["n"])])
    x, = _arrays((3,))
    np.testing.assert_array_equal(engine.run({"o": x})["y"], -x)
    with pytest.raises(carnot.Error, match="an optional that holds nothing; needs its element"):
        engine.run({"o": None})
