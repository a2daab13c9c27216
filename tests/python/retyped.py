"""Cases of onnx's suite in other types than their own, beside onnx's reference implementation.

The numbers of a case are brought into the other type. What is right is what onnx.reference, which is
written in NumPy, makes of the same numbers: in float64 for floating-point types, where rounding
decides how far a result may lie off; in the type itself for the others, which must agree exactly.
"""

import warnings

import ml_dtypes
import numpy as np
import onnx
import onnx.defs
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

FLOATS = (TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
KINDS = (*FLOATS, TensorProto.BOOL,
         TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
         TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
         TensorProto.INT4, TensorProto.UINT4, TensorProto.INT2, TensorProto.UINT2,
         TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2,
         TensorProto.FLOAT8E5M2FNUZ, TensorProto.FLOAT8E8M0, TensorProto.FLOAT4E2M1,
         TensorProto.COMPLEX64, TensorProto.COMPLEX128)

# Whose other tensors are of other type parameters, and follow the first input all the same.
OF_ONE_TYPE = {"Attention", "Bernoulli", "ConcatFromSequence", "EyeLike", "LinearAttention",
               "OptionalGetElement", "RMSNormalization", "SequenceAt", "SequenceConstruct",
               "SequenceErase", "SequenceInsert", "SplitToSequence"}
# Whose types are a matter of width, or stand in a body.
FIXED = {"BitCast", "SequenceMap"}
# Whose second operand must not be zero, or must be small.
DIVIDES, RAISES = {"Div", "Mod"}, {"Pow"}
# The reference lacks the old name of an operator.
RENAMED = {"Scatter": ("ScatterElements", 18)}
# The reference computes a part of these in single precision.
SINGLE = {"AffineGrid", "BatchNormalization", "Erf", "GridSample", "GroupNormalization",
          "HardSwish"}
# The reference casts to real types, but the operator is linear.
LINEAR = {"Resize", "Upsample"}
# The reference rounds its weights to the integers that it weighs.
WEIGHED = {"GridSample"}
# Types that the operator allows and the bodies of its cases do not.
NO_CASES = {("Scan", TensorProto.BOOL): "the bodies add"}


def _dtype(kind: int) -> np.dtype:
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind))


def _type_string(kind: int) -> str:
    return f"tensor({TensorProto.DataType.Name(kind).lower()})"


def _matching(schema, names, of_inputs, constraint):
    """Indices of the parameters that have the constraint's type; None: any constraint's."""
    formal = schema.inputs if of_inputs else schema.outputs
    chosen = []
    for i in range(len(names)):
        parameter = formal[min(i, len(formal) - 1)]
        if parameter.type_str == constraint or (constraint is None
                                                and not parameter.type_str.startswith("tensor")):
            chosen.append(i)
    return chosen


def _tensor_type(info):
    """Of a value, or of what a sequence or an optional value holds."""
    kind = info.type
    while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
        kind = getattr(kind, kind.WhichOneof("value")).elem_type
    return kind.tensor_type


def _schema(model):
    node = model.graph.node[0]
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return onnx.defs.get_schema(node.op_type, opset)


def kinds_of(model: onnx.ModelProto) -> list[int]:
    """The types that the operator of a model of one node allows its first input; none when that says
    nothing of the case's types."""
    node = model.graph.node[0]
    if (node.domain not in ("", "ai.onnx") or not node.input or model.graph.initializer
            or node.op_type in FIXED):
        return []
    schema = _schema(model)
    constraint = schema.inputs[0].type_str
    allowed = next((c.allowed_type_strs for c in schema.type_constraints
                    if c.type_param_str == constraint), [])
    return [kind for kind in KINDS if (node.op_type, kind) not in NO_CASES
            and any(_type_string(kind) in text for text in allowed)]  # or a sequence of it


def _numbers(array, kind: int, operator: str, index: int):
    """The array's numbers as the type can have them, spread where it has only whole ones."""
    dtype = _dtype(kind)
    array = np.asarray(array)
    if array.dtype == dtype:
        return array
    if array.dtype.kind == "c" and dtype.kind != "c":
        array = array.real
    if array.dtype.kind == "V" or array.dtype.name in ("bfloat16",):
        array = array.astype(np.float32)
    if dtype.kind == "c":
        return (array * (1 - 0.5j)).astype(dtype)
    if kind in FLOATS:
        return array.astype(dtype)
    if kind == TensorProto.BOOL:
        return array.astype(np.float64) > 0.25
    values = array.astype(np.float64)
    values = np.where(np.isfinite(values), values, 1)
    whole = dtype.name.startswith(("int", "uint"))
    if whole:
        limits = ml_dtypes.iinfo(dtype)
        if array.dtype.kind == "f":
            if np.abs(values).max(initial=0) < 8:
                values = np.round(values * 4)
            values = np.clip(np.round(values), -100, 100)
        values = np.clip(values, limits.min, limits.max)
        if limits.min == 0:
            values = np.abs(values)
        if index == 1 and operator in DIVIDES:
            values = np.where(values == 0, 1, values)
        if index == 1 and operator in RAISES:
            values = np.abs(values) % 3
        return values.astype(np.int64).astype(dtype)
    if operator == "DequantizeLinear" and index == 2:
        return np.zeros(array.shape, dtype)  # a zero point of floating-point numbers is zero
    if dtype.name == "float8_e8m0fnu":
        values = np.abs(values) + 0.25
    largest = float(ml_dtypes.finfo(dtype).max)
    return np.clip(values, -largest, largest).astype(np.float32).astype(dtype)


def _with_kind(model, kind: int):
    """(the model with its main type replaced, the inputs of that type), or None."""
    node, schema = model.graph.node[0], _schema(model)
    constraint = None if node.op_type in OF_ONE_TYPE else schema.inputs[0].type_str
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    of_kind: set[int] = set()
    first = {info.name: _tensor_type(info).elem_type for info in model.graph.input}
    main = first.get(node.input[0])
    if not main:
        return None
    for of_inputs, names, infos in ((True, node.input, changed.graph.input),
                                    (False, node.output, changed.graph.output)):
        by_name = {info.name: i for i, info in enumerate(infos)}
        for index in _matching(schema, names, of_inputs, constraint):
            i = by_name.get(names[index])
            if i is None:
                continue
            tensor = _tensor_type(infos[i])
            if tensor.elem_type != main:
                if constraint is None:
                    continue
                return None
            tensor.elem_type = kind
            if of_inputs:
                of_kind.add(i)
    return changed, of_kind


def retyped(model: onnx.ModelProto, feeds: list, kind: int):
    """(model, feeds) of a model of one node with its main type, that of its first input, replaced, or
    None."""
    if not (changed := _with_kind(model, kind)):
        return None
    model, of_kind = changed
    node = model.graph.node[0]
    arrays = list(feeds)
    for i in of_kind:
        index = list(node.input).index(model.graph.input[i].name)
        with np.errstate(over="ignore", invalid="ignore"):
            arrays[i] = (
                [_numbers(array, kind, node.op_type, index) for array in arrays[i]]
                if isinstance(arrays[i], list) else
                _numbers(arrays[i], kind, node.op_type, index))
    return model, arrays


def _mean_variance_normalization(model, feeds):
    axes = next((tuple(a.ints) for a in model.graph.node[0].attribute if a.name == "axes"),
                (0, 2, 3))
    mean = feeds[0].mean(axis=axes, keepdims=True)
    deviation = np.sqrt((feeds[0] ** 2).mean(axis=axes, keepdims=True) - mean ** 2)
    return [(feeds[0] - mean) / (deviation + 1e-9)]


def evaluate(model, feeds):
    """What the reference gives of a model of one node."""
    names = [info.name for info in model.graph.input]
    operator = model.graph.node[0].op_type
    if operator == "MeanVarianceNormalization":  # as the reference has it, in float32 alone
        return _mean_variance_normalization(model, feeds)
    if operator in RENAMED:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        changed.graph.node[0].op_type, changed.opset_import[0].version = RENAMED[operator]
        model = changed
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, dict(zip(names, feeds)))


def reference(model: onnx.ModelProto, feeds: list, kind: int):
    """What onnx.reference gives of a model of retyped(). Of half precision in float64; float32 stays,
    since operators that quantize turn on its last place."""
    if kind in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
        return _evaluate_wide(model, feeds)
    if model.graph.node[0].op_type in LINEAR and _dtype(kind).kind == "c":
        real, imaginary = (_evaluate_wide(model, [_part(array, part) for array in feeds])
                           for part in ("real", "imag"))
        return [(a + 1j * b).astype(_dtype(kind)) for a, b in zip(real, imaginary)]
    if model.graph.node[0].op_type in WEIGHED and _dtype(kind).kind in "iu":
        return _evaluate_whole(model, feeds)
    try:
        return evaluate(model, feeds)
    except ValueError:  # NumPy's function has no such type
        if kind in FLOATS or TensorProto.DOUBLE not in kinds_of(model):
            raise
        return _evaluate_whole(model, feeds)


def _part(array, part):
    return getattr(array, part) if np.asarray(array).dtype.kind == "c" else array


def _evaluate_whole(model, feeds):
    """In float64, and the results' part before the point in their types."""
    return [array.astype(_dtype(_tensor_type(info).elem_type))
            for array, info in zip(_evaluate_wide(model, feeds), model.graph.output)]


def _evaluate_wide(model, feeds):
    wide, of_kind = _with_kind(model, TensorProto.DOUBLE)
    return evaluate(wide, [_doubles(array) if i in of_kind else array
                           for i, array in enumerate(feeds)])


def _doubles(value):
    if isinstance(value, list):
        return [_doubles(array) for array in value]
    return _comparable(np.asarray(value)).astype(np.float64)


def _comparable(array):
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    if array.dtype.kind == "V" or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return array.astype(np.float64) if array.dtype.kind in "fb" else array


def apart(has, wanted, model: onnx.ModelProto) -> str:
    """What is wrong with the results, or nothing.

    A floating-point result may lie 8 units in the last place of its type off, taken at the greatest
    magnitude of the tensor; of float64 and complex types 8e-9 of it, or, where the reference has no
    better, units of float32. Integers, bool and types of storage must be equal.
    """
    if len(has) != len(wanted):
        return f"{len(has)} outputs, not {len(wanted)}"
    tensors = []
    for i, (a, b, info) in enumerate(zip(has, wanted, model.graph.output, strict=True)):
        if not isinstance(b, list):
            a, b = [a], [b]
        if len(a) != len(b):
            return f"output {i} holds {len(a)}, not {len(b)}"
        tensors += [(i, x, y, info) for x, y in zip(a, b)]
    for i, a, b, info in tensors:
        a, b = np.asarray(a), np.asarray(b)
        dtype = _dtype(_tensor_type(info).elem_type)
        if a.shape != b.shape:
            return f"output {i} has shape {a.shape}, not {b.shape}"
        if a.dtype != dtype:
            return f"output {i} is {a.dtype}, not {dtype}"
        x, y = _comparable(a), _comparable(b)
        wrong = (x != y) & ~((x != x) & (y != y))
        if dtype.kind == "c" or dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
            least = 1.2e-7 if model.graph.node[0].op_type in SINGLE else 1e-9
            unit = max(least, 0 if dtype.kind == "c" else float(ml_dtypes.finfo(dtype).eps))
            scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
            with np.errstate(invalid="ignore"):
                wrong &= ~(np.abs(x - y) <= 8 * unit * scale)
            if dtype.kind != "c":  # what is about the largest rounds to infinity, or does not
                wrong &= ~(np.abs(y) > float(ml_dtypes.finfo(dtype).max) * (1 - unit))
        if wrong.any():
            at = np.argmax(wrong.reshape(-1))
            return (f"output {i}: {x.reshape(-1)[at]} at {at}, not {y.reshape(-1)[at]}"
                    f" ({wrong.sum()} of {wrong.size})")
    return ""
