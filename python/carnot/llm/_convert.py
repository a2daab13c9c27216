"""Checkpoints to networks."""

from __future__ import annotations

import os
from typing import Any

import _carnot


def convert_checkpoint(folder: str | os.PathLike[str], *, dtype: str = "float32",
                       cache_dtype: str | None = None, block_size: int = 16) -> Any:
    """A language model from a Hugging Face folder, as a network for `carnot.build`.

    The network is one step over any number of sequences, prompts and single tokens alike. The new
    tokens of all sequences are one list of rows, sequence after sequence; rows behind the last
    sequence's are padding. Keys and values live in blocks of `block_size` tokens, which the caller
    hands out. Inputs, all int32:

        token_ids     [tokens]
        positions     [tokens]: of each token in its sequence, from 0
        block_tables  [sequences, blocks_of_sequence]: the blocks of each, in order
        starts        [sequences + 1]: the first row of each sequence, then the end of all
        lengths       [sequences]: tokens of each, this step's among them
        logit_rows    [rows]: rows whose logits are wanted

    States, one a layer, given with Context.set_state: cache.N [blocks, 2, kv_heads, block_size,
    head_size]. Output: logits [rows, vocabulary], float32.

    Args:
        folder: with config.json and *.safetensors; models of the Llama family.
        dtype: of weights and of what layers compute: "float32", "float16" or "bfloat16".
        cache_dtype: of cached keys and values; None: `dtype`.
        block_size: tokens in a block of the cache.

    Raises:
        Error: Io; InvalidModel for a damaged folder; Unsupported for another architecture or rotary
            scaling, naming it.
    """
    return _carnot.convert_checkpoint(os.fspath(folder), dtype, cache_dtype or dtype, block_size)
