"""`carnot exec` compares outputs with references, and saves what layers wrote."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from exec_output import read
from exec_program import BUILT, QUICK, WEIGHT, execute, failed, folder, passed  # noqa: F401

pytestmark = BUILT

LOAD = ("--loadEngine=small.engine", *QUICK, "--loadInputs=x:x.bin")


@pytest.fixture(scope="module")
def wanted(folder):
    return (np.maximum(np.load(folder / "x.npy"), 0) @ WEIGHT).astype(np.float32)


def losses(has, wanted):
    """By algorithm, in float64."""
    error = has.astype(np.float64) - wanted
    a, b = has.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
    return {"l0": np.mean(abs(error) > 1e-5 + 1e-5 * abs(wanted)), "l1": abs(error).mean(),
            "l2": (error**2).mean(), "lInf": abs(error).max(),
            "cos": 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)}


@pytest.mark.parametrize("algorithm", ["l0", "l1", "l2", "lInf", "cos"])
def test_losses(folder, wanted, algorithm):
    reference = wanted.copy()
    reference[0, 0] += np.linspace(0, 0.5, reference[0, 0].size).reshape(reference[0, 0].shape)
    reference.tofile(folder / "reference.bin")
    loss = losses(wanted, reference)[algorithm]
    flags = (*LOAD, "--loadRefOutputs=y:reference.bin", f"--accuracyAlgorithm={algorithm}")
    report = passed(*flags, f"--accuracyThreshold={loss * 1.1}", cwd=folder)
    (line,) = report.sections["Accuracy"]
    assert line.endswith("PASSED")
    has = float(line.split(f"{algorithm} = ")[1].split(",")[0])
    assert has == pytest.approx(loss, rel=1e-3, abs=1e-6)
    result = execute(*flags, f"--accuracyThreshold={loss * 0.9}", cwd=folder)
    report = read(result)
    assert result.returncode == 1 and report.value("Throughput") > 0
    assert report.sections["Accuracy"][0].endswith("FAILED")
    assert "1 of 1 outputs" in report.lines["E"][0]


def test_not_a_number_is_far_from_any(folder, wanted):
    reference = wanted.copy()
    reference[0, 0, 0, 0] = np.nan
    reference.tofile(folder / "nan.bin")
    for algorithm in ("l1", "lInf", "cos"):
        failed(*LOAD, "--loadRefOutputs=y:nan.bin", f"--accuracyAlgorithm={algorithm}",
               "--accuracyThreshold=0.5", cwd=folder)


def test_every_pair_is_compared(folder, wanted):
    other = np.full((1, 3, 8, 8), 0.25, np.float32)
    np.save(folder / "other.npy", other)
    np.save(folder / "other_y.npy", (other @ WEIGHT).astype(np.float32))
    wanted.tofile(folder / "first_y.bin")
    pairs = ("--loadEngine=small.engine", *QUICK, "--accuracyThreshold=1e-3",
             "--refPair=0", "--loadInputs=x:x.bin", "--loadRefOutputs=y:first_y.bin",
             "--refPair=1", "--loadInputs=x:other.npy")
    report = passed(*pairs, "--loadRefOutputs=y:other_y.npy", cwd=folder)
    assert len(report.sections["Accuracy"]) == 2
    (error,) = failed(*pairs, "--loadRefOutputs=y:first_y.bin", cwd=folder)
    assert "1 of 2 outputs" in error


def truth(folder, *names):
    model = onnx.load(folder / "fused.onnx")
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    return session.run([*names, "y"], {"x": np.load(folder / "x.npy")})


@pytest.mark.parametrize("how", ["--noFusion", "--markDebug=c"])
def test_debug_tensors(folder, tmp_path, how):
    """Whatever the layout in which the layer wrote them."""
    (tmp_path / "x.npy").write_bytes((folder / "x.npy").read_bytes())
    report = passed(f"--onnx={folder / 'fused.onnx'}", how, *QUICK, "--loadInputs=x:x.npy",
                    "--saveDebugTensors=c:c.raw", "--saveAllDebugTensors=numpy,raw,string,summary",
                    cwd=tmp_path)
    c, y = truth(folder, "c")
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(np.fromfile(tmp_path / "c.raw", np.float32).reshape(c.shape), c,
                               **close)
    np.testing.assert_allclose(np.load(tmp_path / "0000_c.npy"), c, **close)
    np.testing.assert_allclose(np.fromfile(tmp_path / "0000_c.raw", np.float32), c.ravel(), **close)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "0000_c.txt"), c.ravel(), **close)
    np.testing.assert_allclose(np.load(tmp_path / "0000_y.npy"), y, **close)
    (line,) = [text for text in report.lines["I"] if text.startswith("Tensor c: ")]
    assert "float32 (1x20x8x8)" in line
    assert float(line.split("max ")[1].split(",")[0]) == pytest.approx(c.max(), rel=1e-3)


def test_a_tensor_that_no_layer_writes(folder):
    (error,) = failed("--onnx=fused.onnx", *QUICK, "--saveDebugTensors=c:c.raw", cwd=folder)
    assert "no layer writes 'c'" in error and "--markDebug=c" in error


def test_fusion_is_left_out(folder):
    def nodes(*flags):
        """ONNX nodes by layer."""
        passed("--onnx=fused.onnx", *QUICK, *flags, "--exportProfile=p.json", cwd=folder)
        return [set(layer["onnxNodes"]) for layer in json.loads((folder / "p.json").read_text())[1:]
                if layer["operators"]]
    fused, apart = nodes(), nodes("--noFusion")
    assert {"conv", "relu"} in fused
    assert {"conv", "relu"} not in apart and {"conv"} in apart and {"relu"} in apart
