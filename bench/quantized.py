#!/usr/bin/env python3
"""Transformers whose products onnxruntime's quantize_dynamic made of 8 bits, beside onnxruntime.

Weights are int8, activations are quantized to uint8 on the way; what is behind the products stays
float32. Both engines are open at once and take turns, as in bench/recurrent.py. Prints minimum
milliseconds, the ratio of the minima, Carnot's time in float32, and how far each engine's outputs
are from those in float32.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import carnot

sys.path.insert(0, str(Path(__file__).resolve().parent))
import compare  # noqa: E402
import models  # noqa: E402
import recurrent  # noqa: E402


def quantized(path, to, unsigned):
    import logging

    import onnxruntime.quantization as quantization

    logging.getLogger().setLevel(logging.ERROR)
    kinds = quantization.QuantType
    quantization.quantize_dynamic(path, to, weight_type=kinds.QUInt8 if unsigned else kinds.QInt8)
    return to


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="minilm,bert")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2, help="for each case")
    parser.add_argument("--unsigned", action="store_true", help="weights of uint8")
    options = parser.parse_args()
    print(f"{'':<10}{'batch':>6}{'Carnot ms':>11}{'onnxruntime':>12}{'ratio':>7}{'float32':>9}"
          "  distances from float32")
    with tempfile.TemporaryDirectory() as folder:
        for model in models.by_name(options.models.split(",")):
            models.ensure(model)
            file = quantized(model.path, Path(folder) / model.path.name, options.unsigned)
            theirs = compare.Onnxruntime().open_file(str(file), options.threads)
            for batch in map(int, options.batches.split(",")):
                feeds = model.inputs(batch, seed=1)
                profile = {name: (list(x.shape),) * 3 for name, x in feeds.items()}
                runs = {"carnot": carnot.build(file, threads=options.threads, profiles=profile).run,
                        "onnxruntime": theirs,
                        "float32": carnot.build(model.path, threads=options.threads,
                                                profiles=profile).run}
                outputs = {name: run(feeds) for name, run in runs.items()}
                least = recurrent.interleave(runs, feeds, options.seconds)
                apart = [compare.distance(outputs[name], outputs["float32"])
                         for name in ("carnot", "onnxruntime")]
                ms = {name: seconds * 1e3 for name, seconds in least.items()}
                print(f"{model.name:<10}{batch:>6}{ms['carnot']:>11.2f}{ms['onnxruntime']:>12.2f}"
                      f"{ms['carnot'] / ms['onnxruntime']:>7.2f}{ms['float32']:>9.2f}"
                      f"  {apart[0]:.1e} {apart[1]:.1e}", flush=True)


if __name__ == "__main__":
    main()
