"""tests/reports/README.md names tests that exist, and every kind has some."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
REPORT = re.compile(r"[\w.-]+/[\w.-]+ ?(?:PR)?#\d+")


def test_every_kind_has_reports_and_tests_that_exist():
    rows = [row for row in ROW.findall((TESTS / "reports/README.md").read_text(encoding="utf-8"))
            if row[0] != "kind of fault"]  # fmt: skip
    assert len(rows) == len({kind for kind, *_ in rows}) == 33
    for kind, reports, tests in rows:
        assert REPORT.search(reports), kind
        file = ""
        for name in re.findall(r"`([^`]+)`", tests):
            path, _, function = name.split(" ")[0].partition("::")
            file = path or file
            text = (TESTS / file).read_text(encoding="utf-8")
            assert not function or f"def {function}(" in text, f"{kind}: {file} has no {function}"
        assert file, kind
