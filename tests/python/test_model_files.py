"""Functions of a model's own, complex types, and types that do not go together."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import carnot


def model_of(nodes, *, ir_version=10, opset=21, functions=(), domains=(), kind=TensorProto.FLOAT,
             result=TensorProto.FLOAT, shape=(3,), result_shape=None) -> bytes:
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", result, result_shape)])
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version,
                             functions=list(functions)).SerializeToString()


def of_caller(name: str, attribute: str) -> onnx.AttributeProto:
    """A node's attribute of float that a function's one gives."""
    return onnx.AttributeProto(name=name, ref_attr_name=attribute, type=onnx.AttributeProto.FLOAT)


def run(model: bytes, x) -> np.ndarray:
    return next(iter(carnot.build(model, threads=1).run({"x": x}).values()))


def test_functions_nest_take_attributes_and_import_opsets_of_their_own():
    alpha = helper.make_node("LeakyRelu", ["p"], ["q"])
    alpha.attribute.append(of_caller("alpha", "slope"))
    inner = helper.make_function("own", "Inner", ["p"], ["q"], [alpha],
                                 [helper.make_opsetid("", 16)], attributes=["slope"])
    # Of opset 11, whose ReduceSum has its axes as an attribute; the model is of 21.
    call = helper.make_node("Inner", ["p"], ["q"], domain="own")
    call.attribute.append(of_caller("slope", "steep"))
    outer = helper.make_function(
        "own", "Outer", ["p"], ["r"],
        [call, helper.make_node("ReduceSum", ["q"], ["r"], axes=[0], keepdims=1)],
        [helper.make_opsetid("", 11), helper.make_opsetid("own", 1)], attributes=["steep"])
    model = model_of([helper.make_node("Outer", ["x"], ["y"], domain="own", steep=0.5)],
                     functions=[inner, outer], domains=["own"])
    assert run(model, np.float32([-2, 3, -4])).tolist() == [0]


COMPLEX = {np.complex64: TensorProto.COMPLEX64, np.complex128: TensorProto.COMPLEX128}


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("operator, oracle", [
    ("Identity", lambda x: x), ("Transpose", lambda x: x.T), ("Size", lambda x: np.int64(x.size))])
def test_complex_elements_move(dtype, operator, oracle):
    x = (np.arange(6).reshape(2, 3) * (1 - 2j)).astype(dtype)
    kind = TensorProto.INT64 if operator == "Size" else COMPLEX[dtype]
    has = run(model_of([helper.make_node(operator, ["x"], ["y"])], kind=COMPLEX[dtype],
                       result=kind, shape=(2, 3)), x)
    assert has.dtype == oracle(x).dtype and np.array_equal(has, oracle(x))


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("operator", ["Relu", "Softmax"])
def test_complex_arithmetic_that_no_schema_allows_is_refused(dtype, operator):
    model = model_of([helper.make_node(operator, ["x"], ["y"])], kind=COMPLEX[dtype],
                     result=COMPLEX[dtype])
    with pytest.raises(carnot.Error, match=np.dtype(dtype).name):
        carnot.build(model, threads=1)


FLOATS = {np.float64: TensorProto.DOUBLE, np.float32: TensorProto.FLOAT,
          np.float16: TensorProto.FLOAT16, ml_dtypes.bfloat16: TensorProto.BFLOAT16}
INTEGERS = {dtype: helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            for dtype in (np.int8, np.int16, np.int32, np.int64,
                          np.uint8, np.uint16, np.uint32, np.uint64)}


def of_types(operator, inputs: dict, outputs: dict, **attributes) -> dict:
    """The results of one operator on arrays, each with the type that `outputs` says."""
    kinds = FLOATS | INTEGERS | {np.bool_: TensorProto.BOOL}
    def info(name, array):
        return helper.make_tensor_value_info(name, kinds[array.dtype.type], array.shape)
    node = helper.make_node(operator, list(inputs), list(outputs), **attributes)
    graph = helper.make_graph(
        [node], "graph", [info(n, x) for n, x in inputs.items() if n],
        [helper.make_tensor_value_info(n, kinds[dtype], None) for n, dtype in outputs.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    results = carnot.build(model.SerializeToString(), threads=1).run(
        {n: x for n, x in inputs.items() if n})
    for name, dtype in outputs.items():
        assert results[name].dtype == dtype
    return results


def near(has, wanted):
    """Within four units in the last place of the largest, of the type that it has."""
    step = float(ml_dtypes.finfo(has.dtype).eps) * np.abs(wanted).max()
    return np.abs(has.astype(np.float64) - wanted).max() <= 4 * step


@pytest.mark.parametrize("scale", FLOATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_normalization_has_the_type_of_its_scale(dtype, scale):
    x, s = np.linspace(-2, 3, 12).reshape(3, 4).astype(dtype), np.array([1, -2, 0.5, 3], scale)
    y = of_types("RMSNormalization", {"x": x, "s": s}, {"y": scale})["y"]
    wide = x.astype(np.float64)
    assert near(y, wide / np.sqrt((wide ** 2).mean(-1, keepdims=True) + 1e-5)
                * s.astype(np.float64))


def attention(q, k, v, mask):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def of_shape(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


@pytest.mark.parametrize("values", FLOATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_attention_to_values_of_any_type(dtype, values):
    q, k, past_k = (of_shape(i, 1, 2, n, 8).astype(dtype) for i, n in enumerate((3, 4, 2)))
    v, past_v = (of_shape(i, 1, 2, n, 5).astype(values) for i, n in ((3, 4), (4, 2)))
    has = of_types("Attention", {"q": q, "k": k, "v": v, "": None, "pk": past_k, "pv": past_v},
                   {"y": dtype, "k1": dtype, "v1": values, "s": dtype})
    wide = [np.concatenate([a.astype(np.float64), b.astype(np.float64)], 2)
            for a, b in ((past_k, k), (past_v, v))]
    assert near(has["y"], attention(q.astype(np.float64), *wide, 0))
    assert np.array_equal(has["v1"], np.concatenate([past_v, v], 2))


@pytest.mark.parametrize("mask", [*FLOATS, *INTEGERS, np.bool_])
@pytest.mark.parametrize("dtype", FLOATS)
def test_attention_behind_a_mask_of_any_type(dtype, mask):
    q, k, v = (of_shape(i, 1, 2, n, 8).astype(dtype) for i, n in enumerate((3, 4, 4)))
    m = (np.arange(12).reshape(3, 4) % 3).astype(mask)
    has = of_types("Attention", {"q": q, "k": k, "v": v, "m": m}, {"y": dtype})["y"]
    added = np.where(m, 0, -np.inf) if mask is np.bool_ else m.astype(np.float64)
    assert near(has, attention(*(x.astype(np.float64) for x in (q, k, v)), added))
