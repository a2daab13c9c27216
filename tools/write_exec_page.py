#!/usr/bin/env python3
"""Writes docs/exec.md: every flag of `carnot exec`, from what `carnot exec --help` says.

    write_exec_page.py [--check]    --check: says whether the page is up to date, writes nothing
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "bin" / "carnot"
PAGE = ROOT / "docs" / "exec.md"

HEAD = """# carnot exec: every flag of trtexec

Written by `./dev docs` from the table that the program itself reads (apps/cli/exec/flags.cpp and
other_flags.cpp). `carnot exec` takes the flags of TensorRT 8.6 to 11 in both dialects: a flag that a later
version removed keeps its meaning. Every flag either does what it says, is accepted with a warning that it
changes nothing and why, or is refused with the reason; tests/python/test_exec_flags.py tries each. Flags
beside --loadEngine that shape a build, and reports beside --skipInference, are named in a warning too.

Files: `--exportTimes` an array of `startEnqMs … latencyMs`; `--exportProfile` a count, then a row a layer
(`name`, `timeMs`, `averageMs`, `medianMs`, `percentage`; Carnot adds precision, tactic, operators, flops,
bytes, intensity, bound and ONNX nodes); `--exportOutput` `name`, `dimensions`, `values`; `--exportLayerInfo`
`Layers` and `Bindings`. Inputs are raw bytes or .npy.
"""


def cell(text):
    return text.replace("|", "\\|")


def page(help_text):
    text = HEAD
    sections = re.split(r"^=== (.*) ===$", help_text, flags=re.M)[1:]
    for title, body in zip(sections[::2], sections[1::2]):
        if title.startswith(("Accepted", "Known")):
            text += f"\n## {title}\n\n| flags | why |\n|---|---|\n"
            for reason, names in re.findall(r"^  (\S.*):\n((?:      .*\n?)+)", body, flags=re.M):
                flags = ", ".join(f"`{name}`" for name in names.split())
                text += f"| {flags} | {cell(reason)} |\n"
        else:
            text += f"\n## {title}\n\n| flag | meaning (default) |\n|---|---|\n"
            for flag, meaning in re.findall(r"^  (--.*?)\s+(?<=\s)(\S.*)$", body, flags=re.M):
                text += f"| `{cell(flag)}` | {cell(meaning)} |\n"
    return text


def main():
    shown = subprocess.run([PROGRAM, "exec", "--help"], check=True, capture_output=True, text=True)
    text = page(shown.stdout)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit(f"{PAGE.relative_to(ROOT)} is not up to date: ./dev docs writes it")


if __name__ == "__main__":
    main()
