"""Runs packed cases (write_ops_page.py --pack) on the CPU and on a GPU with the program `carnot`.

  run_cases.py PROGRAM RESULT [SECONDS]   cases lie beside this file; RESULT: JSON, one entry a case;
                                          what SECONDS leave no time for is left out
"""

import concurrent.futures
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOLERANCE = {"f16": 4e-3, "bf16": 3e-2}
HOST = ("reference", "cuda/host")


def numbers(values):
    """Nested or flat lists of numbers, some as text ("NaN")."""
    for value in values:
        if isinstance(value, list):
            yield from numbers(value)
        else:
            yield float(value) if value is not None else math.nan


def run(program, folder, case, device, work):
    loads = ",".join(f"{name}:{folder / name}.bin" for name in case["inputs"])
    output, layers = work / f"{device}.json", work / f"{device}_layers.json"
    command = [program, "exec", f"--onnx={folder / 'model.onnx'}",
               "--iterations=1", "--warmUp=0", "--duration=0", "--builderOptimizationLevel=0",
               "--noTF32", "--profilingVerbosity=detailed", f"--exportOutput={output}",
               f"--exportLayerInfo={layers}"] + ([f"--loadInputs={loads}"] if loads else [])
    done = subprocess.run(command, capture_output=True, text=True, timeout=20,
                          env={**os.environ, "CARNOT_DEVICE": device})
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines()
        return None, None, next((line for line in lines if "[E]" in line), lines[-1] if lines else "")
    tactics = {layer.get("TacticName", "") for layer in json.loads(layers.read_text())["Layers"]
               if isinstance(layer, dict)}
    return json.loads(output.read_text()), tactics, ""


def same(a, b, tolerance):
    if [x["dimensions"] for x in a] != [x["dimensions"] for x in b]:
        return False
    for x, y in zip(a, b):
        for p, q in zip(numbers(x["values"]), numbers(y["values"])):
            if not (p == q or (math.isnan(p) and math.isnan(q))
                    or abs(p - q) <= tolerance * max(1.0, abs(q))):
                return False
    return True


def one(program, folder, deadline):
    if time.monotonic() > deadline:
        return None
    case = json.loads((folder / "case.json").read_text())
    result = {"operator": case["operator"], "type": case["type"]}
    with tempfile.TemporaryDirectory() as work:
        try:
            wanted, _, refused = run(program, folder, case, "cpu", pathlib.Path(work))
            if wanted is None:
                return {**result, "where": f"no CPU result: {refused}"}
            has, tactics, refused = run(program, folder, case, "cuda", pathlib.Path(work))
        except subprocess.TimeoutExpired:
            return {**result, "where": "too long"}
    if has is None:
        return {**result, "where": f"refused: {refused}"}
    if not same(has, wanted, TOLERANCE.get(case["type"], 1e-4)):
        return {**result, "where": "other values", "tactics": sorted(tactics)}
    host = any(tactic in HOST for tactic in tactics)
    return {**result, "where": "host" if host else "device", "tactics": sorted(tactics)}


def main():
    program, result = sys.argv[1:3]
    deadline = time.monotonic() + float(sys.argv[3] if len(sys.argv) > 3 else "inf")
    folders = sorted((path.parent for path in pathlib.Path(__file__).parent.glob("*/case.json")),
                     key=lambda folder: ('"f32"' not in (folder / "case.json").read_text(), folder))
    with concurrent.futures.ThreadPoolExecutor(14) as pool:
        results = list(pool.map(lambda folder: one(program, folder, deadline), folders))
    print("left out", sum(entry is None for entry in results))
    results = [entry for entry in results if entry]
    pathlib.Path(result).write_text(json.dumps(results, indent=1))
    for where in ("device", "host"):
        print(where, sum(entry["where"] == where for entry in results))
    for entry in results:
        if entry["where"] not in ("device", "host"):
            print(entry)


if __name__ == "__main__":
    main()
