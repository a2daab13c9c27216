"""The fused operators of com.microsoft with attributes and inputs that are rarely given, and those
that only quantizers and a few exporters write: carnot's results beside onnxruntime's."""

import numpy as np
import pytest

from test_microsoft_operators import (B, BIAS, COS, D, E, GROUPED, H, HEADS, KV, PACKED, PAST, S,
                                      SIN, TOTAL, X8, Y8, Case, check, f32, i32, levels, n_bits, random,
                                      reals, run_both, run_ours, u8)


def i8(*dims):
    return levels(*dims, dtype=np.int8)


def one(value, dtype=np.int8):
    return np.array(value, dtype)


MASK = i32([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]])
LONGER = i32([[1] * 8, [1, 1, 1, 0, 1, 1, 1, 0]])
THREE = [reals(B, S, E), reals(B, S, E), reals(B, S, E)]
ATTENTION = [
    Case("a past and a mask", "Attention", PACKED + [LONGER, reals(2, B, H, 3, D)],
         {"num_heads": H}, outputs=(0, 1)),
    Case("a score of hidden keys", "Attention", PACKED + [MASK],
         {"num_heads": H, "mask_filter_value": -5.0}),
    *[Case(f"a bias of {batch} batches and {heads} heads", "Attention",
           PACKED + [None, None, reals(batch, heads, S, S)], {"num_heads": H})
      for batch, heads in ((1, H), (B, 1), (1, 1))],
    Case("mask, bias and causal", "Attention", PACKED + [MASK, None, BIAS],
         {"num_heads": H, "unidirectional": 1, "scale": 0.3}),
    Case("lengths", "MultiHeadAttention", THREE + [None, i32([3, 5])], {"num_heads": H}),
    Case("a mask of queries and keys", "MultiHeadAttention",
         THREE + [None, random.integers(0, 2, (B, S, S)).astype(np.int32)], {"num_heads": H}),
    Case("a score of hidden keys", "MultiHeadAttention", THREE + [None, MASK],
         {"num_heads": H, "mask_filter_value": -3.0}),
    Case("a scale", "MultiHeadAttention", THREE, {"num_heads": H, "scale": 0.9}),
    *[Case(f"a bias of {batch} batches and {heads} heads", "MultiHeadAttention",
           THREE + [None, None, reals(batch, heads, S, S)], {"num_heads": H})
      for batch, heads in ((1, H), (B, 1), (1, 1))],
    Case("biases and a past", "MultiHeadAttention",
         THREE + [reals(3 * E), None, reals(B, H, S, S + 3), reals(B, H, 3, D),
                  reals(B, H, 3, D)], {"num_heads": H}, outputs=(0, 1, 2)),
    Case("a past and a mask", "MultiHeadAttention",
         THREE + [None, LONGER, None, reals(B, H, 3, D), reals(B, H, 3, D)], {"num_heads": H},
         outputs=(0, 1, 2)),
    Case("keys of heads, biased", "MultiHeadAttention",
         [reals(B, S, E), reals(B, H, 7, D), reals(B, H, 7, D), reals(3 * E)], {"num_heads": H}),
    Case("values of another size", "MultiHeadAttention",
         [reals(B, S, E), reals(B, 7, E), reals(B, 7, 2 * E), reals(4 * E)], {"num_heads": H}),
    Case("a past, causal, of integers", "QAttention",
         [levels(B, S, E), i8(E, 3 * E), reals(3 * E), f32(0.01), f32(0.005), None, u8(128),
          one(0), reals(2, B, H, 3, D)], {"num_heads": H, "unidirectional": 1},
         constants=(1, 3, 4, 6, 7), outputs=(0, 1), atol=1e-3),
    Case("unsigned weights and a mask", "QAttention",
         [levels(B, S, E), levels(E, 3 * E), reals(3 * E), f32(0.01), f32(0.005), MASK, u8(128),
          u8(120)], {"num_heads": H}, constants=(1, 3, 4, 6, 7), atol=1e-3),
    Case("scales by column", "QAttention",
         [levels(B, S, E), i8(E, 3 * E), reals(3 * E), f32(0.01), np.abs(reals(3 * E)) * 0.01,
          None, u8(128), i8(3 * E)], {"num_heads": H}, constants=(1, 3, 4, 6, 7), atol=1e-3),
]

PROMPT = [None, None, i32([S - 1] * B), one(S, np.int32)]
GROUP_QUERY = [
    Case("a smooth softmax", "GroupQueryAttention", GROUPED + PROMPT,
         {**HEADS, "smooth_softmax": 1}),
    Case("sinks", "GroupQueryAttention", GROUPED + PROMPT + [None] * 4 + [reals(H)], HEADS),
    Case("sinks and a window", "GroupQueryAttention", GROUPED + PROMPT + [None] * 4 + [reals(H)],
         {**HEADS, "local_window_size": 2}),
    Case("sinks and a past", "GroupQueryAttention",
         [array[:1] for array in GROUPED + PAST] + [i32([S + 2]), TOTAL, COS, SIN, None, None,
                                                    reals(H)],
         {**HEADS, "do_rotary": 1}, outputs=(0, 1, 2)),
    Case("one tensor, turned", "GroupQueryAttention",
         [reals(B, S, (H + 2 * KV) * D), None, None] + PROMPT + [COS, SIN],
         {**HEADS, "do_rotary": 1}, outputs=(0, 1, 2)),
    Case("positions", "GroupQueryAttention",
         GROUPED + PROMPT + [COS, SIN, np.array([[0, 1, 2, 3, 4]] * B, np.int64)],
         {**HEADS, "do_rotary": 1}, outputs=(0, 1, 2)),
    Case("one head of keys", "GroupQueryAttention",
         [reals(B, S, E), reals(B, S, D), reals(B, S, D)] + PROMPT,
         {"num_heads": H, "kv_num_heads": 1}),
    Case("a window, a soft cap and a past", "GroupQueryAttention",
         [array[:1] for array in GROUPED + PAST] + [i32([S + 2]), TOTAL, COS, SIN],
         {**HEADS, "do_rotary": 1, "local_window_size": 4, "softcap": 5.0}, outputs=(0, 1, 2)),
    Case("heads first, positions of each", "RotaryEmbedding",
         [reals(B, H, S, D), np.array([[0, 1, 2, 3, 4], [7, 6, 5, 4, 3]], np.int64), COS, SIN]),
    Case("part of each head, pairs side by side", "RotaryEmbedding",
         [reals(B, S, E), np.array([2], np.int64), COS[:, :2].copy(), SIN[:, :2].copy()],
         {"num_heads": H, "rotary_embedding_dim": 4, "interleaved": 1}),
]

WORDS = [random.integers(0, 20, (B, S)).astype(np.int32), i32([[0, 1, 1, 0, 1]] * B), reals(20, E),
         reals(9, E), reals(2, E), reals(E), reals(E)]
NORMS = [
    Case("of rank 2", "SkipLayerNormalization", [reals(6, E), reals(6, E), reals(E), reals(E)]),
    Case("a skip of rank 2", "SkipLayerNormalization",
         [reals(B, S, E), reals(S, E), reals(E), reals(E)], {"epsilon": 1e-3}),
    Case("a bias without shift", "SkipLayerNormalization",
         [reals(B, S, E), reals(B, S, E), reals(E), None, reals(E)], outputs=(0, 3)),
    Case("a skip of rank 2", "SkipSimplifiedLayerNormalization",
         [reals(B, S, E), reals(S, E), reals(E)], outputs=(0, 3)),
    Case("the sum", "EmbedLayerNormalization", WORDS, outputs=(0, 2)),
    Case("no ends of masks", "EmbedLayerNormalization", WORDS + [MASK], {"mask_index_type": 0},
         outputs=(0, 1)),
    Case("half precision", "Gelu", [reals(3, 8, dtype=np.float16)], atol=2e-3),
    Case("half precision", "FastGelu", [reals(3, 8, dtype=np.float16), reals(8, dtype=np.float16)],
         atol=4e-3),
    Case("its usual factor", "QuickGelu", [reals(3, 8)]),
]


def many_bits(name, n, k, block, inputs, atol=2e-3, dtype=np.float32, **attributes):
    """MatMulNBits of 4 bits with further inputs."""
    blocks = k // block
    scales = (np.abs(reals(n * blocks)) * 0.1).astype(dtype)
    return Case(name, "MatMulNBits", [reals(3, k, dtype=dtype), levels(n, blocks, block // 2),
                                      scales, *inputs],
                {"K": k, "N": n, "block_size": block, "bits": 4, **attributes},
                constants=(1, 2, 3, 4), atol=atol)


GROUPS = random.permutation(np.repeat(np.arange(4), 16)).astype(np.int32)
PRODUCTS = [
    Case("a vector", "FusedMatMul", [reals(4), reals(2, 4, 5)], {"alpha": 2.0}),
    Case("batches broadcast", "FusedMatMul", [reals(2, 1, 3, 4), reals(3, 5, 4)], {"transB": 1}),
    *[Case(f"all factors and {name}", "FusedGemm", [reals(4, 3), reals(5, 4), reals(3, 5)],
           {"activation": name, "transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0, **more})
      for name, more in (("Elu", {"activation_alpha": 0.7}), ("Softplus", {}), ("Softsign", {}),
                         ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}),
                         ("ThresholdedRelu", {"activation_alpha": 0.5}))],
    Case("nothing added", "FusedGemm", [reals(3, 4), reals(4, 5)], {"activation": "Relu"}),
    Case("a number added", "FusedGemm", [reals(3, 4), reals(4, 5), one(0.5, np.float32)],
         {"activation": "Relu"}),
    Case("groups, dilated", "FusedConv", [reals(1, 4, 7, 7), reals(4, 1, 3, 3), reals(4)],
         {"activation": "Relu", "group": 4, "dilations": [2, 2], "kernel_shape": [3, 3]}),
    Case("padded by itself", "FusedConv", [reals(1, 3, 7, 6), reals(4, 3, 3, 3)],
         {"activation": "Relu", "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    Case("of a line", "FusedConv", [reals(1, 3, 9), reals(4, 3, 3), reals(4)],
         {"activation": "Sigmoid"}),
    Case("a sum without bias", "FusedConv",
         [reals(1, 3, 9, 9), reals(4, 3, 3, 3), None, reals(1, 4, 7, 7)],
         {"activation": "LeakyRelu", "activation_params": [0.1]}),
    Case("pads as an input", "ConvTransposeWithDynamicPads",
         [reals(1, 3, 5, 5), reals(3, 2, 3, 3), np.array([1, 0, 1, 2], np.int64), reals(2)],
         {"strides": [2, 2]}, constants=(2,)),
    n_bits("one row", 8, 64, 16, rows=1),
    n_bits("blocks of 128", 16, 256, 128, zeros="packed"),
    n_bits("2 bits, zero points", 8, 64, 16, bits=2, zeros="packed"),
    n_bits("8 bits and a bias", 8, 64, 16, bits=8, bias=True),
    many_bits("groups by index", 8, 64, 16, [None, GROUPS]),
    many_bits("groups by index, zero points that are real numbers", 8, 64, 16,
              [reals(8, 4), GROUPS]),
    many_bits("half precision", 8, 64, 16, [], dtype=np.float16, atol=2e-2),
    many_bits("exact on request", 8, 64, 32, [], accuracy_level=1),
    *[Case(f"table {kind}", "MatMulBnb4",
           [reals(3, 64), levels(8 * 32), np.abs(reals(8 * 4)) * 0.1],
           {"K": 64, "N": 8, "block_size": 16, "quant_type": kind}, constants=(1, 2), atol=2e-3)
      for kind in (0, 1)],
]

WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2]}
QUANTIZED = [
    Case("no zero point", "DynamicQuantizeMatMul", [reals(3, 8), levels(8, 5), f32(0.02)],
         constants=(1, 2), atol=2e-2),
    Case("of rank 3", "DynamicQuantizeMatMul", [reals(2, 3, 8), i8(8, 5), f32(0.02), one(3)],
         constants=(1, 2, 3), atol=2e-2),
    Case("signed", "MatMulIntegerToFloat", [i8(3, 8), i8(8, 5), f32(0.1), f32(0.02)], atol=1e-2),
    Case("scales and zero points by column", "MatMulIntegerToFloat",
         [levels(3, 8), i8(8, 5), f32(0.1), np.abs(reals(5)), u8(120), i8(5)], atol=5e-2),
    Case("signed by unsigned", "MatMulInteger", [levels(3, 8), i8(8, 5), u8(12), i8(5)], domain=""),
    Case("of 16 bits", "MatMulInteger16", [levels(3, 8, dtype=np.int16),
                                           levels(8, 5, dtype=np.int16)]),
    Case("transposed, scales by column", "QGemm",
         [levels(8, 3), f32(0.1), u8(120), i8(5, 8), np.abs(reals(5)), i8(5),
          i32([1, 2, 3, 4, 5]), f32(0.5), u8(110)], {"alpha": 1.0, "transA": 1, "transB": 1},
         atol=1.01, constants=(1, 2, 3, 4, 5, 7, 8)),
    Case("real results", "QGemm", [levels(3, 8), f32(0.1), u8(120), i8(8, 5), f32(0.02), one(3),
                                   i32([1, 2, 3, 4, 5])], {"alpha": 0.5}, atol=1e-2,
         constants=(1, 2, 3, 4, 5)),
    *[Case("signed, broadcast", f"QLinear{name}",
           [i8(2, 3, 8), f32(0.05), one(12), i8(3, 1), f32(0.03), one(-10), f32(0.08), one(11)],
           atol=1.01, constants=(1, 2, 4, 5, 6, 7)) for name in ("Add", "Mul")],
    Case("signed", "QLinearConcat", [f32(0.05), one(3), i8(2, 3), f32(0.02), one(7), i8(2, 4),
                                     f32(0.1), one(20)], {"axis": -1}, atol=1.01,
         constants=(0, 1, 3, 4, 6, 7)),
    *[Case("signed", name, [i8(2, 5), f32(0.05), one(3), f32(1 / 256), one(-128)], more, atol=1.01,
           constants=(1, 2, 3, 4))
      for name, more in (("QLinearLeakyRelu", {}), ("QLinearSigmoid", {}),
                         ("QLinearSoftmax", {"opset": 13}))],
    Case("a last window that hangs over", "QLinearAveragePool", X8 + Y8,
         {**WINDOW, "pads": [1, 1, 1, 1], "ceil_mode": 1}, atol=1.01, constants=(1, 2, 3, 4)),
    Case("signed, padded by itself", "QLinearAveragePool",
         [i8(1, 4, 6, 6), f32(0.05), one(3), f32(0.04), one(1)],
         {**WINDOW, "auto_pad": "SAME_LOWER"}, atol=1.01, constants=(1, 2, 3, 4)),
    Case("groups, dilated, channels last", "QLinearConv",
         [levels(1, 6, 7, 4), f32(0.05), u8(120), levels(6, 2, 3, 3), np.abs(reals(6)) * 0.02,
          np.full(6, 128, np.uint8), f32(0.3), u8(110), i32([1, 2, 3, 4, 5, 6])],
         {"group": 2, "channels_last": 1, "dilations": [1, 2]}, atol=1.01,
         constants=(1, 2, 3, 4, 5, 6, 7, 8)),
    Case("signed, padded", "NhwcMaxPool", [i8(1, 6, 7, 3)],
         {**WINDOW, "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    Case("along an axis", "QuantizeLinear", [reals(2, 3, 4), np.abs(reals(3)) + 0.1, levels(3)],
         {"axis": 1}, atol=1.01),
    Case("16 bits", "QuantizeLinear", [reals(2, 3), f32(0.001), one(9, np.int16)], atol=1.01),
    Case("along an axis", "DequantizeLinear", [i8(2, 3, 4), np.abs(reals(3)), i8(3)], {"axis": 1}),
    Case("sums", "DequantizeLinear", [i32([[4, -5], [7, 8]]), f32(0.1)]),
    Case("an LSTM", "DynamicQuantizeLSTM",
         [reals(3, 2, 4), i8(1, 4, 20), i8(1, 5, 20), reals(1, 40)] + [None] * 4
         + [np.float32([0.01]), one([0]), np.float32([0.01]), one([3])], {"hidden_size": 5},
         constants=(1, 2, 8, 9, 10, 11), outputs=(0, 1, 2), atol=2e-2),
    Case("an LSTM, scales by column", "DynamicQuantizeLSTM",
         [reals(3, 2, 4), i8(2, 4, 20), i8(2, 5, 20), reals(2, 40)] + [None] * 4
         + [np.abs(reals(2, 20)) * 0.005 + 0.005, np.zeros((2, 20), np.int8),
            np.abs(reals(2, 20)) * 0.005 + 0.005, np.zeros((2, 20), np.int8)],
         {"hidden_size": 5, "direction": "bidirectional"}, constants=(1, 2, 8, 9, 10, 11),
         outputs=(0, 1, 2), atol=2e-2),
]

OTHERS = [
    *[Case(metric, "CDist", [reals(4, 3), reals(5, 3)], {"metric": metric})
      for metric in ("euclidean", "sqeuclidean")],
    Case("in order of appearance", "Unique", [f32([2, 1, 1, 3, 4, 3])], outputs=(0, 1, 2)),
]

ALL = ATTENTION + GROUP_QUERY + NORMS + PRODUCTS + QUANTIZED + OTHERS


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.operator}: {case.name}")
def test_agrees_with_onnxruntime(case):
    check(case)


def test_packed_zero_points_of_groups_by_index():
    """Which onnxruntime leaves out."""
    packed = levels(8, 2)
    case = many_bits("", 8, 64, 16, [packed, GROUPS])
    unpacked = np.stack([packed & 15, packed >> 4], axis=-1).reshape(8, 4).astype(np.float32)
    same = Case("", "MatMulNBits", [*case.inputs[:3], unpacked, GROUPS], case.attributes,
                constants=case.constants)
    np.testing.assert_allclose(run_ours(case), run_ours(same), rtol=1e-5, atol=1e-5)


def test_rows_beyond_a_shorter_prompt_alone_differ():
    """What a query beyond its sequence's end gives, nothing says."""
    case = Case("", "GroupQueryAttention",
                GROUPED + [None, None, i32([S - 1, S - 3]), one(S, np.int32)], HEADS)
    has, wanted = run_both(case)
    for row, length in ((0, S), (1, S - 2)):
        np.testing.assert_allclose(has[0][row, :length], wanted[0][row, :length], rtol=1e-4,
                                   atol=1e-4)


@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-5), (np.float16, 2e-2)])
def test_convolutions_of_channels_last(dtype, atol):
    x, w, bias = reals(1, 6, 7, 3, dtype=dtype), reals(4, 3, 3, 3, dtype=dtype), reals(4, dtype=dtype)
    skip = reals(1, 6, 7, 4, dtype=dtype)
    pads = {"pads": [1, 1, 1, 1]}
    first = run_ours(Case("", "Conv", [np.ascontiguousarray(x.transpose(0, 3, 1, 2)), w, bias], pads,
                          domain=""))
    wanted = first.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(run_ours(Case("", "NhwcConv", [x, w, bias], pads)), wanted, atol=atol)
    fused = Case("", "NhwcFusedConv", [x, w, bias, skip], {**pads, "activation": "Relu"})
    np.testing.assert_allclose(run_ours(fused), np.maximum(wanted + skip, 0), atol=atol)


def test_rows_of_an_embedding():
    table, rows = reals(7, 3), np.array([[1, 2], [6, 0]], np.int64)
    has = run_ours(Case("", "TorchEmbedding", [table, rows]), rank=3)
    np.testing.assert_array_equal(has, table[rows])
