"""What the builder promises of tuning: caches, determinism, budgets, reasons, layouts, memory."""

import json
import threading

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

carnot = pytest.importorskip("carnot")


def conv_net(blocks=3, channels=32, seed=0):
    """A small residual network of a dynamic batch: x[batch, 3, 32, 32] to y[batch, 10]."""
    random = np.random.default_rng(seed)
    nodes, constants = [], []

    def constant(name, *shape):
        scale = 1.0 / np.sqrt(np.prod(shape[1:]) or 1)
        values = (random.standard_normal(shape) * scale).astype(np.float32)
        constants.append(numpy_helper.from_array(values, name))
        return name

    def conv(tag, source, fan_in, fan_out, kernel, stride=1):
        nodes.append(helper.make_node(
            "Conv", [source, constant(f"w{tag}", fan_out, fan_in, kernel, kernel),
                     constant(f"b{tag}", fan_out)], [f"c{tag}"], name=f"conv{tag}",
            pads=[kernel // 2] * 4, strides=[stride] * 2))
        return f"c{tag}"

    value = conv("stem", "x", 3, channels, 3, 2)
    for i in range(blocks):
        nodes.append(helper.make_node("Relu", [value], [f"r{i}"], name=f"relu{i}"))
        inner = conv(f"{i}a", f"r{i}", channels, channels, 3)
        nodes.append(helper.make_node("Add", [inner, f"r{i}"], [f"s{i}"], name=f"add{i}"))
        value = f"s{i}"
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["g"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["g"], ["f"], name="flatten"))
    nodes.append(helper.make_node("Gemm", ["f", constant("wf", channels, 10), constant("bf", 10)],
                                  ["y"], name="head"))
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


@pytest.fixture(scope="module")
def model():
    return conv_net()


def batch(n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, 3, 32, 32)).astype(np.float32)


def test_same_cache_gives_the_same_bytes(model, tmp_path):
    cache = tmp_path / "timing.json"
    first = carnot.build(model, threads=2, timing_cache=cache)
    kept = cache.read_bytes()
    second = carnot.build(model, threads=2, timing_cache=cache)
    third = carnot.build(model, threads=2, timing_cache=cache)
    assert cache.read_bytes() == kept, "a build that times nothing leaves the cache alone"
    assert second.serialize() == third.serialize() == first.serialize()


def test_equal_layers_are_timed_once(tmp_path):
    cache = tmp_path / "timing.json"
    engine = carnot.build(conv_net(blocks=4, channels=128), threads=1, timing_cache=cache)
    layers = [layer for layer in engine.profile(runs=1) if layer.operators == "Conv+Add+Relu"]
    assert len(layers) == 3
    (problems,) = json.loads(cache.read_text())["devices"].values()
    assert sum("Conv" in key and "Add" in key and "Relu" in key for key in problems) == 1


def test_a_damaged_cache_is_named(model, tmp_path):
    cache = tmp_path / "timing.json"
    cache.write_text('{"format": 1, "devices": {"x": {"p": {"k": "soon"}}}}')
    with pytest.raises(carnot.Error, match="timing.json"):
        carnot.build(model, timing_cache=cache)


def test_level_0_times_nothing(model, tmp_path):
    cache = tmp_path / "timing.json"
    engine = carnot.build(model, optimization_level=0, timing_cache=cache)
    assert not cache.exists()
    times = [time["measured"] for step in engine.explain()["steps"]
             for candidate in step["candidates"] for time in candidate["times"]]
    assert times and not any(times)


def test_a_spent_budget_still_builds(model, caplog):
    engine = carnot.build(model, budget=0.0, timing_cache=False)
    assert engine.run({"x": batch(1)})["y"].shape == (1, 10)
    assert "budget" in caplog.text


def test_every_refusal_has_a_reason(model):
    steps = carnot.build(model, timing_cache=False).explain()["steps"]
    refusals = [refusal for step in steps for refusal in step["refusals"]]
    assert refusals and all(refusal["reason"] for refusal in refusals)
    assert all(step["origins"] for step in steps)


def test_kernels_left_out_are_not_used(model):
    full = carnot.build(model, timing_cache=False)
    bare = carnot.build(model, timing_cache=False, without_kernels=["cpu"])
    assert {layer.kernel for layer in bare.profile(runs=1)} == {"reference"}
    x = {"x": batch(2)}
    assert np.allclose(full.run(x)["y"], bare.run(x)["y"], rtol=1e-4, atol=1e-5)


def test_a_kernel_left_out_of_one_node(model):
    def kernels(**options):
        engine = carnot.build(model, timing_cache=False, optimization_level=0, **options)
        return {node: layer.kernel for layer in engine.profile(runs=1)
                for node in layer.onnx_nodes if layer.kernel != "cpu/copy/reformat"}

    full = kernels()
    bare = kernels(without_kernels=[f"{full['conv1a'].rpartition('/')[0]}@conv1a"])
    assert bare["conv1a"] != full["conv1a"] and bare["conv2a"] == full["conv2a"]
    assert kernels(without_kernels=[f"{full['conv1a']}@conv9a"]) == full


def test_patches_are_told_and_limited(model):
    def build(**options):
        seen = []
        engine = carnot.build(model, timing_cache=False, optimization_level=0,
                              patches=seen.append, **options)
        return engine, seen

    engine, all_patches = build()
    assert [patch.number for patch in all_patches] == [*range(1, len(all_patches) + 1)]
    assert all(patch.pass_name and patch.label and patch.onnx_nodes for patch in all_patches)
    x = {"x": batch(2)}
    wanted = engine.run(x)["y"]
    for limit in (0, len(all_patches) // 2, len(all_patches) - 1):
        limited, some = build(patch_limit=limit)
        assert some == all_patches[:limit]
        assert np.allclose(limited.run(x)["y"], wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(carnot.Error, match="patch_limit"):
        build(patch_limit=-1)

    def tired(patch):
        raise KeyError(patch.number)

    with pytest.raises(KeyError, match="1"):
        carnot.build(model, patches=tired)


@pytest.mark.parametrize("isa", ["portable", "native"])
def test_watching_sees_what_each_layer_writes(model, isa):
    engine = carnot.build(model, timing_cache=False, optimization_level=0, isa=isa)
    context, x = engine.context(), {"x": batch(2)}
    layers, arrays = [], {}

    def watch(output):
        layers.append(output)
        arrays[output.tensor] = output.array()
        assert arrays[output.tensor].shape == output.shape
        assert arrays[output.tensor].nbytes == output.nbytes

    result = context.watch(x, watch)
    assert np.array_equal(result["y"], arrays["y"])
    assert np.array_equal(result["y"], context.run(x)["y"])
    by_name = {layer.name: layer for layer in context.profile(x, runs=1)}
    for output in layers:
        layer = by_name[output.layer]
        assert (layer.operators, layer.kernel, layer.onnx_nodes) == (
            output.operators, output.kernel, output.onnx_nodes)
        assert set(output.inputs) <= {"x", *arrays} or output.onnx_nodes == ("head",)
        if output.operators == "Reformat":  # the same values, differently laid out
            assert np.array_equal(arrays[output.tensor], arrays[output.inputs[0]])
    if isa == "native":
        assert {output.layout for output in layers} > {"plain"}

    def tired(output):
        raise KeyError(output.tensor)

    with pytest.raises(KeyError, match=layers[0].tensor):
        context.watch(x, tired)
    assert np.array_equal(context.run(x)["y"], result["y"]), "a run cut short leaves no trace"


def test_passes_left_out_change_nothing_but_speed(model):
    x = {"x": batch(2)}
    wanted = carnot.build(model, timing_cache=False).run(x)["y"]
    bare = carnot.build(model, timing_cache=False, optimization_level=0,
                        skip_passes=["fold-constants"])
    assert np.allclose(bare.run(x)["y"], wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(carnot.Error, match="fold-constants"):
        carnot.build(model, skip_passes=["fold-constant"])


def test_profiles_are_enforced(model):
    engine = carnot.build(model, timing_cache=False, optimization_level=0,
                          profiles={"x": ([1, 3, 32, 32], [2, 3, 32, 32], [4, 3, 32, 32])})
    for n in (1, 3, 4):
        assert engine.run({"x": batch(n)})["y"].shape == (n, 10)
    with pytest.raises(carnot.Error) as caught:
        engine.run({"x": batch(5)})
    assert "x" in str(caught.value) and "5" in str(caught.value) and "4" in str(caught.value)


@pytest.mark.parametrize("isa", ["portable", "avx2", "native"])
def test_every_instruction_set_agrees(model, isa):
    x = {"x": batch(3)}
    wanted = carnot.build(model, timing_cache=False, without_kernels=["cpu"]).run(x)["y"]
    has = carnot.build(model, timing_cache=False, isa=isa).run(x)["y"]
    assert np.linalg.norm(has - wanted) <= 1e-5 * np.linalg.norm(wanted)


def test_contexts_of_many_threads_give_the_same_bits(model):
    engine = carnot.build(model, timing_cache=False, threads=2)
    feeds = [{"x": batch(1 + i % 3, seed=i)} for i in range(12)]
    wanted = [engine.run(feed)["y"] for feed in feeds]
    has = [None] * len(feeds)

    def work(part):
        context = engine.context()
        for i in range(part, len(feeds), 3):
            has[i] = context.run(feeds[i])["y"].copy()

    workers = [threading.Thread(target=work, args=(part,)) for part in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for a, b in zip(wanted, has):
        assert a.tobytes() == b.tobytes()
