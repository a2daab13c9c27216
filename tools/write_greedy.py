#!/usr/bin/env python3
"""Writes tests/models/greedy.json: what Hugging Face transformers generates greedily in float32.

Usage: .venv-bench/bin/python tools/write_greedy.py [--check]. With --check the file stays, and the
exit status says whether the tokens are those that it holds. Needs torch, transformers and tokenizers
(requirements-bench.txt); the tests that read the file need none of them.

For each model of models/ and each prompt: the prompt's tokens (with the token that begins a text), the
64 tokens that follow, and the least distance between the best and the second-best logit on the way,
which says how far rounding is from changing the outcome.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("codelet-7m", "codelet-1m")
NEW_TOKENS = 64
BEGIN = 1
PROMPTS = (
    "",
    "def fibonacci(n):\n",
    "import numpy as np\n\n\nclass Matrix:\n    def __init__(self, rows, columns):\n        ",
    '"""Reads a configuration file and checks it.\n\nThe file holds one setting a line: a name, an equals '
    'sign and a value. Lines that begin with a hash\nare comments. Values are integers, numbers, true '
    'or false, or text between quotes. A name that\nis given twice is an error, and so is a value that '
    'cannot be read; both are reported with the\nline\'s number.\n"""\n\nimport argparse\nimport re\n'
    "from pathlib import Path\n\n\ndef read_settings(path):\n    settings = {}\n    for number, line in "
    "enumerate(Path(path).read_text().splitlines(), 1):\n        ",
    "for i in range(10):\n    print(",
)


@torch.no_grad()
def continuation(model, prompt):
    """The tokens that follow, and the least margin of a choice."""
    out = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=NEW_TOKENS,
                         eos_token_id=None, pad_token_id=0, output_logits=True,
                         return_dict_in_generate=True)
    margins = [float(top[0] - top[1])
               for top in (logits[0].topk(2).values for logits in out.logits)]
    tokens = out.sequences[0, len(prompt):].tolist()
    assert len(tokens) == NEW_TOKENS
    return tokens, min(margins)


def main():
    result = {}
    for name in MODELS:
        folder = ROOT / "models" / name
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                     attn_implementation="eager").eval()
        model.generation_config.eos_token_id = None
        result[name] = []
        for text in PROMPTS:
            prompt = [BEGIN] + tokenizer.encode(text).ids
            tokens, margin = continuation(model, prompt)
            result[name].append({"prompt": prompt, "tokens": tokens,
                                 "least_margin": round(margin, 5)})
            print(f"{name}: {len(prompt)} + {len(tokens)} tokens, least margin {margin:.5f}: "
                  f"{tokenizer.decode(tokens)!r}")
    path = ROOT / "tests/models/greedy.json"
    if "--check" in sys.argv[1:]:
        known = json.loads(path.read_text())
        same = {name: [case["tokens"] for case in cases] == [case["tokens"] for case in known[name]]
                for name, cases in result.items()}
        print(f"the file's tokens: {same}")
        sys.exit(0 if all(same.values()) else 1)
    rows = []
    for name, cases in result.items():
        lines = ",\n".join("    " + json.dumps(case) for case in cases)
        rows.append(f'  "{name}": [\n{lines}\n  ]')
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
