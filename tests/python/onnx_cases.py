"""The cases of onnx's own backend suites, and one case run through carnot."""

import glob
import os
import warnings

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
TRAINING = "ai.onnx.preview.training"


def load_cases():
    """(name, directory or (model, data sets), rtol, atol) of every case outside the training domain."""
    from onnx.backend.test.loader import load_model_tests

    cases = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in KINDS:
            for test in load_model_tests(kind=kind):
                source = None
                if test.model_dir and os.path.exists(os.path.join(test.model_dir, "model.onnx")):
                    source = test.model_dir
                elif test.model is not None:
                    source = (test.model, test.data_sets)
                    if any(node.domain == TRAINING for node in test.model.graph.node):
                        continue
                if source is not None:
                    cases.append((test.name, source, max(test.rtol, 1e-3), max(test.atol, 1e-5)))
    return cases


def _array(path, value_type):
    data = open(path, "rb").read()
    kind = value_type.WhichOneof("value")
    if kind == "sequence_type":
        proto = onnx.SequenceProto()
        proto.ParseFromString(data)
        return numpy_helper.to_list(proto)
    if kind == "optional_type":
        proto = onnx.OptionalProto()
        proto.ParseFromString(data)
        return numpy_helper.to_optional(proto)
    proto = onnx.TensorProto()
    proto.ParseFromString(data)
    return numpy_helper.to_array(proto)


def _arrays(values):
    """Casts' cases come as protos, since NumPy lacks their types."""
    return [numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
            for value in values]


def _from_directory(directory):
    model = onnx.load(os.path.join(directory, "model.onnx"))
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    sets = []
    for folder in sorted(glob.glob(os.path.join(directory, "test_data_set_*"))):
        def read(stem, values):
            paths = [(os.path.join(folder, f"{stem}_{i}.pb"), v.type) for i, v in enumerate(values)]
            return [_array(path, t) for path, t in paths if os.path.exists(path)]

        sets.append((read("input", inputs), read("output", model.graph.output)))
    return model, inputs, sets


def same(has, wanted, rtol, atol):
    """Whether one output, a tensor, sequence or nothing, is what the suite expects."""
    if isinstance(wanted, list):
        return (isinstance(has, (list, tuple)) and len(has) == len(wanted)
                and all(same(a, b, rtol, atol) for a, b in zip(has, wanted)))
    if wanted is None:
        return has is None
    has, wanted = np.asarray(has), np.asarray(wanted)
    if wanted.dtype.kind in "OUS":
        return has.tolist() == wanted.tolist()
    if has.shape != wanted.shape:
        return False
    if wanted.dtype.itemsize == 2 and wanted.dtype.kind in "fV":
        # What is fused rounds once, where the expectation rounded after each operator.
        rtol = max(rtol, 2 * float(ml_dtypes.finfo(wanted.dtype).eps))
    if wanted.dtype.kind not in "biu":
        wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
        has, wanted = has.astype(wide), wanted.astype(wide)
    return np.allclose(has, wanted, rtol=rtol, atol=atol, equal_nan=True)


# Cases of random numbers, of which no value is specified.
RANDOM = "test_bernoulli"


def _shaped(arrays):
    return [(np.asarray(array).shape, np.asarray(array).dtype) for array in arrays]


def with_constant_integers(case):
    """The case with its inputs of int64 made constants, as exporters write shapes, axes and lengths."""
    name, source, rtol, atol = case
    if isinstance(source, str):
        model, inputs, sets = _from_directory(source)
    else:
        model, sets = source
        inputs = list(model.graph.input)
    feeds, wanted = sets[0]
    constants = {value.name: array for value, array in zip(inputs, feeds)
                 if getattr(array, "dtype", None) == np.int64}
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    del frozen.graph.input[:]
    frozen.graph.input.extend(value for value in inputs if value.name not in constants)
    frozen.graph.initializer.extend(numpy_helper.from_array(array, key)
                                    for key, array in constants.items())
    rest = [array for value, array in zip(inputs, feeds) if value.name not in constants]
    return name, (frozen, [[rest, wanted]]), rtol, atol


def model_and_feeds(case):
    """The model and the arrays of its first data set by name, without initializers' names."""
    source = case[1]
    if isinstance(source, str):
        model, inputs, sets = _from_directory(source)
    else:
        model, sets = source
        inputs = list(model.graph.input)
    feeds = _arrays(sets[0][0]) if sets else []
    return model, {value.name: array for value, array in zip(inputs, feeds)}


def expected(case):
    """The outputs of its first data set."""
    source = case[1]
    sets = _from_directory(source)[2] if isinstance(source, str) else source[1]
    return _arrays(sets[0][1])


def run_case(case):
    """("pass" | "refused" | "wrong" | "error", what was said)."""
    import carnot

    name, source, rtol, atol = case
    if isinstance(source, str):
        model, inputs, sets = _from_directory(source)
    else:
        model, sets = source
        sets = [[_arrays(feeds), _arrays(wanted)] for feeds, wanted in sets]
        inputs = list(model.graph.input)
    try:
        engine = carnot.build(model.SerializeToString(), threads=1, optimization_level=0)
        for feeds, wanted in sets:
            has = list(engine.run({v.name: array for v, array in zip(inputs, feeds)}).values())
            if name.startswith(RANDOM):
                if _shaped(has) != _shaped(wanted):
                    return "wrong", "shapes or types differ"
                continue
            if len(has) != len(wanted) or not all(same(a, b, rtol, atol)
                                                  for a, b in zip(has, wanted)):
                return "wrong", "values or shapes differ"
    except carnot.Error as error:
        return ("refused" if error.code == "Unsupported" else "error"), str(error)
    except Exception as error:  # noqa: BLE001: any other exception is a finding
        return "error", f"{type(error).__name__}: {error}"
    return "pass", ""
