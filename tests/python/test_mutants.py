"""A share of the mutated models of `./dev mutants`."""

import subprocess
import sys
from pathlib import Path

import pytest
from exec_program import BUILT, PROGRAM

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"


@BUILT
@pytest.mark.long
def test_mutants_are_refused_or_right(tmp_path):
    subprocess.run([sys.executable, FUZZ / "make_seeds.py", PROGRAM, tmp_path], check=True)
    result = subprocess.run(
        [sys.executable, FUZZ / "mutants.py", tmp_path / "onnx_build", tmp_path / "failed",
         "--count", "1000"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
