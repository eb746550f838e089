"""The table that the browser's verdicts are tested against (tests/js/sureness.test.mjs) is by the server's rule."""

from __future__ import annotations

import json
from pathlib import Path

from halluapp.grounding.evidence import Evidence
from halluapp.grounding.verdicts import judge_text

TABLE = Path(__file__).resolve().parents[2] / "js" / "sureness.json"
CUTS = {"grounded": 0.76, "contradicted": 0.1}
SUPPORT = {"cup": {"grounded": False, "contradicted": True}, "fork": {"grounded": True, "contradicted": False}}


def table() -> dict:
    """Cuts and verdicts of four labels over probabilities and sureness."""
    labels, sures = ("dog", "person", "cup", "fork"), (0.5, 0.7, 0.9, 0.97, 0.99)
    cuts = [{"sure": sure, "cuts": Evidence(cuts=CUTS).cuts_at(sure)} for sure in sures]
    verdicts = []
    for label in labels:
        for p in (0.001, 0.03, 0.08, 0.12, 0.3, 0.49, 0.51, 0.7, 0.8, 0.95, 0.999):
            evidence = Evidence(labels=labels, presence=dict.fromkeys(labels, p), support=SUPPORT, cuts=CUTS)
            for sure in sures:
                (mention,) = judge_text(f"There is a {label}.", evidence, sure=sure)
                verdicts.append({"label": label, "p": p, "sure": sure, "verdict": mention["verdict"]})
    return {"judge": {"cuts": CUTS, "support": SUPPORT}, "cuts": cuts, "verdicts": verdicts}


def write() -> None:
    """Writes the table, a row a line."""
    parts = {name: part if isinstance(part, list) else [part] for name, part in table().items()}
    rows = {name: ",\n".join(json.dumps(row) for row in part) for name, part in parts.items()}
    judge = rows["judge"].replace(', "support"', ',\n"support"')
    text = f'{{"judge":\n{judge},\n"cuts": [\n{rows["cuts"]}\n], "verdicts": [\n{rows["verdicts"]}\n]}}\n'
    TABLE.write_text(text, encoding="utf-8")


def test_the_browsers_table_is_the_servers() -> None:
    """Written anew by `python -c "import test_sureness; test_sureness.write()"` in this folder."""
    assert json.loads(TABLE.read_text(encoding="utf-8")) == json.loads(json.dumps(table()))
