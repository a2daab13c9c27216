"""A model of the Llama family in NumPy and float64, and checkpoints of random weights for it."""

import json
import math

import numpy as np

BASE = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 300,
        "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True}


def head_size(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def random_weights(config, seed=0):
    random = np.random.default_rng(seed)
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"] * head_size(config)
    keys = config["num_key_value_heads"] * head_size(config)
    shapes = {"model.embed_tokens": (config["vocab_size"], hidden), "model.norm": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        shapes |= {f"{name}.input_layernorm": (hidden,),
                   f"{name}.post_attention_layernorm": (hidden,),
                   f"{name}.self_attn.q_proj": (heads, hidden),
                   f"{name}.self_attn.k_proj": (keys, hidden),
                   f"{name}.self_attn.v_proj": (keys, hidden),
                   f"{name}.self_attn.o_proj": (hidden, heads),
                   f"{name}.mlp.gate_proj": (wide, hidden), f"{name}.mlp.up_proj": (wide, hidden),
                   f"{name}.mlp.down_proj": (hidden, wide)}
    weights = {}
    for name, shape in shapes.items():
        around = 1 if len(shape) == 1 else 0
        weights[name + ".weight"] = random.normal(around, 0.15, shape).astype(np.float32)
        biased = (".self_attn." in name and config.get("attention_bias")
                  or ".mlp." in name and config.get("mlp_bias"))
        if biased:
            weights[name + ".bias"] = random.normal(0, 0.5, shape[:1]).astype(np.float32)
    return weights


def write_checkpoint(folder, config, weights):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    header, blob = {}, b""
    for name, array in weights.items():
        data = array.tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + blob)


def frequencies(config):
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    size = head_size(config)
    plain = base ** (-np.arange(0, size, 2) / size)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "linear":
        return plain / rope["factor"]
    if kind == "default":
        return plain
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * plain / (2 * math.pi)
    part = np.clip((turns - low) / (high - low), 0, 1)
    return part * plain + (1 - part) * plain / rope["factor"]


def logits(config, weights, tokens):
    """Of one whole sequence: [tokens, vocabulary]."""
    size, groups = head_size(config), config["num_attention_heads"] // config["num_key_value_heads"]
    angles = np.arange(len(tokens))[:, None, None] * frequencies(config)
    cos, sin = np.cos(angles), np.sin(angles)

    def norm(x, name):
        mean = (x * x).mean(axis=1, keepdims=True)
        return x / np.sqrt(mean + config["rms_norm_eps"]) * weights[name + ".weight"]

    def linear(x, name):
        return x @ weights[name + ".weight"].T.astype(np.float64) + weights.get(name + ".bias", 0)

    def turned(x):
        first, second = x[..., :size // 2], x[..., size // 2:]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=2)

    def attend(x, name):
        q, k, v = (linear(x, f"{name}.{which}_proj").reshape(len(tokens), -1, size)
                   for which in "qkv")
        q, k, v = turned(q), turned(k).repeat(groups, axis=1), v.repeat(groups, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
        scores[:, np.triu(np.ones((len(tokens),) * 2, bool), 1)] = -np.inf
        weight = np.exp(scores - scores.max(axis=2, keepdims=True))
        weight /= weight.sum(axis=2, keepdims=True)
        return linear(np.einsum("hqk,khd->qhd", weight, v).reshape(len(tokens), -1),
                      f"{name}.o_proj")

    x = weights["model.embed_tokens.weight"][tokens].astype(np.float64)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        x = x + attend(norm(x, f"{name}.input_layernorm"), f"{name}.self_attn")
        y = norm(x, f"{name}.post_attention_layernorm")
        gate = linear(y, f"{name}.mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(y, f"{name}.mlp.up_proj"),
                       f"{name}.mlp.down_proj")
    head = "model.embed_tokens" if config["tie_word_embeddings"] else "lm_head"
    return linear(norm(x, "model.norm"), head)
