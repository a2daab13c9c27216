"""Parsing models and looking at networks."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small_models import classifier, model_of, two_inputs, wanted
from tensorrt_helpers import Recorder, add_profile, engine_of, infer, parsed

import carnot.tensorrt as trt

node = helper.make_node


@pytest.fixture
def logger():
    return Recorder()


def test_what_a_network_says(logger):
    builder, network, _ = parsed(classifier(), logger)
    assert (network.num_inputs, network.num_outputs, network.num_layers) == (1, 1, len(network))
    assert network.name == "classifier" and network.builder is builder and bool(network)
    x, y = network.get_input(0), network.get_output(0)
    assert (x.name, x.shape, x.dtype) == ("input", (-1, 3, 32, 32), trt.float32)
    assert (y.name, y.shape) == ("output", (-1, 10))
    assert x.is_network_input and not x.is_network_output and y.is_network_output
    assert not x.is_shape_tensor and x.is_execution_tensor and x.get_dimension_name(0) == "batch"
    assert x.location == trt.TensorLocation.DEVICE and not x.broadcast_across_batch
    assert network.get_input(1) is None and network.get_layer(99) is None
    assert network.get_input(0) is x


def test_layers(logger):
    _, network, _ = parsed(classifier(), logger)
    layers = {layer.name: layer for layer in network}
    assert [layers[name].type for name in ("stem", "body_relu", "pool", "softmax")] == [
        trt.LayerType.CONVOLUTION, trt.LayerType.ACTIVATION, trt.LayerType.REDUCE,
        trt.LayerType.SOFTMAX]
    stem, relu = layers["stem"], layers["stem_relu"]
    assert stem.get_output(0) is relu.get_input(0) and stem.get_output(0).shape == (-1, 16, 16, 16)
    assert stem.get_input(0) is network.get_input(0) and stem.get_output(1) is None
    assert stem.num_outputs == 1 and stem.num_inputs >= 2 and stem.metadata == "stem"
    assert stem.precision == trt.float32 and not stem.precision_is_set
    stem.precision = trt.float16
    assert stem.precision_is_set and network.get_layer(0).precision == trt.float16
    stem.reset_precision()
    stem.set_output_type(0, trt.float16)
    assert stem.output_type_is_set(0) and stem.get_output_type(0) == trt.float16
    stem.reset_output_type(0)
    assert stem.get_output_type(0) == trt.float32
    assert network[-1].name == "softmax"
    with pytest.raises(IndexError):
        network[99]
    with pytest.raises(TypeError):
        stem.precision = 1


def test_outputs_are_marked_renamed_and_retyped(logger):
    builder, network, config = parsed(two_inputs(), logger)
    network.name = "other"
    product = network.get_output(1)
    network.unmark_output(network.get_output(0))
    turned = next(layer for layer in network if layer.name == "turn").get_output(0)
    turned.name = "b_transposed"
    network.mark_output(turned)
    product.name = "scores"
    network.get_input(0).name = "left"
    product.dtype = trt.float16
    assert [network.get_output(i).name for i in range(2)] == ["scores", "b_transposed"]
    network.mark_output(turned)
    assert "output already" in logger.errors
    a, b = np.float32([[1, 2, 3, 4], [0, 1, 0, 1]]), np.float32([[1, 0, 0, 1], [2, 2, 2, 2]])
    engine = builder.build_engine_with_config(network, config)
    assert engine.name == "other" and list(engine) == ["left", "b", "scores", "b_transposed"]
    outputs = infer(engine.create_execution_context(), left=a, b=b)
    assert outputs["scores"].dtype == np.float16
    np.testing.assert_allclose(outputs["scores"], a @ b.T)
    np.testing.assert_array_equal(outputs["b_transposed"], b.T)


def test_input_shapes_are_set(logger):
    builder, network, config = parsed(classifier(), logger)
    x = network.get_input(0)
    x.shape = (2, 3, 32, 32)
    assert network.get_output(0).shape == (2, 10)
    x.shape = (2, 3, 32)
    x.shape = (2, 4, 32, 32)
    network.get_output(0).shape = (1, 2)
    assert logger.errors.count("INVALID_ARGUMENT") == 3
    assert x.shape == (2, 3, 32, 32)
    engine = builder.build_engine(network, config)
    assert engine.get_tensor_shape("input") == (2, 3, 32, 32)
    assert engine.create_execution_context().all_binding_shapes_specified


def test_what_cannot_be_set_is_logged(logger):
    _, network, _ = parsed(classifier(), logger)
    inner = network[0].get_output(0)
    inner.dtype = trt.float16
    assert "neither input nor output" in logger.errors and inner.dtype == trt.float32
    network.get_input(0).allowed_formats = 1 << int(trt.TensorFormat.CHW32)
    assert "LINEAR" in logger.errors
    assert network.get_input(0).allowed_formats == 1 << int(trt.TensorFormat.LINEAR)
    with pytest.raises(AttributeError, match="OnnxParser"):
        network.add_convolution_nd
    assert not hasattr(network, "add_input") and not hasattr(network, "nothing")
    with pytest.raises(AttributeError):
        network.misspelt = 1
    with pytest.raises(TypeError):
        network.mark_output("output")


@pytest.mark.parametrize("flags, typed", [
    (0, False), (1 << 0, False), (1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH), False),
    (1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED), True),
    (1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_PRECISION), False),
])
def test_creation_flags(logger, flags, typed):
    network = trt.Builder(logger).create_network(flags)
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) == typed
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    assert network.num_layers == 0 and network.num_inputs == 0


UNKNOWN = model_of([node("Relu", ["x"], ["a"]), node("Frobnicate", ["a"], ["b"], "first"),
                    node("Relu", ["b"], ["c"]), node("Frobnicate", ["c"], ["y"], "second")],
                   [("x", [2])], [("y", [2])])
MISMATCHED = model_of([node("Relu", ["x"], ["a"]), node("MatMul", ["a", "a"], ["y"], "product")],
                      [("x", [2, 3])], [("y", [2, 2])])


@pytest.mark.parametrize("model, code, at, name, operator", [
    (UNKNOWN, trt.ErrorCode.UNSUPPORTED_NODE, 1, "first", "Frobnicate"),
    (MISMATCHED, trt.ErrorCode.INVALID_NODE, 1, "product", "MatMul"),
    (b"no model", trt.ErrorCode.MODEL_DESERIALIZE_FAILED, -1, "", ""),
    (b"", trt.ErrorCode.MODEL_DESERIALIZE_FAILED, -1, "", ""),
    (classifier()[:200], trt.ErrorCode.MODEL_DESERIALIZE_FAILED, -1, "", ""),
], ids=["unknown operator", "wrong shapes", "text", "empty", "cut"])
def test_parser_errors(logger, model, code, at, name, operator, tmp_path):
    network = trt.Builder(logger).create_network()
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model) is False
    error = parser.get_error(0)
    assert (error.code(), error.node()) == (code, at)
    assert (error.node_name(), error.node_operator()) == (name, operator)
    assert error.desc() and error.desc() in logger.errors and code.name in str(error)
    assert error.line() == 0 and error.func() == "parse" and error.file() == ""
    assert error.local_function_stack() == [] and error.local_function_stack_size() == 0
    count = parser.num_errors
    assert count == (2 if model is UNKNOWN else 1) and parser.get_error(count) is None
    parser.clear_errors()
    assert parser.num_errors == 0 and network.num_layers == 0

    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    assert parser.parse_from_file(str(path)) is False
    assert parser.get_error(0).file() == str(path) and parser.num_errors == count
    config = network.builder.create_builder_config()
    assert network.builder.build_serialized_network(network, config) is None
    assert "without outputs" in logger.errors


def test_files_that_are_not_there(logger, tmp_path):
    parser = trt.OnnxParser(trt.Builder(logger).create_network(), logger)
    assert not parser.parse_from_file(str(tmp_path / "absent.onnx"))
    assert "absent.onnx" in parser.get_error(0).desc()
    with pytest.raises(TypeError):
        parser.parse(7)


def test_a_network_holds_one_model(logger):
    _, network, _ = parsed(classifier(), logger)
    parser = trt.OnnxParser(network, logger)
    assert not parser.parse(two_inputs()) and "holds a model already" in logger.errors
    assert network.get_input(0).name == "input"


def test_external_data_lies_beside_the_file(logger, tmp_path):
    path = str(tmp_path / "model.onnx")
    onnx.save(onnx.load_from_string(classifier()), path, save_as_external_data=True,
              location="weights.bin", size_threshold=0)
    data = (tmp_path / "model.onnx").read_bytes()
    for parse in (lambda p: p.parse_from_file(path), lambda p: p.parse(data, path),
                  lambda p: p.parse_with_weight_descriptors(data, path)):
        assert parse(trt.OnnxParser(trt.Builder(logger).create_network(), logger)), logger.errors
    assert not trt.OnnxParser(trt.Builder(logger).create_network(), logger).parse(data)


def test_what_the_parser_supports(logger):
    parser = trt.OnnxParser(trt.Builder(logger).create_network(), logger)
    assert parser.supports_operator("Conv") and parser.supports_operator("Relu")
    assert not parser.supports_operator("Frobnicate")
    assert parser.supports_model(classifier()) == (True, [(list(range(9)), True)])
    assert parser.supports_model(UNKNOWN) == (
        False, [([0], True), ([1], False), ([2], True), ([3], False)])
    assert not parser.supports_model_v2(UNKNOWN) and parser.num_subgraphs == 4
    assert not parser.is_subgraph_supported(1) and parser.get_subgraph_nodes(3) == [3]
    flag = trt.OnnxParserFlag.NATIVE_INSTANCENORM
    assert parser.get_flag(flag)
    parser.clear_flag(flag)
    assert not parser.get_flag(flag) and parser.flags == 0
    parser.set_flag(flag)
    assert parser.get_used_vc_plugin_libraries() == []


def test_outputs_of_layers_by_name(logger):
    builder = trt.Builder(logger)
    network = builder.create_network()
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(classifier())
    assert parser.get_layer_output_tensor("pool", 0).shape == (-1, 16, 1, 1)
    assert parser.get_layer_output_tensor("absent", 0) is None


@pytest.mark.parametrize("elem, dtype", [
    (TensorProto.FLOAT16, trt.float16), (TensorProto.INT64, trt.int64), (TensorProto.BOOL, trt.bool),
    (TensorProto.DOUBLE, trt.DataType.DOUBLE), (TensorProto.UINT8, trt.uint8),
    (TensorProto.INT16, trt.DataType.INT16), (TensorProto.BFLOAT16, trt.bfloat16),
])
def test_types_of_inputs(logger, elem, dtype):
    model = model_of([node("Identity", ["x"], ["y"])], [("x", ["n"], elem)], [("y", ["n"], elem)])
    engine = engine_of(model, logger, {"x": ([1], [2], [4])})
    assert engine.get_tensor_dtype("x") == engine.get_tensor_dtype("y") == dtype
    if dtype != trt.bfloat16:
        values = np.array([0, 1, 1]).astype(trt.nptype(dtype))
        out = infer(engine.create_execution_context(), x=values)
        np.testing.assert_array_equal(out["y"], wanted(model, x=values)["y"])


def test_profiles_name_real_inputs(logger):
    builder, network, config = parsed(two_inputs(), logger)
    add_profile(builder, config, a=([1, 4], [2, 4], [3, 4]), c=([1, 4], [2, 4], [3, 4]))
    assert builder.build_serialized_network(network, config) is None
    assert "c" in logger.errors
