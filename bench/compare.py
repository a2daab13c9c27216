#!/usr/bin/env python3
"""Carnot beside its peers, on the bench's models, in one process.

For each model and batch every peer's session is open at once and they take turns; a turn is one
untimed run, so that caches hold the peer's own data, and one timed. Prints the minimum and median of
each peer in milliseconds and the ratio of Carnot's minimum to the peer's, and how far all outputs
are from onnxruntime's; exits 1 if Carnot's are farther than 1e-4. Makes the models that are missing.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import models  # noqa: E402

TOLERANCE = 1e-4
REFERENCE = "onnxruntime"


# ---- peers: import, open a session, run it --------------------------------------------------------


class Peer:
    """`version`; `open(model, threads)`: {name: array} -> {name: array}; `timings`: {what: seconds}."""

    def takes(self, model):
        return True

    def timings(self, model, threads):
        return {"open": seconds_of(lambda: self.open(model, threads))[0]}


class Carnot(Peer):
    def __init__(self):
        import carnot

        self.carnot, self.version = carnot, carnot.__version__

    def open(self, model, threads):
        return self.carnot.build(str(model.path), threads=threads).run

    def timings(self, model, threads):
        """Seconds of a cold build, one with a filled timing cache, saving and loading."""
        path, before = model.path, os.environ.get("XDG_CACHE_HOME")
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            file = str(Path(folder) / "model.engine")
            try:
                cold, _ = seconds_of(lambda: self.carnot.build(str(path), threads=threads))
                cached, engine = seconds_of(lambda: self.carnot.build(str(path), threads=threads))
                save, _ = seconds_of(lambda: engine.save(file))
                load = min(seconds_of(lambda: self.carnot.load(file))[0] for _ in range(3))
            finally:
                if before is None:
                    del os.environ["XDG_CACHE_HOME"]
                else:
                    os.environ["XDG_CACHE_HOME"] = before
        return {"cold build": cold, "cached build": cached, "save": save, "load": load}


class Onnxruntime(Peer):
    def __init__(self):
        import onnxruntime

        self.onnxruntime, self.version = onnxruntime, onnxruntime.__version__

    def open(self, model, threads):
        return self.open_file(str(model.path), threads)

    def open_file(self, model, threads):
        """Of a path, or of a model's bytes."""
        options = self.onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Its workers spin during a run, as by default, but not on into the next peer's turn.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = self.onnxruntime.InferenceSession(model, options,
                                                    providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda feeds: dict(zip(names, session.run(names, feeds)))


class OpenVino(Peer):
    def __init__(self):
        import openvino

        self.openvino, self.version = openvino, openvino.__version__.split("-")[0]

    def open(self, model, threads):
        core = self.openvino.Core()
        compiled = core.compile_model(core.read_model(model.path), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32"})
        request = compiled.create_infer_request()
        names = [output.any_name for output in compiled.outputs]

        def run(feeds):
            results = request.infer(feeds, share_inputs=True, share_outputs=True)
            return {name: results[i] for i, name in enumerate(names)}

        return run


class Torch(Peer):
    """The module that the file was exported from, eager; pictures channels-last. No peer for files
    that were not made of a module."""

    def __init__(self):
        import torch

        self.torch, self.version = torch, torch.__version__.split("+")[0]

    def takes(self, model):
        return model.module is not None

    def open(self, model, threads):
        torch = self.torch
        torch.set_num_threads(threads)
        module = model.module().to(memory_format=torch.channels_last)

        def run(feeds):
            tensors = [torch.from_numpy(array) for array in feeds.values()]
            tensors = [t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t
                       for t in tensors]
            with torch.inference_mode():
                results = module(*tensors)
            results = results if isinstance(results, tuple) else (results,)
            return {name: result.numpy() for name, result in zip(model.outputs, results)}

        return run


PEERS = {"carnot": Carnot, "onnxruntime": Onnxruntime, "openvino": OpenVino, "torch": Torch}


def seconds_of(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def import_peers(names):
    peers = {}
    for name in names:
        if name not in PEERS:
            raise SystemExit(f"compare: no peer {name!r}; the peers are: {', '.join(PEERS)}")
        try:
            peers[name] = PEERS[name]()
        except (ImportError, AttributeError) as error:
            print(f"{name}: skipped, it does not import ({error})")
    if not peers:
        raise SystemExit("compare: no peer imports")
    return peers


# ---- measuring -----------------------------------------------------------------------------------


def distance(a, b):
    """The worst ‖a−b‖₂/‖b‖₂ over the outputs of b by name; infinite where shapes, what is not finite,
    or elements that are no floats differ."""
    def one(x, y):
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape:
            return float("inf")
        if y.dtype.kind != "f":
            return 0.0 if np.array_equal(x, y) else float("inf")
        finite = np.isfinite(y)
        if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
            return float("inf")
        x, y = x[finite].astype(np.float64), y[finite].astype(np.float64)
        apart = float(np.linalg.norm(x - y) / max(np.linalg.norm(y), 1e-30))
        return apart if np.isfinite(apart) else float("inf")

    return max((one(a[name], b[name]) if name in a else float("inf")) for name in b)


def agreement(model, runs, batches):
    """{peer: worst distance to the reference} over every shape of the model."""
    worst = {name: 0.0 for name in runs if name != REFERENCE}
    for seed, (batch, shape) in enumerate((b, s) for b in sorted(batches) for s in model.shapes):
        feeds = model.inputs(batch, seed=seed, **shape)
        expected = runs[REFERENCE](feeds)
        for name in worst:
            worst[name] = max(worst[name], distance(runs[name](feeds), expected))
    return worst


def interleave(runs, feeds, seconds, rounds):
    """{peer: [seconds]}: rounds of turns until both the time and the rounds are spent."""
    times = {name: [] for name in runs}
    order = list(runs)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times[order[0]]) < rounds:
        for name in order:
            runs[name](feeds)
            start = time.perf_counter()
            runs[name](feeds)
            times[name].append(time.perf_counter() - start)
        order.append(order.pop(0))
    return times


def case(model, batch, times):
    row = {"model": model.name, "batch": batch, "rounds": min(map(len, times.values())), "peers": {}}
    for name, values in times.items():
        row["peers"][name] = {"min_ms": 1e3 * min(values), "median_ms": 1e3 * statistics.median(values)}
    ours = row["peers"].get("carnot")
    for name, theirs in row["peers"].items():
        if ours and name != "carnot":
            theirs["ratio_min"] = ours["min_ms"] / theirs["min_ms"]
            theirs["ratio_median"] = ours["median_ms"] / theirs["median_ms"]
    return row


# ---- printing ------------------------------------------------------------------------------------


def machine():
    cpu, flags = platform.processor() or platform.machine(), set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                cpu = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    except OSError:
        pass
    known = ["avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16",
             "avx512_fp16", "amx_int8", "amx_bf16"]
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "system": platform.platform(),
            "isa": [flag for flag in known if flag in flags]}


def print_case(row):
    cells = [f"{row['model']:<13}{row['batch']:>3}"]
    for peer in row["peers"].values():
        cells.append(f"{peer['min_ms']:9.2f} {peer['median_ms']:9.2f}")
        if "ratio_min" in peer:
            cells.append(f"{peer['ratio_min']:6.2f}")
    print("  ".join(cells), flush=True)


def print_header(names):
    cells = [f"{'model':<13}{'n':>3}"]
    for name in names:
        cells.append(f"{name:>19}")
        if name != "carnot" and "carnot" in names:
            cells.append(" ratio")
    print("  ".join(cells))
    print("minimum and median in ms; ratio = carnot's minimum / the peer's")


def parse(arguments):
    parser = argparse.ArgumentParser(description="Carnot beside its peers.")
    parser.add_argument("--models", default="", help="names, with commas (default: all)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4, help="least time for each case")
    parser.add_argument("--rounds", type=int, default=10, help="least rounds for each case")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    batches = [int(batch) for batch in options.batches.split(",")]
    rows = models.by_name([name for name in options.models.split(",") if name])
    peers = import_peers(options.peers.split(","))
    report = {"machine": machine(), "threads": options.threads,
              "versions": {name: peer.version for name, peer in peers.items()},
              "cases": [], "agreement": {}, "seconds": {}}
    host = report["machine"]
    print(f"{host['cpu']}, {host['cores']} cores ({' '.join(host['isa'])}), {host['system']}")
    print(", ".join(f"{name} {version}" for name, version in report["versions"].items()),
          f"{options.threads} threads", sep="; ")
    print_header(list(peers))

    far = []
    for model in rows:
        models.ensure(model)
        here = {name: peer for name, peer in peers.items() if peer.takes(model)}
        report["seconds"][model.name] = {
            name: peer.timings(model, options.threads) for name, peer in here.items()}
        runs = {name: peer.open(model, options.threads) for name, peer in here.items()}
        if REFERENCE in runs:
            report["agreement"][model.name] = worst = agreement(model, runs, {*batches, 3})
            ours = worst.get("carnot", 0.0)
            if not ours <= TOLERANCE:
                far.append(f"{model.name}: carnot is {ours:.1e} from {REFERENCE}'s outputs")
        for batch in batches:
            times = interleave(runs, model.inputs(batch), options.seconds, options.rounds)
            report["cases"].append(case(model, batch, times))
            print_case(report["cases"][-1])

    print("\nseconds")
    for name, seconds in report["seconds"].items():
        text = "; ".join(f"{peer}: " + ", ".join(f"{what} {s:.3f}" for what, s in parts.items())
                         for peer, parts in seconds.items())
        print(f"{name:<13}{text}")
    if report["agreement"]:
        print(f"\nworst ‖a−b‖₂/‖b‖₂ to {REFERENCE} over all shapes")
        for name, worst in report["agreement"].items():
            print(f"{name:<13}" + ", ".join(f"{peer} {d:.1e}" for peer, d in worst.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    for message in far:
        print(f"compare: {message}; at most {TOLERANCE:.0e} is allowed", file=sys.stderr)
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
