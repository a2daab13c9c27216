"""Cases of onnx's suite in other floating-point types than their own."""

import ml_dtypes
import numpy as np
import onnx
import onnx.defs
from onnx import TensorProto

# What a case of float32 is tried in: NumPy's type, and how far its results may lie off.
TYPES = {
    TensorProto.DOUBLE: (np.dtype(np.float64), 1e-3),
    TensorProto.FLOAT16: (np.dtype(np.float16), 2e-2),
    TensorProto.BFLOAT16: (np.dtype(ml_dtypes.bfloat16), 1e-1),
}


# Whose other tensors are of other type parameters, and follow the first input all the same.
OF_ONE_TYPE = {"Attention", "LinearAttention", "RMSNormalization"}
# Whose types are a matter of width, or not of tensors alone.
FIXED = {"BitCast", "OptionalGetElement"}


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


def retyped(model: onnx.ModelProto, feeds: list, wanted: list, kind: int):
    """(model, feeds, wanted) of a model of one node with its main type replaced, or None.

    The main type is that of the node's first input (without inputs there is none), float32 in the
    case; the operator must allow the other. What is expected stays as it was, rounded.
    """
    node = model.graph.node[0]
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if (node.domain not in ("", "ai.onnx") or not node.input or model.graph.initializer
            or node.op_type in FIXED):
        return None
    schema = onnx.defs.get_schema(node.op_type, opset)
    constraint = schema.inputs[0].type_str
    allowed = next((c.allowed_type_strs for c in schema.type_constraints
                    if c.type_param_str == constraint), [])
    dtype, _ = TYPES[kind]
    if f"tensor({onnx.helper.tensor_dtype_to_string(kind).split('.')[-1].lower()})" not in allowed:
        return None
    if node.op_type in OF_ONE_TYPE:
        constraint = None
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    arrays, results = list(feeds), list(wanted)
    for of_inputs, names, values, infos in ((True, node.input, arrays, changed.graph.input),
                                            (False, node.output, results, changed.graph.output)):
        by_name = {info.name: i for i, info in enumerate(infos)}
        for index in _matching(schema, names, of_inputs, constraint):
            i = by_name.get(names[index])
            if i is None:
                continue
            tensor = infos[i].type.tensor_type
            if tensor.elem_type != TensorProto.FLOAT:
                if constraint is None:
                    continue
                return None
            tensor.elem_type = kind
            with np.errstate(over="ignore"):
                values[i] = np.asarray(values[i]).astype(dtype)
    return changed, arrays, results


def close(has, wanted, kind: int) -> bool:
    _, tolerance = TYPES[kind]
    for a, b in zip(has, wanted, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind in "biu":
            continue  # indices and comparisons turn where values are rounded
        a, b = a.astype(np.float64), b.astype(np.float64)
        # A few elements may round across a step of the operator.
        apart = ~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        if apart.mean() > 0.02 if apart.size else False:
            return False
    return True
