#!/usr/bin/env python3
"""How near each layer of the bench's models comes to the machine's limit.

Runs `carnot bench --json` on each model, which times every layer and measures the machine's peak
(multiply-adds from registers; bytes from memory), and prints by kernel: layers, time, share of the
model's time, and the share of the peak that the arithmetic and the memory traffic reach. Layers at
work in the caches may pass 100 % of memory's rate. Below: the layers that lose most time to the
nearer of the two limits.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))
import models  # noqa: E402


def report(model, batch, threads):
    shapes = ",".join(f"{name}:{'x'.join(map(str, array.shape))}"
                      for name, array in model.inputs(batch).items())
    command = [str(ROOT / "build/bin/carnot"), "bench", str(model.path), "--json", "--shapes",
               shapes, "--threads", str(threads), "--duration", "0.5", "--profileRuns", "30"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def floor_ms(layer, machine):
    """The least time that arithmetic and memory allow."""
    return 1e3 * max(layer["flops"] / machine["flopsPerSecond"],
                     layer["bytes"] / machine["bytesPerSecond"])


def shares(layers, machine):
    seconds = sum(layer["milliseconds"] for layer in layers) / 1e3 or 1e-12
    return (sum(layer["flops"] for layer in layers) / seconds / machine["flopsPerSecond"],
            sum(layer["bytes"] for layer in layers) / seconds / machine["bytesPerSecond"])


def print_model(name, batch, result, most):
    machine, layers = result["machine"], result["layers"]
    total = sum(layer["milliseconds"] for layer in layers)
    kernels = defaultdict(list)
    for layer in layers:
        kernels[layer["kernel"]].append(layer)
    print(f"\n{name}, batch {batch}: {total:.2f} ms in {len(layers)} layers")
    print(f"  {'kernel':<30}{'layers':>7}{'ms':>10}{'share':>8}{'arithmetic':>12}{'memory':>9}")
    for kernel, group in sorted(kernels.items(),
                                key=lambda row: -sum(x["milliseconds"] for x in row[1])):
        spent = sum(layer["milliseconds"] for layer in group)
        flops, traffic = shares(group, machine)
        print(f"  {kernel:<30}{len(group):>7}{spent:>10.3f}{spent / total:>8.1%}{flops:>12.0%}"
              f"{traffic:>9.0%}")
    lost = sorted(layers, key=lambda x: floor_ms(x, machine) - x["milliseconds"])[:most]
    for layer in lost:
        flops, traffic = shares([layer], machine)
        print(f"    {layer['milliseconds']:.3f} ms, limit {floor_ms(layer, machine):.3f}: "
              f"{layer['kernel']} {layer['operators']}, {flops:.0%} / {traffic:.0%}, "
              f"{', '.join(layer['origins'][:2])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="", help="names, with commas (default: all)")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--top", type=int, default=3, help="layers shown that lose most time")
    parser.add_argument("--json", type=Path, help="write the reports to this file")
    options = parser.parse_args()
    reports = []
    for model in models.by_name([name for name in options.models.split(",") if name]):
        models.ensure(model)
        for batch in map(int, options.batches.split(",")):
            result = report(model, batch, options.threads)
            if not reports:
                machine = result["machine"]
                print(f"{result['device']}\npeak {machine['flopsPerSecond'] / 1e9:.0f} GFLOP/s, "
                      f"{machine['bytesPerSecond'] / 1e9:.1f} GB/s")
            reports.append({"model": model.name, "batch": batch, **result})
            print_model(model.name, batch, result, options.top)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1) + "\n")


if __name__ == "__main__":
    main()
