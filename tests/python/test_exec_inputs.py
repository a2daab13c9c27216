"""`carnot exec`: contents of inputs and outputs, and shapes."""

import json
import re

import numpy as np
import pytest
from exec_program import BUILT, QUICK, WEIGHT, failed, folder, passed  # noqa: F401

pytestmark = BUILT


@pytest.mark.parametrize("file", ["x.bin", "x.npy"])
def test_inputs_and_outputs(folder, tmp_path, file):
    report = passed(
        "--loadEngine", folder / "small.engine", *QUICK, f"--loadInputs=x:{folder / file}",
        "--dumpOutput", "--exportOutput=o.json", "--dumpRawBindingsToFile", cwd=tmp_path,
    )  # fmt: skip
    x = np.load(folder / "x.npy")
    wanted = np.maximum(x, 0) @ WEIGHT
    (output,) = json.loads((tmp_path / "o.json").read_text())
    assert (output["name"], output["dimensions"]) == ("y", "1x3x8x5")
    np.testing.assert_allclose(output["values"], wanted.ravel(), rtol=1e-5, atol=1e-5)
    at = report.lines["I"].index("y: (1x3x8x5)")
    np.testing.assert_allclose(
        [float(word) for word in report.lines["I"][at + 1].split()], output["values"], rtol=1e-6
    )
    raw = {path.name: path for path in tmp_path.glob("*.raw")}
    assert set(raw) == {"x.input.1x3x8x8.float32.raw", "y.output.1x3x8x5.float32.raw"}
    contents = {path.name[0]: np.fromfile(path, np.float32) for path in raw.values()}
    np.testing.assert_array_equal(contents["x"], x.ravel())
    np.testing.assert_allclose(contents["y"], wanted.ravel(), rtol=1e-5, atol=1e-5)


def test_outputs_without_transfers(folder):
    flags = ("--loadInputs=x:x.bin", "--noDataTransfers", "--exportOutput=o.json")
    passed("--loadEngine=small.engine", *QUICK, *flags, cwd=folder)
    values = json.loads((folder / "o.json").read_text())[0]["values"]
    wanted = np.maximum(np.load(folder / "x.npy"), 0) @ WEIGHT
    np.testing.assert_allclose(values, wanted.ravel(), rtol=1e-5, atol=1e-5)


def test_input_formats(folder):
    flags = ("--inputIOFormats=fp16:chw", "--exportOutput=o.json", "--dumpRawBindingsToFile")
    passed("--onnx=small.onnx", *QUICK, *flags, cwd=folder)
    x = np.fromfile(folder / "x.input.1x3x8x8.float16.raw", np.float16).reshape(1, 3, 8, 8)
    values = json.loads((folder / "o.json").read_text())[0]["values"]
    wanted = np.maximum(x.astype(np.float32), 0) @ WEIGHT
    np.testing.assert_allclose(values, wanted.ravel(), rtol=1e-4, atol=1e-4)


FORTRAN = np.asfortranarray(np.zeros((1, 3, 8, 8), np.float32))


def npy(folder, name, array):
    np.save(folder / name, array)
    return name


BAD_INPUTS = {
    "no file": (lambda f: "none.bin", "none.bin"),
    "size": (lambda f: "short.bin", "4 bytes"),
    "type": (lambda f: npy(f, "d.npy", np.zeros((1, 3, 8, 8))), "f8"),
    "shape": (lambda f: npy(f, "s.npy", np.zeros((3, 8, 8), np.float32)), "[3, 8, 8]"),
    "order": (lambda f: npy(f, "f.npy", FORTRAN), "order"),
}


@pytest.mark.parametrize("make, message", BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_bad_input_file(folder, make, message):
    file = make(folder)
    (error,) = failed("--loadEngine=small.engine", *QUICK, f"--loadInputs=x:{file}", cwd=folder)
    assert message in error and file in error


@pytest.mark.parametrize("keep", [7, 9, 40, 100, 200])
def test_truncated_npy(folder, keep):
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:keep])
    (error,) = failed("--loadEngine=small.engine", *QUICK, "--loadInputs=x:cut.npy", cwd=folder)
    assert "cut.npy" in error


def shapes_run(report):
    """Dims by binding, as the run says."""
    found = [re.search(r"binding for (\S+) with dimensions (\S+)", t) for t in report.lines["I"]]
    return {match[1]: match[2] for match in found if match}


DYNAMIC = "--onnx=dynamic.onnx"
RANGE = ("--minShapes=x:2x3x8x8", "--optShapes=x:4x3x8x8", "--maxShapes=x:8x3x8x8")
SHAPES = {
    "none": ((DYNAMIC,), "1x3x8x8"),
    "shapes alone": ((DYNAMIC, "--shapes=x:3x3x8x8"), "3x3x8x8"),
    "profile alone": ((DYNAMIC, *RANGE), "4x3x8x8"),
    "profile and shapes": ((DYNAMIC, *RANGE, "--shapes=x:2x3x8x8"), "2x3x8x8"),
    "opt alone": ((DYNAMIC, "--optShapes=x:3x3x8x8"), "3x3x8x8"),
    "without opt": ((DYNAMIC, RANGE[0], RANGE[2]), "8x3x8x8"),
    "loaded": (("--loadEngine=dynamic.engine",), "4x3x8x8"),
    "loaded, shapes": (("--loadEngine=dynamic.engine", "--shapes=x:8x3x8x8"), "8x3x8x8"),
    "star": ((DYNAMIC, "--shapes=*:3x3x8x8"), "3x3x8x8"),
    "quoted": ((DYNAMIC, "--shapes='x':3x3x8x8"), "3x3x8x8"),
    "two profiles": (
        (DYNAMIC, "--profile=0", *RANGE, "--profile=1", "--optShapes=x:16x3x8x8", "--useProfile=1"),
        "16x3x8x8",
    ),
    "two profiles, any": (
        (DYNAMIC, "--profile=1", "--optShapes=x:16x3x8x8", "--profile=0", *RANGE,
         "--shapes=x:16x3x8x8"),
        "16x3x8x8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("flags, dims", SHAPES.values(), ids=SHAPES.keys())
def test_shapes(folder, flags, dims):
    report = passed(*flags, *QUICK, cwd=folder)
    assert shapes_run(report)["x"] == dims
    warned = [text for text in report.lines["W"] if "Dynamic dimensions" in text]
    assert len(warned) == (1 if dims == "1x3x8x8" else 0)
    assert all("input: x" in text and dims in text for text in warned)


TWO_SHAPES = {
    "none": ((), "1x4"),
    "one of two": (("--shapes=first:0:3x4",), "3x4"),
    "star and scalar": (("--shapes=*:0:5x4,scale:scalar",), "5x4"),
    "profile of one": (
        ("--minShapes=first:0:1x4", "--optShapes=first:0:2x4", "--maxShapes=first:0:4x4"),
        "2x4",
    ),
}


@pytest.mark.parametrize("flags, dims", TWO_SHAPES.values(), ids=TWO_SHAPES.keys())
def test_shapes_of_several_inputs(folder, flags, dims):
    report = passed("--onnx=two.onnx", *flags, *QUICK, cwd=folder)
    assert shapes_run(report) == {"first:0": dims, "second:0": dims, "scale": "scalar", "y": dims}


BAD_SHAPES = {
    "above the profile": (("--loadEngine=dynamic.engine", "--shapes=x:9x3x8x8"), "8"),
    "below the profile": (("--loadEngine=dynamic.engine", "--shapes=x:1x3x8x8"), "2"),
    "fixed dim": (("--loadEngine=dynamic.engine", "--shapes=x:4x4x8x8"), "4"),
    "rank": ((DYNAMIC, "--shapes=x:4x3x8"), "rank"),
    "name": ((DYNAMIC, "--shapes=xx:4x3x8x8"), "did you mean 'x'?"),
    "star that matches none": ((DYNAMIC, "--shapes=z*:4x3x8x8"), "z*"),
    "min above max": ((DYNAMIC, "--minShapes=x:4x3x8x8", "--maxShapes=x:2x3x8x8"), "min <= opt"),
    "static model": (("--onnx=small.onnx", "--shapes=x:2x3x8x8"), "the model fixes"),
    "no such profile": (("--loadEngine=dynamic.engine", "--useProfile=1"), "profile"),
    "input's name": (("--loadEngine=small.engine", "--loadInputs=xx:x.bin"), "did you mean 'x'?"),
}


@pytest.mark.parametrize("flags, message", BAD_SHAPES.values(), ids=BAD_SHAPES.keys())
def test_bad_shapes(folder, flags, message):
    (error,) = failed(*flags, *QUICK, cwd=folder)
    assert message in error


def test_optimization_profiles_are_printed(folder):
    flags = ("--skipInference", "--dumpOptimizationProfile")
    text = "\n".join(passed("--loadEngine=dynamic.engine", *flags, cwd=folder).lines["I"])
    assert "x: MIN=2x3x8x8 OPT=4x3x8x8 MAX=8x3x8x8" in text
