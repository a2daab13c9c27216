"""Outputs whose shape depends on what the inputs hold, and loops and branches."""

import carnot
import carnot.tensorrt as trt
import numpy as np
import pytest
from carnot.cuda import cudart, device_kind
from onnx import TensorProto, helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def _model(nodes, inputs, outputs):
    graph = helper.make_graph(
        nodes, "model", [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()


def _positives():
    """The squares of what is not zero."""
    return _model([helper.make_node("NonZero", ["x"], ["i"]),
                   helper.make_node("Transpose", ["i"], ["t"]),
                   helper.make_node("GatherND", ["x", "t"], ["v"]),
                   helper.make_node("Mul", ["v", "v"], ["y"])],
                  [("x", FLOAT, ["n", 4])], [("y", FLOAT, None), ("t", INT64, None)])


def _some(rows):
    x = np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32)
    return np.maximum(x, 0)


def test_runs_give_arrays_of_the_shape_found(tmp_path):
    engine = carnot.build(_positives(), threads=1, optimization_level=0)
    engine.save(tmp_path / "positives.engine")
    for each in (engine, carnot.load(tmp_path / "positives.engine")):
        assert [info.depends_on_data for info in each.outputs] == [True, True]
        for rows in (3, 1, 0, 5, 3):
            x = _some(rows)
            found = each.run({"x": x})
            np.testing.assert_allclose(found["y"], x[x > 0] ** 2)
            np.testing.assert_array_equal(found["t"], np.argwhere(x))


def test_an_array_for_such_an_output_is_refused():
    engine = carnot.build(_positives(), threads=1, optimization_level=0)
    with pytest.raises(carnot.Error, match="depends on the inputs' data"):
        engine.run({"x": _some(2)}, out={"y": np.empty(8, np.float32)})


class Allocator(trt.IOutputAllocator):
    def __init__(self):
        super().__init__()
        self.shape = None

    def reallocate_output_async(self, tensor_name, memory, size, alignment, stream):
        return cudart.cudaMalloc(max(size, 1))[1]

    def notify_shape(self, tensor_name, shape):
        self.shape = tuple(shape)


def test_tensorrt_asks_the_output_allocator():
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    built = carnot.build(_positives(), device=device_kind(), threads=1, optimization_level=0)
    engine = runtime.deserialize_cuda_engine(built.serialize())
    context = engine.create_execution_context()
    x = _some(4)
    memory = cudart.cudaMalloc(x.nbytes)[1]
    cudart.cudaMemcpy(memory, x.ctypes.data, x.nbytes,
                      cudart.cudaMemcpyKind.cudaMemcpyHostToDevice)
    context.set_input_shape("x", x.shape)
    context.set_tensor_address("x", memory)
    assert tuple(context.get_tensor_shape("y")) == (-1,)
    assert not context.execute_async_v3(0)
    allocators = {name: Allocator() for name in ("y", "t")}
    for name, allocator in allocators.items():
        context.set_output_allocator(name, allocator)
    assert context.execute_async_v3(0)
    count = int((x > 0).sum())
    assert allocators["y"].shape == (count,) and allocators["t"].shape == (count, 2)
    assert tuple(context.get_tensor_shape("y")) == (count,)
    y = np.empty(count, np.float32)
    cudart.cudaMemcpy(y.ctypes.data, context.get_tensor_address("y"), y.nbytes,
                      cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost)
    np.testing.assert_allclose(y, x[x > 0] ** 2)


def _loop():
    """s grows by a row of w each time; gives s and every row's sum."""
    body = helper.make_graph(
        [helper.make_node("Gather", ["w", "i"], ["row"], axis=0),
         helper.make_node("Unsqueeze", ["row", "zero"], ["rows"]),
         helper.make_node("Concat", ["s", "rows"], ["next"], axis=0),
         helper.make_node("ReduceSum", ["row"], ["sum"], keepdims=0),
         helper.make_node("Less", ["sum", "limit"], ["go"])],
        "body",
        [helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("c", BOOL, []),
         helper.make_tensor_value_info("s", FLOAT, None)],
        [helper.make_tensor_value_info("go", BOOL, []),
         helper.make_tensor_value_info("next", FLOAT, None),
         helper.make_tensor_value_info("sum", FLOAT, [])])
    return _model([helper.make_node("Constant", [], ["zero"], value_ints=[0]),
                   helper.make_node("Shape", ["w"], ["dims"], end=1),
                   helper.make_node("Loop", ["dims", "", "w"], ["last", "sums"], body=body)],
                  [("w", FLOAT, ["n", 3]), ("limit", FLOAT, [])],
                  [("last", FLOAT, None), ("sums", FLOAT, None)])


def test_a_profile_has_a_row_for_a_loop():
    rows = carnot.build(_loop(), threads=1, optimization_level=0).profile(
        {"w": np.ones((4, 3), np.float32), "limit": np.float32(1e9)}, runs=2)
    assert [row.kernel for row in rows if row.operators == "Loop"] == ["bodies"]


def test_a_loop_carries_a_tensor_that_grows():
    engine = carnot.build(_loop(), threads=1, optimization_level=0)
    for rows, limit in ((4, 1e9), (2, 1e9), (4, -1e9), (4, 1e9)):
        w = np.random.default_rng(rows).standard_normal((rows, 3)).astype(np.float32)
        trips = rows if limit > 0 else 1
        found = engine.run({"w": w, "limit": np.float32(limit)})
        np.testing.assert_array_equal(found["last"], np.concatenate([w, w[:trips]]))
        np.testing.assert_allclose(found["sums"], w[:trips].sum(axis=1), rtol=1e-5, atol=1e-6)


def test_a_branch_is_taken_by_what_the_input_holds():
    branches = {name: helper.make_graph([helper.make_node(kind, ["x"], ["y"])], name, [],
                                        [helper.make_tensor_value_info("y", FLOAT, None)])
                for name, kind in (("then_branch", "Neg"), ("else_branch", "Abs"))}
    engine = carnot.build(_model([helper.make_node("If", ["c"], ["y"], **branches)],
                                 [("x", FLOAT, ["n"]), ("c", BOOL, [])], [("y", FLOAT, None)]),
                          threads=1, optimization_level=0)
    x = np.array([1, -2, 3], np.float32)
    np.testing.assert_array_equal(engine.run({"x": x, "c": np.array(True)})["y"], -x)
    np.testing.assert_array_equal(engine.run({"x": x, "c": np.array(False)})["y"], np.abs(x))


@pytest.mark.parametrize("profiles", [None, {"x": (1, 1, 576), "c": ()}])
def test_a_branch_is_tuned_at_the_sizes_of_what_is_around_it(profiles):
    # Its window is larger than the sizes that are tuned at by default.
    def branch(name, taps):
        weights = helper.make_tensor(name + "_w", FLOAT, [4, 1, taps], np.full(4 * taps, 0.5))
        return helper.make_graph([helper.make_node("Conv", ["x", name + "_w"], [name])], name, [],
                                 [helper.make_tensor_value_info(name, FLOAT, None)], [weights])

    engine = carnot.build(
        _model([helper.make_node("If", ["c"], ["y"], then_branch=branch("a", 256),
                                 else_branch=branch("b", 130))],
               [("x", FLOAT, ["batch", 1, "samples"]), ("c", BOOL, [])], [("y", FLOAT, None)]),
        threads=1, profiles=profiles)
    x = np.ones((1, 1, 576), np.float32)
    assert (engine.run({"x": x, "c": np.array(True)})["y"] == np.full((1, 4, 321), 128)).all()
    assert (engine.run({"x": x, "c": np.array(False)})["y"] == np.full((1, 4, 447), 65)).all()


def _squeeze():
    """As exporters write x.squeeze(-1) where the axis is dynamic, then a negation."""
    then = helper.make_graph([helper.make_node("Squeeze", ["x", "axes"], ["t"])], "then", [],
                             [helper.make_tensor_value_info("t", FLOAT, None)])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["e"])], "else", [],
                              [helper.make_tensor_value_info("e", FLOAT, None)])
    return _model([helper.make_node("Constant", [], ["axes"], value_ints=[-1]),
                   helper.make_node("Constant", [], ["one"], value_int=1),
                   helper.make_node("Shape", ["x"], ["shape"]),
                   helper.make_node("Gather", ["shape", "axes"], ["size"]),
                   helper.make_node("Squeeze", ["size"], ["scalar"]),
                   helper.make_node("Equal", ["scalar", "one"], ["c"]),
                   helper.make_node("If", ["c"], ["s"], then_branch=then, else_branch=other,
                                    name="squeeze"),
                   helper.make_node("Neg", ["s"], ["y"])],
                  [("x", FLOAT, ["n", "m"])], [("y", FLOAT, None)])


def test_dims_decide_between_branches_of_other_ranks():
    narrow, wide = np.ones((3, 1), np.float32), np.ones((3, 2), np.float32)
    engine = carnot.build(_squeeze(), threads=1)
    assert engine.run({"x": narrow})["y"].shape == (3,)
    with pytest.raises(carnot.Error, match="the then_branch of squeeze, which the engine was built"):
        engine.run({"x": wide})
    engine = carnot.build(_squeeze(), threads=1, profiles=[{"x": ((1, 1), (2, 5), (4, 8))}])
    assert engine.run({"x": wide})["y"].shape == (3, 2)
    with pytest.raises(carnot.Error, match="the else_branch of squeeze, which the engine was built"):
        engine.run({"x": narrow})


@pytest.mark.parametrize("sort", [0, 1])
def test_complex_numbers_are_sorted_by_their_real_parts_first(sort):
    graph = helper.make_graph(
        [helper.make_node("Unique", ["x"], ["y", "first", "where", "count"], sorted=sort)], "unique",
        [helper.make_tensor_value_info("x", TensorProto.COMPLEX64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.COMPLEX64, None),
         *[helper.make_tensor_value_info(name, INT64, None)
           for name in ("first", "where", "count")]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    engine = carnot.build(model.SerializeToString(), threads=1, optimization_level=0)
    x = np.complex64([2 + 1j, 1 - 1j, 2 + 1j, 1 - 2j])
    found = engine.run({"x": x})
    y, first, where, count = np.unique(x, return_index=True, return_inverse=True,
                                       return_counts=True)
    order = np.arange(3) if sort else np.argsort(first)
    np.testing.assert_array_equal(found["y"], y[order])
    np.testing.assert_array_equal(found["first"], first[order])
    np.testing.assert_array_equal(found["count"], count[order])
    np.testing.assert_array_equal(found["y"][found["where"]], x)
