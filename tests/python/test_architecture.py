"""tools/check_architecture.py: the real tree is clean, and each rule catches its breach."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "check_architecture.py"


def check(root):
    done = subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_project_is_clean():
    code, output = check(ROOT)
    assert code == 0, output


# (file, its #include, what the message must say; None for an allowed edge)
CASES = [
    ("src/base/dim.cpp", '"base/dim.h"', None),
    ("src/base/dim.cpp", "<carnot/dtype.h>", None),
    ("src/base/dim.cpp", "<fmt/core.h>", None),
    ("src/passes/fold.cpp", '"base/dim.h"', None),  # through ir and ops
    ("src/plan/emit.cpp", '"ops/region.h"', None),
    ("src/tactics/tuner.cpp", '"kernels/kernel.h"', None),
    ("apps/cli/main.cpp", '"cli/flags.h"', None),
    ("apps/cli/main.cpp", "<carnot/engine.h>", None),
    ("src/base/dim.cpp", '"ops/operator.h"', "src/base may not use src/ops"),
    ("src/runtime/context.cpp", '"ir/graph.h"', "src/runtime may not use src/ir"),
    ("src/engine/loader.cpp", '"ops/region.h"', "src/engine may not use src/ops"),
    ("src/plan/emit.cpp", '"ops/conv.h"', "src/plan names no operator"),
    ("src/tactics/tuner.cpp", '"ops/conv.h"', "src/tactics names no operator"),
    ("src/llm/executor/cache.cpp", '"builder/builder.h"', "may not use src/builder"),
    ("apps/cli/main.cpp", '"builder/builder.h"', "apps may not use src/builder"),
    ("include/carnot/engine.h", '"base/dim.h"', "include/carnot may not use src/base"),
    ("src/base/dim.cpp", '"dim.h"', "write it from src/"),
    ("src/extra/thing.cpp", "<vector>", "no row of docs/architecture.md"),
]


@pytest.mark.parametrize("file,include,message", CASES)
def test_one_edge(tmp_path, file, include, message):
    for path, text in [
        ("docs/architecture.md", (ROOT / "docs" / "architecture.md").read_text()),
        ("apps/cli/flags.h", "#pragma once\n"),
        (file, f"// A comment.\n#include {include}\n"),
    ]:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    code, output = check(tmp_path)
    if message is None:
        assert code == 0, output
    else:
        assert code == 1
        assert message in output
        assert file + ":" in output
