"""The store of results: round trip, age and size, two processes at once, a killed writer, damaged and newer files."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zlib

import pytest

from halluapp import report as reports
from halluapp.errors import InputError
from halluapp.report.vote_records import MOST_VOTES
from halluapp.results import BROKEN, DAY, FILE, UNUSABLE, Store
from halluapp.settings import ASSETS
from halluapp.votes import ballot

REPORT = {**json.loads((ASSETS / "examples" / "street.report.json").read_text(encoding="utf-8")), "votes": []}
WRITER = """
import json, sys
from pathlib import Path
from halluapp.results import Store
store, report, name, many = Store(Path(sys.argv[1])), json.load(open(sys.argv[2])), sys.argv[3], int(sys.argv[4])
for number in range(many):
    key = f"{name}{number:021d}"
    store.add({**report, "id": key})
    store.add_vote(key, {"id": f"vote-{key}", "order": []})
    print(key, flush=True)
"""


def result(number: int, **changes) -> dict:
    return {**REPORT, "id": f"{number:022d}", **changes}


def writer(folder, report, name: str, many: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(folder), str(report), name, str(many)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_a_result_comes_back_as_it_was_with_its_votes(store):
    report = result(1)
    store.add(report)
    assert store.report(report["id"]) == report
    vote = ballot(report, {"seed": 1, "ranks": {"0": 1}, "wrong": [], "complete": False})
    store.add_vote(report["id"], vote)
    store.add_vote(report["id"], vote)  # the same one counts once
    assert store.report(report["id"])["votes"] == [vote]
    store.add({**report, "flags": [{"x": 1}]})  # kept anew, with its votes
    assert store.report(report["id"])["votes"] == [vote]
    assert store.report(report["id"])["flags"] == [{"x": 1}]
    (row,) = store.newest(10)
    assert (row["id"], row["votes"], row["prompt"]) == (report["id"], 1, report["prompt"])
    assert row["thumbnail"].startswith(b"\xff\xd8")
    assert row["methods"] == [panel["method"] for panel in report["panels"]]
    assert [one["id"] for one in store.with_votes()] == [report["id"]]
    assert store.holds(report["id"])
    if os.name == "posix":
        assert store.path.stat().st_mode & 0o077 == 0
    store.delete(report["id"])
    for use in (store.report, store.delete, lambda key: store.add_vote(key, vote)):
        with pytest.raises(InputError, match="no result any more"):
            use(report["id"])
    assert list(store.with_votes()) == []


def test_flags_count_for_the_size_of_a_result(store):
    def sizes() -> tuple[int, int]:
        with sqlite3.connect(store.path) as connection:
            row = connection.execute("SELECT bytes, length(report) + length(thumbnail) FROM results").fetchone()
        connection.close()
        return row

    store.add(result(1))
    (before, _) = sizes()
    flags = [{"method": os.urandom(40).hex(), "start": number} for number in range(50)]  # which zlib cannot shrink
    store.set_flags(result(1)["id"], lambda kept: flags)
    after, whole = sizes()
    assert after == whole
    assert after > before + 1000
    assert store.report(result(1)["id"])["flags"] == flags


def test_results_go_by_age_and_size_and_the_newest_stays(store, monkeypatch):
    clock = time.time()
    for number in range(4):
        monkeypatch.setattr(time, "time", lambda number=number: clock + number * DAY)
        store.add(result(number))
    small = Store(store.path.parent, days=2.5)
    small.prune()
    assert [row["id"] for row in store.newest(9)] == [f"{number:022d}" for number in (3, 2, 1)]
    Store(store.path.parent, megabytes=0).prune()
    assert [row["id"] for row in store.newest(9)] == [f"{3:022d}"]
    assert len(list(store.all())) == 1


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path):
    report = tmp_path / "report.json"
    report.write_text(reports.dumps(REPORT), encoding="utf-8")
    writers = [writer(tmp_path / "new", report, name, 15) for name in "ab"]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    store = Store.existing(tmp_path / "new")
    assert len(store.newest(99)) == 30
    assert all(row["votes"] == 1 for row in store.newest(99))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_writer_leaves_whole_results(tmp_path):
    report = tmp_path / "report.json"
    report.write_text(reports.dumps(REPORT), encoding="utf-8")
    process = writer(tmp_path / "new", report, "a", 100_000)
    said = [process.stdout.readline().strip() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = Store(tmp_path / "new")
    assert {row["id"] for row in store.newest(9999)} >= set(said)
    for one in store.all():
        reports.validate({**one, "votes": []})
    store.add(result(7))
    check = sqlite3.connect(store.path).execute("PRAGMA integrity_check").fetchone()
    assert check == ("ok",)


def test_what_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no store of results in"):
        Store.existing(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be looked at " * 40)
    with pytest.raises(InputError, match="is no store of results"):
        Store(tmp_path).newest(1)
    (tmp_path / FILE).unlink()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InputError, match="newer version"):
        Store(tmp_path).newest(1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path / "file" / "below").newest(1)


def test_a_result_has_so_many_votes_and_no_more(store):
    store.add(result(1))
    with sqlite3.connect(store.path) as connection:
        rows = [(str(number), result(1)["id"], 0.0, "{}") for number in range(MOST_VOTES)]
        connection.executemany("INSERT INTO votes VALUES (?, ?, ?, ?)", rows)
    connection.close()
    with pytest.raises(InputError, match=str(MOST_VOTES)):
        store.add_vote(result(1)["id"], {"id": "one more"})


def size(store: Store, number: int) -> int:
    """The bytes that a result takes in the sum that bounds the store."""
    with sqlite3.connect(store.path) as connection:
        return connection.execute("SELECT bytes FROM results WHERE id = ?", (f"{number:022d}",)).fetchone()[0]


def test_votes_and_flags_count_as_room_and_the_oldest_result_makes_it(store):
    for number in (1, 2):
        store.add(result(number))
    small = Store(store.path.parent, megabytes=(size(store, 1) + size(store, 2) + 1000) / 1e6)
    before = size(store, 2)
    small.add_vote(result(2)["id"], {"id": "short", "order": []})
    assert size(store, 2) == before + len(json.dumps({"id": "short", "order": []}))
    assert len(store.newest(9)) == 2
    flags = [{"method": os.urandom(2000).hex()}]
    small.set_flags(result(2)["id"], lambda kept: flags)
    assert size(store, 2) > before + 2000
    assert [row["id"] for row in store.newest(9)] == [result(2)["id"]]
    assert store.report(result(2)["id"])["flags"] == flags
    assert len(store.report(result(2)["id"])["votes"]) == 1
    store.add(result(3))
    Store(store.path.parent, megabytes=(size(store, 2) + size(store, 3) + 1000) / 1e6).add_vote(
        result(3)["id"], {"id": "long", "order": ["x" * 2000]}
    )
    assert [row["id"] for row in store.newest(9)] == [result(3)["id"]]


def test_the_votes_of_a_result_have_so_much_room_and_no_more(store, monkeypatch):
    monkeypatch.setattr("halluapp.results.MOST_VOTE_BYTES", 1000)
    store.add(result(1))
    store.add_vote(result(1)["id"], {"id": "a", "order": ["ä" * 400]})
    with pytest.raises(InputError, match="as many as it may have"):
        store.add_vote(result(1)["id"], {"id": "b", "order": ["ä" * 400]})


def test_a_damaged_result_is_a_sentence_and_the_others_open(store):
    for number in range(4):
        store.add(result(number))
    with sqlite3.connect(store.path) as connection:
        for number, blob in ((0, b"\0"), (1, zlib.compress(b"{")), (2, zlib.compress(b"\xff"))):
            connection.execute("UPDATE results SET report = ? WHERE id = ?", (blob, result(number)["id"]))
    for number in range(3):
        with pytest.raises(InputError, match=BROKEN[:20]):
            store.report(result(number)["id"])
        with pytest.raises(InputError, match=BROKEN[:20]):
            store.set_flags(result(number)["id"], lambda kept: [])
    assert store.report(result(3)["id"]) == result(3)


def test_what_is_damaged_is_left_out_and_named_and_the_rest_is_read(store):
    """The kind: one damaged result stopped the table of a whole lab."""
    for number in range(5):
        store.add(result(number))
        store.add_vote(result(number)["id"], {"id": str(number), "order": []})
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE results SET report = x'00', methods = '[' WHERE id = ?", (result(0)["id"],))
        connection.execute("UPDATE votes SET vote = '[' WHERE id = '1'")
        connection.execute("UPDATE votes SET vote = '[]' WHERE id = '2'")
        connection.execute("UPDATE votes SET vote = CAST(x'ff' AS TEXT) WHERE id = '3'")
    connection.close()
    for read in (store.with_votes, store.all):
        damage: list[str] = []
        assert [one["id"] for one in read(damage)] == [result(4)["id"]]
        assert sorted(damage) == [result(number)["id"] for number in range(4)]
        with pytest.raises(InputError, match=BROKEN[:20]):
            list(read())
    assert [row["methods"] for row in store.newest(9)][-1] == []
    assert len(store.newest(9)) == 5


def test_who_reads_a_page_hears_no_path_and_the_log_does(tmp_path, caplog):
    def fault(folder) -> str:
        with pytest.raises(InputError) as caught:
            Store(folder, discreet=True).newest(1)
        return str(caught.value)

    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be looked at " * 40)
    assert fault(tmp_path) == UNUSABLE
    (tmp_path / FILE).unlink()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert fault(tmp_path) == UNUSABLE
    assert fault(tmp_path / FILE / "below") == UNUSABLE
    assert len([record for record in caplog.records if str(tmp_path) in record.getMessage()]) == 3
