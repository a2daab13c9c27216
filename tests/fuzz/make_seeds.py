"""Seeds for the fuzzers: small ONNX models, those of onnx's own suite among them, engines and
timing caches made of them, checkpoints, and command lines. Usage: make_seeds.py CARNOT FOLDER, with
the program; writes FOLDER/<target>/<name>."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import carnot

LARGEST = 20_000  # bytes of a seed


def small_models():
    """(name, model) with the operators that have kernels of their own."""
    random = np.random.default_rng(0)

    def model(name, inputs, nodes, **weights):
        constants = [numpy_helper.from_array(
            value if isinstance(value, np.ndarray)
            else random.standard_normal(value).astype(np.float32), key)
            for key, value in weights.items()]
        steps = []
        for index, (op, reads, writes, *attributes) in enumerate(nodes):
            steps.append(helper.make_node(op, reads.split(" "), writes.split(" "), f"n{index}",
                                          **(attributes[0] if attributes else {})))
        values = [helper.make_tensor_value_info(key, TensorProto.FLOAT, dims)
                  for key, dims in inputs.items()]
        last = helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, None)
        graph = helper.make_graph(steps, name, values, [last], constants)
        return name, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                       ir_version=8)

    int64 = lambda *values: np.array(values, np.int64)
    pads = {"pads": [1, 1, 1, 1]}
    yield model("perceptron", {"x": ["n", 6]},
                [("Gemm", "x w b", "t"), ("Relu", "t", "y")], w=(6, 5), b=(5,))
    yield model("convolutions", {"x": ["n", 3, "h", "w"]},
                [("Conv", "x a b", "c", pads), ("Relu", "c", "d"),
                 ("Conv", "d e", "f", {"group": 16, **pads}), ("HardSwish", "f", "g"),
                 ("Conv", "g h", "i"), ("Add", "i d", "j"),
                 ("MaxPool", "j", "k", {"kernel_shape": [2, 2], "strides": [2, 2]}),
                 ("GlobalAveragePool", "k", "l"), ("Flatten", "l", "y")],
                a=(16, 3, 3, 3), b=(16,), e=(16, 1, 3, 3), h=(16, 16, 1, 1))
    yield model("upwards", {"x": [1, 4, 5, 6]},
                [("ConvTranspose", "x w", "a", {"strides": [2, 2]}),
                 ("BatchNormalization", "a s s m v", "b"),
                 ("Resize", "b  r", "c", {"mode": "linear"}), ("Sigmoid", "c", "y")],
                w=(4, 3, 2, 2), s=(3,), m=(3,), v=np.ones(3, np.float32),
                r=np.array([1, 1, 2, 2], np.float32))
    yield model("attention", {"x": ["n", "s", 8]},
                [("MatMul", "x q", "a"), ("Reshape", "a d", "b"),
                 ("Transpose", "b", "c", {"perm": [0, 2, 1, 3]}),
                 ("Transpose", "b", "k", {"perm": [0, 2, 3, 1]}), ("MatMul", "c k", "e"),
                 ("Softmax", "e", "f"), ("MatMul", "f c", "g"),
                 ("Transpose", "g", "h", {"perm": [0, 2, 1, 3]}), ("Reshape", "h o", "i"),
                 ("Add", "i x", "j"), ("LayerNormalization", "j s t", "l"), ("Tanh", "l", "y")],
                q=(8, 8), d=int64(0, 0, 2, 4), o=int64(0, 0, 8), s=(8,), t=(8,))
    yield model("levels", {"x": ["n", 7]},
                [("DynamicQuantizeLinear", "x", "a s z"), ("MatMulInteger", "a w z o", "b"),
                 ("Cast", "b", "c", {"to": TensorProto.FLOAT}), ("Mul", "c s", "d"),
                 ("Relu", "d", "y")],
                w=random.integers(0, 256, (7, 5)).astype(np.uint8),
                o=random.integers(0, 256, 5).astype(np.uint8))
    yield model("moves", {"x": ["n", 6, 8]},
                [("Slice", "x a b c", "d"), ("Concat", "x d", "e", {"axis": 2}),
                 ("Pad", "e p", "f"), ("Gather", "f i", "g", {"axis": 1}),
                 ("Split", "g", "h j", {"axis": 2}), ("Sub", "h j", "k"),
                 ("ReduceMean", "k", "l", {"axes": [2]}), ("Shape", "l", "m"),
                 ("ConstantOfShape", "m", "o"), ("Add", "l o", "q"), ("Exp", "q", "y")],
                a=int64(1), b=int64(7), c=int64(2), p=int64(0, 0, 1, 0, 1, 1), i=int64(1, 0, 3))


def save(folder, name, data):
    if len(data) <= LARGEST:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


def save_engines(folder, name, model):
    for isa in ("native", "portable"):
        engine = carnot.build(model, threads=1, isa=isa, optimization_level=0, timing_cache=False)
        save(folder, f"{name}_{isa}", engine.serialize())


def save_checkpoints(folder):
    """Tiny checkpoints, as tests/fuzz/targets/checkpoint.cpp takes them."""
    base = {"model_type": "llama", "vocab_size": 5, "hidden_size": 4, "intermediate_size": 6,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    ropes = {"plain": {}, "linear": {"rope_type": "linear", "factor": 4.0},
             "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                        "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}
    shapes = {"embed_tokens": [5, 4], "norm": [4]}
    for name, shape in {"input_layernorm": [4], "post_attention_layernorm": [4],
                        "self_attn.q_proj": [4, 4], "self_attn.k_proj": [2, 4],
                        "self_attn.v_proj": [2, 4], "self_attn.o_proj": [4, 4],
                        "mlp.gate_proj": [6, 4], "mlp.up_proj": [6, 4],
                        "mlp.down_proj": [4, 6]}.items():
        shapes["layers.0." + name] = shape
    for name, rope in ropes.items():
        config = base | {"tie_word_embeddings": True, "rope_parameters": rope}
        header, end = {}, 0
        for tensor, shape in shapes.items():
            begin, end = end, end + 2 * int(np.prod(shape))
            header[f"model.{tensor}.weight"] = {"dtype": "BF16", "shape": shape,
                                                "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        save(folder, name, json.dumps(config).encode() + b"\0" + len(text).to_bytes(8, "little") +
             text + bytes(end))


def save_command_lines(folder, program):
    """Each flag that a command's help names, and a line of all: see tests/fuzz/targets/command_line.cpp."""
    for command in ("build", "bench", "explain", "inspect", "exec"):
        text = subprocess.run([program, command, "--help"], check=True, capture_output=True,
                              text=True).stdout
        flags = sorted(set(re.findall(r"--[A-Za-z0-9]+(?:[= ][A-Za-z0-9:x,|<>]+)?", text)))
        values = ("x:1x3x224x224", "4", "0.5", "fp32:chw", "model.onnx", "*:fp16,conv*:fp32")
        for index, flag in enumerate(flags):
            name = re.split("[= ]", flag)[0]
            value = values[index % len(values)]
            save(folder, f"{command}{name}", f"{command}\nmodel.onnx\n{name}={value}".encode())
            save(folder, f"{command}{name}_alone", f"{command}\n{name}\n{value}".encode())
        save(folder, f"{command}_all",
             "\n".join([command, *flags, "model.onnx"]).replace(" ", "=").encode())


def save_timing_caches(folder, models):
    with tempfile.TemporaryDirectory() as scratch:
        for name, model in models:
            path = os.path.join(scratch, name)
            carnot.build(model.SerializeToString(), threads=1, timing_cache=path)
            with open(path, "rb") as file:
                save(folder, name, file.read())
    for index, times in enumerate(("{}", '{"p": {}}', '{"p": {"c": 1e-3, "d": 0}}')):
        save(folder, f"small_{index}", f'{{"format": 1, "devices": {{"device": {times}}}}}'.encode())


def main(program, out):
    save_checkpoints(os.path.join(out, "checkpoint"))
    save_command_lines(os.path.join(out, "command_line"), program)
    save_timing_caches(os.path.join(out, "timing_cache"), small_models())
    engines = os.path.join(out, "engine_file")

    def save_model(name, data):
        for target in ("onnx_import", "onnx_build"):
            save(os.path.join(out, target), name, data)

    for name, model in small_models():
        data = model.SerializeToString()
        save_model(name, data)
        save_engines(engines, name, data)
    for path in sorted(glob.glob(os.path.join(os.path.dirname(onnx.__file__),
                                              "backend/test/data/*/*/model.onnx"))):
        name = os.path.basename(os.path.dirname(path))
        with open(path, "rb") as file:
            data = file.read()
        save_model(name, data)
        try:
            save_engines(engines, name, data)
        except carnot.Error:
            pass  # refused: a seed of the models alone


if __name__ == "__main__":
    main(*sys.argv[1:])
