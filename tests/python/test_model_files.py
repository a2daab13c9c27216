"""Functions of a model's own, complex types, and types that do not go together."""

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


@pytest.mark.parametrize("scale", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_a_normalization_refuses_a_scale_of_another_type(scale):
    constant = helper.make_node("Constant", [], ["scale"], value=helper.make_tensor(
        "value", scale, [3], [1, 2, 3]))
    norm = helper.make_node("RMSNormalization", ["x", "scale"], ["y"])
    with pytest.raises(carnot.Error, match="scale of type") as caught:
        carnot.build(model_of([constant, norm], opset=23, result=scale), threads=1)
    assert caught.value.code == "Unsupported"
