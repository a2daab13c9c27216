"""`carnot exec`: every flag of trtexec is taken or refused with a reason."""

import re
import subprocess

import numpy as np
import pytest
from exec_flags import ALONE, EFFECTS, HARMLESS, PUBLISHED, REFUSED
from exec_output import read
from exec_program import (  # noqa: F401
    BUILT, PROGRAM, QUICK, WEIGHT, execute, failed, folder, passed,
)

pytestmark = BUILT


@pytest.fixture(scope="module")
def known(folder):
    """Beside the models: references of small.onnx at x.bin, and a timing cache that knows it."""
    y = np.maximum(np.load(folder / "x.npy"), 0) @ WEIGHT
    y.tofile(folder / "y.bin")
    np.save(folder / "y.npy", y)
    (y + 0.5).astype(np.float32).tofile(folder / "off.bin")
    passed("--onnx=small.onnx", "--skipInference", "--timingCacheFile=known.cache", cwd=folder)
    return folder


@pytest.mark.parametrize("flag", EFFECTS)
def test_flag_has_its_effect(known, tmp_path, flag):
    flags, effect = EFFECTS[flag]
    arguments = flags.split()
    names = {argument.split("=")[0] for argument in arguments}
    if "--onnx" not in names:
        arguments.append("--onnx=small.onnx")
    assert flag in names | {"--onnx"}
    if not names & {"--iterations", "--duration", "--warmUp"}:
        arguments += QUICK
    for path in known.iterdir():
        (tmp_path / path.name).symlink_to(path)
    before = set(tmp_path.iterdir())
    report = passed(*arguments, cwd=tmp_path)
    written = {path.name for path in set(tmp_path.iterdir()) - before}
    if effect.startswith("file "):
        assert effect[5:] in written, written
    else:
        lines = [line for kind in "IWV" for line in report.lines[kind]]
        assert any(re.search(effect, line) for line in lines), lines


@pytest.mark.parametrize("flag", HARMLESS)
def test_harmless_flag(folder, flag):
    for words in ([flag], flag.split("=")):
        report = passed(*words, "--onnx=small.onnx", *QUICK, cwd=folder)
        name = words[0].split("=")[0]
        assert any(text.startswith(f"{name} has no effect: ") for text in report.lines["W"])


@pytest.mark.parametrize("flag", REFUSED)
def test_flag_is_refused_with_a_reason(folder, flag):
    for form in (flag, flag + "=1"):
        (error,) = failed("--onnx=small.onnx", form, cwd=folder)
        assert re.match(re.escape(flag) + ": needs .{20,}", error)


def test_every_published_flag_is_in_one_table():
    answered = set(EFFECTS) | {flag.split("=")[0] for flag in HARMLESS} | set(REFUSED) | set(ALONE)
    assert len(PUBLISHED) == len(set(PUBLISHED)) == 162
    assert answered - set(PUBLISHED) == {"--noFusion", "--roundAll"}, "flags of carnot's own"
    assert not set(PUBLISHED) - answered
    assert not set(EFFECTS) & (set(REFUSED) | set(ALONE))


def test_help_names_every_flag(folder):
    result = execute("--help", cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert "&&&&" not in result.stdout
    words = set(re.findall(r"--\w+", result.stdout))
    known = set(EFFECTS) | {flag.split("=")[0] for flag in HARMLESS} | set(REFUSED) | set(ALONE)
    assert words - known == {"--name", "--version"} & words
    assert known <= words
    assert execute("-h", cwd=folder).stdout == result.stdout


@pytest.mark.parametrize("form", ["=", " "])
def test_both_forms_of_values(folder, form):
    line = "--loadEngine{0}small.engine --iterations{0}7 --duration{0}0 --warmUp{0}0 --avgRuns{0}7"
    report = passed(*line.format(form).split(), cwd=folder)
    assert len(report.averages()) == 1


@pytest.mark.parametrize("near", [("--onxx=m.onnx", "--onnx"), ("--iteration", "--iterations"),
                                  ("--nonsense", ""), ("model.onnx", "")])  # fmt: skip
def test_unknown_option(folder, near):
    word, meant = near
    result = execute("--onnx=small.onnx", word, cwd=folder)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("&&&& RUNNING") and lines[-1].startswith("&&&& FAILED")
    assert lines[1].startswith("usage: ")
    assert re.search(rf"\[E\] Unknown option: {re.escape(word)}", result.stderr)
    assert ("did you mean" in result.stderr) == bool(meant)
    assert meant in result.stderr


PROBLEMS = {
    "no model": ("", "--onnx"),
    "two sources": ("--onnx=a --loadEngine=b", "--loadEngine"),
    "save what was loaded": ("--loadEngine=a --saveEngine=b", "--saveEngine"),
    "min without max": ("--onnx=a --minShapes=x:1", "--maxShapes"),
    "max without min": ("--onnx=a --maxShapes=x:1", "--minShapes"),
    "min of another input": ("--onnx=a --minShapes=x:1 --maxShapes=y:1", "names x"),
    "profile left out": ("--onnx=a --profile=1 --optShapes=x:1", "profile 0"),
    "shape twice": ("--onnx=a --minShapes=x:1 --minShapes=x:2", "second shape"),
    "profile to use": ("--onnx=a --useProfile=1", "--useProfile"),
    "transfers": ("--onnx=a --noDataTransfers --includeDataTransfers", "--includeDataTransfers"),
    "graph": ("--onnx=a --useCudaGraph --noCudaGraph", "--noCudaGraph"),
    "spin": ("--onnx=a --useSpinWait --noSpinWait", "--noSpinWait"),
    "cache": ("--onnx=a --timingCacheFile=c --noBuilderCache", "--noBuilderCache"),
    "cache to miss": ("--onnx=a --errorOnTimingCacheMiss", "--timingCacheFile"),
    "miss": ("--onnx=small.onnx --timingCacheFile=no.cache --errorOnTimingCacheMiss",
             "no times of"),
    "reference without a bound": ("--onnx=a --loadRefOutputs=y:f", "--accuracyThreshold"),
    "bound without a reference": ("--onnx=a --accuracyThreshold=1", "--loadRefOutputs"),
    "one pair": ("--onnx=a --refPair=0 --loadInputs=x:f --loadRefOutputs=y:f "
                 "--accuracyThreshold=1", "two or more"),
    "half a pair": ("--onnx=a --refPair=0 --loadInputs=x:f --refPair=1 --loadInputs=x:f "
                    "--loadRefOutputs=y:f --accuracyThreshold=1", "--refPair=0: not both sides"),
    "bound of nothing": ("--onnx=a --accuracyThreshold=0", "above 0"),
    "measure": ("--onnx=a --accuracyAlgorithm=l3", "l0, l1, l2, lInf or cos"),
    "no such output": ("--onnx=small.onnx --loadRefOutputs=z:y.bin --accuracyThreshold=1",
                       "--loadRefOutputs"),
    "source": ("--onnx=a --tacticSources=-CUBLAST", "CUBLAS_LT"),
    "source's sign": ("--onnx=a --tacticSources=CUDNN", "+ or -"),
    "debug format": ("--onnx=a --saveAllDebugTensors=hdf5", "numpy"),
    "debug tensor": ("--onnx=small.onnx --markDebug=q", "--markDebug"),
    "strongly typed": ("--onnx=a --stronglyTyped --fp16", "--fp16"),
    "given twice": ("--onnx=a --onnx=b", "given as a and as b"),
    "no value": ("--onnx", "needs --onnx=FILE"),
    "empty value": ("--onnx=", "needs --onnx=FILE"),
    "value of a switch": ("--onnx=a --fp16=1", "takes no value"),
    "iterations": ("--onnx=a --iterations=ten", "--iterations: 'ten'"),
    "negative": ("--onnx=a --iterations=-1", "--iterations: '-1'"),
    "fraction": ("--onnx=a --avgRuns=1.5", "--avgRuns: '1.5'"),
    "no runs to average": ("--onnx=a --avgRuns=0", "--avgRuns: '0'"),
    "overflow": ("--onnx=a --iterations=99999999999", "--iterations"),
    "duration": ("--onnx=a --duration=-2", "--duration: '-2'"),
    "warm-up": ("--onnx=a --warmUp=soon", "--warmUp: 'soon'"),
    "percentile": ("--onnx=a --percentile=50,101", "--percentile: '101'"),
    "empty percentile": ("--onnx=a --percentile=50,", "--percentile: ''"),
    "streams": ("--onnx=a --infStreams=0", "--infStreams: '0'"),
    "level": ("--onnx=a --builderOptimizationLevel=6", "0 to 5"),
    "workspace": ("--onnx=a --workspace=-1", "--workspace"),
    "pool": ("--onnx=a --memPoolSize=dlaSRAM:1", "workspace"),
    "pool's unit": ("--onnx=a --memPoolSize=workspace:1T", "1T"),
    "verbosity": ("--onnx=a --profilingVerbosity=loud", "layer_names_only"),
    "device": ("--onnx=a --device=1", "--device: '1'"),
    "shape without a name": ("--onnx=a --shapes=1x3", "no input's name"),
    "shape without dims": ("--onnx=a --shapes=x:axb", "x:axb"),
    "two stars": ("--onnx=a --shapes=*x*:1", "one *"),
    "file without a name": ("--onnx=a --loadInputs=file", "no input's name"),
    "name without a file": ("--onnx=a --loadInputs=x:", "no file"),
    "format": ("--onnx=small.onnx --inputIOFormats=fp32:hwc8", "chw"),
    "format's type": ("--onnx=small.onnx --inputIOFormats=fp33:chw", "fp33"),
    "formats' count": ("--onnx=small.onnx --inputIOFormats=fp32:chw,fp32:chw", "2 entries"),
    "folder of an export": ("--onnx=small.onnx --exportTimes=none/t.json", "none"),
    "folder as an export": ("--onnx=small.onnx --exportOutput=.", "is a folder"),
    "folder of a cache": ("--onnx=small.onnx --timingCacheFile=none/t.json", "none"),
    "model as a cache": ("--onnx=small.onnx --timingCacheFile=dynamic.onnx", "dynamic.onnx"),
    "folder of an engine": ("--onnx=small.onnx --saveEngine=none/e.plan", "none"),
    "engine over its model": ("--onnx=small.onnx --saveEngine=./small.onnx", "model itself"),
    "full disk": ("--onnx=small.onnx --skipInference --saveEngine=/dev/full", "No space left"),
    "missing model": ("--onnx=none.onnx", "none.onnx"),
    "missing engine": ("--loadEngine=none.engine", "none.engine"),
    "model as engine": ("--loadEngine=small.onnx", "no engine"),
    "engine as model": ("--onnx=small.engine", "small.engine"),
}


@pytest.mark.parametrize("line, message", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problem(folder, line, message):
    before = {path: path.stat().st_mtime for path in folder.iterdir()}
    errors = failed(*line.split(), *(QUICK if "small.onnx" in line else ()), cwd=folder)
    assert any(message in error for error in errors), errors
    assert not any(re.search(r"(file \S+: ).*\1", error) for error in errors), errors
    assert {path: path.stat().st_mtime for path in folder.iterdir()} == before


@pytest.mark.parametrize("name, flag", [("small.engine", "--loadEngine"), ("small.onnx", "--onnx")])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_file(folder, tmp_path, name, flag, keep):
    content = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * keep)])
    (error,) = failed(f"{flag}={name}", *QUICK, cwd=tmp_path)
    assert name in error


def test_build_flags_beside_an_engine_are_noted(folder):
    report = passed("--loadEngine=small.engine", "--fp16", "--workspace=64", *QUICK, cwd=folder)
    for flag in ("--fp16", "--workspace"):
        assert any(text.startswith(f"{flag} has no effect") for text in report.lines["W"])


def test_program_by_trtexecs_name(folder, tmp_path):
    (tmp_path / "trtexec").symlink_to(PROGRAM)
    line = [tmp_path / "trtexec", "--loadEngine=small.engine", *QUICK]
    result = subprocess.run(line, cwd=folder, text=True, capture_output=True, timeout=300)
    assert result.returncode == 0
    assert read(result).value("Throughput") > 0
