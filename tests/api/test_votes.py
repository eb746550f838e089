"""Votes and kept results over the wire: what strangers of a public server see, what is kept, how often one votes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from served import app
from stranger import Stranger

from halluapp.errors import InputError
from halluapp.results import UNUSABLE, Store
from halluapp.serving.visitors import Visitor
from halluapp.settings import ASSETS, Settings
from halluapp.ui.compare import stored, votes
from halluapp.votes import ballot

REPORT = {**json.loads((ASSETS / "examples" / "street.report.json").read_text(encoding="utf-8")), "id": "k" * 22}
SECRET = "A prompt that only one person should read"
TOKEN = "operator-token-of-the-test"
VOTE = {"seed": 5, "ranks": {"1": 1, "0": 2}, "wrong": [{"panel": 0, "start": 0, "end": 1}], "complete": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results"))
    store.add({**REPORT, "prompt": SECRET})
    return store


@pytest.fixture(scope="module")
def public(store):
    with app(results=store.path.parent, exposed=True, operator_token=TOKEN) as url:
        yield url


def test_strangers_of_a_public_server_see_no_result_but_that_of_their_link(public, store):
    stranger = Stranger(public)
    listed = stranger.fire("panels", "lab", event_data={})[0]
    assert listed["lab"] == []
    counted = stranger.fire("panels", "count", event_data={"text": "[]"})[0]
    assert counted["tally"]["votes"] == 0
    assert SECRET not in json.dumps([listed, counted, stranger.page, stranger.config])
    stage, *_ = stranger.fire("panels", "reopen", event_data={"link": REPORT["id"]})
    assert (stage["prompt"], stage["kept"], stage["link"]) == (SECRET, True, REPORT["id"])
    wrong, *_ = stranger.fire("panels", "reopen", event_data={"link": "K" * 22})
    assert "leads to no result" in wrong["error"]
    outlines = stranger.fire("panels", "fetch", event_data={"links": REPORT["id"]})[0]["fetched"]
    beside = json.loads(outlines[REPORT["id"]])
    assert [panel["text"] for panel in beside["panels"]] == [panel["text"] for panel in REPORT["panels"]]
    wrong = stranger.fire("panels", "fetch", event_data={"links": "K" * 22})[0]
    assert "leads to no result" in wrong["error"]
    operator = Stranger(public, headers={"X-Halluapp-Operator": TOKEN})
    (row,) = operator.fire("panels", "lab", event_data={})[0]["lab"]
    assert (row["link"], row["prompt"]) == (REPORT["id"], SECRET)
    assert row["photo"].startswith("data:image/jpeg;base64,")


def test_a_vote_on_a_kept_result_is_kept_once_a_page_and_with_its_report(public, store):
    stranger = Stranger(public)
    stranger.fire("panels", "reopen", event_data={"link": REPORT["id"]})
    stage, *_ = stranger.fire("panels", "cast", event_data=VOTE)
    assert stage["voted"]
    assert stage["vote"]["ranks"] == {REPORT["panels"][1]["method"]: 1, REPORT["panels"][0]["method"]: 2}
    again, *_ = stranger.fire("panels", "cast", event_data=VOTE)
    assert "You have voted" in again["error"]
    (vote,) = store.report(REPORT["id"])["votes"]
    assert vote == stage["vote"]
    saved = json.loads(stranger.get(f"reports/{stage['files']}"))  # what the browser's history keeps
    assert saved["votes"] == [vote]
    operator = Stranger(public, headers={"X-Halluapp-Operator": TOKEN})
    assert operator.fire("panels", "count", event_data={"text": "[]"})[0]["tally"]["votes"] == 1


def test_votes_of_a_browsers_history_are_counted(public):
    vote = ballot(REPORT, VOTE)
    mentions = [{"start": 0, "end": 3, "verdict": "grounded"}]
    panels = [
        {**panel, "title": "", "error": None, "mentions": mentions, "text": str(index)}
        for index, panel in enumerate(REPORT["panels"])
    ]
    text = json.dumps([{"model": {"name": "another model"}, "panels": panels, "votes": [vote]}])
    counted = Stranger(public).fire("panels", "count", event_data={"text": text})[0]["tally"]
    assert (counted["votes"], counted["rankings"], counted["comparisons"]) == (1, 1, 1)
    (model,) = counted["models"]
    assert model["model"] == "another model"
    assert len(model["methods"]) == len(panels)
    text = json.dumps([{"model": {"name": "m"}, "panels": [{**panels[0], "error": "No weights."}, *panels[1:]],
                        "votes": [vote]}])  # fmt: skip
    (model,) = Stranger(public).fire("panels", "count", event_data={"text": text})[0]["tally"]["models"]
    assert {row["method"] for row in model["methods"]} == {panel["method"] for panel in panels[1:]}
    text = json.dumps(
        [{"model": {"name": "m"}, "panels": [{**panel, "text": "0"} for panel in panels], "votes": [vote]}]
    )
    equal = Stranger(public).fire("panels", "count", event_data={"text": text})[0]["tally"]
    assert (equal["votes"], equal["rankings"]) == (1, 0)  # equal answers say nothing of their methods


def test_a_file_with_the_id_of_another_result_puts_no_vote_on_it(public, store):
    before = store.report(REPORT["id"])["votes"]
    forged = {**REPORT, "panels": [{**panel, "text": "x", "tokens": [], "mentions": []} for panel in REPORT["panels"]]}
    stranger = Stranger(public)
    opened, *_ = stranger.fire("panels", "reopen", event_data={"text": json.dumps(forged)})
    assert not opened["kept"]
    assert stranger.fire("panels", "cast", event_data={**VOTE, "wrong": []})[0]["voted"]
    assert store.report(REPORT["id"])["votes"] == before


def test_an_address_votes_so_often_a_minute_on_a_public_server(public, monkeypatch):
    monkeypatch.setattr(votes, "RATES", votes.Rates("votes"))
    monkeypatch.setattr(votes.RATES, "check", lambda address, most, check=votes.RATES.check: check(address, most and 2))
    stranger, sentences = Stranger(public), []
    for _ in range(3):
        stranger.fire("panels", "reopen", event_data={"text": json.dumps(REPORT)})
        sentences.append(stranger.fire("panels", "cast", event_data=VOTE)[0]["error"])
    assert sentences[:2] == ["", ""]
    assert "2 votes within a minute" in sentences[2]


def test_behind_a_password_everyone_sees_what_the_lab_keeps(store):
    stranger = Visitor()
    assert stored.may_list(Settings(results=store.path.parent), stranger)
    assert stored.may_list(Settings(results=store.path.parent, exposed=True, auth="ann:secret"), stranger)
    assert not stored.may_list(Settings(results=store.path.parent, exposed=True), stranger)


def test_a_table_of_the_store_ends_somewhere_and_leaves_out_what_is_damaged(public, store, monkeypatch):
    """The kind: a lab's store was read to its end while somebody waited, and one damaged result ended the table."""
    operator = Stranger(public, headers={"X-Halluapp-Operator": TOKEN})
    before = operator.fire("panels", "count", event_data={"text": "[]"})[0]
    assert before["left_out"] == []
    for key in ("e" * 22, "f" * 22):
        store.add({**REPORT, "id": key})
        store.add_vote(key, ballot(REPORT, VOTE))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE results SET report = x'00' WHERE id = ?", ("f" * 22,))
    counted = operator.fire("panels", "count", event_data={"text": "[]"})[0]
    assert counted["tally"]["votes"] == before["tally"]["votes"] + 1
    assert counted["left_out"] == [votes.DAMAGED.format(n=1)]
    monkeypatch.setattr(votes, "MOST_STORED", 0)
    counted = operator.fire("panels", "count", event_data={"text": "[]"})[0]
    assert (counted["tally"]["votes"], counted["left_out"][0]) == (0, votes.OLDER)
    for key in ("e" * 22, "f" * 22):
        store.delete(key)


def test_without_a_folder_nothing_is_kept_or_listed(address):
    stranger = Stranger(address)
    assert stranger.fire("panels", "lab", event_data={})[0]["lab"] == []
    stage, *_ = stranger.fire("panels", "cast", event_data=VOTE)
    assert stage["voted"]
    assert not stage["kept"]


def mention_of(report: dict) -> tuple[str, dict]:
    """A method and its first mention."""
    return next((panel["method"], panel["mentions"][0]) for panel in report["panels"] if panel["mentions"])


def test_a_file_puts_none_of_its_words_into_a_kept_result(public, store):
    report = store.report(REPORT["id"])
    method, mention = mention_of(report)
    one = {"method": method, **{key: mention[key] for key in ("start", "end", "text", "verdict")}, "sample": 0}
    other = {**one, "method": report["panels"][-1]["method"]}  # of another visitor
    store.set_flags(REPORT["id"], lambda kept: [other])
    junk = [{**one, "text": "FOREIGN", "start": 1, "end": 2}, {**one, "method": "x" * 100_000}]
    forged = {**report, "flags": junk, "prompt": "FOREIGN", "votes": []}
    stranger = Stranger(public)
    opened, *_ = stranger.fire("panels", "reopen", event_data={"text": json.dumps(forged)})
    assert (opened["kept"], opened["prompt"], opened["flags"]) == (True, SECRET, [other])
    click = {"method": method, "start": mention["start"]}
    assert stranger.fire("panels", "dispute", event_data=click)[0]["flags"] == [other, one]
    assert store.report(REPORT["id"]) == {**report, "flags": [other, one]}
    early = Stranger(public)
    early.fire("panels", "reopen", event_data={"link": REPORT["id"]})
    store.set_flags(REPORT["id"], lambda kept: [other])  # meanwhile somebody took it back
    early.fire("panels", "dispute", event_data=click)  # takes back what is not there any more
    assert store.report(REPORT["id"])["flags"] == [other]
    store.set_flags(REPORT["id"], lambda kept: [])


def history(panels: int, reports: int, cast: int, mentions: int = 0, words: int = 0, models: bool = False) -> str:
    """A browser's history as only somebody by hand sends it: methods, or models, differ from report to report."""
    word = {"method": "m", "start": 0, "end": 1, "text": ""}
    spans = [{"start": 0, "end": 1, "verdict": "grounded"}] * mentions
    return json.dumps([
        {
            "model": {"name": str(number if models else 0)},
            "panels": [
                {
                    "method": f"{0 if models else number}-{panel}", "parameters": {}, "error": None, "mentions": spans,
                    "text": str(panel),
                }
                for panel in range(panels)
            ],
            "votes": [
                {"id": f"{number}-{vote}", "seed": 0, "order": [], "wrong": [word] * words, "complete": True}
                for vote in range(cast)
            ],
        }
        for number in range(reports)
    ])  # fmt: skip


@pytest.mark.parametrize(
    "sizes", [(64, 2, 1), (1, 5, 401), (2, 1, 50, 1000, 120), (64, 1, 250), (60, 5, 1, 0, 0, True)]
)
def test_a_table_that_takes_minutes_is_refused(public, sizes):
    counted = Stranger(public).fire("panels", "count", event_data={"text": history(*sizes)})[0]
    assert counted["error"] == votes.TOO_MANY
    assert not counted.get("tally")


def test_the_largest_table_is_counted(public):
    counted = Stranger(public).fire("panels", "count", event_data={"text": history(1, 5, 400, 3)})[0]
    assert (counted["error"], counted["tally"]["votes"]) == ("", 2000)


def test_an_address_counts_so_often_a_minute_on_a_public_server(public, monkeypatch):
    rates = votes.Rates("tables of votes")
    monkeypatch.setattr(rates, "check", lambda address, most, check=rates.check: check(address, most and 2))
    monkeypatch.setattr(votes, "TABLE_RATES", rates)
    stranger = Stranger(public)
    sentences = [stranger.fire("panels", "count", event_data={"text": "[]"})[0]["error"] for _ in range(3)]
    assert sentences[:2] == ["", ""]
    assert "2 tables of votes within a minute" in sentences[2]


def test_nothing_is_counted_for_who_has_left():
    has_left = iter([False, True])
    reports = votes._while_here([{"a": 1}, {"a": 2}], lambda: next(has_left))
    assert next(reports) == {"a": 1}
    with pytest.raises(InputError, match="left"):
        next(reports)


def test_what_is_wrong_with_the_store_names_no_path(tmp_path):
    folder = tmp_path / "operators-folder"
    Store(folder).add(REPORT)
    with app(results=folder, exposed=True, operator_token=TOKEN) as url:
        stranger = Stranger(url)
        operator = Stranger(url, headers={"X-Halluapp-Operator": TOKEN})
        stranger.fire("panels", "reopen", event_data={"link": REPORT["id"]})
        for file in folder.iterdir():
            file.write_bytes(b"no database at all, but long enough to be looked at " * 400)
        events = [
            (operator, "lab", {}), (operator, "count", {"text": "[]"}), (stranger, "cast", VOTE),
            (stranger, "reopen", {"link": REPORT["id"]}),
        ]  # fmt: skip
        for visitor, event, data in events:
            answer = visitor.fire("panels", event, event_data=data)[0]
            assert answer["error"] == UNUSABLE, event
            assert "operators-folder" not in json.dumps(answer)
