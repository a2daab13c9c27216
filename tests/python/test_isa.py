"""Models at each instruction set that the machine has; `./dev test --isa` runs these alone."""

import carnot
import numpy as np
import pytest
from onnx import helper
from small_models import classifier, model_of, random, wanted

LEVELS = ["portable", "avx2", "avx512", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16",
          "amx_int8", "amx_bf16"]


def encoder():
    """x [batch, 20, 48] to y: attention over 4 heads, a layer norm, GELU between two products."""
    node = helper.make_node
    heads = [node("MatMul", ["x", f"w{n}"], [f"{n}1"]) for n in "qkv"]
    heads += [node("Reshape", [f"{n}1", "split"], [f"{n}2"]) for n in "qkv"]
    heads += [node("Transpose", [f"{n}2"], [f"{n}3"], perm=[0, 2, 3, 1] if n == "k" else
                   [0, 2, 1, 3]) for n in "qkv"]
    return model_of(
        [*heads, node("MatMul", ["q3", "k3"], ["scores"]), node("Mul", ["scores", "scale"], ["s"]),
         node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "v3"], ["mixed"]),
         node("Transpose", ["mixed"], ["t"], perm=[0, 2, 1, 3]),
         node("Reshape", ["t", "join"], ["joined"]), node("Add", ["joined", "x"], ["sum"]),
         node("LayerNormalization", ["sum", "g", "b"], ["n"]), node("MatMul", ["n", "w1"], ["m"]),
         node("Div", ["m", "root"], ["d"]), node("Erf", ["d"], ["e"]),
         node("Add", ["e", "one"], ["e1"]), node("Mul", ["m", "e1"], ["gelu"]),
         node("MatMul", ["gelu", "w2"], ["y"])],
        [("x", ["batch", 20, 48])], [("y", ["batch", 20, 48])],
        [*((f"w{n}", random(48, 48, scale=0.1)) for n in "qkv"), ("w1", random(48, 96, scale=0.1)),
         ("w2", random(96, 48, scale=0.1)), ("g", random(48)), ("b", random(48)),
         ("split", np.array([0, 20, 4, 12])), ("join", np.array([0, 20, 48])),
         ("scale", np.float32(12**-0.5)), ("root", np.float32(2**0.5)), ("one", np.float32(1))])


def recurrent():
    """x [9, batch, 10] through an LSTM of both directions and a GRU."""
    node = helper.make_node
    weights = [("w1", random(2, 80, 10, scale=0.3)), ("r1", random(2, 80, 20, scale=0.2)),
               ("b1", random(2, 160, scale=0.1)), ("w2", random(1, 51, 40, scale=0.2)),
               ("r2", random(1, 51, 17, scale=0.2)), ("b2", random(1, 102, scale=0.1)),
               ("join", np.array([9, -1, 40]))]
    return model_of(
        [node("LSTM", ["x", "w1", "r1", "b1"], ["a"], hidden_size=20, direction="bidirectional"),
         node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3]), node("Reshape", ["t", "join"], ["j"]),
         node("GRU", ["j", "w2", "r2", "b2"], ["", "y"], hidden_size=17, linear_before_reset=1)],
        [("x", [9, "batch", 10])], [("y", [1, "batch", 17])], weights)


MODELS = {
    "classifier": (classifier, lambda batch: {"input": random(batch, 3, 32, 32)}),
    "encoder": (encoder, lambda batch: {"x": random(batch, 20, 48)}),
    "recurrent": (recurrent, lambda batch: {"x": random(9, batch, 10)}),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("isa", LEVELS)
def test_a_model_agrees_with_onnxruntime(isa, name):
    make, inputs = MODELS[name]
    model = make()
    try:
        engine = carnot.build(model, isa=isa, threads=2, timing_cache=False, optimization_level=1)
    except carnot.Error as error:
        if isa == "portable" or "a processor with" not in str(error):
            raise
        pytest.skip(f"this machine lacks {isa}")
    for batch in (1, 3):
        feeds = inputs(batch)
        for key, expected in wanted(model, **feeds).items():
            np.testing.assert_allclose(engine.run(feeds)[key], expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("isa", ["avx512_bf16", "amx_bf16"])
def test_products_round_to_bfloat16_where_that_is_allowed(isa):
    model = encoder()

    def layers(**options):
        engine = carnot.build(model, isa=isa, threads=2, timing_cache=False,
                              without_kernels=[f"cpu/matmul/{name}" for name in
                                               ("packed", "strassen", "batched")],
                              **options)
        rounding = [layer for layer in engine.profile(runs=1) if layer.kernel == "cpu/matmul/bf16"]
        return engine, [node for layer in rounding for node in layer.onnx_nodes]

    try:
        engine, used = layers(permits=["bfloat16"])
    except carnot.Error as error:
        if "a processor with" not in str(error):
            raise
        pytest.skip(f"this machine lacks {isa}")
    assert len(used) >= 2
    for batch in (1, 3):
        feeds = {"x": random(batch, 20, 48)}
        expected = wanted(model, **feeds)["y"]
        distance = np.linalg.norm(engine.run(feeds)["y"] - expected) / np.linalg.norm(expected)
        assert 1e-5 < distance < 1e-2
    assert layers()[1] == []
    full = {node: "float32" for node in used}
    assert layers(permits=["bfloat16"], layer_precisions=full)[1] == []
