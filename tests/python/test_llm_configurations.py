"""Checkpoints of every form that is taken, with random weights, against NumPy in float64."""

import numpy as np
import pytest

import carnot
from carnot.llm import convert_checkpoint
from llama_reference import BASE, logits, random_weights, write_checkpoint

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
FORMS = {
    "plain": {},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "head of its own": {"tie_word_embeddings": False},
    "heads wider than hidden": {"head_dim": 24},
    "one key head": {"num_key_value_heads": 1},
    "as many key heads": {"num_key_value_heads": 4},
    "odd extents": {"hidden_size": 54, "num_attention_heads": 3, "num_key_value_heads": 1,
                    "intermediate_size": 101, "vocab_size": 303, "rms_norm_eps": 1e-3},
    "base": {"rope_theta": 500000.0},
    "linear": {"rope_parameters": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0}},
    "llama3": {"rope_parameters": LLAMA3 | {"rope_theta": 500000.0}},
    "llama3 as older files say it": {"rope_theta": 500000.0, "rope_scaling": LLAMA3},
}
BLOCKS = [5, 3, 1, 0, 2, 4, 6, 7, 8, 9, 12, 11, 10]


@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
def test_form(tmp_path, fields):
    config = BASE | fields
    weights = random_weights(config)
    write_checkpoint(tmp_path / "model", config, weights)
    tokens = np.random.default_rng(1).integers(0, config["vocab_size"], 200)
    engine = carnot.build(convert_checkpoint(tmp_path / "model"), timing_cache=False,
                          optimization_level=0)
    context = engine.context()
    for state in engine.states:
        dims = [13 if dim == "blocks" else dim for dim in state.shape]
        context.set_state(state.name, np.full(dims, np.nan, np.float32))
    rows, at = [], 0
    for count in (90, 1, 1, 108):
        inputs = {"token_ids": tokens[at:at + count], "positions": range(at, at + count),
                  "block_tables": [BLOCKS], "starts": [0, count], "lengths": [at + count],
                  "logit_rows": range(count)}
        rows.append(context.run({name: np.array(values, np.int32)
                                 for name, values in inputs.items()})["logits"])
        at += count
    expected = logits(config, weights, tokens)
    assert np.abs(np.concatenate(rows) - expected).max() < 3e-5 * np.abs(expected).max()


def test_profiles_hold_the_dims_of_states(tmp_path):
    config = BASE | {"num_hidden_layers": 1}
    write_checkpoint(tmp_path / "model", config, random_weights(config))
    shapes = {"token_ids": ([1], [4], [64]), "positions": ([1], [4], [64]),
              "block_tables": ([1, 8], [4, 8], [8, 8]), "starts": ([2], [5], [9]),
              "lengths": ([1], [4], [8]), "logit_rows": ([1], [4], [8]),
              "cache.0": ([16, 2, 2, 16, 16],) * 3}
    engine = carnot.build(convert_checkpoint(tmp_path / "model"), profiles=shapes,
                          timing_cache=False)
    assert engine.info["profiles"][0]["ranges"]["blocks"] == (16, 16, 16)
    context = engine.context()
    inputs = {"token_ids": [1], "positions": [0], "block_tables": [[3] * 8], "starts": [0, 1],
              "lengths": [1], "logit_rows": [0]}
    inputs = {name: np.array(values, np.int32) for name, values in inputs.items()}
    context.set_state("cache.0", np.zeros([16, 2, 2, 16, 16], np.float32))
    assert context.run(inputs)["logits"].shape == (1, 300)
    context.set_state("cache.0", np.zeros([17, 2, 2, 16, 16], np.float32))
    with pytest.raises(carnot.Error, match="outside the profile"):
        context.run(inputs)


def test_threads_leave_the_bits_alone(tmp_path):
    """A prompt alone, its next token alone, where threads take parts of its keys, and beside others."""
    config = BASE | {"num_hidden_layers": 1}
    write_checkpoint(tmp_path / "model", config, random_weights(config))
    network = convert_checkpoint(tmp_path / "model")
    tokens = np.random.default_rng(2).integers(0, 300, 1200)
    results = []
    for threads in (1, 4):
        engine = carnot.build(network, timing_cache=False, optimization_level=0, threads=threads)
        context = engine.context()
        context.set_state("cache.0", np.full([200, 2, 2, 16, 16], np.nan, np.float32))
        tables = np.random.default_rng(3).permutation(200)[:160].reshape(2, 80)
        alone = {"token_ids": tokens[:1199], "positions": range(1199), "block_tables": tables[:1],
                 "starts": [0, 1199], "lengths": [1199], "logit_rows": [1198]}
        last = {"token_ids": tokens[1199:], "positions": [1199], "block_tables": tables[:1],
                "starts": [0, 1], "lengths": [1200], "logit_rows": [0]}
        beside = {"token_ids": np.concatenate([tokens[1199:], tokens[:60]]),
                  "positions": [1199, *range(60)], "block_tables": tables, "starts": [0, 1, 61],
                  "lengths": [1200, 60], "logit_rows": [0]}
        for inputs in (alone, last, beside):
            results.append(context.run({name: np.array(values, np.int32)
                                        for name, values in inputs.items()})["logits"])
    for one, more in zip(results[:3], results[3:]):
        assert (one == more).all()
    assert np.abs(results[1] - results[2]).max() < 1e-5 * np.abs(results[1]).max()
