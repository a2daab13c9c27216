"""A comparison as text for people and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import _carnot

from ._bisect import Culprit, Trial
from ._compare import Compared, Divergence, Report
from ._difference import Difference
from ._model import Model


def _shape(dtype: str, dims: Iterable[int]) -> str:
    return f"{dtype}[{', '.join(map(str, dims))}]"


def heading(report: Report) -> str:
    inputs = ", ".join(f"{name} {_shape(array.dtype.name, array.shape)}"
                       for name, array in report.inputs.items())
    return f"carnot {_carnot.version} beside onnxruntime {report.version}\ninputs: {inputs}\n"


def row_heading() -> str:
    return f"{'relative L2':>11}  {'largest':>9}  layer, tensor\n"


def row(compared: Compared) -> str:
    """A line for one tensor."""
    difference, layer = compared.difference, compared.layer
    what = f"{layer.operators}  {compared.tensor}" if layer else f"output  {compared.tensor}"
    mark = f"  DIVERGES: {difference.reason}" if difference.diverges else ""
    return f"{difference.l2:11.2e}  {difference.max_abs:9.2e}  {what}{mark}\n"


def summary(report: Report, outputs_only: bool) -> str:
    """How it went, when all agree."""
    text = f"agrees: {report.compared} tensors"
    if not outputs_only:
        text += f" over {report.layers} layers"
    if report.worst:
        text += (f"; greatest relative L2 error {report.worst.difference.l2:.2g}, "
                 f"of {report.worst.tensor}")
    if report.left_out:
        text += (f"\n{len(report.left_out)} others are none of the model's, or of types that NumPy "
                 "lacks: what follows them shows their errors")
    return text + "\n"


def _values(difference: Difference) -> str:
    return (f"{list(difference.index)}: carnot {_number(difference.has)}, "
            f"onnxruntime {_number(difference.wanted)}")


def _number(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _inputs(divergence: Divergence) -> list[str]:
    """The errors of what the layer computes from, greatest first, and what they mean."""
    inputs = sorted(divergence.inputs.items(), key=lambda item: -item[1].l2)
    if not inputs:
        return ["the network's own inputs: the error is born here"]
    lines = [f"{name}: relative L2 error {difference.l2:.2g}" for name, difference in inputs[:6]]
    if len(inputs) > 6:
        lines.append(f"and {len(inputs) - 6} more with less")
    error = divergence.first.difference.l2
    grown = inputs[0][1].l2 > 0.1 * error > 0
    lines.append("the error has grown before it" if grown else "the error is born here")
    return lines


def divergence_text(divergence: Divergence, model: Model) -> str:
    """The first tensor that differs: who wrote it, how much, where, and from what."""
    first = divergence.first
    difference, layer = first.difference, first.layer
    rows: list[tuple[str, str]] = []
    if layer:
        text = f"diverges at layer {first.number} of {first.count}: {layer.layer}\n"
        types = {node.name: node.type for node in model.nodes}
        rows.append(("operators", layer.operators))
        rows.append(("ONNX nodes", ", ".join(
            f"{node} ({types[node]})" if node in types else node for node in layer.onnx_nodes)))
        rows.append(("kernel", layer.kernel))
        rows.append(("tensor",
                     f"{first.tensor}, {_shape(layer.dtype, layer.shape)}, {layer.layout}"))
    else:
        text = f"diverges in output {first.tensor}\n"
    rows.append(("because", difference.reason))
    if difference.index is not None:
        rows.append(("errors",
                     f"relative L2 {difference.l2:.3g}, largest {difference.max_abs:.3g}, largest "
                     f"relative {difference.max_rel:.3g}; {difference.wrong} of {difference.count} "
                     "elements"))
        rows.append(("worst at", _values(difference)))
        rows.append(("not finite",
                     f"carnot {difference.nan[0]} NaN and {difference.inf[0]} infinite, "
                     f"onnxruntime {difference.nan[1]} and {difference.inf[1]}"))
    for i, line in enumerate(_inputs(divergence)):
        rows.append(("from" if i == 0 else "", line))
    return text + "".join(f"  {name:<10}  {line}\n" for name, line in rows)


def trial_text(trial: Trial) -> str:
    """What a trial tries, for a line of progress."""
    if trial.without_kernels:
        return f"without {', '.join(trial.without_kernels)}"
    if trial.skip_passes:
        return f"without pass {', '.join(trial.skip_passes)}"
    if trial.patch_limit is not None:
        return f"with the first {trial.patch_limit} rewrites"
    return "once more" + (", kernels by estimate" if trial.quick else "")


def culprit_text(culprit: Culprit) -> str:
    if culprit.kind == "kernel":
        names = list(dict.fromkeys(name.partition("@")[0] for name in culprit.kernels))
        instead = f"; {culprit.instead} does the layer then" if culprit.instead else ""

        def flags(kernels: Iterable[str]) -> str:
            return " ".join(f"--withoutKernel {shlex.quote(name)}" for name in kernels)

        return (f"culprit: kernel {', '.join(names)}\n"
                f"  agrees with  {flags(culprit.kernels)}{instead}\n"
                f"  everywhere   {flags(names)} leaves it out of all layers\n")
    if culprit.kind == "patch":
        patch = culprit.patch
        nodes = ", ".join(patch.onnx_nodes)
        reason = f": {patch.reason}" if patch.reason else ""
        text = (f"culprit: pass {patch.pass_name}, rewrite {patch.number}: {patch.label} at "
                f"{patch.node}{reason}\n  ONNX nodes   {nodes}\n"
                f"  agrees with  --patchLimit {patch.number - 1}, which leaves it and all later "
                "ones out\n")
        return text + (f"  agrees with  --skipPass {culprit.skip}\n" if culprit.skip else "")
    if culprit.kind == "operator":
        return ("culprit: no rewrite and no kernel; what carnot takes these nodes to mean differs "
                "from what onnxruntime does\n")
    if culprit.kind == "unsteady":
        return "culprit: unknown; the divergence does not show in a new build\n"
    return f"culprit: unknown; {culprit.why}\n"


def _layer_json(compared: Compared) -> dict[str, Any]:
    layer = compared.layer
    if layer is None:
        return {}
    return {"layer": layer.layer, "number": compared.number, "layers": compared.count,
            "operators": layer.operators, "kernel": layer.kernel,
            "onnxNodes": list(layer.onnx_nodes), "layout": layer.layout, "dtype": layer.dtype,
            "shape": list(layer.shape)}


def compared_json(compared: Compared) -> dict[str, Any]:
    return {"tensor": compared.tensor, **_layer_json(compared), **compared.difference.as_json()}


def report_json(path: str, report: Report, compared: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole report; `compared` are the tensors' compared_json."""
    divergence = report.divergence
    culprit = divergence and divergence.culprit
    return {
        "file": path, "carnot": _carnot.version, "onnxruntime": report.version,
        "agrees": report.agrees,
        "inputs": {name: {"dtype": array.dtype.name, "shape": list(array.shape)}
                   for name, array in report.inputs.items()},
        "layers": report.layers, "sessions": report.sessions,
        "leftOut": [layer.layer for layer in report.left_out],
        "compared": compared,
        "divergence": divergence and {
            **compared_json(divergence.first),
            "inputs": {name: item.as_json() for name, item in divergence.inputs.items()}},
        "culprit": culprit and {
            "kind": culprit.kind, "withoutKernels": list(culprit.kernels),
            "instead": culprit.instead, "skipPass": culprit.skip, "why": culprit.why,
            "patch": culprit.patch and culprit.patch._asdict()},
    }
