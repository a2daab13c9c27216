"""Building: configurations, profiles, caches, progress."""

import numpy as np
import pytest
from small_models import classifier, random, two_inputs, wanted
from tensorrt_helpers import Recorder, add_profile, engine_of, infer, parsed

import carnot.tensorrt as trt

Flag = trt.BuilderFlag
SHAPE = (3, 32, 32)


@pytest.fixture
def logger():
    return Recorder()


def test_configurations_keep_what_is_set(logger):
    config = trt.Builder(logger).create_builder_config()
    assert config.get_flag(Flag.TF32) and config.flags == 1 << int(Flag.TF32)
    config.set_flag(Flag.FP16)
    config.clear_flag(Flag.TF32)
    assert config.flags == 1 << int(Flag.FP16)
    config.flags = 0
    assert not config.get_flag(Flag.FP16)
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) > 1 << 28
    config.max_workspace_size = 1 << 20
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 1 << 20
    config.set_memory_pool_limit(trt.MemoryPoolType.TACTIC_SHARED_MEMORY, 5)
    assert config.get_memory_pool_limit(trt.MemoryPoolType.TACTIC_SHARED_MEMORY) == 5
    config.set_tactic_sources(3)
    assert config.get_tactic_sources() == 3
    feature = trt.PreviewFeature.RUNTIME_ACTIVATION_RESIZE_10_10
    config.set_preview_feature(feature, True)
    assert config.get_preview_feature(feature)
    config.set_quantization_flag(trt.QuantizationFlag.CALIBRATE_BEFORE_FUSION)
    assert config.quantization_flags == 1
    config.avg_timing_iterations, config.max_aux_streams = 8, 2
    config.default_device_type = trt.DeviceType.GPU
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.reset()
    assert (config.avg_timing_iterations, config.builder_optimization_level) == (1, 3)
    assert config.num_optimization_profiles == 0 and config.get_timing_cache() is None
    assert not logger.errors


@pytest.mark.parametrize("act", [
    lambda c: c.set_flag(0), lambda c: c.set_flag(trt.TensorFormat.LINEAR),
    lambda c: c.get_flag("FP16"), lambda c: c.set_memory_pool_limit(0, 1),
    lambda c: c.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, "1"),
    lambda c: c.set_preview_feature(1, True), lambda c: c.add_optimization_profile(None),
    lambda c: c.set_timing_cache(b"", False), lambda c: c.create_timing_cache(None),
    lambda c: setattr(c, "builder_optimization_level", "3"),
])
def test_wrong_types_raise(logger, act):
    with pytest.raises(TypeError):
        act(trt.Builder(logger).create_builder_config())


@pytest.mark.parametrize("act, part", [
    (lambda c: c.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, -1), "-1 bytes"),
    (lambda c: setattr(c, "builder_optimization_level", 6), "needs 0 to 5"),
    (lambda c: setattr(c, "int8_calibrator", object()), "calibrator"),
    (lambda c: c.create_timing_cache(b"nonsense"), "timing cache"),
])
def test_wrong_values_are_logged(logger, act, part):
    assert act(trt.Builder(logger).create_builder_config()) is None
    assert part in logger.errors


def test_misspelt_settings_raise(logger):
    config = trt.Builder(logger).create_builder_config()
    with pytest.raises(AttributeError):
        config.max_workspaces = 1


def test_a_builder_says_what_is_there(logger):
    builder = trt.Builder(logger)
    assert not (builder.platform_has_fast_fp16 or builder.platform_has_fast_int8
                or builder.platform_has_tf32)
    assert builder.num_DLA_cores == 0 and builder.max_batch_size == 1
    builder.max_batch_size = 4
    builder.max_threads = 3
    builder.reset()
    assert builder.max_batch_size == 1
    with pytest.raises(TypeError):
        builder.build_serialized_network(None, builder.create_builder_config())
    with pytest.raises(TypeError):
        builder.build_serialized_network(builder.create_network(), None)


@pytest.mark.parametrize("shapes, error", [
    (((2, 3), (1, 3), (4, 3)), ValueError), (((1, 3), (2, 3), (1, 3)), ValueError),
    (((1, 3), (2, 3), (4, 3, 3)), ValueError), (((-1, 3), (2, 3), (4, 3)), ValueError),
    ((None, (2, 3), (4, 3)), TypeError), ((("a",), (2,), (4,)), TypeError),
])
def test_profiles_are_checked(shapes, error):
    profile = trt.IOptimizationProfile()
    with pytest.raises(error):
        profile.set_shape("x", *shapes)
    assert profile.get_shape("x") == []


def test_profiles_keep_what_is_set():
    profile = trt.IOptimizationProfile()
    profile.set_shape(input="x", min=[1, 3], opt=trt.Dims([2, 3]), max=np.array([4, 3]))
    assert profile.get_shape("x") == [(1, 3), (2, 3), (4, 3)] and profile
    profile.set_shape_input("s", [1], [2], [3])
    assert profile.get_shape_input("s") == [[1], [2], [3]] and profile.get_shape_input("t") == []
    profile.extra_memory_target = 0.5


@pytest.mark.parametrize("flags, typed, part", [
    ([Flag.FP16], True, "strongly typed network with the flag FP16"),
    ([Flag.INT8], False, "the flag INT8"),
])
def test_builds_that_are_refused(logger, flags, typed, part):
    builder, network, config = parsed(classifier(), logger, flags=2 * typed)
    for flag in flags:
        config.set_flag(flag)
    assert not builder.is_network_supported(network, config)
    assert builder.build_serialized_network(network, config) is None
    assert builder.build_engine_with_config(network, config) is None
    assert part in logger.errors


@pytest.mark.parametrize("flag, part", [
    (Flag.REFIT, "cannot be refitted"), (Flag.STRIP_PLAN, "keeps its weights"),
    (Flag.SPARSE_WEIGHTS, "dense"), (Flag.WEIGHT_STREAMING, "not streamed"),
])
def test_builds_go_on_without(logger, flag, part):
    builder, network, config = parsed(two_inputs(), logger)
    config.set_flag(flag)
    assert builder.build_serialized_network(network, config)
    assert part in logger.of(trt.Logger.WARNING) and not logger.errors


@pytest.mark.parametrize("flag, name", [(Flag.FP16, "float16"), (Flag.BF16, "bfloat16")])
def test_permissions_are_accounted_for(logger, flag, name):
    builder, network, config = parsed(classifier(), logger)
    config.set_flag(flag)
    add_profile(builder, config, input=((1, *SHAPE), (2, *SHAPE), (4, *SHAPE)))
    engine = builder.build_engine(network, config)
    assert f"{name} is allowed: used for" in logger.of(trt.Logger.INFO)
    x = random(4, *SHAPE)
    np.testing.assert_allclose(infer(engine.create_execution_context(), input=x)["output"],
                               wanted(classifier(), input=x)["output"], atol=1e-2)


def test_precisions_of_layers(logger):
    builder, network, config = parsed(two_inputs(), logger)
    network[0].precision = trt.float16
    assert builder.build_serialized_network(network, config)
    asked = f"{network[0].name} (Add) computes in float32, not float16"
    assert asked not in logger.of(trt.Logger.WARNING)
    config.set_flag(Flag.PREFER_PRECISION_CONSTRAINTS)
    assert builder.build_serialized_network(network, config)
    assert asked in logger.of(trt.Logger.WARNING)
    config.set_flag(Flag.OBEY_PRECISION_CONSTRAINTS)
    assert builder.build_serialized_network(network, config) is None
    assert asked in logger.errors
    network[0].precision = trt.float32
    assert builder.build_serialized_network(network, config)


def test_workspace_limits_reach_the_build(logger):
    for limit in (0, 1 << 30):
        builder, network, config = parsed(classifier(), logger)
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, limit)
        assert builder.build_serialized_network(network, config)


def timed(logger, cache=None):
    builder, network, config = parsed(classifier(), logger)
    config.clear_flag(Flag.DISABLE_TIMING_CACHE)
    config.builder_optimization_level = 2
    kept = config.create_timing_cache(cache or b"")
    assert config.set_timing_cache(kept, ignore_mismatch=False)
    assert config.get_timing_cache() is kept
    return builder.build_serialized_network(network, config), kept


def test_timing_caches(logger):
    first, cache = timed(logger)
    kept = cache.serialize()
    assert kept.nbytes == len(kept) > 100 and first.dtype == trt.int8
    again, same = timed(logger, kept)
    assert bytes(first) == bytes(again) and bytes(same.serialize()) == bytes(kept)
    config = trt.Builder(logger).create_builder_config()
    other = config.create_timing_cache(bytearray())
    assert other.combine(cache, ignore_mismatch=True) and bytes(other.serialize()) == bytes(kept)
    assert other.reset() and other.serialize() == b""
    assert not logger.errors


def test_timing_caches_are_asked_and_edited(logger):
    _, cache = timed(logger)
    keys = cache.queryKeys()
    assert len(keys) == len(set(keys)) > 2
    for key in keys:
        assert trt.TimingCacheKey.parse(str(key)) == key
        assert cache.query(key).tacticHash and cache.query(key).timingMSec > 0
    best = cache.query(keys[0])
    slower = trt.TimingCacheValue(best.tacticHash, 1e6)
    assert cache.update(keys[0], slower)
    assert cache.query(keys[0]) != best and cache.serialize()
    first, edited = timed(logger, cache.serialize())
    assert edited.query(keys[0]) != best and first
    assert not logger.errors
    assert cache.query(trt.TimingCacheKey.parse("0x1")).timingMSec == 0
    assert "no times for 0x0000000000000001" in logger.errors
    assert not cache.update(keys[0], trt.TimingCacheValue(5, 1.0)) and "kernel 0x5" in logger.errors
    assert trt.Builder(logger).create_builder_config().create_timing_cache(b"").queryKeys() == []


class Monitor(trt.IProgressMonitor):
    def __init__(self, stop=None):
        super().__init__()
        self.stop, self.open, self.phases = stop, [], []

    def phase_start(self, phase_name, parent_phase, num_steps):
        assert num_steps > 0 and parent_phase == (self.open[-1][0] if self.open else None)
        self.open.append((phase_name, num_steps))
        self.phases.append(phase_name)

    def step_complete(self, phase_name, step):
        assert phase_name == self.open[-1][0] and 0 <= step < self.open[-1][1]
        return phase_name != self.stop

    def phase_finish(self, phase_name):
        assert self.open.pop()[0] == phase_name


def test_progress_is_told(logger):
    builder, network, config = parsed(classifier(), logger)
    config.builder_optimization_level = 3
    config.progress_monitor = Monitor()
    assert builder.build_serialized_network(network, config)
    phases = config.progress_monitor.phases
    assert not config.progress_monitor.open and phases[1] == "import" and phases[-1] == "emit"
    assert {"tune", "fuse", "plan"} < set(phases)


@pytest.mark.parametrize("phase", ["import", "fuse", "tune", "emit"])
def test_progress_may_end_a_build(logger, phase):
    builder, network, config = parsed(classifier(), logger)
    config.builder_optimization_level = 3
    config.progress_monitor = Monitor(stop=phase)
    assert builder.build_serialized_network(network, config) is None
    assert not config.progress_monitor.open
    assert f"cancelled in phase {phase}" in logger.of(trt.Logger.WARNING)
    config.progress_monitor = None
    assert builder.build_serialized_network(network, config)


def test_what_a_monitor_raises_is_raised(logger):
    builder, network, config = parsed(classifier(), logger)
    config.progress_monitor = trt.IProgressMonitor()
    with pytest.raises(NotImplementedError):
        builder.build_serialized_network(network, config)


def test_engines_are_written_to_streams(logger):
    class Writer(trt.IStreamWriter):
        def __init__(self, most):
            super().__init__()
            self.most, self.data = most, b""

        def write(self, data):
            self.data += data[:self.most]
            return min(self.most, len(data))

    class Reader(trt.IStreamReader):
        def __init__(self, data):
            super().__init__()
            self.data = data

        def read(self, size):
            taken, self.data = self.data[:1000], self.data[1000:]
            return taken

    class ReaderV2(trt.IStreamReaderV2):
        def __init__(self, data):
            super().__init__()
            self.data = data

        def read(self, num_bytes, stream):
            taken, self.data = self.data[:num_bytes], self.data[num_bytes:]
            return taken

    builder, network, config = parsed(two_inputs(), logger)
    writer = Writer(777)
    assert builder.build_serialized_network_to_stream(network, config, writer)
    assert writer.data == builder.build_serialized_network(network, config)
    runtime = trt.Runtime(logger)
    for reader in (Reader(writer.data), ReaderV2(writer.data)):
        assert runtime.deserialize_cuda_engine(reader).num_io_tensors == 4
    assert not builder.build_serialized_network_to_stream(network, config, Writer(0))
    assert "took 0 bytes" in logger.errors


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:100], lambda data: b"ftrt" + data[4:],
    lambda data: data[:-1], lambda data: data[:60] + bytes([data[60] ^ 255]) + data[61:],
], ids=["empty", "cut", "foreign", "short", "altered"])
def test_damaged_engines_are_refused(logger, damage):
    builder, network, config = parsed(two_inputs(), logger)
    data = bytes(builder.build_serialized_network(network, config))
    assert trt.Runtime(logger).deserialize_cuda_engine(damage(data)) is None
    assert logger.errors


def test_engines_come_from_any_buffer(logger):
    engine = engine_of(two_inputs(), logger)
    data, runtime = engine.serialize(), trt.Runtime(logger)
    for buffer in (data, bytes(data), bytearray(data), memoryview(data),
                   np.frombuffer(data, np.uint8), memoryview(data)[:]):
        assert runtime.deserialize_cuda_engine(buffer).num_io_tensors == 4
    for wrong in (None, 5, "text"):
        with pytest.raises(TypeError):
            runtime.deserialize_cuda_engine(wrong)
    assert runtime.load_runtime("lib.so") is None and "lib.so" in logger.errors
    config = engine.create_serialization_config()
    assert config.set_flag(trt.SerializationFlag.EXCLUDE_LEAN_RUNTIME)
    assert engine.serialize_with_config(config) == data
    assert config.set_flag(trt.SerializationFlag.EXCLUDE_WEIGHTS)
    assert engine.serialize_with_config(config) is None and "EXCLUDE_WEIGHTS" in logger.errors


def test_error_recorders_hear_of_errors(logger):
    class Errors(trt.IErrorRecorder):
        def __init__(self):
            super().__init__()
            self.heard = []

        def report_error(self, code, desc):
            self.heard.append((code, desc))
            return True

    builder, network, config = parsed(classifier(), logger)
    builder.error_recorder = Errors()
    config.set_flag(Flag.INT8)
    assert builder.build_serialized_network(network, config) is None
    (code, desc), = builder.error_recorder.heard
    assert code == trt.ErrorCodeTRT.INVALID_ARGUMENT and "INT8" in desc
