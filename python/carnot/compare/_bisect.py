"""Finds what makes a layer wrong: a rewrite of the graph, a kernel, or the operator itself.

Pure search: what a build with something left out gives is asked of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Trial:
    """What to change about the build.

    Attributes:
        patch_limit: only so many rewrites; None: as asked for.
        skip_passes, without_kernels: left out beside those asked for.
        quick: kernels are chosen by estimates, not by timing.
    """

    patch_limit: int | None = None
    skip_passes: tuple[str, ...] = ()
    without_kernels: tuple[str, ...] = ()
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """Of a trial.

    Attributes:
        diverges: whether the tensor does; None when the engine has no such tensor.
        kernel: of the layer that wrote it.
    """

    diverges: bool | None
    kernel: str = ""


@dataclass(frozen=True)
class Suspect:
    """A layer's kernel, and the ONNX node by which the layer is found."""

    kernel: str
    node: str


class Patch(Protocol):
    """As carnot.AppliedPatch."""

    number: int
    pass_name: str
    label: str
    node: str


@dataclass(frozen=True)
class Culprit:
    """What was found.

    Attributes:
        kind: "kernel"; "patch"; "operator": it is wrong with no rewrite and no fast kernel;
            "unsteady": it does not show again; "unclear": trials do not tell.
        kernels: of kind "kernel": what to leave out, as without_kernels takes it.
        instead: the kernel that then does the layer.
        patch: of kind "patch"; with one rewrite less the layer agrees.
        skip: the pass whose absence mends the layer; empty when that does not, or is not possible.
        why: of kind "unclear".
    """

    kind: str
    kernels: tuple[str, ...] = ()
    instead: str = ""
    patch: Patch | None = None
    skip: str = ""
    why: str = ""


Attempt = Callable[[Trial], Outcome]
_REFERENCE = "reference"


class _Unclear(Exception):
    pass


def first_bad(good: int, bad: int, is_bad: Callable[[int], bool]) -> int:
    """The number whose step turns good into bad, given good < bad and their states."""
    while bad - good > 1:
        middle = (good + bad) // 2
        if is_bad(middle):
            bad = middle
        else:
            good = middle
    return bad


def find_culprit(attempt: Attempt, suspects: Sequence[Suspect], nodes: Sequence[str],
                 patches: Sequence[Patch]) -> Culprit:
    """The smallest change to the build that mends a tensor.

    Args:
        attempt: builds with a trial's changes and says whether the tensor diverges.
        suspects: the layer that writes the tensor, then layers before it that were not compared.
        nodes: ONNX nodes of all these layers.
        patches: the rewrites of a full build, in order.
    """
    try:
        return _find(attempt, suspects, nodes, patches)
    except _Unclear as unclear:
        return Culprit("unclear", why=str(unclear))


def _diverges(attempt: Attempt, trial: Trial) -> bool:
    outcome = attempt(trial)
    if outcome.diverges is None:
        raise _Unclear(f"an engine with {_text(trial)} has no such tensor")
    return outcome.diverges


def _text(trial: Trial) -> str:
    parts = []
    if trial.patch_limit is not None:
        parts.append(f"the first {trial.patch_limit} rewrites alone")
    parts += [f"no {name}" for name in (*trial.skip_passes, *trial.without_kernels)]
    return " and ".join(parts) or "all rewrites and kernels"


def _find(attempt: Attempt, suspects: Sequence[Suspect], nodes: Sequence[str],
          patches: Sequence[Patch]) -> Culprit:
    if not _diverges(attempt, Trial()):
        return Culprit("unsteady")
    for suspect in suspects:
        kernels, instead = _guilty_kernels(attempt, suspect, Trial())
        if kernels:
            return Culprit("kernel", kernels, instead)
    quick = _diverges(attempt, Trial(quick=True))
    plain = Trial(patch_limit=0, quick=quick)
    if patches and not _diverges(attempt, plain):
        return _guilty_patch(attempt, patches, quick)
    bare = Trial(0, (), tuple(f"cpu@{node}" for node in nodes), quick)
    if _diverges(attempt, bare):
        return Culprit("operator")
    # The kernels of the operators alone, which in the full build are parts of others.
    kernel = attempt(plain).kernel
    for node in nodes:
        kernels, instead = _guilty_kernels(attempt, Suspect(kernel, node), plain)
        if kernels:
            return Culprit("kernel", kernels, instead)
    return Culprit("kernel", bare.without_kernels, _REFERENCE)


def _guilty_kernels(attempt: Attempt, suspect: Suspect, base: Trial
                    ) -> tuple[tuple[str, ...], str]:
    """What to leave out of the suspect's layer until it agrees, one kernel after another."""
    without: tuple[str, ...] = ()
    kernel = suspect.kernel
    while kernel and kernel != _REFERENCE and f"{kernel}@{suspect.node}" not in without:
        without += (f"{kernel}@{suspect.node}",)
        outcome = attempt(Trial(base.patch_limit, base.skip_passes, without, base.quick))
        if outcome.diverges is None:
            return (), ""
        if not outcome.diverges:
            return without, outcome.kernel
        kernel = outcome.kernel
    return (), ""


def _guilty_patch(attempt: Attempt, patches: Sequence[Patch], quick: bool) -> Culprit:
    count = len(patches)
    if not _diverges(attempt, Trial(patch_limit=count, quick=quick)):
        raise _Unclear(f"with a limit of {count} rewrites, which are all, it agrees")
    number = first_bad(0, count,
                       lambda limit: _diverges(attempt, Trial(patch_limit=limit, quick=quick)))
    patch = patches[number - 1]
    mended = attempt(Trial(skip_passes=(patch.pass_name,))).diverges is False
    return Culprit("patch", patch=patch, skip=patch.pass_name if mended else "")
