#!/usr/bin/env python3
"""Peak memory of a fresh process that opens a model and runs it, Carnot beside its peers.

For each model and peer a process of its own imports the peer, opens what a deployment would hold
(Carnot: a saved engine; OpenVINO: a compiled model from its cache; onnxruntime: the ONNX file), runs
it three times at batch 1 and reports its peak of resident memory (VmHWM: mapped pages of files
count). "net" is without what the process held before it opened the model: Python, NumPy and the
peer's libraries. Megabytes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import models  # noqa: E402


def peak_kib():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise SystemExit("memory: /proc/self/status has no VmHWM; Linux is needed")


# ---- peers: import gives a function that opens a file; save writes the file that is opened --------


def carnot_peer(threads):
    import carnot

    return lambda path: carnot.load(path).run


def carnot_file(model, folder, threads):
    import carnot

    path = folder / "model.engine"
    carnot.build(str(model.path), threads=threads).save(str(path))
    return path


def onnxruntime_peer(threads):
    import onnxruntime

    def open_(path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda feeds: session.run(None, feeds)

    return open_


def openvino_peer(threads):
    import openvino

    def open_(path):
        core = openvino.Core()
        compiled = core.import_model(Path(path).read_bytes(), "CPU",
                                     {"INFERENCE_NUM_THREADS": threads})
        request = compiled.create_infer_request()
        return lambda feeds: request.infer(feeds, share_inputs=True)

    return open_


def openvino_file(model, folder, threads):
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.path), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"})
    path = folder / "model.blob"
    path.write_bytes(compiled.export_model().getvalue())
    return path


PEERS = {
    "carnot": (carnot_peer, carnot_file),
    "onnxruntime": (onnxruntime_peer, lambda model, folder, threads: model.path),
    "openvino": (openvino_peer, openvino_file),
}


def child(peer, name, path, threads):
    (model,) = models.by_name([name])
    feeds = model.inputs(1)
    open_ = PEERS[peer][0](threads)
    before = peak_kib()
    run = open_(path)
    for _ in range(3):
        run(feeds)
    print(json.dumps({"peak": peak_kib() / 1024, "net": (peak_kib() - before) / 1024}))


def measure(peer, model, path, threads):
    reply = subprocess.run([sys.executable, __file__, "--child", peer, model.name, str(path),
                            str(threads)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(reply.stdout.splitlines()[-1])


def main():
    if sys.argv[1:2] == ["--child"]:
        peer, name, path, threads = sys.argv[2:]
        child(peer, name, path, int(threads))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="", help="names, with commas (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    print(f"{'model':<14}" + "".join(f"{peer:>14} {'net':>7}" for peer in PEERS))
    report = {}
    for model in models.by_name([name for name in options.models.split(",") if name]):
        models.ensure(model)
        cells = report[model.name] = {}
        with tempfile.TemporaryDirectory() as folder:
            for peer, (_, save) in PEERS.items():
                path = save(model, Path(folder), options.threads)
                cells[peer] = measure(peer, model, path, options.threads)
        print(f"{model.name:<14}" + "".join(f"{cell['peak']:14.0f} {cell['net']:7.0f}"
                                            for cell in cells.values()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
