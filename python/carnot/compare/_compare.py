"""A model in carnot beside the same in onnxruntime, layer by layer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._arrays import is_numpy
from .._build import AppliedPatch, build, load
from .._engine import Engine
from .._error import Error
from .._watch import LayerOutput
from ._bisect import Culprit, Outcome, Suspect, Trial, find_culprit
from ._difference import NOISE, Difference, Tolerance, measure, unit_of
from ._inputs import make_inputs
from ._layers import Output, nearest, survey, unseen_before, watch, windows
from ._model import Model
from ._reference import Reference

WINDOW_BYTES = 256 << 20


@dataclass(frozen=True)
class Compared:
    """One tensor.

    Attributes:
        tensor: the model's name.
        layer: who wrote it; None for an output of the model that no layer writes under its name.
        number, count: which layer that is, from 1, and of how many.
    """

    tensor: str
    difference: Difference
    layer: LayerOutput | None = None
    number: int = 0
    count: int = 0


@dataclass
class Divergence:
    """The first tensor that differs.

    Attributes:
        inputs: what the layer computes from, as far as it was compared: differences by name.
        culprit: None when it was not looked for.
    """

    first: Compared
    inputs: dict[str, Difference] = field(default_factory=dict)
    culprit: Culprit | None = None


@dataclass
class Report:
    """Of a comparison.

    Attributes:
        version: of onnxruntime.
        inputs: the arrays.
        layers: that the engine has.
        compared: how many tensors were, up to the divergence.
        left_out: outputs of layers that hold no tensor of the model, or one of a type that NumPy
            lacks.
        sessions: tensors of each onnxruntime session.
        worst: of the tensors that agree, the one with the greatest relative L2 error, noise about
            zero aside.
        divergence: None when all agree.
    """

    version: str
    inputs: dict[str, np.ndarray]
    layers: int = 0
    compared: int = 0
    left_out: list[LayerOutput] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    worst: Compared | None = None
    divergence: Divergence | None = None

    @property
    def agrees(self) -> bool:
        return self.divergence is None


def compare(path: str | os.PathLike[str], *, inputs: Mapping[str, np.ndarray] | None = None,
            shapes: Mapping[str, Sequence[int]] | None = None, seed: int = 1,
            tolerance: Tolerance = Tolerance(), window: int = WINDOW_BYTES,
            outputs_only: bool = False, engine: str | os.PathLike[str] | None = None,
            reference: str | os.PathLike[str] | None = None,
            bisect: bool | None = None, on_build: Callable[[Report], None] | None = None,
            on_tensor: Callable[[Compared], None] | None = None,
            on_divergence: Callable[[Divergence], None] | None = None,
            on_trial: Callable[[Trial], None] | None = None,
            builder: Callable[..., Engine] = build, **options: Any) -> Report:
    """Compares layer by layer up to the first that differs, and finds what makes it differ.

    The engine runs once to see what it has, then once for each window of onnxruntime's tensors; of
    its own tensors it holds one at a time.

    Args:
        path: the ONNX file.
        inputs: arrays by name; others are made up.
        shapes: dims of inputs; the engine is built for just these when `options` has no profiles.
        seed: of made-up inputs.
        tolerance: what counts as equal.
        window: bytes of onnxruntime's tensors held at once; a larger tensor is held alone.
        outputs_only: compares the model's outputs alone.
        engine: an engine's file, built of this model, to compare in place of a new build.
        reference: another ONNX file for onnxruntime, such as another version of the model; tensors
            are matched by name.
        bisect: whether to look for the culprit; None: unless `reference` is given.
        on_build, on_tensor, on_divergence, on_trial: called before the first tensor, with each
            tensor as it is compared, with the first that differs before its culprit is looked for,
            and with each trial build.
        builder, options: carnot.build and what it is called with.

    Raises:
        Error: what building raises; Unsupported when onnxruntime is missing or does not run the
            model.
    """
    comparison = _Comparison(os.fspath(path), reference, options, builder, tolerance)
    comparison.prepare(engine, inputs or {}, shapes or {}, seed)
    if on_build:
        on_build(comparison.report)
    found = comparison.find(window, outputs_only, on_tensor or (lambda compared: None))
    if comparison.report.divergence and on_divergence:
        on_divergence(comparison.report.divergence)
    if found and (reference is None if bisect is None else bisect):
        comparison.bisect(found, on_trial or (lambda trial: None))
    return comparison.report


@dataclass(frozen=True)
class _Found:
    """Where it diverges, and what it should be."""

    output: Output
    wanted: np.ndarray


class _Comparison:
    def __init__(self, path: str, reference: Any, options: Mapping[str, Any],
                 builder: Callable[..., Engine], tolerance: Tolerance) -> None:
        self._path, self._options, self._builder = path, dict(options), builder
        self._tolerance = tolerance
        other = path if reference is None else os.fspath(reference)
        self._reference = Reference(Model.read(other), self._options.get("threads") or 0)
        self.report = Report(self._reference.version, {})

    def prepare(self, engine: Any, given: Mapping[str, np.ndarray],
                shapes: Mapping[str, Sequence[int]], seed: int) -> None:
        """Builds or loads, and finds what can be compared."""
        if shapes and not self._options.get("profiles"):
            self._options["profiles"] = {name: tuple(dims) for name, dims in shapes.items()}
        self._patches: list[AppliedPatch] | None = None
        built = self._build() if engine is None else load(
            engine, threads=self._options.get("threads"))
        self._context = built.context()
        self._model = Model.read(self._path)
        self.report.inputs = make_inputs(self._context.engine, self._model, given, shapes, seed)
        self._outputs, self._results = survey(self._context, self.report.inputs, self._model)
        self.report.layers = max((output.number for output in self._outputs), default=0)

    def _build(self) -> Engine:
        patches: list[AppliedPatch] = []
        engine = self._builder(self._path, patches=patches.append, **self._options)
        self._patches = patches
        return engine

    # --- the first that differs

    def find(self, window: int, outputs_only: bool, tell: Callable[[Compared], None]
             ) -> _Found | None:
        """Compares until something differs. Only what a layer wrote can be bisected."""
        self._known: dict[str, Difference] = {}
        self._units: dict[str, float] = {}  # the coarsest unit that a tensor's numbers went through
        chosen = [output for output in self._outputs if self._comparable(output)]
        if outputs_only:
            chosen = [output for output in chosen if output.name in self._model.outputs]
        else:
            places = {output.place for output in chosen}
            self.report.left_out = [output.layer for output in self._outputs
                                    if output.place not in places]
        for part in windows([output.nbytes for output in chosen], window):
            found = self._compare_window([chosen[i] for i in part], tell)
            if found:
                return found
        self._compare_results(window, tell)
        if not self.report.compared:
            raise Error("Unsupported", "no tensor that can be compared",
                        f"one of a type of NumPy that {self._reference.model.path} has too", "",
                        (f"file {self._path}",))
        return None

    def _comparable(self, output: Output) -> bool:
        return self._reference.has(output.name) and is_numpy(output.layer.dtype)

    def _compare_window(self, chosen: Sequence[Output], tell: Callable[[Compared], None]
                        ) -> _Found | None:
        wanted = self._ask([output.name for output in chosen])
        found: list[_Found] = []

        def look(output: Output, array: np.ndarray) -> bool:
            difference = self._measure(output.name, array, wanted[output.name])
            self._note(Compared(output.name, difference, output.layer, output.number,
                                self.report.layers), tell)
            if difference.diverges:
                found.append(_Found(output, wanted[output.name]))
            return not difference.diverges

        watch(self._context, self.report.inputs, chosen, look)
        return found[0] if found else None

    def _compare_results(self, window: int, tell: Callable[[Compared], None]) -> None:
        """The model's outputs, as far as no layer showed them."""
        names = [info.name for info in self._context.engine.outputs
                 if info.name not in self._known and self._reference.has(info.name)
                 and is_numpy(info.dtype)]
        for part in windows([self._results[name].nbytes for name in names], window):
            wanted = self._ask([names[i] for i in part])
            for name, array in wanted.items():
                self._note(Compared(name, self._measure(name, self._results[name], array)), tell)
                if self.report.divergence:
                    return

    def _ask(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        names = list(dict.fromkeys(names))
        self.report.sessions.append(len(names))
        return self._reference.run(names, self.report.inputs)

    def _measure(self, name: str, has: np.ndarray, wanted: np.ndarray) -> Difference:
        before = nearest(name, self._model, self._units)
        self._units[name] = max([unit_of(has.dtype), *(self._units[other] for other in before)])
        return measure(has, wanted, self._tolerance, self._units[name])

    def _note(self, compared: Compared, tell: Callable[[Compared], None]) -> None:
        report, difference = self.report, compared.difference
        report.compared += 1
        if difference.diverges:
            before = nearest(compared.tensor, self._model, self._known)
            report.divergence = Divergence(compared, {name: self._known[name] for name in before})
        elif report.worst is None or _badness(difference) > _badness(report.worst.difference):
            report.worst = compared
        self._known[compared.tensor] = difference
        tell(compared)

    # --- why it differs

    def bisect(self, found: _Found, tell: Callable[[Trial], None]) -> None:
        layers = [found.output, *unseen_before(found.output, self._outputs)]
        nodes = list(dict.fromkeys(node for layer in layers for node in layer.layer.onnx_nodes))
        producer = self._model.producers.get(found.output.name)
        suspects = [Suspect(layer.layer.kernel, _node_of(layer.layer, producer and producer.name))
                    for layer in layers if layer.layer.onnx_nodes]

        def attempt(trial: Trial) -> Outcome:
            tell(trial)
            return self._attempt(found, trial)

        if self._patches is None:
            self._build()
        self.report.divergence.culprit = find_culprit(attempt, suspects, nodes, self._patches)

    def _attempt(self, found: _Found, trial: Trial) -> Outcome:
        options = dict(self._options)
        for name in ("skip_passes", "without_kernels"):
            options[name] = [*options.get(name, ()), *getattr(trial, name)]
        if trial.patch_limit is not None:
            options["patch_limit"] = trial.patch_limit
        if trial.quick:
            options["optimization_level"] = 0
        context = self._builder(self._path, **options).context()
        outputs, _ = survey(context, self.report.inputs, self._model)
        mine = [output for output in outputs if output.name == found.output.name]
        diverging: list[Output] = []

        def look(output: Output, array: np.ndarray) -> bool:
            unit = self._units[found.output.name]
            if measure(array, found.wanted, self._tolerance, unit).diverges:
                diverging.append(output)
            return not diverging

        if mine:
            watch(context, self.report.inputs, mine, look)
        return Outcome(bool(diverging) if mine else None,
                       (diverging or mine)[0].layer.kernel if mine else "")


def _badness(difference: Difference) -> tuple[bool, float]:
    return difference.max_abs > NOISE, difference.l2


def _node_of(layer: LayerOutput, preferred: str | None) -> str:
    return preferred if preferred in layer.onnx_nodes else layer.onnx_nodes[-1]
