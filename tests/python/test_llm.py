"""Greedy decoding in ragged batches against what Hugging Face transformers generates.

tests/models/greedy.json is written by tools/write_greedy.py.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import carnot
import carnot.cuda as cuda
from carnot.llm import convert_checkpoint

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = json.loads((ROOT / "tests/models/greedy.json").read_text())
BLOCKS = 96


class Sequences:
    """Sequences in one cache, with blocks handed out in a scattered order."""

    def __init__(self, engine, block_size):
        self.context = engine.context()
        self.block_size = block_size
        self.free = list(np.random.default_rng(3).permutation(BLOCKS))
        self.tables, self.tokens, self.cached = [], [], []
        for state in engine.states:
            dims = [BLOCKS if dim == "blocks" else int(dim) for dim in state.shape]
            # What was never written is never read.
            cache = np.full(dims, np.nan, dtype=state.numpy_dtype)
            self.context.set_state(state.name, cache)

    def add(self, tokens):
        self.tables.append([])
        self.tokens.append(list(tokens))
        self.cached.append(0)

    def step(self, counts, padding=0):
        """Runs so many more tokens of each sequence; the logits behind each one's last token."""
        ids, positions, starts = [], [], [0]
        for s, count in enumerate(counts):
            span = range(self.cached[s], self.cached[s] + count)
            ids += [self.tokens[s][i] for i in span]
            positions += span
            self.cached[s] += count
            starts.append(len(ids))
            while len(self.tables[s]) * self.block_size < self.cached[s]:
                self.tables[s].append(self.free.pop())
        widest = max(map(len, self.tables))
        tables = [table + [0] * (widest - len(table)) for table in self.tables]
        inputs = {"token_ids": ids + [0] * padding, "positions": positions + [0] * padding,
                  "block_tables": tables, "starts": starts, "lengths": self.cached,
                  "logit_rows": [starts[s + 1] - 1 for s, count in enumerate(counts) if count]}
        inputs = {name: np.array(values, dtype=np.int32) for name, values in inputs.items()}
        logits = self.context.run(inputs)["logits"]
        assert np.isfinite(logits).all()
        return logits

    def generate(self, counts, **options):
        """One step, and the likeliest token appended to each sequence that had rows."""
        chosen = iter(self.step(counts, **options).argmax(axis=1))
        for s, count in enumerate(counts):
            if count:
                self.tokens[s].append(int(next(chosen)))


@pytest.fixture(scope="module", params=EXPECTED)
def model(request):
    return request.param


@pytest.fixture(scope="module")
def engine(model):
    return carnot.build(convert_checkpoint(ROOT / "models" / model), timing_cache=False)


def continuations(sequences, cases):
    return [tokens[len(case["prompt"]):][:len(case["tokens"])]
            for tokens, case in zip(sequences.tokens, cases)]


def test_one_ragged_batch(engine, model):
    cases = EXPECTED[model]
    sequences = Sequences(engine, 16)
    for case in cases:
        sequences.add(case["prompt"])
    sequences.generate([len(case["prompt"]) for case in cases])
    for _ in range(63):
        sequences.generate([1] * len(cases))
    assert continuations(sequences, cases) == [case["tokens"] for case in cases]


def test_sequences_that_join_and_prompts_in_parts(engine, model):
    """Sequences come one after another, long prompts by 40 tokens, among those that decode."""
    cases = EXPECTED[model]
    sequences = Sequences(engine, 16)
    step = 0
    while True:
        if step < len(cases):
            sequences.add(cases[step]["prompt"])
        counts = []
        for tokens, cached, case in zip(sequences.tokens, sequences.cached, cases):
            done = len(tokens) == len(case["prompt"]) + len(case["tokens"])
            counts.append(0 if done else min(40, len(tokens) - cached))
        if not any(counts):
            break
        before = [len(tokens) for tokens in sequences.tokens]
        sequences.generate(counts, padding=step % 3)
        for s, case in enumerate(cases[:len(before)]):
            if sequences.cached[s] < before[s]:
                del sequences.tokens[s][before[s]:]  # of the middle of a prompt
        step += 1
    assert continuations(sequences, cases) == [case["tokens"] for case in cases]


def test_a_shared_beginning(engine, model):
    """A second sequence starts from the blocks of the first."""
    case = EXPECTED[model][3]
    sequences = Sequences(engine, 16)
    sequences.add(case["prompt"])
    sequences.generate([len(case["prompt"])])
    shared = len(case["prompt"]) // 16
    sequences.add(case["prompt"])
    sequences.tables[1] = list(sequences.tables[0][:shared])
    sequences.cached[1] = shared * 16
    sequences.generate([1, len(case["prompt"]) - shared * 16])
    for _ in range(62):
        sequences.generate([1, 1])
    assert [tokens[len(case["prompt"]):][:63] for tokens in sequences.tokens] == [
        case["tokens"][:63]] * 2


def test_saved_engines_keep_their_states(engine, model, tmp_path):
    engine.save(tmp_path / "model.engine")
    loaded = carnot.load(tmp_path / "model.engine")
    assert [str(state) for state in loaded.states] == [str(state) for state in engine.states]
    case = EXPECTED[model][1]
    results = []
    for each in (engine, loaded):
        sequences = Sequences(each, 16)
        sequences.add(case["prompt"])
        results.append(sequences.step([len(case["prompt"])]))
    assert (results[0] == results[1]).all()


PROGRAM = ROOT / "build" / "bin" / "carnot"


@pytest.mark.skipif(not PROGRAM.exists(), reason="build/bin/carnot is not built")
def test_bench_takes_a_step_from_files(engine, tmp_path):
    engine.save(tmp_path / "model.engine")
    blocks = [dim if dim != "blocks" else 8 for dim in engine.states[0].shape]
    step = {"token_ids": [1, 5, 9], "positions": [0, 7, 8], "block_tables": [[0], [1]],
            "starts": [0, 1, 3], "lengths": [1, 9], "logit_rows": [0, 2]}
    for name, values in step.items():
        np.save(tmp_path / f"{name}.npy", np.array(values, np.int32))
    shapes = {name: np.shape(values) for name, values in step.items()}
    shapes |= {state.name: blocks for state in engine.states}
    flags = ["--duration", "0", "--iterations", "2", "--warmUp", "0", "--shapes",
             ",".join(f"{name}:{'x'.join(map(str, dims))}" for name, dims in shapes.items())]
    ran = [subprocess.run([PROGRAM, "bench", "model.engine", *flags, *more], cwd=tmp_path,
                          capture_output=True, text=True)
           for more in ([], ["--loadInputs", ",".join(f"{name}:{name}.npy" for name in step)])]
    assert ran[0].returncode == 1
    assert "no contents for input token_ids, beside states" in ran[0].stderr
    assert ran[1].returncode == 0, ran[1].stderr
    assert "logits:2x" in ran[1].stdout


@pytest.mark.parametrize("cache,worst", [("float16", 0.02), ("bfloat16", 0.15)])
def test_narrow_caches(cache, worst):
    case = EXPECTED["codelet-1m"][3]
    folder = ROOT / "models/codelet-1m"
    logits = []
    for dtype in ("float32", cache):
        network = convert_checkpoint(folder, cache_dtype=dtype, block_size=32)
        engine = carnot.build(network, timing_cache=False, optimization_level=0)
        sequences = Sequences(engine, 32)
        sequences.add(case["prompt"])
        sequences.step([100])
        logits.append(sequences.step([len(case["prompt"]) - 100]))
    assert np.abs(logits[0] - logits[1]).max() < worst


@pytest.mark.parametrize("change,text", [
    ({"block_tables": [[BLOCKS]]}, f"block {BLOCKS} in the table"),
    ({"block_tables": [[-1]]}, "block -1 in the table"),
    ({"starts": [0, 9]}, "rows 0 to 9"),
    ({"starts": [1, 2]}, "start at 1"),
    ({"lengths": [17]}, "length 17"),
    ({"lengths": [1]}, "length 1 "),
])
def test_contents_that_reach_outside(engine, change, text):
    sequences = Sequences(engine, 16)
    inputs = {"token_ids": [1, 2], "positions": [0, 1], "block_tables": [[3]], "starts": [0, 2],
              "lengths": [2], "logit_rows": [1]}
    inputs = {name: np.array(values, dtype=np.int32) for name, values in (inputs | change).items()}
    with pytest.raises(carnot.Error, match=text):
        sequences.context.run(inputs)


def test_states_that_do_not_fit(engine):
    context = engine.context()
    state = engine.states[0]
    dims = [4 if dim == "blocks" else int(dim) for dim in state.shape]
    with pytest.raises(carnot.Error, match="no state named 'cache'"):
        context.set_state("cache", np.zeros(dims, np.float32))
    with pytest.raises(carnot.Error, match="state cache.0 is float64"):
        context.set_state(state.name, np.zeros(dims))
    with pytest.raises(carnot.Error, match="writable"):
        array = np.zeros(dims, np.float32)
        array.setflags(write=False)
        context.set_state(state.name, array)
    with pytest.raises(carnot.Error, match="cache.0"):
        context.set_state(state.name, np.zeros([4, 2, 1], np.float32))
    inputs = {info.name: np.zeros([1] * len(info.shape), np.int32) for info in engine.inputs}
    inputs["starts"] = np.array([0, 1], np.int32)
    with pytest.raises(carnot.Error, match="no shape for input cache"):
        context.run(inputs)
    for other in engine.states:  # one memory for all
        context.set_state(other.name, array.copy())
    shared = np.zeros(dims, np.float32)
    context.set_state(engine.states[0].name, shared)
    context.set_state(engine.states[1].name, shared)
    with pytest.raises(carnot.Error, match="state cache.1 in the memory of"):
        context.run(inputs | {"lengths": np.array([1], np.int32)})


def test_states_in_device_memory(engine, model):
    case = EXPECTED[model][1]
    logits, held = [], []
    for on_device in (False, True):
        sequences = Sequences(engine, 16)
        for state in engine.states if on_device else ():
            dims = [BLOCKS if dim == "blocks" else int(dim) for dim in state.shape]
            held.append(cuda.mem_alloc(int(np.prod(dims)) * 4))
            sequences.context.set_state(state.name, held[-1], dims)
        sequences.add(case["prompt"])
        sequences.step([5])
        logits.append(sequences.step([len(case["prompt"]) - 5]))
    assert (logits[0] == logits[1]).all()
    with pytest.raises(carnot.Error, match=f"state {engine.states[0].name}"):
        sequences.context.set_state(engine.states[0].name, held[1], [10**6, *dims[1:]])


def changed(tmp_path, **fields):
    """A copy of the small model's configuration, other fields in place."""
    config = json.loads((ROOT / "models/codelet-1m/config.json").read_text())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config | fields))
    (folder / "model.safetensors").symlink_to(ROOT / "models/codelet-1m/model.safetensors")
    return folder


@pytest.mark.parametrize("fields,text", [
    ({"model_type": "mamba"}, "model_type 'mamba'"),
    ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "scaled by yarn"),
    ({"rope_parameters": {"rope_type": "linear"}}, "no factor"),
    ({"num_hidden_layers": 3}, "no tensor model.layers.2"),
    ({"num_hidden_layers": 0}, "num_hidden_layers 0"),
    ({"hidden_size": 2**62}, "hidden_size"),
    ({"hidden_size": 96, "head_dim": 32}, r"shape \["),
    ({"num_key_value_heads": 3}, "heads over 3"),
    ({"quantization_config": {}}, "quantization_config"),
])
def test_refused_configurations(tmp_path, fields, text):
    with pytest.raises(carnot.Error, match=text):
        convert_checkpoint(changed(tmp_path, **fields))


def write_safetensors(folder, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.unlink()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("header,data,text", [
    (b"[1]", b"", "no JSON object"),
    (b"{", b"", "no JSON object"),
    ({"a": 1}, b"", "no dtype"),
    (b'{"a":{"dtype":' + b"[" * 10**6 + b"]" * 10**6 + b"}}", b"", "a list or object"),
    ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}, bytes(8), "bytes 0 to 9"),
    ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, bytes(8), "bytes 8 to 0"),
    ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8), "12 for"),
    ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, bytes(8), "a count"),
    ({"a": {"dtype": "F32", "shape": [2**62, 16], "data_offsets": [0, 8]}}, bytes(8), "tensor a"),
    ({"a": {"dtype": "Q4", "shape": [2], "data_offsets": [0, 8]}}, bytes(8), "Q4"),
    ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8), "goes on at byte 4"),
    ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(8), "8 bytes of data"),
    ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
      "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4), "another tensor"),
])
def test_damaged_weights(tmp_path, header, data, text):
    folder = changed(tmp_path)
    write_safetensors(folder, header, data)
    with pytest.raises(carnot.Error, match=text):
        convert_checkpoint(folder)


def test_short_weights(tmp_path):
    folder = changed(tmp_path)
    (folder / "model.safetensors").unlink()
    for bytes_, text in ((b"1234", "4 bytes"), (bytes([255] * 8) + b"{}", "a header of")):
        (folder / "model.safetensors").write_bytes(bytes_)
        with pytest.raises(carnot.Error, match=text):
            convert_checkpoint(folder)


def test_weights_in_several_files(tmp_path):
    folder = changed(tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    size = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8:8 + size]), whole[8 + size:]
    header.pop("__metadata__", None)
    weight_map = {}
    for part in range(2):
        entries, blob = {}, b""
        for index, (name, entry) in enumerate(header.items()):
            if index % 2 == part:
                begin, end = entry["data_offsets"]
                entries[name] = entry | {"data_offsets": [len(blob), len(blob) + end - begin]}
                blob += data[begin:end]
                weight_map[name] = f"part-{part}.safetensors"
        text = json.dumps(entries).encode()
        (folder / f"part-{part}.safetensors").write_bytes(
            len(text).to_bytes(8, "little") + text + blob)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert len(convert_checkpoint(folder).states()) == 2
    index.write_text(json.dumps({"weight_map": {"a": "../part-0.safetensors"}}))
    with pytest.raises(carnot.Error, match="beside the index"):
        convert_checkpoint(folder)
