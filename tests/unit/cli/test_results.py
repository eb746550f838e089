"""`halluapp votes` and `halluapp results`: tables, files, and sentences for what is wrong."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing

import pytest

from halluapp import report as reports
from halluapp.cli import main as cli
from halluapp.report.vote_records import VotesResult
from halluapp.results import Store
from halluapp.settings import ASSETS
from halluapp.votes import ballot

REPORT = json.loads((ASSETS / "examples" / "street.report.json").read_text(encoding="utf-8"))
ID = "a" * 22


def voted(ranks: dict[str, int]) -> dict:
    vote = ballot(REPORT, {"seed": 1, "ranks": ranks, "wrong": [], "complete": True})
    return {**REPORT, "id": ID, "prompt": '\x1b=HYPERLINK("x")\n\x1b[2J\x9b2Jsecond\x07', "votes": [vote]}


@pytest.fixture
def folder(tmp_path):
    report = voted({"0": 1, "1": 2})
    store = Store(tmp_path / "results")
    store.add(report)
    store.add_vote(ID, report["votes"][0])
    return store.path.parent


def test_votes_of_files_and_of_a_store_are_one_table(tmp_path, folder, capsys):
    for name, ranks in (
        ("up", {"0": 2, "1": 1, "2": 3, "3": 4, "4": 5}),
        ("down", {"0": 4, "1": 5, "2": 3, "3": 2, "4": 1}),
    ):
        (tmp_path / f"{name}.json").write_text(reports.dumps(voted(ranks)), encoding="utf-8")
    files = [str(tmp_path / f"{name}.json") for name in ("up", "down", "up")]
    out = tmp_path / "votes.json"
    assert cli.main(["votes", *files, "--results", str(folder), "--json", str(out)]) == 0
    result = json.loads(out.read_text(encoding="utf-8"))
    VotesResult.model_validate(result)
    assert result["votes"] == 3
    assert result["problem"] == ""
    (model,) = result["models"]
    assert model["problem"] == ""
    assert sum(row["strength"] for row in model["methods"]) == pytest.approx(0, abs=1e-6)
    printed = capsys.readouterr().out
    assert "votes: 3" in printed
    assert "strength [95 %]" in printed
    assert printed.splitlines()[-1].startswith("wrote ")


def test_a_damaged_result_is_named_and_the_others_are_counted(folder, capsys):
    store = Store(folder)
    store.add({**REPORT, "id": "b" * 22})
    store.add_vote("b" * 22, {"id": "x"})
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE results SET report = x'00' WHERE id = ?", ("b" * 22,))
    assert cli.main(["votes", "--results", str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("votes: 1,")
    assert f"halluapp results delete {'b' * 22}" in printed.err


def test_results_are_listed_exported_and_deleted(tmp_path, folder, capsys, monkeypatch):
    monkeypatch.setenv("HALLUAPP_RESULTS", str(folder))
    assert cli.main(["results", "list"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["id"], row["votes"]) for row in rows] == [(ID, "1")]
    assert rows[0]["prompt"] == """'=HYPERLINK("x") [2J2Jsecond"""  # no formula and no escape code of a visitor's
    assert (
        cli.main(["results", "export", ID, "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")]) == 0
    )
    assert len(reports.load(tmp_path / "r.json").votes) == 1
    assert "Blind vote 1" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert cli.main(["results", "delete", ID]) == 0
    assert cli.main(["results", "delete", ID]) == 2
    assert "no result any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["votes"], "Whose votes?"),
        (["votes", "missing.json"], "cannot be read"),
        (["votes", "--results", "nowhere"], "no store of results"),
        (["results", "list"], "Which results?"),
        (["results", "export", "x", "--results", "nowhere"], "Where to?"),
    ],
)
def test_what_is_wrong_is_a_sentence(words, sentence, capsys, monkeypatch):
    monkeypatch.delenv("HALLUAPP_RESULTS", raising=False)
    assert cli.main(words) == 2
    assert sentence in capsys.readouterr().err
