#!/usr/bin/env python3
"""The main job on real input: draw a picture with text, read it back with three trained models.

Prints what Carnot's engines read beside what onnxruntime reads with the same models. `--picture FILE`
reads a picture of yours instead, `--save FILE` writes the one that is drawn.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from pathlib import Path

from ocr import Reader, classes
from PIL import Image, ImageDraw, ImageFont

STAGES = {  # the reader's stage: its file in rapidocr-onnxruntime's wheel
    "detect": "ch_PP-OCRv4_det_infer.onnx",
    "orient": "ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "recognize": "ch_PP-OCRv4_rec_infer.onnx",
}

TEXT = [  # words, height in pixels, angle in degrees
    ("Sadi Carnot, 1824", 58, 0),
    ("Reflections on the motive power of fire", 34, 0),
    ("An engine is rebuilt for the machine at hand:", 26, 0),
    ("layers fused, kernels timed, memory laid out.", 26, 0),
    ("efficiency = 1 - Tc / Th = 63.4 %", 40, 0),
    ("this line stands on its head", 32, 180),
]


def model_folder():
    spec = importlib.util.find_spec("rapidocr_onnxruntime")
    if spec is None:
        raise SystemExit("read_text: rapidocr-onnxruntime is not installed; run ./dev setup")
    return Path(spec.origin).parent / "models"


def draw():
    picture = Image.new("RGB", (960, 480), (246, 243, 236))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, 14, 480), fill=(168, 60, 40))
    top = 24
    for words, height, angle in TEXT:
        font = ImageFont.load_default(size=height)
        left, upper, right, lower = pen.textbbox((0, 0), words, font)
        line = Image.new("RGB", (right - left + 8, lower - upper + 8), (246, 243, 236))
        ImageDraw.Draw(line).text((4 - left, 4 - upper), words, (30, 34, 52), font)
        picture.paste(line.rotate(angle), (48, top))
        top += height + 38
    return picture


# ---- engines: each opens a model and gives a callable {name: array} -> {name: array} --------------


def with_carnot(path, threads):
    import carnot

    start = time.perf_counter()
    engine = carnot.build(path, threads=threads)
    run = engine.context().run
    model = lambda feeds: run(feeds)  # noqa: E731: carries the engine along for the report
    model.engine, model.build_seconds = engine, time.perf_counter() - start
    return model


def with_onnxruntime(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds)))


def recognizer_classes(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return classes(session.get_modelmeta().custom_metadata_map["character"])


class Timed:
    """A model that notes how long each call takes, in seconds."""

    def __init__(self, run):
        self.run, self.seconds = run, []

    def __call__(self, feeds):
        start = time.perf_counter()
        outputs = self.run(feeds)
        self.feeds = feeds
        self.seconds.append(time.perf_counter() - start)
        return outputs


def reader(open_model, threads, characters):
    folder = model_folder()
    stages = {stage: Timed(open_model(folder / file, threads)) for stage, file in STAGES.items()}
    return Reader(**stages, characters=characters)


# ---- what is printed -----------------------------------------------------------------------------


def print_texts(readings):
    """Side by side: {engine: lines}."""
    names = list(readings)
    width = max([len(line.text) + 7 for lines in readings.values() for line in lines], default=20)
    print("  ".join(f"{name:<{width}}" for name in names).rstrip())
    for row in range(max(map(len, readings.values()))):
        cells = []
        for name in names:
            lines = readings[name]
            cell = f"{lines[row].text} ({lines[row].confidence:.2f})" if row < len(lines) else "-"
            cells.append(f"{cell:<{width}}")
        print("  ".join(cells).rstrip())


def race(readers, picture, rounds):
    """{engine: {stage: [seconds a picture]}}; the engines take turns."""
    times = {name: {stage: [] for stage in STAGES} for name in readers}
    for _ in range(rounds):
        for name, one in readers.items():
            for stage in STAGES:
                getattr(one, stage).seconds.clear()
            one.read(picture)
            for stage in STAGES:
                times[name][stage].append(sum(getattr(one, stage).seconds))
    return times


def print_times(times):
    names = list(times)
    print(f"{'ms a picture, median':<22}" + "".join(f"{name:>14}" for name in names))
    for stage in [*STAGES, "all"]:
        cells = []
        for name in names:
            stages = times[name]
            values = stages[stage] if stage in stages else [sum(t) for t in zip(*stages.values())]
            cells.append(1e3 * statistics.median(values))
        ratio = f"   ratio {cells[0] / cells[1]:.2f}" if len(cells) == 2 else ""
        print(f"{stage:<22}" + "".join(f"{cell:14.2f}" for cell in cells) + ratio)


def print_engines(one):
    """How each stage's engine was made and what it holds."""
    print(f"{'engine':<12}{'built in':>10}{'layers':>8}{'weights':>11}{'activations':>13}   slowest layers")
    for stage in STAGES:
        timed = getattr(one, stage)
        engine = timed.run.engine
        layers = engine.profile(timed.feeds, runs=5)
        memory = engine.context()
        memory.run(timed.feeds)
        slowest = sorted(layers, key=lambda layer: -layer.share)[:3]
        text = ", ".join(f"{layer.operators} {layer.share:.0%}" for layer in slowest)
        print(f"{stage:<12}{timed.run.build_seconds:8.2f} s{len(layers):8d}"
              f"{engine.info['weight_bytes'] / 2**20:7.1f} MiB{memory.memory()[0] / 2**20:9.1f} MiB   {text}")


def print_slowest(one, count=8):
    """The layers of all stages that take the most of a picture's time."""
    rows = []
    for stage in STAGES:
        timed = getattr(one, stage)
        rows += [(layer.milliseconds, stage, layer)
                 for layer in timed.run.engine.profile(timed.feeds, runs=5)]
    print(f"{'slowest layers':<44}{'ms':>8}{'GFLOP/s':>9}  {'bound':<8}kernel")
    for milliseconds, stage, layer in sorted(rows, key=lambda row: -row[0])[:count]:
        rate = layer.flops / milliseconds / 1e6 if milliseconds else 0
        print(f"{stage + ': ' + layer.operators:<44.43}{milliseconds:8.3f}{rate:9.1f}  "
              f"{layer.bound:<8}{layer.kernel}")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="read this picture instead of a drawn one")
    parser.add_argument("--save", type=Path, help="write the drawn picture here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of the race")
    options = parser.parse_args(arguments)

    picture = Image.open(options.picture).convert("RGB") if options.picture else draw()
    if options.save:
        picture.save(options.save)
    characters = recognizer_classes(model_folder() / STAGES["recognize"])
    engines = {"carnot": with_carnot, "onnxruntime": with_onnxruntime}
    readers = {name: reader(open_model, options.threads, characters)
               for name, open_model in engines.items()}

    print(f"read in a picture of {picture.width} x {picture.height} pixels (confidence):\n")
    readings = {name: one.read(picture) for name, one in readers.items()}
    print_texts(readings)
    print()
    print_times(race(readers, picture, options.rounds))
    print()
    print_engines(readers["carnot"])
    print()
    print_slowest(readers["carnot"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
