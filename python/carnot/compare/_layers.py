"""Which tensors of an engine can be compared with which tensors of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._engine import Context
from .._watch import LayerOutput
from ._model import Model


# Of a tensor that is copied to an output at the end of a run, since its memory is another's.
_SOURCE = "/source"


@dataclass(frozen=True)
class Output:
    """What a layer writes, without its contents.

    Attributes:
        place: of all that a run writes, from 0.
        number: the layer's in the engine, from 1.
        name: the model's tensor that it holds; empty when it holds none of them.
        nbytes: of the contents in row-major order.
    """

    place: int
    number: int
    name: str
    nbytes: int
    layer: LayerOutput


def survey(context: Context, inputs: Mapping[str, np.ndarray], model: Model
           ) -> tuple[list[Output], dict[str, np.ndarray]]:
    """Every output of every layer in order, and the results of the run.

    A layer that only changes the layout holds what it read: both bear the model's name if one does.
    """
    seen: list[LayerOutput] = []
    results = context.watch(inputs, lambda output: seen.append(output))
    known = {*model.producers, *model.outputs}
    names = {}
    for output in seen:
        for name in (output.tensor, output.tensor.removesuffix(_SOURCE)):
            if name in known:
                names.setdefault(output.tensor, name)
    reformats = [(output.inputs[0], output.tensor) for output in seen
                 if output.operators == "Reformat" and output.inputs]
    for source, copy in reformats:
        if source in names:
            names.setdefault(copy, names[source])
    for source, copy in reversed(reformats):
        if copy in names:
            names.setdefault(source, names[copy])
    outputs: list[Output] = []
    for output in seen:
        same = outputs and outputs[-1].layer.layer == output.layer
        outputs.append(Output(len(outputs), (outputs[-1].number if outputs else 0) + (not same),
                              names.get(output.tensor, ""), output.nbytes,
                              replace(output, _bytes=np.empty(0, np.uint8))))
    return outputs, results


def watch(context: Context, inputs: Mapping[str, np.ndarray], wanted: Iterable[Output],
          look: Callable[[Output, np.ndarray], bool]) -> None:
    """Runs as far as needed to look at what is wanted, in order, until `look` says no."""
    waiting = {output.place: output for output in wanted}
    place = -1

    def see(output: LayerOutput) -> None:
        nonlocal place
        place += 1
        known = waiting.pop(place, None)
        if known and not look(known, output.array()) or not waiting:
            raise _Enough

    try:
        context.watch(inputs, see)
    except _Enough:
        pass


class _Enough(Exception):
    pass


def windows(sizes: Sequence[int], limit: int) -> list[range]:
    """Cuts a list into runs of at most `limit` bytes each, or of one item."""
    cuts, held = [0], 0
    for i, size in enumerate(sizes):
        if held + size > limit and i > cuts[-1]:
            cuts.append(i)
            held = 0
        held += size
    return [range(a, b) for a, b in zip(cuts, [*cuts[1:], len(sizes)]) if a < b]


def nearest(tensor: str, model: Model, known: Mapping[str, Any]) -> list[str]:
    """The tensors of `known` that a tensor of the model is computed from, as near as there are."""
    found: dict[str, None] = {}
    pending, visited = [tensor], {tensor}
    while pending:
        node = model.producers.get(pending.pop(0))
        for name in node.inputs if node else ():
            if name in visited or not name:
                continue
            visited.add(name)
            if name in known:
                found[name] = None
            else:
                pending.append(name)
    return list(found)


def unseen_before(output: Output, outputs: Sequence[Output]) -> list[Output]:
    """The layers without a name in the model that feed an output's layer through one another."""
    makers = {other.layer.tensor: other for other in outputs[:output.place]}
    found: list[Output] = []
    pending = [output]
    while pending:
        for name in pending.pop().layer.inputs:
            maker = makers.get(name)
            if maker and not maker.name and maker not in found:
                found.append(maker)
                pending.append(maker)
    return found
