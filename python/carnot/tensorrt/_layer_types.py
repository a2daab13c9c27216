"""Which kind of layer each operator is."""

from __future__ import annotations

from ._enums import LayerType

_KINDS = {
    LayerType.CONVOLUTION: "Conv",
    LayerType.DECONVOLUTION: "ConvTranspose",
    LayerType.POOLING: "MaxPool AveragePool LpPool",
    LayerType.MATRIX_MULTIPLY: "MatMul",
    LayerType.ACTIVATION: "Relu LeakyRelu ThresholdedRelu Elu Selu Celu Sigmoid HardSigmoid "
                          "HardSwish Tanh Gelu Silu Softplus Softsign Mish",
    LayerType.PARAMETRIC_RELU: "PRelu",
    LayerType.SOFTMAX: "Softmax",
    LayerType.NORMALIZATION: "InstanceNorm GroupNorm LayerNorm RmsNorm",
    LayerType.SCALE: "BatchNorm",
    LayerType.CONCATENATION: "Concat",
    LayerType.ELEMENTWISE: "Add Sub Mul Div Mod Pow Min Max And Or Xor Equal Less LessOrEqual "
                           "BitwiseAnd BitwiseOr BitwiseXor BitShift",
    LayerType.UNARY: "Neg Abs Sign Sqrt Reciprocal Exp NaturalLog Erf Sin Cos Tan Asin Acos Atan "
                     "Sinh Cosh Asinh Acosh Atanh Floor Ceil Round Not IsNaN IsInf BitwiseNot",
    LayerType.PADDING: "Pad",
    LayerType.SHUFFLE: "Reshape Transpose",
    LayerType.REDUCE: "Reduce",
    LayerType.TOPK: "TopK ArgReduce",
    LayerType.GATHER: "Gather GatherElements GatherNd",
    LayerType.SCATTER: "ScatterElements ScatterNd",
    LayerType.CAST: "Cast",
    LayerType.QUANTIZE: "QuantizeLinear",
    LayerType.DEQUANTIZE: "DequantizeLinear",
    LayerType.SLICE: "Slice Expand",
    LayerType.SHAPE: "ShapeOf Symbolic",
    LayerType.RESIZE: "Resize",
    LayerType.SELECT: "Where Trilu",
    LayerType.FILL: "Range",
    LayerType.ONE_HOT: "OneHot",
    LayerType.GRID_SAMPLE: "GridSample",
    LayerType.REVERSE_SEQUENCE: "ReverseSequence",
    LayerType.CUMULATIVE: "CumSum CumProd",
    LayerType.IDENTITY: "Reformat BitCast",
}
_TYPES = {name: kind for kind, names in _KINDS.items() for name in names.split()}


def layer_type(operator: str) -> LayerType:
    """The kind of an operator's type; PLUGIN_V3 for what TensorRT would need a plugin for."""
    return _TYPES.get(operator, LayerType.PLUGIN_V3)
