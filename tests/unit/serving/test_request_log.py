"""The line that a request leaves, by how it ended, and what is counted."""

from __future__ import annotations

import json

import pytest

from halluapp.decoding.events import Finished, Status
from halluapp.serving import metrics, request_log
from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.ui.compare.run import run

SECRET = "PRIVATE-WORDS"


def test_the_page_s_refusal_is_one_line_without_the_visitor_s_words(log_lines):
    inputs = (
        SECRET,
        None,
        None,
        SECRET,
        ["baseline", f"adapter:{SECRET}", SECRET],
        ["nullu+vdd"],
        0.5,
        0,
        1,
        0,
        1,
        8,
        0,
        SECRET,
    )
    assert list(run(Models(Settings()), [], *inputs))
    (line,) = log_lines()
    assert (line["endpoint"], line["outcome"]) == ("page", "refused")
    assert line["methods"] == ["baseline", "adapter", "unknown", "nullu+vdd"]
    assert SECRET not in json.dumps(line)


def requests(error: BaseException | None, **end):
    entry = request_log.Entry("api", [], "hash")
    try:
        if error:
            raise error
    finally:
        entry.end(**end)


def test_each_end_has_its_outcome(log_lines):
    for error, end, outcome in (
        (None, {}, "answered"), (None, {"stopped": True}, "stopped"), (GeneratorExit(), {}, "abandoned"),
        (ZeroDivisionError(), {}, "failed"), (GeneratorExit(), {"stopped": True}, "stopped"),
        (ZeroDivisionError(), {"stopped": True}, "failed"),
    ):  # fmt: skip
        if error:
            with pytest.raises(type(error)):
                requests(error, **end)
        else:
            requests(error, **end)
        assert log_lines()[-1]["outcome"] == outcome, (error, end)


def test_a_session_hash_is_digested_for_a_caller_chooses_it(log_lines):
    for session in (SECRET, "a\nb", "x" * 10_000, ""):
        request_log.Entry("api", [], session).end()
        assert len(log_lines()[-1]["session"]) in (0, 12)
    assert log_lines()[0]["session"] != log_lines()[1]["session"]


NAMES = (
    ("vdd", "vdd"), (" nullu + vdd ", "nullu+vdd"), ("adapter:mine", "adapter"),
    ("nullu+adapter:mine", "nullu+adapter"),
    ('x"} 1', "unknown"), ("vdd+" + SECRET, "unknown"), ("", "unknown"), ("+".join(["vdd"] * 9), "unknown"),
)  # fmt: skip


def test_names_of_panels_are_ours():
    for name, expected in NAMES:
        assert metrics.panel_name(name) == expected, name


def test_panels_are_counted_while_their_events_pass_and_closing_closes():
    closed = []

    def events():
        try:
            yield Status("x")
            yield Finished("dola", "end", 2.5, 3)
            yield Status("y")
        finally:
            closed.append(True)

    before = [line for line in metrics.lines() if 'panel="dola"' in line]
    passing = metrics.count_panels(events())
    assert [type(next(passing)) for _ in range(2)] == [Status, Finished]
    passing.close()
    assert closed
    after = [float(line.split()[-1]) for line in metrics.lines() if 'panel="dola"' in line]
    earlier = [float(line.split()[-1]) for line in before] or [0, 0]
    assert sorted(new - old for new, old in zip(after, earlier, strict=True)) == [1, 2.5]
