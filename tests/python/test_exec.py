"""`carnot exec` prints, exports and builds as trtexec does."""

import json
import re

import numpy as np
import pytest
from exec_program import BUILT, QUICK, failed, folder, passed, write_models  # noqa: F401

pytestmark = BUILT

SUMMARY_ROWS = ("Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency")


def test_sections_and_verdicts(folder):
    report = passed("--onnx=small.onnx", *QUICK, cwd=folder)
    wanted = [
        "Model Options", "Build Options", "Inference Options", "Reporting Options",
        "Device Information", "Trace details", "Performance summary",
    ]  # fmt: skip
    assert [title for title in report.sections if title in wanted] == wanted
    for verdict in report.verdicts:
        assert "exec --onnx=small.onnx" in verdict[-1]
        assert re.fullmatch(r"\d+\.\d+\.\d+", verdict[-2])
    (transfers,) = [t for t in report.sections["Inference Options"] if "Data transfers" in t]
    assert "Enabled" in transfers and "default" in transfers


def test_summary(folder):
    report = passed("--onnx=small.onnx", *QUICK, "--percentile=50,97.5,100", cwd=folder)
    for label in SUMMARY_ROWS:
        row = report.row(label)
        names = ["min", "max", "mean", "median"]
        assert list(row) == [*names, "percentile(50%)", "percentile(97.5%)", "percentile(100%)"]
        assert row["min"] <= row["median"] <= row["percentile(97.5%)"] <= row["max"]
        assert row["min"] <= row["mean"] <= row["max"]
        assert row["percentile(100%)"] == row["max"]
    wall = report.value("Total Host Walltime")
    assert report.value("Throughput") == pytest.approx(12 / wall, rel=0.01)
    compute = report.value("Total GPU Compute Time")
    assert compute == pytest.approx(12 * report.row("GPU Compute Time")["mean"] / 1000, rel=0.01)
    assert 0 < compute <= wall


def test_default_percentiles(folder):
    row = passed("--onnx=small.onnx", *QUICK, cwd=folder).row("Latency")
    assert list(row)[4:] == ["percentile(90%)", "percentile(95%)", "percentile(99%)"]


def test_averages_and_times(folder):
    report = passed(
        "--loadEngine=small.engine", *QUICK, "--avgRuns=5", "--exportTimes=t.json", cwd=folder
    )
    times = json.loads((folder / "t.json").read_text())
    assert len(times) == 12
    spans = ("H2d", "Compute", "D2h")
    for entry in times:
        assert list(entry) == [
            "startEnqMs", "endEnqMs", "startH2dMs", "endH2dMs", "startComputeMs", "endComputeMs",
            "startD2hMs", "endD2hMs", "h2dMs", "computeMs", "d2hMs", "latencyMs",
        ]  # fmt: skip
        lengths = {s: entry[f"end{s}Ms"] - entry[f"start{s}Ms"] for s in spans}
        assert entry["h2dMs"] == pytest.approx(lengths["H2d"])
        assert entry["computeMs"] == pytest.approx(lengths["Compute"])
        assert entry["d2hMs"] == pytest.approx(lengths["D2h"])
        assert entry["latencyMs"] == pytest.approx(sum(lengths.values()))
        assert 0 <= entry["startH2dMs"] <= entry["endH2dMs"] <= entry["startComputeMs"]
        assert entry["endComputeMs"] <= entry["startD2hMs"] <= entry["endD2hMs"]
    averages = report.averages()
    assert len(averages) == 2
    assert "Trace averages of 5 runs:" in report.sections["Trace details"]
    for i, (runs, gpu, host, enqueue) in enumerate(averages):
        group = times[5 * i : 5 * i + 5]
        assert runs == 5
        assert gpu == pytest.approx(np.mean([t["computeMs"] for t in group]), abs=2e-5, rel=1e-4)
        assert host == pytest.approx(np.mean([t["latencyMs"] for t in group]), abs=2e-5, rel=1e-4)
        assert enqueue > 0


def test_no_data_transfers(folder):
    report = passed("--loadEngine=small.engine", *QUICK, "--noDataTransfers", cwd=folder)
    for label in ("H2D Latency", "D2H Latency"):
        assert set(report.row(label).values()) == {0}
    assert report.row("Latency") == report.row("GPU Compute Time")
    assert any(t.startswith("Data transfers: Disabled") for t in report.lines["I"])


def test_iterations_duration_and_warm_up(folder):
    report = passed(
        "--loadEngine=small.engine", "--iterations=2", "--duration=0.2", "--warmUp=50", cwd=folder
    )
    assert report.value("Total Host Walltime") >= 0.2
    (warmup,) = [t for t in report.lines["I"] if t.startswith("Warmup completed")]
    assert float(re.search(r"over ([\d.]+) ms", warmup)[1]) >= 50


def test_rests(folder):
    quick = ("--iterations=5", "--duration=0", "--warmUp=0")
    report = passed("--loadEngine=small.engine", *quick, "--idleTime=20", cwd=folder)
    assert report.value("Total Host Walltime") >= 0.08
    assert report.row("GPU Compute Time")["median"] < 20


@pytest.mark.parametrize("threads", [(), ("--threads",)])
def test_streams(folder, threads):
    flags = ("--infStreams=3", "--exportTimes=s.json", "--dumpProfile")
    report = passed("--loadEngine=small.engine", *QUICK, *flags, *threads, cwd=folder)
    times = json.loads((folder / "s.json").read_text())
    assert len(times) == 36
    assert [t["startH2dMs"] for t in times] == sorted(t["startH2dMs"] for t in times)
    assert report.profile()[0] == 12
    assert any("Multiple inference streams" in text for text in report.lines["W"])


def test_exposed_copies_are_alone(folder):
    flags = ("--infStreams=3", "--threads", "--exposeDMA", "--exportTimes=d.json")
    passed("--loadEngine=small.engine", *QUICK, *flags, cwd=folder)
    times = json.loads((folder / "d.json").read_text())
    assert len(times) == 36
    copies = [(t[f"start{way}Ms"], t[f"end{way}Ms"]) for t in times for way in ("H2d", "D2h")]
    runs = [(t["startComputeMs"], t["endComputeMs"]) for t in times]
    apart = 1e-3  # of the file's rounding
    for i, (start, end) in enumerate(copies):
        for other_start, other_end in copies[:i] + runs:
            assert other_end <= start + apart or other_start >= end - apart


# Profiles of layers


@pytest.mark.parametrize("apart", [(), ("--separateProfileRun",)])
def test_profile(folder, apart):
    flags = ("--dumpProfile", "--exportProfile=p.json", *apart)
    report = passed("--loadEngine=small.engine", *QUICK, *flags, cwd=folder)
    iterations, rows = report.profile()
    count, *layers = json.loads((folder / "p.json").read_text())
    assert count == {"count": iterations} == {"count": 12}
    assert rows[-1][4] == "Total" and rows[-1][3] == 100
    assert [row[4] for row in rows[:-1]] == [layer["name"] for layer in layers]
    assert rows[-1][0] == pytest.approx(sum(layer["timeMs"] for layer in layers), abs=0.006)
    for row, layer in zip(rows, layers):
        assert row[0] == pytest.approx(layer["timeMs"], abs=0.006)
        assert row[1] == pytest.approx(layer["averageMs"], abs=6e-5)
        assert row[2] == pytest.approx(layer["medianMs"], abs=6e-5)
        assert row[3] == pytest.approx(layer["percentage"], abs=0.06)
        assert layer["timeMs"] == pytest.approx(layer["averageMs"] * 12)
        assert layer["bound"] in ("compute", "memory")
        assert layer["precision"] == "float32"
        assert layer["bytes"] > 0 and layer["flops"] >= 0 and layer["tactic"]
    assert sum(layer["percentage"] for layer in layers) == pytest.approx(100)
    assert {"relu", "matmul"} == {node for layer in layers for node in layer["onnxNodes"]}
    text = "\n".join(report.lines["I"])
    after = text[text.index(" Total") :]
    for layer in layers:
        assert layer["tactic"] in after and "float32" in after
        assert ", ".join(layer["onnxNodes"]) in after


def test_layer_information(folder):
    names = ("--dumpLayerInfo", "--exportLayerInfo=l.json")
    report = passed("--loadEngine=small.engine", "--skipInference", *names, cwd=folder)
    plain = json.loads((folder / "l.json").read_text())
    assert all(isinstance(layer, str) for layer in plain["Layers"])
    assert plain["Bindings"] == ["x", "y"]
    assert set(plain["Layers"]) <= set(report.lines["I"])
    detailed = ("--profilingVerbosity=detailed", *names)
    report = passed("--loadEngine=small.engine", "--skipInference", *detailed, cwd=folder)
    layers = json.loads((folder / "l.json").read_text())["Layers"]
    assert [layer["Name"] for layer in layers] == plain["Layers"]
    for layer in layers:
        assert {"LayerType", "Inputs", "Outputs", "TacticName"} <= set(layer)
        for tensor in layer["Inputs"] + layer["Outputs"]:
            assert {"Name", "Dimensions", "Format/Datatype"} <= set(tensor)
        assert any(layer["TacticName"] in text for text in report.lines["I"])


# Building


def test_precisions_are_permissions(folder):
    report = passed("--onnx=small.onnx", "--best", *QUICK, cwd=folder)
    text = "\n".join(report.lines["I"])
    assert "Precision: FP32+FP16+BF16" in text
    assert "float16" in text and "bfloat16" in text


def test_precisions_of_layers(folder):
    asked = ("--onnx=small.onnx", "--layerPrecisions=*:fp16", *QUICK)
    assert any("nothing is made of them" in line for line in passed(*asked, cwd=folder).lines["W"])
    preferred = passed(*asked, "--precisionConstraints=prefer", cwd=folder).lines["W"]
    assert any("computes in float32, not float16" in line for line in preferred)
    errors = failed(*asked, "--precisionConstraints=obey", cwd=folder)
    assert "computes in float32, not float16" in errors[0]
    passed("--onnx=small.onnx", "--layerPrecisions=*:fp32", "--layerOutputTypes=*:fp32+fp16",
           "--precisionConstraints=obey", *QUICK, cwd=folder)
    errors = failed("--onnx=small.onnx", "--layerPrecisions=none:fp16",
                    "--precisionConstraints=obey", *QUICK, cwd=folder)
    assert "--layerPrecisions" in errors[0]


def test_verbose(folder):
    quiet = passed("--onnx=small.onnx", *QUICK, cwd=folder)
    verbose = passed("--onnx=small.onnx", "--verbose", *QUICK, cwd=folder)
    assert quiet.lines["V"] == []
    text = "\n".join(verbose.lines["V"])
    assert "fuse" in text and "Explanations of the performance metrics" in text


def test_timing_cache(folder, tmp_path):
    write_models(tmp_path)
    build = ("--onnx=small.onnx", "--skipInference")
    passed(*build, "--noBuilderCache", cwd=tmp_path)
    assert not list(tmp_path.glob("*.json"))
    passed(*build, "--timingCacheFile=t.cache", "--saveEngine=a.plan", cwd=tmp_path)
    first = (tmp_path / "t.cache").read_bytes()
    assert json.loads(first)
    passed(*build, "--timingCacheFile=t.cache", "--saveEngine=b.plan", cwd=tmp_path)
    assert (tmp_path / "a.plan").read_bytes() == (tmp_path / "b.plan").read_bytes()
    assert (tmp_path / "t.cache").read_bytes() == first


def test_skipped_inference(folder):
    report = passed("--loadEngine=small.engine", "--skipInference", cwd=folder)
    assert "Performance summary" not in report.sections


def test_reports_of_skipped_inference_are_noted(folder):
    flags = ("--skipInference", "--dumpProfile", "--exportTimes=never.json")
    report = passed("--loadEngine=small.engine", *flags, cwd=folder)
    for flag in ("--dumpProfile", "--exportTimes"):
        assert any(text.startswith(f"{flag} has no effect") for text in report.lines["W"])
    assert not (folder / "never.json").exists()


def test_time_deserialize(folder):
    for source in ("--loadEngine=small.engine", "--onnx=small.onnx"):
        report = passed(source, "--timeDeserialize", cwd=folder)
        assert any("deserialization time = " in text for text in report.lines["I"])


def test_plan_version(folder):
    report = passed("--loadEngine=small.engine", "--getPlanVersionOnly", cwd=folder)
    assert any("carnot 0." in text for text in report.lines["I"])
