"""Which kind of layer each operator is."""

from __future__ import annotations

from ._enums import LayerType

_KINDS = {
    LayerType.CONVOLUTION: "Conv ConvInteger QLinearConv DeformConv",
    LayerType.DECONVOLUTION: "ConvTranspose",
    LayerType.POOLING: "MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool",
    LayerType.MATRIX_MULTIPLY: "MatMul Gemm MatMulInteger QLinearMatMul",
    LayerType.ACTIVATION: "Relu LeakyRelu Sigmoid Tanh Elu Selu Celu Gelu HardSigmoid HardSwish "
                          "Softplus Softsign ThresholdedRelu Clip Mish Swish Shrink",
    LayerType.PARAMETRIC_RELU: "PRelu",
    LayerType.SOFTMAX: "Softmax LogSoftmax Hardmax",
    LayerType.LRN: "LRN",
    LayerType.NORMALIZATION: "BatchNormalization InstanceNormalization LayerNormalization "
                             "GroupNormalization RMSNormalization LpNormalization "
                             "MeanVarianceNormalization",
    LayerType.CONCATENATION: "Concat",
    LayerType.ELEMENTWISE: "Add Sub Mul Div Pow Mod Min Max Sum Mean And Or Xor Equal Greater Less "
                           "GreaterOrEqual LessOrEqual BitwiseAnd BitwiseOr BitwiseXor BitShift",
    LayerType.UNARY: "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor IsInf IsNaN "
                     "Log Neg Not Reciprocal Round Sign Sin Sinh Sqrt Tan BitwiseNot",
    LayerType.PADDING: "Pad",
    LayerType.SHUFFLE: "Reshape Transpose Flatten DepthToSpace SpaceToDepth",
    LayerType.SQUEEZE: "Squeeze",
    LayerType.UNSQUEEZE: "Unsqueeze",
    LayerType.REDUCE: "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 "
                      "ReduceLogSum ReduceLogSumExp ReduceSumSquare",
    LayerType.TOPK: "TopK ArgMax ArgMin",
    LayerType.GATHER: "Gather GatherElements GatherND",
    LayerType.SCATTER: "Scatter ScatterElements ScatterND",
    LayerType.CONSTANT: "Constant",
    LayerType.IDENTITY: "Identity",
    LayerType.CAST: "Cast CastLike",
    LayerType.SLICE: "Slice Split Expand Tile",
    LayerType.SHAPE: "Shape Size",
    LayerType.RESIZE: "Resize Upsample",
    LayerType.SELECT: "Where",
    LayerType.FILL: "ConstantOfShape Range RandomNormal RandomUniform RandomNormalLike "
                    "RandomUniformLike EyeLike",
    LayerType.QUANTIZE: "QuantizeLinear",
    LayerType.DEQUANTIZE: "DequantizeLinear",
    LayerType.DYNAMIC_QUANTIZE: "DynamicQuantizeLinear",
    LayerType.EINSUM: "Einsum",
    LayerType.ONE_HOT: "OneHot",
    LayerType.NON_ZERO: "NonZero",
    LayerType.GRID_SAMPLE: "GridSample",
    LayerType.NMS: "NonMaxSuppression",
    LayerType.REVERSE_SEQUENCE: "ReverseSequence",
    LayerType.CUMULATIVE: "CumSum CumProd",
    LayerType.RECURRENCE: "LSTM GRU RNN Loop Scan",
    LayerType.CONDITION: "If",
    LayerType.ROTARY_EMBEDDING: "RotaryEmbedding",
}
_TYPES = {name: kind for kind, names in _KINDS.items() for name in names.split()}


def layer_type(operator: str) -> LayerType:
    """The kind of an operator's type; PLUGIN_V3 for what TensorRT would need a plugin for."""
    return _TYPES.get(operator, LayerType.PLUGIN_V3)
