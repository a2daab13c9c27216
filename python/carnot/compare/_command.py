"""carnot compare: the command line."""

from __future__ import annotations

import argparse
import difflib
import json
import logging
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

from .._error import Error
from ._compare import WINDOW_BYTES, Compared, Report, compare
from ._difference import Tolerance
from ._inputs import load_input, parse_shapes
from ._model import Model
from ._report import (compared_json, culprit_text, divergence_text, heading, report_json, row,
                      row_heading, summary, trial_text)

AGREES, DIVERGES, CANNOT = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"carnot: error: {message}\nusage: {self.usage}\n"
              "`carnot compare --help` lists the options", file=sys.stderr)
        raise SystemExit(CANNOT)

    def unknown(self, word: str) -> NoReturn:
        word = word.partition("=")[0]
        near = difflib.get_close_matches(word, self._option_string_actions, 1)
        kind = "option" if word.startswith("-") else "argument"
        self.error(f"unknown {kind} '{word}'" + (f"; did you mean '{near[0]}'?" if near else ""))


def _number(kind: type, least: float) -> Any:
    def parse(text: str) -> Any:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    parse.__name__ = "number"
    return parse


def _parser() -> _Parser:
    parser = _Parser(
        prog="carnot compare", usage="carnot compare MODEL.onnx [options]", allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
        description="Runs a model beside onnxruntime, layer by layer, up to the first that "
                    "differs, and finds the rewrite or the kernel that makes it differ.",
        epilog="Exit status: 0 all agree, 1 something differs, 2 it could not be compared.")
    parser.add_argument("model", metavar="MODEL.onnx", help="the ONNX model")

    what = parser.add_argument_group("What to compare")
    what.add_argument("--shapes", default="", metavar="SPEC",
                      help="dims to run at, and to build for when no others are given: "
                           "name:1x3x224x224,…")
    what.add_argument("--input", action="append", default=[], metavar="NAME:FILE.npy",
                      help="an input's array; may be repeated; default: made-up ones")
    what.add_argument("--seed", type=_number(int, 0), default=1, metavar="N",
                      help="of made-up inputs; default: 1")
    what.add_argument("--outputsOnly", action="store_true", help="the model's outputs alone")
    what.add_argument("--engine", metavar="FILE.engine",
                      help="an engine built of the model, in place of a new build")
    what.add_argument("--reference", metavar="FILE.onnx",
                      help="what onnxruntime runs in place of the model: another version of it, "
                           "with tensors of the same names")
    what.add_argument("--window", type=_number(float, 0), default=WINDOW_BYTES / 2**20,
                      metavar="MIB",
                      help="memory for onnxruntime's tensors at a time; default: 256")

    equal = parser.add_argument_group("What counts as equal")
    equal.add_argument("--l2", type=_number(float, 0), metavar="X",
                       help="relative L2 error of a tensor of floats; default: 1e-4, or 8 units in "
                            "the last place of the coarsest type on the way")
    equal.add_argument("--rtol", type=_number(float, 0), metavar="X",
                       help="an element may be off by atol + rtol * its size; default: 1e-3, or "
                            "those 8 units; integers: 0")
    equal.add_argument("--atol", type=_number(float, 0), metavar="X",
                       help="default: rtol times the tensor's largest element; integers: 0, of 8 "
                            "bits 1")

    shown = parser.add_argument_group("What to show")
    shown.add_argument("--all", action="store_true", help="a line for each tensor")
    shown.add_argument("--json", metavar="FILE", help="write the whole report as JSON")
    shown.add_argument("--bisect", action="store_true", default=None,
                       help="look for the culprit of a divergence; the default without --reference")
    shown.add_argument("--noBisect", dest="bisect", action="store_false", help="do not")
    shown.add_argument("--verbose", action="store_true",
                       help="say on standard error what the builder does")

    build = parser.add_argument_group("Build options, as of carnot build")
    build.add_argument("--minShapes", default="", metavar="SPEC")
    build.add_argument("--optShapes", default="", metavar="SPEC")
    build.add_argument("--maxShapes", default="", metavar="SPEC")
    build.add_argument("--threads", type=_number(int, 1), metavar="N", help="of onnxruntime too")
    build.add_argument("--isa", default="native", metavar="NAME")
    build.add_argument("--level", type=int, choices=range(6), default=3, metavar="0..5")
    build.add_argument("--timingCache", metavar="FILE")
    build.add_argument("--buildBudget", type=_number(float, 0), metavar="SECONDS")
    build.add_argument("--skipPass", action="append", default=[], metavar="NAME")
    build.add_argument("--withoutKernel", action="append", default=[], metavar="NAME")
    build.add_argument("--patchLimit", type=_number(int, 0), metavar="N")
    return parser


def _profiles(arguments: argparse.Namespace) -> Any:
    least, best, most = (parse_shapes(getattr(arguments, name))
                         for name in ("minShapes", "optShapes", "maxShapes"))
    profile = {}
    for name in {**least, **best, **most}:
        usual = best.get(name, most.get(name, least.get(name)))
        profile[name] = (least.get(name, usual), usual, most.get(name, usual))
    return profile or None


def _build_options(arguments: argparse.Namespace) -> dict[str, Any]:
    cache = arguments.timingCache
    return {
        "profiles": _profiles(arguments), "threads": arguments.threads, "isa": arguments.isa,
        "optimization_level": arguments.level, "timing_cache": False if cache == "none" else cache,
        "budget": arguments.buildBudget, "skip_passes": arguments.skipPass,
        "without_kernels": arguments.withoutKernel, "patch_limit": arguments.patchLimit,
    }


class _Screen:
    """Results on standard output as they come; progress on standard error, if a terminal."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._all = arguments.all
        self._terminal = sys.stderr.isatty()
        self.rows: list[dict[str, Any]] | None = [] if arguments.json else None

    def begin(self, report: Report) -> None:
        self.show(heading(report) + (row_heading() if self._all else ""))

    def tensor(self, compared: Compared) -> None:
        if self.rows is not None:
            self.rows.append(compared_json(compared))
        if self._all:
            self.show(row(compared))
        elif compared.layer:
            self.progress(f"layer {compared.number} of {compared.count}")

    def show(self, text: str) -> None:
        self.progress("")
        # Names of a model may hold anything.
        clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
        sys.stdout.write(clean.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding))
        sys.stdout.flush()

    def progress(self, text: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


def _run(arguments: argparse.Namespace) -> int:
    screen = _Screen(arguments)
    if arguments.verbose:
        logging.basicConfig(level=logging.DEBUG, format="carnot: %(message)s")
    shapes = parse_shapes(arguments.shapes)
    inputs = dict(load_input(text) for text in arguments.input)
    # The tensor that diverges is told before its culprit is found, which may take a while.
    report = compare(
        arguments.model, inputs=inputs, shapes=shapes, seed=arguments.seed,
        tolerance=Tolerance(arguments.l2, arguments.rtol, arguments.atol),
        window=int(arguments.window * 2**20), outputs_only=arguments.outputsOnly,
        engine=arguments.engine, reference=arguments.reference, bisect=arguments.bisect,
        on_build=screen.begin, on_tensor=screen.tensor,
        on_divergence=lambda found: screen.show(
            divergence_text(found, Model.read(arguments.model))),
        on_trial=lambda trial: screen.progress(f"bisecting: {trial_text(trial)}"),
        **_build_options(arguments))
    if report.agrees:
        screen.show(summary(report, arguments.outputsOnly))
    elif report.divergence.culprit:
        screen.show(culprit_text(report.divergence.culprit))
    if arguments.json:
        _write_json(arguments.json, report_json(arguments.model, report, screen.rows))
    screen.progress("")
    return AGREES if report.agrees else DIVERGES


def _write_json(path: str, report: dict[str, Any]) -> None:
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    except OSError as error:
        raise Error("Io", f"file {path} cannot be written: {error.strerror}") from None


def main(words: list[str]) -> int:
    """Runs the command; gives its exit status."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    if rest:
        parser.unknown(rest[0])
    try:
        return _run(arguments)
    except Error as error:
        print(f"carnot: error: {error}", file=sys.stderr)
        return CANNOT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("carnot: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except MemoryError:
        print("carnot: error: out of memory; a smaller --window needs less", file=sys.stderr)
        return CANNOT
    except Exception as error:  # noqa: BLE001: the interpreter's own status would say DIVERGES
        if arguments.verbose:
            traceback.print_exc()
        print(f"carnot: error: {type(error).__name__}: {error}; this is a defect of Carnot",
              file=sys.stderr)
        return CANNOT
