"""carnot compare finds the kernel or the rewrite that makes a layer differ."""

import math
from types import SimpleNamespace

import pytest
from compare_models import Faulty, chain, picture

import carnot
from carnot.compare import compare
from carnot.compare._bisect import Outcome, Suspect, find_culprit, first_bad
from carnot.compare._report import culprit_text

QUICK = {"timing_cache": False, "optimization_level": 0}


# --- the search for the culprit

@pytest.mark.parametrize("count", [1, 2, 3, 100, 1000])
def test_first_bad(count):
    for guilty in {1, 2, count // 2 + 1, count}:
        asked = []

        def is_bad(limit):
            asked.append(limit)
            return limit >= guilty

        if guilty <= count:
            assert first_bad(0, count, is_bad) == guilty
            assert len(asked) <= math.ceil(math.log2(count)) if count > 1 else not asked


PATCHES = [SimpleNamespace(number=i + 1, pass_name=f"pass-{i // 10}", label="", node=f"n{i}")
           for i in range(100)]


class World:
    """A build in which some things are wrong: a stand-in for building."""

    def __init__(self, kernels=(), patch=None, operator=False, order=("fast", "slow", "reference"),
                 quick=True, only_fused=False):
        self.kernels, self.patch, self.operator = kernels, patch, operator
        self.order, self.quick, self.only_fused = order, quick, only_fused
        self.trials = []

    def __call__(self, trial):
        self.trials.append(trial)
        out = {name.partition("@")[0] for name in trial.without_kernels}
        kernel = next(name for name in self.order
                      if name == "reference" or (name not in out and "cpu" not in out))
        patched = (self.patch is not None
                   and (trial.patch_limit is None or trial.patch_limit >= self.patch)
                   and PATCHES[self.patch - 1].pass_name not in trial.skip_passes)
        wrong = kernel in self.kernels or patched or self.operator
        return Outcome(wrong and (self.quick or not trial.quick), kernel)


SUSPECTS = [Suspect("fast", "node")]


@pytest.mark.parametrize("world, kind, kernels, number, skip", [
    (World(kernels=["fast"]), "kernel", ("fast@node",), None, ""),
    (World(kernels=["fast", "slow"]), "kernel", ("fast@node", "slow@node"), None, ""),
    (World(patch=1), "patch", (), 1, "pass-0"),
    (World(patch=37), "patch", (), 37, "pass-3"),
    (World(patch=100), "patch", (), 100, "pass-9"),
    (World(patch=37, quick=False), "patch", (), 37, "pass-3"),
    (World(operator=True), "operator", (), None, ""),
    (World(), "unsteady", (), None, ""),
])
def test_find_culprit(world, kind, kernels, number, skip):
    culprit = find_culprit(world, SUSPECTS, ["node"], PATCHES)
    assert (culprit.kind, culprit.kernels, culprit.skip) == (kind, kernels, skip)
    assert (culprit.patch and culprit.patch.number) == number
    assert len(world.trials) < 20
    if not world.quick:
        assert not any(trial.quick for trial in world.trials if trial.patch_limit is not None)


def test_no_kernel_but_a_chain_of_them():
    """Fused, the layer is right in no kernel; alone, its operators are wrong in one."""
    def attempt(trial):
        kernel = "fast" if trial.patch_limit == 0 else "reference"
        left_out = any(name.startswith(("fast", "cpu")) for name in trial.without_kernels)
        return Outcome(not left_out, "reference" if left_out else kernel)

    culprit = find_culprit(attempt, [Suspect("reference", "node")], ["node"], PATCHES)
    assert (culprit.kind, culprit.kernels) == ("kernel", ("fast@node",))


def test_a_layer_before_may_be_guilty():
    def attempt(trial):
        return Outcome("move@other" not in trial.without_kernels, "reference")

    culprit = find_culprit(attempt, [Suspect("reference", "node"), Suspect("move", "other")],
                           ["node", "other"], PATCHES)
    assert (culprit.kind, culprit.kernels) == ("kernel", ("move@other",))


def test_trials_that_do_not_tell():
    def attempt(trial):
        return Outcome(None if trial.patch_limit else trial.patch_limit is None, "reference")

    culprit = find_culprit(attempt, SUSPECTS[:0], ["node"], PATCHES)
    assert culprit.kind == "unclear" and "100 rewrites" in culprit.why


# --- the same on real builds

def test_bisects_to_a_kernel(tmp_path):
    """The kernel of one product is wrong: what is left out is that kernel in that layer."""
    path = picture(tmp_path / "p.onnx")
    kernel = next(layer.kernel for layer in carnot.build(path, **QUICK).profile(runs=1)
                  if "conv_a" in layer.onnx_nodes and "Conv" in layer.operators)

    def is_wrong(output, patches):
        return output.kernel == kernel and "conv_a" in output.onnx_nodes

    report = compare(path, builder=Faulty(is_wrong), optimization_level=0)
    assert "conv_a" in report.divergence.first.layer.onnx_nodes
    culprit = report.divergence.culprit
    assert (culprit.kind, culprit.kernels) == ("kernel", (f"{kernel}@relu1",))
    assert culprit.instead not in ("", kernel)
    text = culprit_text(culprit)
    assert f"--withoutKernel {kernel}@relu1" in text and culprit.instead in text


def test_bisects_to_a_rewrite(tmp_path):
    path = chain(tmp_path / "c.onnx")
    patches = []
    carnot.build(path, patches=patches.append, **QUICK)
    guilty = next(patch for patch in patches if "tanh3" in patch.onnx_nodes or
                  "matmul3" in patch.onnx_nodes)

    def is_wrong(output, applied):
        done = any((p.pass_name, p.node) == (guilty.pass_name, guilty.node) for p in applied)
        return done and output.tensor == "t3"

    faulty = Faulty(is_wrong)
    report = compare(path, builder=faulty, optimization_level=0)
    assert report.divergence.first.tensor == "t3"
    culprit = report.divergence.culprit
    assert culprit.kind == "patch" and culprit.patch == guilty and culprit.skip == guilty.pass_name
    text = culprit_text(culprit)
    for part in (f"rewrite {guilty.number}: {guilty.label}", ", ".join(guilty.onnx_nodes),
                 f"--patchLimit {guilty.number - 1}", f"--skipPass {guilty.pass_name}"):
        assert part in text, text
    assert faulty.builds < 25
    assert compare(path, builder=faulty, optimization_level=0,
                   skip_passes=[culprit.skip]).agrees


def test_bisects_to_the_operator(tmp_path):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=2)
    report = compare(path, reference=other, bisect=True, **QUICK)
    assert report.divergence.culprit.kind == "operator"
