"""Mutated models through the whole build and run, beside onnxruntime: each gives a clear error or a
right result. Mutants are made of the fuzzers' seeds, by fields and by bytes; each batch is a process
of its own, so that a crash is found and told with its input.

Usage: mutants.py SEEDS OUT [--count N] [--first N] [--batch N]; SEEDS is a folder of models as
make_seeds.py writes them. What fails is kept in OUT; exit status 1 when something did. With
`--program build/fuzz/bin/onnx_build`, mutants go through that program, with its sanitizers, instead;
with engine_file and a folder of engines, mutated engines do.
"""

import argparse
import os
import random
import re
import subprocess
import sys

import numpy as np
import onnx

MOST_ELEMENTS = 1 << 18
TOLERANCE = 1e-3
# Whose results are not given by their inputs alone, or by which values tie.
NOT_COMPARED = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli",
                "Multinomial", "Dropout"}


def mutate_bytes(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place] = rng.choice((0, 1, 0x7f, 0x80, 0xff))
        elif kind == 2:
            del data[place:place + rng.randrange(1, 9)]
        elif kind == 3:
            data[place:place] = data[place:place + rng.randrange(1, 33)]
        else:
            start = rng.randrange(len(data))
            data[place:place + 8] = data[start:start + 8]
        if not data:
            break
    return bytes(data)


def mutate_fields(model, rng):
    """One field of the model becomes another of its kind."""
    graph = model.graph
    node = rng.choice(graph.node)
    names = [name for each in graph.node for name in [*each.input, *each.output] if name]
    numbers = (0, 1, -1, 2, 3, 7, 255, 1 << 31, (1 << 63) - 1, -(1 << 63))

    def attribute():
        if not node.attribute:
            return
        one = rng.choice(node.attribute)
        one.i = rng.choice(numbers)
        one.f = rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
        if one.ints:
            one.ints[rng.randrange(len(one.ints))] = rng.choice(numbers)

    def wire():
        if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice([*names, ""])

    def drop():
        rng.choice((node.input, node.output, node.attribute, graph.node, graph.initializer))[:1] = []

    def swap_type():
        node.op_type = rng.choice(graph.node).op_type

    def dims():
        if graph.input:
            shape = rng.choice(graph.input).type.tensor_type.shape
            if shape.dim:
                shape.dim[rng.randrange(len(shape.dim))].dim_value = rng.choice((0, 1, 2, 3, 5, 64))

    def element_type():
        if graph.input:
            rng.choice(graph.input).type.tensor_type.elem_type = rng.randrange(0, 24)

    def weights():
        if graph.initializer:
            tensor = rng.choice(graph.initializer)
            if tensor.dims:
                tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, 1, 2, 3, 8, 1 << 40))

    def opset():
        model.opset_import[0].version = rng.randrange(0, 30)

    def twice():
        graph.node.add().CopyFrom(node)

    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice((attribute, attribute, wire, drop, swap_type, dims, element_type, weights, opset,
                    twice))()
    return model.SerializeToString()


def mutant(seeds, number):
    """The mutant of that number: the same each time."""
    rng = random.Random(number)
    path = rng.choice(seeds)
    with open(path, "rb") as file:
        data = file.read()
    if rng.random() < 0.6:
        try:
            model = onnx.load_from_string(data)
            if model.graph.node and model.opset_import:
                return mutate_fields(model, rng)
        except Exception:  # an engine, or a model whose mutant cannot be written
            pass
    return mutate_bytes(data, rng)


def inputs_for(engine, rng):
    values = {}
    for tensor in engine.inputs:
        dims = [dim if isinstance(dim, int) else 3 for dim in tensor.shape]
        if np.prod(dims, dtype=float) > MOST_ELEMENTS:
            return None
        kind = np.dtype(tensor.numpy_dtype)
        if kind.kind == "b":
            values[tensor.name] = rng.integers(0, 2, dims).astype(kind)
        elif kind.kind in "iu":
            values[tensor.name] = rng.integers(0, 3, dims).astype(kind)
        else:
            values[tensor.name] = rng.standard_normal(dims).astype(kind)
    return values


def close(ours, theirs):
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return False
    if ours.dtype.kind not in "fc":
        return np.array_equal(ours, theirs)
    scale = np.max(np.abs(theirs[np.isfinite(theirs)]), initial=1.0)
    return np.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True)


def check(data):
    """What became of one mutant: refused, alone (onnxruntime refuses), agrees, or how it differs."""
    import carnot
    import onnxruntime

    try:
        engine = carnot.build(data, threads=1, optimization_level=0, timing_cache=False)
        values = inputs_for(engine, np.random.default_rng(0))
        if values is None:
            return "large"
        ours = engine.run(values)
    except carnot.Error as error:
        return "DEFECT " + str(error) if "defect" in str(error) else "refused"
    try:
        model = onnx.load_from_string(data)
    except Exception:  # damaged where Carnot need not look
        return "alone"
    nothing = any(value.size == 0 for value in values.values())  # whose mean each defines its own way
    if nothing or any(node.op_type in NOT_COMPARED for node in model.graph.node):
        return "alone"
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        theirs = dict(zip(names, session.run(names, values)))
    except Exception:
        return "alone"
    for name in names:
        if not isinstance(theirs[name], np.ndarray) or not close(ours[name], theirs[name]):
            return f"DIFFERS in {name}"
    return "agrees"


def run_batch(seeds, first, last):
    """In a process of its own: a line for each mutant, begun before it is tried."""
    for number in range(first, last):
        print(number, end=" ", flush=True)
        print(check(mutant(seeds, number)).replace("\n", " "), flush=True)


def run_program(program, seeds, out, first, last):
    """How many mutants were tried, and what became of them; the last of them failed if any did."""
    paths = []
    for number in range(first, last):
        paths.append(os.path.join(out, f"mutant_{number}"))
        with open(paths[-1], "wb") as file:
            file.write(mutant(seeds, number))
    result = subprocess.run([program, "-timeout=60", "-rss_limit_mb=4096",
                             "-detect_leaks=0",  # after each, which runs it twice; but at the end
                             f"-artifact_prefix={out}/",
                             *paths], capture_output=True, text=True, errors="replace")
    done = result.stderr.count("Executed ")
    failed = result.returncode != 0
    if failed:
        print(f"FAILED {paths[done]}\n{result.stderr[-3000:]}", flush=True)
    for index, path in enumerate(paths):
        if not (failed and index == done):
            os.remove(path)
    outcomes = re.findall(r"^(\d+) accepted, (\d+) refused$", result.stderr, re.MULTILINE)
    if failed or not outcomes:  # it did not come to saying so
        return done + failed, {"run": done, "FAILED": int(failed)}
    return done, dict(zip(("accepted", "refused"), map(int, outcomes[0])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds")
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--program")
    parser.add_argument("--here", action="store_true", help="try the batch in this process")
    options = parser.parse_args()
    seeds = sorted(os.path.join(options.seeds, name) for name in os.listdir(options.seeds))
    last = options.first + options.count
    if options.here:
        return run_batch(seeds, options.first, last)
    os.makedirs(options.out, exist_ok=True)
    counts, at = {}, options.first
    while at < last:
        end = min(at + options.batch, last)
        if options.program:
            done, outcomes = run_program(options.program, seeds, options.out, at, end)
            for word, count in outcomes.items():
                counts[word] = counts.get(word, 0) + count
            at += done
            continue
        result = subprocess.run(
            [sys.executable, __file__, options.seeds, options.out, "--here", "--first", str(at),
             "--count", str(end - at)], capture_output=True, text=True)
        for line in result.stdout.splitlines():
            number, _, outcome = line.partition(" ")
            outcome = outcome.strip() or f"CRASHED with status {result.returncode}"
            word = outcome.split()[0]
            counts[word] = counts.get(word, 0) + 1
            at = int(number) + 1
            if word.isupper():
                path = os.path.join(options.out, f"mutant_{number}.onnx")
                with open(path, "wb") as file:
                    file.write(mutant(seeds, int(number)))
                print(f"{path}: {outcome}\n{result.stderr[-500:] if word == 'CRASHED' else ''}",
                      flush=True)
        if not result.stdout:
            sys.exit(result.stderr)
    print(", ".join(f"{count} {word}" for word, count in sorted(counts.items())))
    return 1 if any(word.isupper() and count for word, count in counts.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
