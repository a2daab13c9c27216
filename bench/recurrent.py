#!/usr/bin/env python3
"""LSTM, GRU, RNN and a Loop beside onnxruntime, over hidden sizes, batches and steps.

Each case is one operator with random weights. Both engines are open at once and take turns; a turn
is untimed runs for two milliseconds, until the other's threads no longer spin, and three timed ones.
Prints minimum microseconds, the ratio of the minima, and how far the outputs are apart.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import carnot

sys.path.insert(0, str(Path(__file__).resolve().parent))
import compare  # noqa: E402

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def weights(random, *dims):
    return random.uniform(-1, 1, dims).astype(np.float32) / np.sqrt(np.float32(dims[-1]))


def network(cell, hidden, bidirectional, linear):
    """x [time, batch, hidden] -> y and the last h."""
    random = np.random.default_rng(1)
    directions, rows = (2 if bidirectional else 1), GATES[cell] * hidden
    constants = {"w": weights(random, directions, rows, hidden),
                 "r": weights(random, directions, rows, hidden),
                 "b": weights(random, directions, 2 * rows)}
    attributes = {"hidden_size": hidden,
                  "direction": "bidirectional" if bidirectional else "forward"}
    if cell == "GRU":
        attributes["linear_before_reset"] = int(linear)
    node = helper.make_node(cell, ["x", *constants], ["y", "h"], **attributes)
    return graph([node], constants, ["time", "batch", hidden],
                 {"y": ["time", directions, "batch", hidden], "h": [directions, "batch", hidden]})


def loop(hidden):
    """An RNN written out as a Loop over the elements of x [time, batch, hidden]."""
    random = np.random.default_rng(1)
    constants = {"w": weights(random, hidden, hidden), "r": weights(random, hidden, hidden),
                 "axis": np.array(0, np.int64)}
    body = helper.make_graph(
        [helper.make_node("Gather", ["x", "i"], ["element"], axis=0),
         helper.make_node("MatMul", ["element", "w"], ["wx"]),
         helper.make_node("MatMul", ["h", "r"], ["rh"]),
         helper.make_node("Add", ["wx", "rh"], ["sum"]),
         helper.make_node("Tanh", ["sum"], ["next"]),
         helper.make_node("Identity", ["go"], ["on"]),
         helper.make_node("Identity", ["next"], ["scanned"])],
        "step",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("h", TensorProto.FLOAT, ["batch", hidden])],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", TensorProto.FLOAT, ["batch", hidden]),
         helper.make_tensor_value_info("scanned", TensorProto.FLOAT, ["batch", hidden])])
    nodes = [helper.make_node("Shape", ["x"], ["dims"]),
             helper.make_node("Gather", ["dims", "axis"], ["steps"]),
             helper.make_node("Gather", ["x", "axis"], ["first"], axis=0),
             helper.make_node("Sub", ["first", "first"], ["zeros"]),
             helper.make_node("Loop", ["steps", "", "zeros"], ["last", "y"], body=body)]
    return graph(nodes, constants, ["time", "batch", hidden],
                 {"y": ["time", "batch", hidden], "last": ["batch", hidden]})


def graph(nodes, constants, x, outputs):
    made = helper.make_graph(
        nodes, "recurrent", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
         for name, dims in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=9).SerializeToString()


def open_both(model, threads):
    return {"carnot": carnot.build(model, threads=threads).run,
            "onnxruntime": compare.Onnxruntime().open_file(model, threads)}


def interleave(runs, feeds, seconds):
    """Minimum seconds of each."""
    least = dict.fromkeys(runs, float("inf"))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, run in runs.items():
            start = time.perf_counter()
            run(feeds)
            while time.perf_counter() - start < 2e-3:
                run(feeds)
            for _ in range(3):
                start = time.perf_counter()
                run(feeds)
                least[name] = min(least[name], time.perf_counter() - start)
    return least


KINDS = {
    "LSTM": lambda hidden: network("LSTM", hidden, False, False),
    "LSTM both": lambda hidden: network("LSTM", hidden, True, False),
    "GRU": lambda hidden: network("GRU", hidden, False, False),
    "GRU linear": lambda hidden: network("GRU", hidden, False, True),
    "RNN": lambda hidden: network("RNN", hidden, False, False),
    "Loop": loop,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default="LSTM,GRU,GRU linear,Loop",
                        help=f"of {', '.join(KINDS)}")
    parser.add_argument("--hidden", default="64,128,512,1024")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--steps", default="16,128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    random = np.random.default_rng(2)
    rows, far = [], False
    print(f"{'':<11}{'hidden':>7}{'batch':>6}{'steps':>6}{'Carnot us':>12}{'onnxruntime':>12}"
          f"{'ratio':>7}  distance")
    for kind in options.kinds.split(","):
        for hidden in map(int, options.hidden.split(",")):
            runs = open_both(KINDS[kind](hidden), options.threads)
            for batch in map(int, options.batches.split(",")):
                for steps in map(int, options.steps.split(",")):
                    feeds = {"x": random.standard_normal((steps, batch, hidden),
                                                         dtype=np.float32)}
                    outputs = {name: run(feeds) for name, run in runs.items()}
                    apart = compare.distance(outputs["carnot"], outputs["onnxruntime"])
                    least = interleave(runs, feeds, options.seconds)
                    ratio = least["carnot"] / least["onnxruntime"]
                    far |= not apart <= 1e-4
                    rows.append({"kind": kind, "hidden": hidden, "batch": batch, "steps": steps,
                                 "seconds": least, "ratio": ratio, "distance": apart})
                    print(f"{kind:<11}{hidden:>7}{batch:>6}{steps:>6}{least['carnot'] * 1e6:>12.1f}"
                          f"{least['onnxruntime'] * 1e6:>12.1f}{ratio:>7.2f}  {apart:.1e}",
                          flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
