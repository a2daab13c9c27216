"""carnot compare as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from compare_models import chain, picture

import carnot
from carnot.compare import compare
from carnot.compare._command import main

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "bin" / "carnot"
F = np.float32


def run(*words):
    return main([str(word) for word in words])


def test_command_agrees(tmp_path, capsys):
    path = picture(tmp_path / "p.onnx")
    assert run(path, "--level=0", "--timingCache=none") == 0
    text = capsys.readouterr()
    assert "agrees: " in text.out and "float32[1, 3, 32, 32]" in text.out and text.err == ""
    assert run(path, "--level=0", "--timingCache=none", "--all", "--shapes", "x:2x3x32x32") == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_command_diverges(tmp_path, capsys):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=2)
    np.save(tmp_path / "x.npy", np.ones((3, 32), F))
    report = tmp_path / "report.json"
    assert run(path, "--reference", other, "--level=0", "--timingCache=none", "--bisect", "--json",
               report, "--input", f"x:{tmp_path / 'x.npy'}", "--window", "0") == 1
    text = capsys.readouterr().out
    for part in ("diverges at layer 3 of 6", "matmul2 (MatMul)", "float32[3, 32]", "relative L2",
                 "carnot ", "onnxruntime ", "t1: relative L2 error", "born here", "culprit: "):
        assert part in text, text
    written = json.loads(report.read_text())
    assert not written["agrees"] and written["divergence"]["tensor"] == "t2"
    assert written["culprit"]["kind"] == "operator" and written["sessions"] == [1, 1, 1]
    assert [entry["tensor"] for entry in written["compared"]] == ["t0", "t1", "t2"]
    assert written["divergence"]["inputs"].keys() == {"t1"}


def test_command_takes_tolerances(tmp_path):
    path, other = chain(tmp_path / "c.onnx"), chain(tmp_path / "o.onnx", changed=2)
    flags = (path, "--reference", other, "--level=0", "--timingCache=none")
    assert run(*flags) == 1
    assert run(*flags, "--l2", "10", "--rtol", "10", "--atol", "10") == 0


@pytest.mark.parametrize("words, said", [
    (["nothing.onnx"], "nothing.onnx"),
    (["bad.onnx"], "bad.onnx"),
    (["c.onnx", "--input", "x"], "NAME:FILE.npy"),
    (["c.onnx", "--input", "x:nothing.npy"], "nothing.npy"),
    (["c.onnx", "--input", "x:bad.onnx"], "bad.onnx"),
    (["c.onnx", "--input", "x:several.npz"], "several arrays"),
    (["c.onnx", "--input", "x:doubles.npy"], "float64"),
    (["c.onnx", "--engine", "bad.onnx"], "bad.onnx"),
    (["c.onnx", "--reference", "bad.onnx"], "bad.onnx"),
    (["c.onnx", "--shapes", "x:3"], "shape 3"),
    (["c.onnx", "--shapes", "x;3"], "shape 'x;3'"),
    (["c.onnx", "--shapes", "z:3x32"], "input z"),
    (["c.onnx", "--skipPass", "fuse"], "fuse"),
    (["c.onnx", "--json", "no/where.json"], "no/where.json"),
])
def test_command_cannot(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chain("c.onnx")
    Path("bad.onnx").write_bytes(b"no model at all")
    np.savez("several.npz", a=np.zeros(1), b=np.zeros(1))
    np.save("doubles.npy", np.zeros((1, 32)))
    assert run(*words, "--level=0", "--timingCache=none") == 2
    text = capsys.readouterr().err
    assert text.startswith("carnot: error: ") and said in text


def test_a_defect_is_no_divergence(tmp_path, monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError("planted")

    monkeypatch.setattr("carnot.compare._compare.survey", broken)
    assert run(chain(tmp_path / "c.onnx"), "--level=0", "--timingCache=none") == 2
    assert "planted; this is a defect" in capsys.readouterr().err


@pytest.mark.parametrize("words, said", [
    ([], "MODEL.onnx"), (["m", "--outputOnly"], "did you mean '--outputsOnly'?"),
    (["m", "n"], "unknown argument 'n'"), (["m", "--l2", "-1"], "less than"),
    (["m", "--level", "9"], "--level")])
def test_command_not_understood(words, said, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_module_runs(tmp_path):
    path = chain(tmp_path / "c.onnx")
    result = subprocess.run([sys.executable, "-m", "carnot.compare", path, "--level=0"],
                            capture_output=True, text=True, timeout=300,
                            env={**os.environ, "CARNOT_CACHE": str(tmp_path),
                                 "PYTHONPATH": os.pathsep.join(sys.path)})
    assert result.returncode == 0 and "agrees: 6 tensors over 6 layers" in result.stdout


@pytest.mark.skipif(not PROGRAM.exists(), reason="build/bin/carnot is not built")
def test_program_hands_over_to_python(tmp_path):
    def program(*words, **environment):
        environment = {**os.environ, "CARNOT_CACHE": str(tmp_path), **environment}
        return subprocess.run([PROGRAM, "compare", *words], capture_output=True, text=True,
                              timeout=300, env=environment)

    path = chain(tmp_path / "c.onnx")
    here = {"CARNOT_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = program(path, "--level=0", **here)
    assert result.returncode == 0 and "agrees: " in result.stdout, result
    assert "MODEL.onnx" in program("--help", **here).stdout
    assert program(path, "--alll", **here).returncode == 2
    beside = tmp_path / "bin"
    beside.mkdir()
    (beside / "carnot").symlink_to(PROGRAM)
    (beside / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (beside / "python").chmod(0o755)
    for start in (str(beside / "carnot"), "carnot"):  # by its path, and found on PATH
        result = subprocess.run(
            [start, "compare", path, "--level=0"], capture_output=True, text=True, timeout=300,
            env={"PATH": f"{beside}:/usr/bin", "CARNOT_CACHE": str(tmp_path),
                 "PYTHONPATH": here["PYTHONPATH"]})
        assert result.returncode == 0 and "agrees: " in result.stdout, result
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 72\n")  # what the probe says where onnxruntime is missing
    bare.chmod(0o755)
    for python, said in ((bare, "has no onnxruntime"), ("/bin/false", "does not run"),
                         (tmp_path / "none", "does not run")):
        result = program(path, CARNOT_PYTHON=str(python))
        assert result.returncode == 2 and result.stdout == ""
        for part in (str(python), said, "pip install onnxruntime", "CARNOT_PYTHON"):
            assert part in result.stderr
