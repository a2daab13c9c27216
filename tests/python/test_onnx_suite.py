"""onnx's backend suites: what carnot takes it computes right; the rest it refuses by name."""

import collections

from onnx_cases import load_cases, run_case

# Raise it when more cases pass.
FEWEST_PASSES = 1520


def test_every_case_passes_or_is_refused():
    results = {case[0]: run_case(case) for case in load_cases()}
    counts = collections.Counter(status for status, _ in results.values())
    print(dict(counts))
    bad = [f"{name}: {status}: {text[:200]}" for name, (status, text) in results.items()
           if status in ("wrong", "error")]
    assert not bad, f"{len(bad)} of {len(results)}:\n" + "\n".join(bad)
    assert counts["pass"] >= FEWEST_PASSES
