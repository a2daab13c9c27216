"""docs/exec.md says what `carnot exec --help` says."""

import subprocess
import sys
from pathlib import Path

from exec_program import BUILT

pytestmark = BUILT
ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_flags_is_current():
    ran = subprocess.run([sys.executable, ROOT / "tools" / "write_exec_page.py", "--check"],
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
