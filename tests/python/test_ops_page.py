"""docs/ops.md says what the tests find."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))


def test_the_page_of_operators_is_current(suite_results):
    import write_ops_page

    retyped = write_ops_page.run_retyped(suite_results)
    bad = [row for row in retyped if row[2] != "pass" and not row[2].startswith("refused: ")]
    assert not bad
    assert sum(row[2] == "pass" for row in retyped) > 1500
    text = write_ops_page.page(suite_results, retyped)
    assert write_ops_page.PAGE.read_text() == text, "docs/ops.md is old: ./dev docs writes it"
