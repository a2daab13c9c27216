"""Every operator of ONNX at every opset that changed it, up to the newest that carnot reads."""

import onnx.defs
from onnx import TensorProto, helper

import carnot

NEWEST = 28

# What carnot refuses by name: operators of strings, images and sequences.
REFUSED = {
    "ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit",
    "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase",
    "SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence",
    "Optional", "OptionalGetElement", "OptionalHasElement",
}


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
               if schema.name not in REFUSED and not is_known(schema.name, schema.since_version)}
    print(f"{len(schemas)} versions of {len({schema.name for schema in schemas})} operators, "
          f"{len(REFUSED)} operators refused")
    assert len(schemas) > 600
    assert not unknown, sorted(unknown)
