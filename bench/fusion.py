#!/usr/bin/env python3
"""What fusion gains: the same networks built with and without it.

    fusion.py measure --json FILE [--device cuda] [--fp16] [--program PATH] [--engines FOLDER]
    fusion.py page FILE...          writes docs/fusion.md from what was measured

For four patterns (convolution, batch normalization, Relu; product, bias, Relu; attention; depthwise
convolution before a 1 x 1) and batches 1 and 8 it builds an engine of fused layers and one with
--noFusion, where every node of the model is a layer. Counted are the steps of a run (on a GPU each
is a launch), the bytes that enter and leave all layers, and the least time of a run: the two engines
take turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
BATCHES = 1, 8
node = helper.make_node


def weight(*shape):
    random = np.random.default_rng(sum(shape))
    return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def batch_norm(name, source, out, channels, weights):
    parts = [f"{name}.{part}" for part in ("scale", "bias", "mean", "variance")]
    for part in parts:
        values = np.abs(weight(channels)) + 0.5 if part.endswith("variance") else weight(channels)
        weights[part] = values
    return node("BatchNormalization", [source, *parts], [out], name)


def conv_bn_relu():
    weights = {"w": weight(64, 64, 3, 3)}
    return [node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
            batch_norm("norm", "c", "n", 64, weights),
            node("Relu", ["n"], ["y"], "relu")], {"x": (64, 56, 56)}, weights


def matmul_add_relu():
    return [node("MatMul", ["x", "w"], ["p"], "product"), node("Add", ["p", "b"], ["s"], "bias"),
            node("Relu", ["s"], ["y"], "relu")], {"x": (128, 768)}, {
                "w": weight(768, 3072), "b": weight(3072)}


def attention():
    return [node("Transpose", ["k"], ["kt"], "turn", perm=[0, 1, 3, 2]),
            node("MatMul", ["q", "kt"], ["s"], "scores"),
            node("Mul", ["s", "scale"], ["m"], "scaled"),
            node("Softmax", ["m"], ["p"], "softmax", axis=-1),
            node("MatMul", ["p", "v"], ["y"], "mix")], dict.fromkeys("qkv", (12, 512, 64)), {
                "scale": np.float32(0.125)}


def depthwise_separable():
    weights = {"w": weight(64, 1, 3, 3), "u": weight(128, 64, 1, 1)}
    return [node("Conv", ["x", "w"], ["c"], "depthwise", pads=[1, 1, 1, 1], group=64),
            batch_norm("norm1", "c", "n", 64, weights), node("Relu", ["n"], ["r"], "relu1"),
            node("Conv", ["r", "u"], ["d"], "pointwise"),
            batch_norm("norm2", "d", "m", 128, weights),
            node("Relu", ["m"], ["y"], "relu2")], {"x": (64, 56, 56)}, weights


PATTERNS = {
    "Conv-BN-ReLU": (conv_bn_relu, "3 x 3, 64 to 64 channels of 56 x 56"),
    "MatMul-Add-ReLU": (matmul_add_relu, "128 rows, 768 to 3072"),
    "attention": (attention, "12 heads of 64, 512 queries and keys"),
    "depthwise + 1 x 1": (depthwise_separable, "3 x 3 on 64 channels of 56 x 56, then 64 to 128"),
}


def write_model(pattern, path):
    nodes, inputs, weights = PATTERNS[pattern][0]()
    graph = helper.make_graph(
        nodes, "pattern",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *dims])
         for name, dims in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)
    return inputs


def carnot(options, *arguments):
    environment = {**os.environ, "CARNOT_DEVICE": options.device}
    ran = subprocess.run([options.program, *map(str, arguments)], env=environment,
                         capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def build(pattern, batch, fused, options, folder):
    """The engine's path; one that lies there already is taken."""
    stem = pattern.replace(" ", "").replace("+", "-")
    engine = folder / f"{stem}-{batch}-{'fused' if fused else 'unfused'}.engine"
    if engine.exists():
        return engine
    inputs = write_model(pattern, folder / "model.onnx")
    shapes = ",".join(f"{name}:{batch}x{'x'.join(map(str, dims))}"
                      for name, dims in inputs.items())
    half = ["--fp16", "--inputIOFormats=fp16:chw", "--outputIOFormats=fp16:chw"]
    carnot(options, "exec", f"--onnx={folder / 'model.onnx'}", f"--optShapes={shapes}",
           "--skipInference", f"--saveEngine={engine}", *(half if options.fp16 else []),
           *([] if fused else ["--noFusion"]))
    return engine


def measure(options):
    folder = Path(options.engines or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    rows, machine = [], {}
    for pattern, (_, size) in PATTERNS.items():
        for batch in BATCHES:
            engines = {fused: build(pattern, batch, fused, options, folder)
                       for fused in (False, True)}
            if options.build:
                continue
            best = {}
            for _ in range(options.rounds):
                for fused, engine in engines.items():
                    report = json.loads(carnot(options, "bench", engine, "--json", "--duration",
                                               options.seconds, "--warmUp", 50, "--iterations", 20,
                                               "--profileRuns", 2))
                    part = "minimum" if options.device == "cpu" else "gpuComputeMinimum"
                    milliseconds = report["latency"][part]
                    if fused not in best or milliseconds < best[fused]["milliseconds"]:
                        layers = report["layers"]
                        best[fused] = {"milliseconds": milliseconds, "steps": len(layers),
                                       "bytes": sum(layer["bytes"] for layer in layers),
                                       "kernels": [layer["kernel"] for layer in layers]}
                    machine = {"device": report["device"], "threads": report["threads"]}
            rows.append({"pattern": pattern, "size": size, "batch": batch,
                         "unfused": best[False], "fused": best[True]})
            print(f"{pattern} {batch}: {best[False]['milliseconds']:.4f} -> "
                  f"{best[True]['milliseconds']:.4f} ms, {best[False]['steps']} -> "
                  f"{best[True]['steps']} steps", file=sys.stderr, flush=True)
    if options.build:
        return
    result = {**machine, "kind": options.device, "rows": rows,
              "precision": "float16" if options.fp16 else "float32"}
    Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


HEAD = """# What fusion gains

Generated by `bench/fusion.py page` from its own measurements. Each pattern is built twice: as ever, and
with `--noFusion` (of `carnot build` and `carnot exec`), where every node of the model is a layer that writes
its tensor to memory. Steps are what a run carries out, layouts' conversions among them; on a GPU each is a
launch. Bytes are those that enter and leave the layers: what lies between fused nodes is not moved. Times
are the least of a run, both engines by turns, on made-up inputs; on a GPU by its events, with inputs on the
device and one graph a run, so that a launch costs what it costs inside a graph. Both sides take the fastest
kernels that the tuner finds for their layers; products of float32 may round to TF32 on a GPU, the default.
"""


def page(paths):
    text = HEAD
    for path in paths:
        result = json.loads(Path(path).read_text())
        threads = f", {result['threads']} threads" if result["kind"] == "cpu" else ""
        text += f"\n## {result['device']}, {result['precision']}{threads}\n\n"
        text += "| pattern | batch | steps | MiB moved | ms | times faster | kernels, fused |\n"
        text += "|---|---|---|---|---|---|---|\n"
        for row in result["rows"]:
            before, after = row["unfused"], row["fused"]
            text += (f"| {row['pattern']}: {row['size']} | {row['batch']} "
                     f"| {before['steps']} → {after['steps']} "
                     f"| {before['bytes'] / 2**20:.2f} → {after['bytes'] / 2**20:.2f} "
                     f"| {before['milliseconds']:.4f} → {after['milliseconds']:.4f} "
                     f"| {before['milliseconds'] / after['milliseconds']:.2f} "
                     f"| {', '.join(after['kernels'])} |\n")
    (ROOT / "docs" / "fusion.md").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    measuring.add_argument("--json", default="fusion.json", help="what to write")
    measuring.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    measuring.add_argument("--fp16", action="store_true")
    measuring.add_argument("--program", default=str(ROOT / "build/bin/carnot"))
    measuring.add_argument("--engines", help="folder that keeps engines between calls")
    measuring.add_argument("--build", action="store_true", help="build the engines, measure none")
    measuring.add_argument("--seconds", type=float, default=0.2, help="of each turn")
    measuring.add_argument("--rounds", type=int, default=3)
    verbs.add_parser("page").add_argument("files", nargs="+")
    options = parser.parse_args()
    measure(options) if options.verb == "measure" else page(options.files)


if __name__ == "__main__":
    main()
