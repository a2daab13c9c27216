"""The fused operators of com.microsoft: carnot's results beside onnxruntime's."""

import dataclasses
import math
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import carnot

DOMAIN = "com.microsoft"


@dataclasses.dataclass
class Case:
    """One node: arrays of inputs (None: left out), those that are constants, and its attributes."""

    name: str
    operator: str
    inputs: list
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    constants: tuple[int, ...] = ()
    outputs: tuple[int, ...] = (0,)  # those that are compared
    atol: float = 1e-4
    domain: str = DOMAIN
    symbolic: bool = False  # dims of inputs are symbols


def model_of(case: Case) -> bytes:
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(case.inputs)]
    results = [f"y{i}" if i in case.outputs else "" for i in range(max(case.outputs) + 1)]
    node = helper.make_node(case.operator, names, results, domain=case.domain, **case.attributes)
    inputs, constants = [], []
    for i, array in enumerate(case.inputs):
        if array is None:
            continue
        if i in case.constants:
            constants.append(numpy_helper.from_array(array, names[i]))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            dims = list(array.shape)
            if case.symbolic and len(dims) > 1:
                dims[0] = "batch"
            inputs.append(helper.make_tensor_value_info(names[i], kind, dims))
    outputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
               for name in results if name]
    graph = helper.make_graph([node], "case", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def fixed_outputs(model: bytes, arrays: list) -> bytes:
    """The model with its outputs' types, which onnxruntime alone would infer."""
    proto = onnx.load_from_string(model)
    for value, array in zip(proto.graph.output, arrays):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        shape = [None] * array.ndim
        value.CopyFrom(helper.make_tensor_value_info(value.name, kind, shape))
    return proto.SerializeToString()


def run_peer(model: bytes, feeds: dict) -> list:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    proto = onnx.load_from_string(model)
    for value in proto.graph.output:  # a value without a type is inferred
        value.ClearField("type")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def run_both(case: Case) -> tuple[list, list]:
    feeds = {f"x{i}": array for i, array in enumerate(case.inputs)
             if array is not None and i not in case.constants}
    wanted = run_peer(model_of(case), feeds)
    model = fixed_outputs(model_of(case), wanted)
    engine = carnot.build(model, threads=1, optimization_level=0)
    return list(engine.run(feeds).values()), wanted


random = np.random.default_rng(7)


def reals(*dims, scale=1.0, dtype=np.float32):
    return (random.standard_normal(dims) * scale).astype(dtype)


def levels(*dims, dtype=np.uint8):
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max + 1, dims).astype(dtype)


def f32(*values):
    return np.array(values if len(values) != 1 else values[0], np.float32)


def u8(value):
    return np.array(value, np.uint8)


def i32(values):
    return np.array(values, np.int32)


B, S, H, D = 2, 5, 4, 16  # batch, sequence, heads, size of a head
E = H * D


def tables(positions=32, half=D // 2):
    angles = np.outer(np.arange(positions), 0.7 ** np.arange(half))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


COS, SIN = tables()
BIAS = reals(B, H, S, S)

ACTIVATIONS = [
    Case("gelu", "Gelu", [reals(3, 8)]),
    Case("bias gelu", "BiasGelu", [reals(3, 8), reals(8)]),
    Case("fast gelu", "FastGelu", [reals(3, 8)]),
    Case("fast gelu of a sum", "FastGelu", [reals(3, 8), reals(8)]),
    Case("quick gelu", "QuickGelu", [reals(3, 8)], {"alpha": 1.702}),
]

NORMS = [
    Case("skip", "SkipLayerNormalization", [reals(B, S, E), reals(B, S, E), reals(E), reals(E)],
         {"epsilon": 1e-5}),
    Case("skip, broadcast, bias and sum", "SkipLayerNormalization",
         [reals(B, S, E), reals(1, S, E), reals(E), reals(E), reals(E)], outputs=(0, 3)),
    Case("skip simplified", "SkipSimplifiedLayerNormalization",
         [reals(B, S, E), reals(B, S, E), reals(E), reals(E)], {"epsilon": 1e-6}, outputs=(0, 3)),
    Case("simplified", "SimplifiedLayerNormalization", [reals(B, S, E), reals(E)],
         {"epsilon": 1e-6, "axis": -1}, domain=""),
    Case("embedded words", "EmbedLayerNormalization",
         [random.integers(0, 20, (B, S)).astype(np.int32), i32([[0, 1, 1, 0, 1]] * B),
          reals(20, E), reals(9, E), reals(2, E), reals(E), reals(E),
          i32([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])], {"epsilon": 1e-12}, outputs=(0, 1)),
    Case("embedded words alone, at positions", "EmbedLayerNormalization",
         [random.integers(0, 20, (B, S)).astype(np.int32), None, reals(20, E), reals(9, E), None,
          reals(E), reals(E), None, i32([[4, 3, 2, 1, 0]] * B)], {"epsilon": 1e-12}, outputs=(0, 1)),
]

PRODUCTS = [
    Case("scaled product", "FusedMatMul", [reals(2, 3, 4), reals(2, 4, 5)], {"alpha": 0.5}),
    Case("transposed product", "FusedMatMul", [reals(2, 4, 3), reals(2, 5, 4)],
         {"transA": 1, "transB": 1}),
    Case("batches transposed", "FusedMatMul", [reals(3, 2, 4), reals(4, 2, 5)],
         {"transBatchA": 1, "transBatchB": 1}),
    Case("batches and rows transposed", "FusedMatMul", [reals(4, 2, 3), reals(5, 2, 4)],
         {"transBatchA": 1, "transA": 1, "transBatchB": 1, "transB": 1}),
    Case("its older name", "TransposeMatMul", [reals(2, 4, 3), reals(2, 4, 5)], {"transA": 1}),
    *[Case(f"gemm and {name}", "FusedGemm", [reals(3, 4), reals(4, 5), reals(5)],
           {"activation": name, **more}) for name, more in
      (("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Tanh", {}), ("Sigmoid", {}))],
    *[Case(f"convolution and {name}", "FusedConv", [reals(1, 3, 7, 7), reals(4, 3, 3, 3), reals(4)],
           {"activation": name, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3], **more})
      for name, more in (("Relu", {}), ("LeakyRelu", {"activation_params": [0.2]}),
                         ("Clip", {"activation_params": [-0.5, 0.5]}), ("Sigmoid", {}),
                         ("HardSigmoid", {"activation_params": [0.2, 0.4]}), ("Tanh", {}))],
    Case("convolution, sum and relu", "FusedConv",
         [reals(1, 3, 7, 7), reals(4, 3, 3, 3), reals(4), reals(1, 4, 4, 4)],
         {"activation": "Relu", "pads": [1, 1, 1, 1], "strides": [2, 2], "kernel_shape": [3, 3]}),
]


def n_bits(name, n, k, block, bits=4, zeros=None, bias=False, rows=3):
    blocks = -(-k // block)
    blob = block * bits // 8
    inputs = [reals(2, rows, k), levels(n, blocks, blob), np.abs(reals(n * blocks)) * 0.1]
    packed = levels(n * -(-blocks * bits // 8))
    inputs.append({None: None, "packed": packed, "real": reals(n * blocks) + 8}[zeros])
    inputs += [None, reals(n)] if bias else []
    return Case(name, "MatMulNBits", inputs, {"K": k, "N": n, "block_size": block, "bits": bits},
                constants=(1, 2, 3, 5), atol=2e-3)


FEW_BITS = [
    n_bits("4 bits", 8, 64, 16),
    n_bits("4 bits, a short last block", 8, 40, 16),
    n_bits("4 bits, zero points, an odd number of blocks", 8, 48, 16, zeros="packed"),
    n_bits("4 bits, zero points that are real numbers", 8, 64, 32, zeros="real"),
    n_bits("8 bits", 8, 64, 32, bits=8, zeros="packed"),
    n_bits("2 bits", 8, 64, 32, bits=2),
    n_bits("4 bits and a bias", 8, 64, 32, bias=True),
    Case("rows of a table of 4 bits", "GatherBlockQuantized",
         [levels(6, 32), np.array([[1, 5], [0, 1]], np.int64), np.abs(reals(6, 4)), levels(6, 2)],
         {"block_size": 16, "bits": 4, "gather_axis": 0, "quantize_axis": 1}, constants=(0, 2, 3)),
    Case("rows of a table of 8 bits", "GatherBlockQuantized",
         [levels(6, 32), np.array([3, 0], np.int64), np.abs(reals(6, 2))],
         {"block_size": 16, "bits": 8, "gather_axis": 0, "quantize_axis": 1}, constants=(0, 2)),
]

X8 = [levels(1, 4, 6, 6), f32(0.05), u8(120)]
Y8 = [f32(0.04), u8(128)]
QUANTIZED = [
    Case("dynamic product", "DynamicQuantizeMatMul",
         [reals(3, 8), levels(8, 5), f32(0.02), u8(130), reals(5)], constants=(1, 2, 3, 4)),
    Case("dynamic product, scales by column", "DynamicQuantizeMatMul",
         [reals(3, 8), levels(8, 5, dtype=np.int8), np.abs(reals(5)),
          levels(5, dtype=np.int8)], constants=(1, 2, 3), atol=2e-2),
    Case("product of integers", "MatMulIntegerToFloat",
         [levels(3, 8), levels(8, 5), f32(0.1), f32(0.02), u8(120), u8(130), reals(5)], atol=1e-2),
    Case("gemm", "QGemm", [levels(3, 8), f32(0.1), u8(120), levels(8, 5, dtype=np.int8), f32(0.02),
                           np.array(3, np.int8), i32([1, 2, 3, 4, 5]), f32(0.5), u8(110)],
         {"alpha": 1.0}, atol=1.01),
    *[Case(f"{name} of levels", f"QLinear{name}",
           [levels(3, 8), f32(0.05), u8(120), levels(8), f32(0.03), u8(100), f32(0.08), u8(110)],
           atol=1.01) for name in ("Add", "Mul")],
    Case("concat", "QLinearConcat", [f32(0.05), u8(100), levels(2, 3), f32(0.02), u8(7),
                                     levels(2, 4), f32(0.1), u8(200)], {"axis": 1}, atol=1.01,
         constants=(0, 1, 3, 4, 6, 7)),
    Case("where", "QLinearWhere", [np.array([True, False, True]), levels(3), f32(0.1), u8(10),
                                   levels(3), f32(0.2), u8(30), f32(0.15), u8(20)], atol=1.01,
         constants=(2, 3, 5, 6, 7, 8)),
    Case("leaky relu", "QLinearLeakyRelu", X8 + Y8, {"alpha": 0.1}, atol=1.01,
         constants=(1, 2, 3, 4)),
    Case("sigmoid", "QLinearSigmoid", X8 + [f32(1 / 256), u8(0)], atol=1.01,
         constants=(1, 2, 3, 4)),
    Case("softmax", "QLinearSoftmax", X8 + [f32(1 / 256), u8(0)], {"axis": -1, "opset": 13},
         atol=1.01, constants=(1, 2, 3, 4)),
    Case("softmax of before opset 13", "QLinearSoftmax", X8 + [f32(1 / 256), u8(0)],
         {"axis": 2, "opset": 11}, atol=1.01, constants=(1, 2, 3, 4)),
    *[Case(f"convolution, channels {'last' if last else 'first'}", "QLinearConv",
           [levels(1, 6, 7, 3) if last else levels(1, 3, 6, 7), f32(0.05), u8(120),
            levels(4, 3, 3, 3, dtype=np.int8), f32(0.02), np.array(0, np.int8), f32(0.3), u8(110),
            i32([100, -50, 3, 0])],
           {"channels_last": last, "pads": [1, 1, 1, 1], "strides": [2, 1]}, atol=1.01,
           constants=(1, 2, 3, 4, 5, 6, 7, 8)) for last in (0, 1)],
    Case("largest of a pool, channels last", "NhwcMaxPool", [levels(1, 6, 7, 3)],
         {"kernel_shape": [3, 3], "strides": [2, 2]}),
    Case("average pool", "QLinearAveragePool", X8 + Y8,
         {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, atol=1.01,
         constants=(1, 2, 3, 4)),
    Case("average pool, channels last", "QLinearAveragePool", X8 + Y8,
         {"kernel_shape": [3, 3], "channels_last": 1}, atol=1.01, constants=(1, 2, 3, 4)),
    Case("global pool", "QLinearGlobalAveragePool", X8 + Y8, atol=1.01, constants=(1, 2, 3, 4)),
    Case("global pool, channels last", "QLinearGlobalAveragePool", X8 + Y8, {"channels_last": 1},
         atol=1.01, constants=(1, 2, 3, 4)),
    Case("quantize", "QuantizeLinear", [reals(2, 3), f32(0.1), u8(9)], atol=1.01),
    Case("dequantize", "DequantizeLinear", [levels(2, 3), f32(0.1), u8(9)]),
]

PACKED = [reals(B, S, E), reals(E, 3 * E, scale=0.2), reals(3 * E)]
ATTENTION = [
    Case("plain", "Attention", PACKED, {"num_heads": H}),
    Case("unidirectional", "Attention", PACKED, {"num_heads": H, "unidirectional": 1}),
    Case("lengths", "Attention", PACKED + [i32([3, 5])], {"num_heads": H}),
    Case("ends and starts", "Attention", PACKED + [i32([5, 4, 1, 0])], {"num_heads": H}),
    Case("a mask of keys", "Attention", PACKED + [i32([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]])],
         {"num_heads": H}, constants=(1, 2), symbolic=True),
    Case("a mask of queries and keys", "Attention",
         PACKED + [random.integers(0, 2, (B, S, S)).astype(np.int32)], {"num_heads": H}),
    Case("a bias and a scale", "Attention", PACKED + [None, None, BIAS],
         {"num_heads": H, "scale": 0.2}),
    Case("a past", "Attention", PACKED + [None, reals(2, B, H, 3, D)],
         {"num_heads": H, "unidirectional": 1}, outputs=(0, 1)),
    Case("sizes of their own", "Attention",
         [reals(B, S, E), reals(E, 2 * E + 2 * E, scale=0.2), reals(4 * E)],
         {"num_heads": H, "qkv_hidden_sizes": [E, E, 2 * E]}),
    Case("of integers", "QAttention",
         [levels(B, S, E), levels(E, 3 * E, dtype=np.int8), reals(3 * E), f32(0.01), f32(0.005),
          i32([5, 4]), u8(128), np.array(0, np.int8)], {"num_heads": H}, constants=(1, 3, 4, 6, 7),
         atol=1e-3),
    Case("three tensors", "MultiHeadAttention", [reals(B, S, E), reals(B, 7, E), reals(B, 7, E)],
         {"num_heads": H}, symbolic=True),
    Case("three tensors, biased, keys hidden", "MultiHeadAttention",
         [reals(B, S, E), reals(B, S, E), reals(B, S, E), reals(3 * E),
          i32([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]]), BIAS], {"num_heads": H}),
    Case("keys and values of heads", "MultiHeadAttention",
         [reals(B, S, E), reals(B, H, 7, D), reals(B, H, 7, D)], {"num_heads": H}),
    Case("causal, with a past", "MultiHeadAttention",
         [reals(B, S, E), reals(B, S, E), reals(B, S, E), None, None, None, reals(B, H, 3, D),
          reals(B, H, 3, D)], {"num_heads": H, "unidirectional": 1}, outputs=(0, 1, 2)),
]

KV = 2
TOTAL = np.array(S + 3, np.int32)
GROUPED = [reals(B, S, E), reals(B, S, KV * D), reals(B, S, KV * D)]
PAST = [reals(B, KV, 3, D), reals(B, KV, 3, D)]
BUFFER = np.concatenate([reals(B, KV, 3, D), np.zeros((B, KV, 5, D), np.float32)], axis=2)
HEADS = {"num_heads": H, "kv_num_heads": KV}
GROUP_QUERY = [
    Case("a prompt", "GroupQueryAttention",
         GROUPED + [None, None, i32([S - 1] * B), np.array(S, np.int32)], HEADS,
         outputs=(0, 1, 2)),
    Case("a prompt, turned", "GroupQueryAttention",
         GROUPED + [None, None, i32([S - 1] * B), np.array(S, np.int32), COS, SIN],
         {**HEADS, "do_rotary": 1}, outputs=(0, 1, 2)),
    Case("a past, turned, pairs side by side", "GroupQueryAttention",
         [array[:1] for array in GROUPED + PAST] + [i32([S + 2]), TOTAL, COS, SIN],
         {**HEADS, "do_rotary": 1, "rotary_interleaved": 1}, outputs=(0, 1, 2)),
    Case("one token of one tensor", "GroupQueryAttention",
         [reals(B, 1, (H + 2 * KV) * D), None, None] + PAST
         + [i32([3, 3]), np.array(4, np.int32), COS, SIN],
         {**HEADS, "do_rotary": 1}, outputs=(0, 1, 2)),
    Case("one token, pasts of two lengths", "GroupQueryAttention",
         [reals(B, 1, E), reals(B, 1, KV * D), reals(B, 1, KV * D)] + PAST
         + [i32([3, 2]), np.array(4, np.int32), COS, SIN], {**HEADS, "do_rotary": 1},
         outputs=(0, 1, 2)),
    Case("a buffer of eight", "GroupQueryAttention",
         [reals(B, 1, E), reals(B, 1, KV * D), reals(B, 1, KV * D), BUFFER, BUFFER, i32([3, 3]), np.array(4, np.int32)], HEADS, constants=(6,),
         outputs=(0, 1, 2)),
    Case("a window and a soft cap", "GroupQueryAttention",
         GROUPED + [None, None, i32([S - 1] * B), np.array(S, np.int32)],
         {**HEADS, "local_window_size": 2, "softcap": 3.0, "scale": 0.7}),
    Case("a window, with a past", "GroupQueryAttention",
         [array[:1] for array in GROUPED + PAST] + [i32([S + 2]), TOTAL],
         {**HEADS, "local_window_size": 3}, outputs=(0, 1, 2)),
    Case("a bias", "GroupQueryAttention",
         GROUPED + [None, None, i32([S - 1] * B), np.array(S, np.int32), None, None, None,
                    reals(1, 1, S, S)], HEADS),
]

ROTARY = [
    Case("flat", "RotaryEmbedding",
         [reals(B, S, E), np.array([[0, 1, 2, 3, 4], [7, 6, 5, 4, 3]], np.int64), COS, SIN]),
    Case("from one position", "RotaryEmbedding", [reals(B, H, S, D), np.array([3], np.int64), COS,
                                                  SIN], {"interleaved": 1}),
    Case("part of each head", "RotaryEmbedding",
         [reals(B, S, E), np.array([2], np.int64), COS[:, :2].copy(), SIN[:, :2].copy()],
         {"num_heads": H, "rotary_embedding_dim": 4}),
]

OTHERS = [
    Case("grid sample", "GridSample", [reals(1, 2, 4, 5), reals(1, 3, 3, 2, scale=0.6)],
         {"mode": "bilinear", "align_corners": 1}),
    Case("pad", "Pad", [reals(2, 3), np.array([0, 1, 1, 0], np.int64), f32(4)], constants=(1,)),
    Case("trilu", "Trilu", [reals(4, 4)], {"upper": 0}),
    Case("gather", "GatherND", [reals(3, 4), np.array([[1, 2], [0, 3]], np.int64)]),
    Case("regions", "MaxRoiPool",
         [reals(2, 3, 9, 9), f32([[0, 1, 2, 12, 11], [1, 0, 0, 3, 3], [0, 15, 3, 30, 9]])],
         {"pooled_shape": [3, 2], "spatial_scale": 0.5}, domain=""),
    Case("expand dims", "ExpandDims", [reals(3, 4), np.array(-2, np.int32)], constants=(1,)),
]

ALL = (ACTIVATIONS + NORMS + PRODUCTS + FEW_BITS + QUANTIZED + ATTENTION + GROUP_QUERY + ROTARY
       + OTHERS)


def check(case):
    has, wanted = run_both(case)
    assert len(has) == len(wanted)
    for ours, theirs in zip(has, wanted):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=1e-4,
                                   atol=case.atol)


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.operator}: {case.name}")
def test_agrees_with_onnxruntime(case):
    check(case)


def run_ours(case, rank=None):
    feeds = {f"x{i}": array for i, array in enumerate(case.inputs)
             if array is not None and i not in case.constants}
    rank = rank or (3 if case.operator == "MultiHeadAttention" else case.inputs[0].ndim)
    typed = fixed_outputs(model_of(case), [np.zeros([1] * rank, case.inputs[0].dtype)])
    engine = carnot.build(typed, threads=1, optimization_level=0)
    return list(engine.run(feeds).values())[0]


def test_packed_heads_are_what_they_pack():
    """Which onnxruntime computes on GPUs alone."""
    q, k, v = (reals(B, S, H, D) for _ in range(3))
    flat = [x.reshape(B, S, E) for x in (q, k, v)]
    wanted = run_ours(Case("", "MultiHeadAttention", flat, {"num_heads": H}))
    for inputs in ([np.stack([q, k, v], axis=3)], [flat[0], np.stack([k, v], axis=3)]):
        has = run_ours(Case("", "MultiHeadAttention", inputs, {"num_heads": H}))
        np.testing.assert_allclose(has, wanted, rtol=1e-5, atol=1e-5)


def erf(x):
    return np.vectorize(math.erf)(x)


def test_operators_of_diffusion_models():
    """Which onnxruntime computes on GPUs alone, by their definitions."""
    x, bias, skip = reals(1, 6, 8), reals(8), reals(1, 6, 8)
    np.testing.assert_allclose(run_ours(Case("", "BiasAdd", [x, bias, skip])), x + bias + skip,
                               rtol=1e-5, atol=1e-5)
    left, right = np.split(x + bias, 2, axis=-1)
    np.testing.assert_allclose(run_ours(Case("", "BiasSplitGelu", [x, bias])),
                               left * right * 0.5 * (1 + erf(right / np.sqrt(2))), rtol=1e-4,
                               atol=1e-5)
    image, scale, shift = reals(2, 3, 3, 8), reals(8), reals(8)
    groups = image.reshape(2, 9, 4, 2)
    mean, deviation = groups.mean((1, 3), keepdims=True), groups.std((1, 3), keepdims=True)
    normal = ((groups - mean) / np.sqrt(deviation**2 + 1e-5)).reshape(image.shape) * scale + shift
    for activation, wanted in ((0, normal), (1, normal / (1 + np.exp(-normal)))):
        case = Case("", "GroupNorm", [image, scale, shift],
                    {"groups": 4, "activation": activation, "channels_last": 1})
        np.testing.assert_allclose(run_ours(case), wanted, rtol=1e-4, atol=1e-4)


REFUSED = [
    (Case("", "RotaryEmbedding", [reals(B, S, E), np.array([0], np.int64), COS, SIN],
          {"is_packed_batching": 1}), "packed"),
    (Case("", "GroupQueryAttention",
          GROUPED + [None, None, i32([S - 1] * B), np.array(S, np.int32)],
          {**HEADS, "kv_cache_bit_width": 8}), "quantized"),
    (Case("", "Attention", PACKED, {"num_heads": H, "do_rotary": 1}), "do_rotary"),
    (Case("", "FusedGemm", [reals(3, 4), reals(4, 5)], {"activation": "Wave"}), "Wave"),
    (Case("", "MatMulNBits", [reals(3, 32), levels(8, 1, 12), reals(8)],
          {"K": 32, "N": 8, "block_size": 32, "bits": 3}), "3 bits"),
    (Case("", "ReorderInput", [reals(1, 3, 4, 4)], domain="com.microsoft.nchwc"), "EXTENDED"),
    (Case("", "QOrderedMatMul", [reals(3, 4)]), "QOrderedMatMul"),
]


@pytest.mark.parametrize("case,word", REFUSED, ids=lambda value: getattr(value, "operator", None))
def test_refuses_by_name(case, word):
    with pytest.raises(carnot.Error, match=word) as caught:
        run_ours(case)
    assert caught.value.code == "Unsupported"


def mutations(case):
    """The case with one input of another rank, type or size, left out, or one attribute changed."""
    for i, array in enumerate(case.inputs):
        if array is None:
            continue
        flat = array.reshape(-1)
        others = [None, flat, flat[:1].reshape(()), flat[:0], array[None], array[..., None],
                  array.astype(np.float64), array.astype(np.int64), array.astype(bool),
                  np.concatenate([array, array]) if array.ndim else flat]
        for other in others:
            yield dataclasses.replace(case, inputs=[*case.inputs[:i], other, *case.inputs[i + 1:]])
    for name, value in case.attributes.items():
        changed = [[-1], [1 << 40] * 9] if isinstance(value, list) else [0, -1, 3, 1 << 40]
        if isinstance(value, (str, float)):
            changed = ["", "x"] if isinstance(value, str) else [float("nan"), -1e30]
        for other in changed:
            yield dataclasses.replace(case, attributes={**case.attributes, name: other})


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.operator}: {case.name}")
def test_mutated_nodes_are_refused_or_imported(case):
    output = onnx.helper.make_tensor_value_info
    for mutated in mutations(case):
        model = onnx.load_from_string(model_of(dataclasses.replace(mutated, symbolic=False)))
        # An output declared as what it cannot be: what matters is that importing ends.
        for value in model.graph.output:
            value.CopyFrom(output(value.name, TensorProto.STRING, None))
        with pytest.raises(carnot.Error) as caught:
            carnot.build(model.SerializeToString(), threads=1)
        assert caught.value.code in ("InvalidModel", "Unsupported", "InvalidArgument"), caught.value
