"""Models that claim what no machine has, or would cost what nobody has. Each is small as a file."""

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from small_models import model_of

DEEP = 100_000
LINK = 30  # functions that each call the next one twice
node = helper.make_node


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, body):
    """A field of protobuf that holds bytes: a message or a text."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def model_bytes(graph, *more):
    opset = field(8, field(1, b"") + b"\x10\x11")
    return b"\x08\x08" + field(7, graph) + opset + b"".join(more)


def value_info(name, dims=(1,)):
    shape = b"".join(field(1, b"\x08" + varint(dim)) for dim in dims)
    return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, shape)))


def with_constant(nodes, constants, output="y", inputs=(("x", [1]),)):
    return model_of(nodes, list(inputs), [(output, None)], constants)


def int64(*values):
    return np.array(values, np.int64)


def claimed(dims, **tensor):
    """An initializer that claims dims and holds no data but what is given."""
    model = helper.make_model(
        helper.make_graph([node("Add", ["x", "w"], ["y"])], "claim",
                          [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                          [TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **tensor)]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model


def huge_initializer():
    return claimed([1 << 60]).SerializeToString()


def overflowing_initializer():
    return claimed([1 << 31, 1 << 31, 1 << 31], raw_data=b"").SerializeToString()


def huge_input():
    return model_of([node("Relu", ["x"], ["y"])], [("x", [1 << 60])], [("y", None)])


def huge_intermediate():
    return with_constant([node("Expand", ["x", "dims"], ["e"]), node("Relu", ["e"], ["y"])],
                         [("dims", int64(1 << 30, 1 << 30))])


def cycle():
    return with_constant([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]),
                          node("Relu", ["b"], ["y"])], [])


def self_reading():
    return with_constant([node("Add", ["x", "y"], ["y"])], [])


def repeated_output():
    return with_constant([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])], [])


def repeated_initializer():
    return model_of([node("Add", ["x", "w"], ["y"])], [("x", [1])], [("y", None)],
                    [("w", np.float32([1])), ("w", np.float32([2]))])


def functions(count, calls, last_calls=None):
    """f0 calls f1 `calls` times over, that f2, ...; the last one is a Relu, or calls `last_calls`."""
    domain = "hostile"
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    made = []
    for i in range(count):
        target = f"f{i + 1}" if i + 1 < count else last_calls
        if target is None:
            body = [node("Relu", ["a"], ["b"])]
        else:
            names = ["a", *[f"t{k}" for k in range(calls - 1)], "b"]
            body = [node(target, [names[k]], [names[k + 1]], domain=domain) for k in range(calls)]
        made.append(helper.make_function(domain, f"f{i}", ["a"], ["b"], body, opsets))
    graph = helper.make_graph(
        [node("f0", ["x"], ["y"], domain=domain)], "calls",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8,
                             functions=made).SerializeToString()


def function_bomb():
    return functions(LINK, 2)


def function_chain():
    return functions(20_000, 1)


def recursive_function():
    return functions(1, 1, last_calls="f0")


def mutual_functions():
    return functions(2, 2, last_calls="f0")


def deep_branches():
    """DEEP If nodes, each in the branch of the one before."""
    output = field(12, value_info(b"y"))
    step = field(1, b"c") + field(2, b"y") + field(4, b"If")
    name, kind = field(1, b"then_branch"), varint(20 << 3) + b"\x05"
    heads, tails, size = [], [], len(output)  # of the graph within
    for _ in range(DEEP):
        graph = varint(6 << 3 | 2) + varint(size)
        attribute_size = len(name) + len(graph) + size + len(kind)
        attribute = varint(5 << 3 | 2) + varint(attribute_size)
        step_size = len(step) + len(attribute) + attribute_size
        heads.append(varint(1 << 3 | 2) + varint(step_size) + step + attribute + name + graph)
        tails.append(kind + output)
        size += len(heads[-1]) + len(tails[-1])
    return model_bytes(b"".join([*reversed(heads), output, *tails, field(11, value_info(b"c"))]))


def deep_types():
    """An input whose type is a sequence of sequences of ..."""
    kind = field(1, b"\x08\x01")
    for _ in range(DEEP):
        kind = field(4, field(1, kind))
    info = field(1, b"x") + field(2, kind)
    relu = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    return model_bytes(field(1, relu) + field(11, info) + field(12, value_info(b"y")))


def deep_groups():
    """Groups of protobuf within one another, in a field that no reader knows."""
    return b"\x08\x08" + varint(500 << 3 | 3) * DEEP


def many_nodes():
    step = field(1, b"x") + field(2, b"") + field(4, b"Relu")
    return model_bytes(field(1, step) * 300_000 + field(11, value_info(b"x")) +
                       field(12, value_info(b"x")))


def folding_bomb():
    """A constant of 2^40 elements out of one."""
    return with_constant([node("ConstantOfShape", ["dims"], ["c"]),
                          node("ReduceSum", ["c"], ["s"], keepdims=0),
                          node("Add", ["x", "s"], ["y"])], [("dims", int64(1 << 20, 1 << 20))])


def folding_growth():
    """A constant that is concatenated with itself forty times."""
    nodes = [node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(40)]
    return with_constant([*nodes, node("ReduceMax", ["c40"], ["m"], keepdims=0),
                          node("Add", ["x", "m"], ["y"])], [("c0", np.ones(64, np.float32))])


def folding_tile():
    return with_constant([node("Tile", ["c", "n"], ["t"]), node("ReduceMax", ["t"], ["m"]),
                          node("Add", ["x", "m"], ["y"])],
                         [("c", np.ones(1, np.float32)), ("n", int64(1 << 50))])


def folding_range():
    return with_constant([node("Range", ["a", "b", "d"], ["r"]),
                          node("ReduceMax", ["r"], ["m"], keepdims=0),
                          node("Cast", ["m"], ["f"], to=TensorProto.FLOAT),
                          node("Add", ["x", "f"], ["y"])],
                         [("a", np.int64(0)), ("b", np.int64(1 << 62)), ("d", np.int64(1))])


def folding_eye():
    return with_constant([node("OneHot", ["i", "d", "v"], ["o"]), node("ReduceMax", ["o"], ["m"]),
                          node("Add", ["x", "m"], ["y"])],
                         [("i", int64(*range(64))), ("d", np.int64(1 << 55)),
                          ("v", np.float32([0, 1]))])


def folding_pad():
    return with_constant([node("Pad", ["c", "p"], ["o"]), node("ReduceMax", ["o"], ["m"]),
                          node("Add", ["x", "m"], ["y"])],
                         [("c", np.ones(1, np.float32)), ("p", int64(1 << 61, 1 << 61))])


def folding_resize():
    return with_constant([node("Resize", ["c", "", "", "n"], ["o"]),
                          node("ReduceMax", ["o"], ["m"]), node("Add", ["x", "m"], ["y"])],
                         [("c", np.ones((1, 1, 2, 2), np.float32)),
                          ("n", int64(1, 1, 1 << 31, 1 << 31))])


def huge_window():
    return model_of([node("MaxPool", ["x"], ["y"], kernel_shape=[1 << 30, 1 << 30],
                          pads=[1 << 30, 1 << 30, 1 << 30, 1 << 30])],
                    [("x", [1, 1, 4, 4])], [("y", None)])


def loop_of(count, body_nodes, constants=()):
    body = helper.make_graph(
        body_nodes, "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("v", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("w", TensorProto.FLOAT, None)])
    return with_constant([node("Loop", ["n", "yes", "c"], ["l"], body=body),
                          node("Add", ["x", "l"], ["y"])],
                         [("n", np.int64(count)), ("yes", np.bool_(True)),
                          ("c", np.float32([1])), *constants])


def endless_folded_loop():
    """A loop over constants of 2^62 trips, which folding would run."""
    return loop_of(1 << 62, [node("Identity", ["go"], ["go_on"]), node("Relu", ["v"], ["w"])])


def growing_loop():
    """A tensor that doubles on each of a million trips."""
    return loop_of(1 << 20, [node("Identity", ["go"], ["go_on"]),
                             node("Concat", ["v", "v"], ["w"], axis=0)])


def giant_name():
    name = "n" * (32 << 20)
    return model_of([node("Relu", [name], ["y"])], [(name, [1])], [("y", None)])


def giant_type():
    return model_of([node("R" * (32 << 20), ["x"], ["y"])], [("x", [1])], [("y", None)])


def attribute_bomb():
    """One node with 200,000 attributes, most of them one name."""
    relu = node("Relu", ["x"], ["y"])
    one = helper.make_attribute("a", 1)
    relu.attribute.extend([one] * 200_000)
    return model_of([relu], [("x", [1])], [("y", None)])


def attribute_list():
    pads = node("Transpose", ["x"], ["y"], perm=list(range(1 << 20)))
    return model_of([pads], [("x", [1])], [("y", None)])


def huge_rank_by_reshape():
    return with_constant([node("Reshape", ["x", "dims"], ["y"])],
                         [("dims", np.ones(100_000, np.int64))])


def huge_rank():
    return model_of([node("Relu", ["x"], ["y"])], [("x", [1] * 100_000)], [("y", None)])


def many_inputs():
    names = [f"x{i}" for i in range(5000)]
    return model_of([node("Sum", names, ["y"])], [(name, [1]) for name in names], [("y", None)])


def many_splits():
    return model_of([node("Split", ["x"], [f"y{i}" for i in range(5000)], axis=0)],
                    [("x", [5000])], [("y0", None)], opset=13)


def einsum_bomb():
    letters = "abcdefghijklmnopqrstuvwxyz"
    return model_of([node("Einsum", ["x", "x", "x", "x"], ["y"],
                          equation=f"{letters},{letters},{letters},{letters}->")],
                    [("x", [1 << 10] * 26)], [("y", None)])


def sparse_bomb():
    model = claimed([1])
    values = numpy_helper.from_array(np.float32([1]), "s")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(int64(5), "i"), [1 << 58])
    model.graph.sparse_initializer.append(sparse)
    model.graph.node[0].input[1] = "s"
    return model.SerializeToString()


def referring_attribute():
    relu = node("Elu", ["x"], ["y"])
    relu.attribute.append(AttributeProto(name="alpha", ref_attr_name="alpha",
                                         type=AttributeProto.FLOAT))
    return model_of([relu], [("x", [1])], [("y", None)])
