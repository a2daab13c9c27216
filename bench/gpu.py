#!/usr/bin/env python3
"""The GPU part of the bench: gpu.py make|speed|agreement FOLDER LOG [NAME...]. gpu_check.sh calls it.

FOLDER holds bin/carnot. Models are exported here by PyTorch, timed by PyTorch, and built and run by
carnot's command line alone. Prints rows of the table. make: exports the models and notes how far
PyTorch's own results are from its full precision; speed: for ResNet-50 and BERT in half precision
milliseconds beside PyTorch's (eager, in a CUDA graph), with inputs on the device, both by events;
agreement: for every model (or those named) how far its outputs on the GPU are from the CPU's.
"""

import concurrent.futures
import copy
import json
import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np

import models

SPEED = {"resnet50": (1, 8, 32, 128), "bert": (1, 8, 32)}
# BF16 has three bits less than FP16; where PyTorch in bfloat16 is further off, half again of that.
LIMITS = {"TF32 off": 1e-4, "TF32": 2e-3, "FP16": 5e-3, "BF16": 4e-2}
FLAGS = {"TF32 off": ["--noTF32"], "TF32": [], "FP16": ["--fp16"], "BF16": ["--bf16"]}
AT_ONCE = max(2, (os.cpu_count() or 2) // 2)


def allowed(column, peer):
    return max(LIMITS[column], 1.5 * peer) if column == "BF16" and peer else LIMITS[column]


def row(name, value):
    print(f"| {name:<28} | {value:<90} |", flush=True)


def shapes(inputs):
    return ",".join(f"{name}:{'x'.join(map(str, a.shape))}" for name, a in inputs.items())


class Carnot:
    """The command line, in a folder of its own."""

    def __init__(self, folder, log, device):
        self.program, self.log = str(folder / "bin" / "carnot"), log
        self.environment = {**os.environ, "CARNOT_DEVICE": device}

    def __call__(self, *arguments, cwd=None, limit=120):
        ran = subprocess.run([self.program, *map(str, arguments)], cwd=cwd, timeout=limit,
                             env=self.environment, capture_output=True, text=True)
        with open(self.log / "gpu_bench.log", "a") as log:
            log.write(f"$ {' '.join(map(str, arguments))}\n{ran.stdout}{ran.stderr}\n")
        if ran.returncode:
            lines = (ran.stderr + ran.stdout).strip().splitlines()
            errors = [line for line in lines if "rror" in line or "[E]" in line] or lines or ["?"]
            raise RuntimeError(errors[-1])
        return ran.stdout

    def outputs(self, path, inputs, folder, *flags):
        """The model's outputs by name, in float64, and the program's output."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in inputs.items():
            np.ascontiguousarray(array).tofile(folder / f"{name}.bin")
        files = ",".join(f"{name}:{name}.bin" for name in inputs)
        text = self("exec", f"--onnx={path}", f"--shapes={shapes(inputs)}", f"--loadInputs={files}",
                    "--iterations=2", "--warmUp=0", "--duration=0", "--exportOutput=outputs.json",
                    "--noBuilderCache", *flags, cwd=folder)
        entries = json.loads((folder / "outputs.json").read_text())
        return {entry["name"]: np.array(entry["values"], np.float64) for entry in entries}, text


def distance(has, wanted):
    """The largest relative distance over the outputs."""
    return max(np.linalg.norm(has[name] - array) / max(np.linalg.norm(array), 1e-30)
               for name, array in wanted.items())


# ---- models ---------------------------------------------------------------------------------------


def make(name):
    """Exports the model; (seconds, PyTorch's own distances by column, seconds of those, why not)."""
    start = time.perf_counter()
    model = models.by_name([name])[0]
    models.ensure(model)
    made = time.perf_counter()
    try:
        distances, trouble = torch_distances(model), ""
    except Exception as error:
        distances, trouble = {}, str(error)
    return made - start, distances, time.perf_counter() - made, trouble


def torch_distances(model):
    """{column: distance} of PyTorch's own results on the GPU from its full products there: what the
    precision alone costs this network. Empty for files that no module was exported from."""
    import torch

    if model.module is None:
        return {}

    def run(network, tf32, dtype=torch.float32):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        inputs = [torch.from_numpy(a).cuda() for a in model.inputs(2, seed=1).values()]
        with torch.no_grad():
            result = network.to(dtype)(*[x.to(dtype) if x.is_floating_point() else x for x in inputs])
        if isinstance(result, dict):  # as transformers gives it
            result = list(result.values())
        results = [result] if isinstance(result, torch.Tensor) else result[: len(model.outputs)]
        return {i: r.double().cpu().numpy() for i, r in enumerate(results)}

    network = model.module().eval().cuda()
    full = run(network, False)
    return {"TF32": distance(run(network, True), full),
            **{column: distance(run(copy.deepcopy(network), False, dtype), full)
               for column, dtype in (("FP16", torch.float16), ("BF16", torch.bfloat16))}}


# ---- agreement ------------------------------------------------------------------------------------


def one_run(device, model, folder, log, work, column="cpu"):
    """(outputs by name, what the program said, seconds)."""
    start = time.perf_counter()
    has, text = Carnot(folder, log, device).outputs(
        model.path, model.inputs(2, seed=1), work / model.name / column.replace(" ", ""),
        *FLAGS.get(column, []), "--builderOptimizationLevel=1")
    return has, text, time.perf_counter() - start


def agreement_text(column, run, wanted, peer):
    """(what the row says, whether it is within the limit)."""
    try:
        has, text, _ = run.result()
        error = float(distance(has, wanted))
    except Exception as trouble:  # part of the row, whatever it is
        return f"{column} {str(trouble)[:60]} FAILED", False
    used = text.partition("is allowed: used for ")[2].partition(" layers")[0]
    good = error <= allowed(column, peer)
    notes = [f"PyTorch {peer:.1e}"] if peer else []
    notes += [f"{used} layers"] if used else []
    return (f"{column} {error:.1e}{'' if good else ' FAILED'}"
            + (f" ({', '.join(notes)})" if notes else "")), good


def agreement_rows(rows, folder, log, work):
    failed, peers = False, json.loads((work / "peers.json").read_text())
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {model.name: {"cpu": pool.submit(one_run, "cpu", model, folder, log, work)}
                | {column: pool.submit(one_run, "cuda", model, folder, log, work, column)
                   for column in FLAGS} for model in rows}
        for name, columns in runs.items():
            try:
                wanted = columns["cpu"].result()[0]
            except Exception as error:
                row(f"agreement {name}", f"the CPU: {error}"[:90])
                failed = True
                continue
            texts = [agreement_text(column, columns[column], wanted,
                                    peers.get(name, {}).get(column)) for column in FLAGS]
            failed |= not all(good for _, good in texts)
            row(f"agreement {name}", "; ".join(text for text, _ in texts))
    for name, columns in runs.items():
        spent = {c: round(r.result()[2], 1) for c, r in columns.items() if not r.exception()}
        print(f"agreement {name}, seconds: {spent}", file=sys.stderr)
    return failed


# ---- speed ----------------------------------------------------------------------------------------


def torch_times(model, batches):
    """{batch: (minimum, median) milliseconds}, half precision, eager, in a CUDA graph."""
    import torch

    torch.backends.cudnn.benchmark = True
    network = model.module().eval().cuda().half()
    if model.name == "resnet50":
        network = network.to(memory_format=torch.channels_last)
    times = {}
    for batch in batches:
        inputs = []
        for array in model.inputs(batch, seed=1).values():
            tensor = torch.from_numpy(array).cuda()
            tensor = tensor.half() if tensor.is_floating_point() else tensor
            if tensor.dim() == 4:
                tensor = tensor.to(memory_format=torch.channels_last)
            inputs.append(tensor)
        side = torch.cuda.Stream()
        with torch.no_grad(), torch.cuda.stream(side):
            for _ in range(3):
                network(*inputs)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(graph):
            network(*inputs)
        samples = []
        for i in range(60):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            if i >= 10:
                samples.append(start.elapsed_time(end))
        times[batch] = min(samples), sorted(samples)[len(samples) // 2]
        del graph
    return times


def speed_rows(model, batches, folder, log, work):
    carnot = Carnot(folder, log, "cuda")
    try:
        peer = torch_times(model, batches)
    except Exception as error:
        traceback.print_exc()
        peer = {}
        row(f"{model.name} fp16", f"PyTorch: {error}"[:90])
    cache = work / f"{model.name}-timings.json"
    for batch in batches:
        inputs = model.inputs(batch, seed=1)
        engine = work / f"{model.name}-{batch}.engine"
        halves = ",".join("fp16:chw" if a.dtype == np.float32 else "int64:chw"
                          for a in inputs.values())
        try:
            start = time.perf_counter()
            carnot("exec", f"--onnx={model.path}", f"--shapes={shapes(inputs)}", "--fp16",
                   f"--inputIOFormats={halves}", "--outputIOFormats=fp16:chw",
                   f"--saveEngine={engine}", "--skipInference", f"--timingCacheFile={cache}")
            built = time.perf_counter() - start
            report = json.loads(carnot("bench", engine, "--json", "--duration", 0.5,
                                       "--iterations", 50, "--profileRuns", 3))
            (log / f"{model.name}-{batch}.json").write_text(json.dumps(report, indent=1))
            host = sum("cuda/host" in layer["kernel"] for layer in report["layers"])
            mine = report["latency"]["gpuComputeMinimum"], report["latency"]["gpuCompute"]
            text = (f"carnot {mine[0]:.3f} / {mine[1]:.3f} ms"
                    + (f"; torch {peer[batch][0]:.3f} / {peer[batch][1]:.3f} ms; "
                       f"ratio {mine[0] / peer[batch][0]:.2f}" if batch in peer else "")
                    + f"; built in {built:.1f} s, {len(report['layers'])} steps, {host} on the host")
        except Exception as error:
            text = f"carnot: {error}"[:90]
        row(f"{model.name} fp16 batch {batch}", text)


# ---- parts ----------------------------------------------------------------------------------------


def make_rows(rows, work):
    import torch

    row("torch", f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN "
                 f"{torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    start, peers = time.perf_counter(), {}
    with concurrent.futures.ProcessPoolExecutor(
            AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {model.name: pool.submit(make, model.name) for model in rows}
        for name, future in futures.items():
            try:
                made, peers[name], compared, trouble = future.result()
                print(f"{name}: made in {made:.0f} s, compared in {compared:.0f} s",
                      file=sys.stderr)
                if trouble:
                    row(f"PyTorch's {name}", trouble[:90])
            except BaseException as error:  # SystemExit where a package is missing
                row(f"agreement {name}", f"not made: {error}"[:90])
    (work / "peers.json").write_text(json.dumps(peers))
    row("models", f"{len(peers)} of {len(rows)} made in {time.perf_counter() - start:.0f} s")
    return len(peers) < len(rows)


def main():
    part = sys.argv[1]
    folder, log = (Path(argument).resolve() for argument in sys.argv[2:4])
    rows = models.by_name(sys.argv[4:])
    work = Path(os.environ.get("CARNOT_BENCH_WORK") or log / "bench")
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("CARNOT_MODELS", str(work / "models"))
    if part == "make":
        return make_rows(rows, work)
    available = [model for model in rows if model.path.exists()]
    if part == "agreement":
        return agreement_rows(available, folder, log, work)
    for model in available:
        if model.name in SPEED:
            speed_rows(model, SPEED[model.name], folder, log, work)
    return False


if __name__ == "__main__":
    sys.exit(main())
