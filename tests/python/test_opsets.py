"""Every operator of ONNX at every opset that changed it, up to the newest that carnot reads."""

import numpy as np
import onnx.defs
import pytest
from onnx import TensorProto, helper

import carnot

NEWEST = 28
NEWEST_IR = 14

# What carnot refuses by name: operators of strings and images.
REFUSED = {"ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"}


def is_known(name: str, opset: int) -> bool:
    """Whether a lone node of the type gets past the search for its importer."""
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(name, [], ["y"])], "graph", [], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    try:
        carnot.build(model.SerializeToString(), threads=1)
    except carnot.Error as error:
        return "not supported: " not in str(error)
    return True


def test_every_version_of_every_operator_is_known_or_refused_by_name():
    schemas = [schema for schema in onnx.defs.get_all_schemas_with_history()
               if schema.domain == "" and schema.since_version <= NEWEST and not schema.deprecated]
    unknown = {f"{schema.name} of opset {schema.since_version}" for schema in schemas
               if is_known(schema.name, schema.since_version) == (schema.name in REFUSED)}
    print(f"{len(schemas)} versions of {len({schema.name for schema in schemas})} operators, "
          f"{len(REFUSED)} operators refused")
    assert len(schemas) > 600
    assert not unknown, sorted(unknown)


def doubling(opset: int, ir_version: int) -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "graph", *zip(values))
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


@pytest.mark.parametrize("ir_version", range(3, NEWEST_IR + 1))
def test_ir_versions(ir_version):
    engine = carnot.build(doubling(NEWEST, ir_version), threads=1)
    x = np.float32([1, -2, 3])
    np.testing.assert_array_equal(engine.run({"x": x})["y"], 2 * x)


@pytest.mark.parametrize("opset, ir_version, has", [
    (NEWEST + 1, NEWEST_IR, f"opset {NEWEST + 1}"), (NEWEST, NEWEST_IR + 1, "IR version 15")])
def test_newer_models_are_refused(opset, ir_version, has):
    with pytest.raises(carnot.Error, match=has) as raised:
        carnot.build(doubling(opset, ir_version), threads=1)
    assert raised.value.code == "Unsupported"
