"""Small models to compare, and engines that are wrong on purpose."""

import dataclasses

import carnot
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(path, nodes, inputs, outputs, weights=(), **options):
    """inputs and outputs: (name, element type, dims)."""
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(weights).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, **options)
    return path


def chain(path, layers=6, changed=None, width=32, **options):
    """x[batch, width] through MatMul and Tanh, t0 to t5; `changed`: a layer with another weight."""
    random = np.random.default_rng(3)
    nodes, weights = [], {}
    for i in range(layers):
        weights[f"w{i}"] = random.standard_normal((width, width)).astype(np.float32) / width**0.5
        nodes.append(helper.make_node("MatMul", [f"t{i - 1}" if i else "x", f"w{i}"], [f"m{i}"],
                                      f"matmul{i}"))
        nodes.append(helper.make_node("Tanh", [f"m{i}"], [f"t{i}"], f"tanh{i}"))
    if changed is not None:
        weights[f"w{changed}"][5, 7] += 0.5
    return save(path, nodes, [("x", TensorProto.FLOAT, ["batch", width])],
                [(f"t{layers - 1}", TensorProto.FLOAT, ["batch", width])], weights, **options)


def picture(path):
    """x[batch, 3, 32, 32]: convolutions, a residual, pooling and a product: blocked layouts."""
    random = np.random.default_rng(4)
    weights = {"stem": random.standard_normal((32, 3, 3, 3)).astype(np.float32) / 5,
               "a": random.standard_normal((32, 32, 3, 3)).astype(np.float32) / 17,
               "b": random.standard_normal((32, 32, 3, 3)).astype(np.float32) / 17,
               "head": random.standard_normal((32, 10)).astype(np.float32) / 6}

    def conv(source, weight, out):
        return helper.make_node("Conv", [source, weight], [out], f"conv_{weight}", pads=[1] * 4)

    nodes = [conv("x", "stem", "c0"), helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
             conv("r0", "a", "c1"), helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
             conv("r1", "b", "c2"), helper.make_node("Add", ["c2", "r0"], ["s"], "add"),
             helper.make_node("GlobalAveragePool", ["s"], ["p"], "pool"),
             helper.make_node("Flatten", ["p"], ["f"], "flatten"),
             helper.make_node("MatMul", ["f", "head"], ["y"], "matmul")]
    return save(path, nodes, [("x", TensorProto.FLOAT, ["batch", 3, 32, 32])],
                [("y", TensorProto.FLOAT, ["batch", 10])], weights)


class Faulty:
    """carnot.build, but what layers write is changed where `is_wrong` says so.

    is_wrong(output, patches): of a LayerOutput, in an engine to which these AppliedPatches went.
    """

    def __init__(self, is_wrong):
        self.is_wrong = is_wrong
        self.builds = 0

    def __call__(self, path, patches=None, **options):
        applied = []

        def note(patch):
            applied.append(patch)
            if patches:
                patches(patch)

        self.builds += 1
        engine = carnot.build(path, patches=note, timing_cache=False, **options)
        return _FaultyEngine(engine, lambda output: self.is_wrong(output, applied))


class _FaultyEngine:
    def __init__(self, engine, is_wrong):
        self._engine, self._is_wrong = engine, is_wrong

    def context(self):
        return _FaultyContext(self._engine.context(), self._is_wrong)


class _FaultyContext:
    def __init__(self, context, is_wrong):
        self._context, self._is_wrong = context, is_wrong

    @property
    def engine(self):
        return self._context.engine

    def watch(self, inputs, watcher):
        def see(output):
            if self._is_wrong(output):
                output = dataclasses.replace(
                    output, _bytes=(output._bytes.view(np.float32) + 1).view(np.uint8))
            watcher(output)

        return self._context.watch(inputs, see)
