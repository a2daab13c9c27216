"""Models for the tests, as bytes, and what onnxruntime makes of them."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def model_of(nodes, inputs, outputs, constants=(), opset=17, name="small"):
    """`inputs` and `outputs`: (name, dims) of float32, or (name, dims, type)."""
    def infos(entries):
        return [helper.make_tensor_value_info(entry[0], (*entry, TensorProto.FLOAT)[2], entry[1])
                for entry in entries]
    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs),
                              [numpy_helper.from_array(array, key) for key, array in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=8).SerializeToString()


def random(*shape, scale=1.0):
    values = np.random.default_rng(sum(shape)).standard_normal(shape) * scale
    return values.astype(np.float32)


def classifier():
    """input [batch, 3, 32, 32] to output [batch, 10]: convolutions, a residual, a product, softmax."""
    node = helper.make_node
    return model_of(
        [node("Conv", ["input", "w1"], ["c1"], "stem", strides=[2, 2], pads=[1, 1, 1, 1]),
         node("Relu", ["c1"], ["r1"], "stem_relu"),
         node("Conv", ["r1", "w2"], ["c2"], "body", pads=[1, 1, 1, 1]),
         node("Add", ["c2", "r1"], ["sum"], "residual"),
         node("Relu", ["sum"], ["r2"], "body_relu"),
         node("GlobalAveragePool", ["r2"], ["pooled"], "pool"),
         node("Flatten", ["pooled"], ["flat"], "flatten"),
         node("Gemm", ["flat", "w3", "b3"], ["logits"], "head"),
         node("Softmax", ["logits"], ["output"], "softmax", axis=1)],
        [("input", ["batch", 3, 32, 32])], [("output", ["batch", 10])],
        [("w1", random(16, 3, 3, 3, scale=0.2)), ("w2", random(16, 16, 3, 3, scale=0.1)),
         ("w3", random(16, 10)), ("b3", random(10))], name="classifier")


def two_inputs():
    """a, b [n, 4] to total = a + b and product [n, n] = a x transposed b."""
    node = helper.make_node
    return model_of(
        [node("Add", ["a", "b"], ["total"], "add"),
         node("Transpose", ["b"], ["bt"], "turn", perm=[1, 0]),
         node("MatMul", ["a", "bt"], ["product"], "multiply")],
        [("a", ["n", 4]), ("b", ["n", 4])], [("total", ["n", 4]), ("product", ["n", "n"])])


def wanted(model, **inputs):
    """onnxruntime's outputs by name."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))
