"""Votes: checked ballots, the order of a seed, pairs of a ranking, agreement with the judge, the table of all."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from halluapp import report as reports
from halluapp.errors import InputError
from halluapp.report.vote_records import MOST_VOTES, MOST_WORDS, VotesResult
from halluapp.settings import ASSETS
from halluapp.votes import as_lines, ballot, tally
from halluapp.votes.agreement import agreement, kappa
from halluapp.votes.ballots import outcomes, shuffle
from halluapp.votes.intervals import DRAWS, wilson

TEXT = "A dog and a cat on a boat."


def mention(word: str, verdict: str) -> dict[str, Any]:
    start = TEXT.index(word)
    return {
        "text": word, "start": start, "end": start + len(word), "object": word, "verdict": verdict, "box": None,
        "score": None,
    }  # fmt: skip


def report(*methods: str, failed: tuple[str, ...] = (), model: str = "m", alpha: float = 1.0) -> dict[str, Any]:
    mentions = [mention("dog", "grounded"), mention("cat", "contradicted"), mention("boat", "not sure")]
    panels = [
        reports.panel(name, {"alpha": alpha}, f"{TEXT} {name}", [], mentions, 1.0, 1, "end")
        for name in methods or ("x", "y", "z")
    ]
    panels = [
        {**panel, "text": "", "mentions": [], "error": "No weights."} if panel["method"] in failed else panel
        for panel in panels
    ]
    photo = {"sha256": "0", "width": 4, "height": 3}
    return reports.build(model=model, prompt="p", seed=0, photo=photo, detections=[], panels=panels)


def tick(panel: int, word: str) -> dict[str, int]:
    start = TEXT.index(word)
    return {"panel": panel, "start": start, "end": start + len(word)}


def data(**changes: Any) -> dict[str, Any]:
    return {"seed": 7, "ranks": {"0": 1, "2": 2}, "wrong": [tick(0, "cat")], "complete": True, **changes}


def test_a_ballot_takes_names_and_words_from_the_report():
    vote = ballot(report(), data(order=["evil"], text="evil"))
    assert vote["ranks"] == {"x": 1, "z": 2}
    assert vote["wrong"] == [
        {"method": "x", **{k: v for k, v in tick(0, "cat").items() if k != "panel"}, "text": "cat"}
    ]
    assert vote["order"] == shuffle(["x", "y", "z"], 7)
    assert "evil" not in json.dumps(vote)
    reports.validate({**report(), "votes": [vote]})


UNREADABLE, EMPTY = "This vote cannot be read", "This vote is empty"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1}, {"seed": 2**32}, {"seed": 1.5}, {"seed": True}, {"ranks": {"3": 1}}, {"ranks": {"0": 0}},
        {"ranks": {"0": 4}}, {"ranks": {"0": 10**400}}, {"ranks": [1]}, {"ranks": {"x": 1}}, {"wrong": "cat"},
        {"wrong": [{"panel": 0, "start": 3, "end": 3}]}, {"wrong": [{"panel": 9, "start": 0, "end": 1}]},
        {"wrong": [{"panel": 0, "start": 0, "end": 10**6}]}, {"wrong": [{"panel": 0, "start": -1, "end": 2}]},
        {"wrong": [{"panel": 0, "start": 0, "end": 5}, {"panel": 0, "start": 4, "end": 6}]},
        {"wrong": [{"panel": 0, "start": 0, "end": 5}, {"panel": 0, "start": 0, "end": 3}]}, {"wrong": [7]},
        {"wrong": [{"panel": False, "start": 0, "end": 1}]}, {"wrong": [{"panel": 0, "start": 0, "end": 1.0}]},
        {"wrong": [{"panel": 0, "start": 0}]},
    ],
)  # fmt: skip
def test_a_ballot_that_no_page_sends_is_a_sentence(changes):
    with pytest.raises(InputError, match=UNREADABLE):
        ballot(report(), data(**changes))


@pytest.mark.parametrize("sent", [None, 7, "x", [], [data()], {}])
def test_what_is_no_ballot_at_all_is_a_sentence(sent):
    with pytest.raises(InputError, match=UNREADABLE):
        ballot(report(), sent)


def test_a_ballot_with_too_much_or_nothing_is_a_sentence():
    with pytest.raises(InputError, match=f"ticks {MOST_WORDS} words at most"):
        ballot(report(), data(wrong=[tick(0, "cat")] * (MOST_WORDS + 1)))
    with pytest.raises(InputError, match=EMPTY):
        ballot(report(), data(ranks={}, wrong=[], complete=False))


def test_a_method_that_gave_no_answer_has_no_part_in_a_ballot():
    source = report(failed=("y",))
    assert ballot(source, data())["order"] == [name for name in shuffle(["x", "y", "z"], 7) if name != "y"]
    for changes in ({"ranks": {"1": 1}}, {"wrong": [{"panel": 1, "start": 0, "end": 0}]}):
        with pytest.raises(InputError, match=UNREADABLE):
            ballot(source, data(**changes))


def test_a_report_has_so_many_votes_and_no_more():
    with pytest.raises(InputError, match=str(MOST_VOTES)):
        ballot({**report(), "votes": [{}] * MOST_VOTES}, data())


def test_the_order_of_a_seed_is_the_one_of_the_page():
    """The same lists stand in tests/js/votes.test.mjs."""
    assert "".join(shuffle("abcde", 1)) == "ecbad"
    assert "".join(shuffle("abcde", 12345)) == "acdbe"
    assert shuffle(range(13), 2**32 - 1) == [1, 6, 5, 3, 0, 12, 8, 4, 10, 9, 7, 2, 11]
    firsts = [shuffle("abcde", seed)[0] for seed in range(5000)]
    assert all(900 < firsts.count(letter) < 1100 for letter in "abcde")


def test_a_ranking_is_pairs_and_those_without_a_rank_are_below():
    assert outcomes({"ranks": {"x": 2, "y": 1, "z": 2}}, ["x", "y", "z"]) == [
        ("y", "x", 1.0), ("x", "z", 0.5), ("y", "z", 1.0),
    ]  # fmt: skip
    assert outcomes({"ranks": {"x": 1}}, ["x", "y", "z"]) == [("x", "y", 1.0), ("x", "z", 1.0)]
    assert outcomes({"ranks": {}}, ["x", "y"]) == []
    assert outcomes({"ranks": {"x": 5}}, ["x", "y"]) == [("x", "y", 1.0)]  # 5 of the panels that failed, too


def test_kappa_is_the_textbook_value():
    # J. Cohen's formula by hand: 20 + 15 agree of 50; judge 25 wrong, person 30 wrong -> p_e 0.5, kappa 0.4.
    table = {("contradicted", True): 20, ("contradicted", False): 5, ("grounded", True): 10, ("grounded", False): 15}
    assert kappa(table) == pytest.approx(0.4)
    assert kappa({("grounded", False): 5}) is None  # nobody could disagree
    assert kappa({}) is None
    assert kappa({("grounded", True): 5, ("contradicted", False): 5}) == pytest.approx(-1)


def vote(source: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return ballot(source, data(**changes))


def test_the_table_counts_every_vote_once_and_shows_who_agrees():
    source = report()
    votes = [
        vote(source, ranks={"0": 1, "1": 2, "2": 3}, wrong=[tick(0, "cat"), tick(1, "cat"), tick(2, "on")]),
        vote(source, ranks={"0": 3, "1": 2, "2": 1}, wrong=[tick(0, "dog")]),
        vote(source, ranks={}, wrong=[tick(0, "cat")], complete=False),
    ]
    source["votes"] = votes
    result = tally([source, source, report()])  # the same file twice, and one without a vote
    VotesResult.model_validate(result)
    assert (result["votes"], result["comparisons"], result["rankings"]) == (3, 1, 2)
    (model,) = result["models"]
    assert (model["model"], model["rankings"], model["problem"], model["note"]) == ("m", 2, "", "")
    assert {row["method"]: round(row["strength"], 6) for row in model["methods"]} == {"x": 0, "y": 0, "z": 0}
    assert all(row["low"] < 0 < row["high"] and row["n"] == 4 for row in model["methods"])
    people = result["agreement"]
    assert (people["votes"], people["unnamed"]) == (2, 1)
    assert (people["verdicts"]["contradicted"]["wrong"], people["verdicts"]["contradicted"]["n"]) == (2, 6)
    assert (people["verdicts"]["grounded"]["wrong"], people["verdicts"]["grounded"]["n"]) == (1, 6)
    assert people["verdicts"]["not sure"]["share"] == 0
    assert people["kappa"]["n"] == 12
    assert people["kappa"]["low"] <= people["kappa"]["value"] <= people["kappa"]["high"]
    text = "\n".join(as_lines(result))
    assert "votes: 3, of them rankings: 2, comparisons: 1" in text
    assert "Cohen's kappa" in text


def test_methods_that_failed_lose_no_pair():
    """A hundred votes on five panels, of which two could not answer: the other three have strengths."""
    source, generator = report(*"abcde", failed=("b", "d")), random.Random(0)
    orders = [generator.sample(["0", "2", "4"], 3) for _ in range(100)]
    source["votes"] = [
        vote(source, ranks={index: rank for rank, index in enumerate(order, 1)}, wrong=[]) for order in orders
    ]
    result = tally([source])
    (model,) = result["models"]
    assert model["problem"] == ""
    assert {row["method"] for row in model["methods"]} == {"a", "c", "e"}
    assert all(row["low"] < row["strength"] < row["high"] and row["n"] == 200 for row in model["methods"])
    assert result["agreement"]["verdicts"]["grounded"]["n"] == 300


def test_models_are_not_pooled_and_different_parameters_are_said():
    ups, downs = {"0": 1, "1": 2, "2": 2}, {"0": 2, "1": 1, "2": 1}
    first, again, other = report(), report(alpha=2.0), report(model="n")
    first["votes"] = [vote(first, ranks=ups), vote(first, ranks=ups)]
    again["votes"] = [vote(again, ranks=downs)]
    other["votes"] = [vote(other, ranks=downs), vote(other, ranks=ups)]
    result = tally([other, first, again])
    VotesResult.model_validate(result)
    one, two = result["models"]
    assert (one["model"], one["rankings"], two["model"], two["rankings"]) == ("m", 3, "n", 2)
    assert "x, y, z" in one["note"]
    assert two["note"] == ""
    assert one["methods"][0]["method"] == "x"
    assert [row["strength"] for row in two["methods"]] == pytest.approx([0, 0, 0], abs=1e-9)
    text = "\n".join(as_lines(result))
    assert "2 models, whose strengths are not pooled" in text
    assert "answers of n, rankings: 2" in text


def test_intervals_of_shares_are_over_votes_and_never_narrower_than_wilsons():
    """Two kinds of voters, forty mentions each: as many words, and few independent ones."""
    all_wrong, all_right = {("contradicted", True): 40}, {("contradicted", False): 40}
    row = agreement([all_wrong, all_right] * 5, 0)["verdicts"]["contradicted"]
    low, high = wilson(200, 400)
    assert (row["n"], row["wrong"], row["share"]) == (400, 200, 0.5)
    assert row["high"] - row["low"] > 3 * (high - low)
    sure = agreement([all_wrong] * 5, 0)["verdicts"]["contradicted"]
    assert sure["low"] == wilson(200, 200)[0] < 1
    assert sure["high"] == 1
    alone = agreement([all_wrong], 0)["verdicts"]["contradicted"]
    assert (alone["share"], alone["low"], alone["high"]) == (1.0, None, None)


def test_draws_without_a_kappa_are_counted():
    """Only the second vote lets judge and person differ, and a quarter of the draws miss it."""
    agreeing = {("grounded", False): 4}
    mixed = {("grounded", False): 2, ("contradicted", True): 1, ("contradicted", False): 1}
    result = agreement([agreeing, mixed], 0)
    assert 0.2 * DRAWS < result["kappa"]["undefined"] < 0.3 * DRAWS
    assert result["kappa"]["low"] <= result["kappa"]["value"] <= result["kappa"]["high"]
    assert result["verdicts"]["contradicted"]["undefined"] == result["kappa"]["undefined"]
    assert agreement([agreeing, agreeing], 0)["kappa"]["value"] is None


def test_no_votes_is_a_sentence():
    result = tally([report()])
    assert "no votes yet" in result["problem"]
    assert result["models"] == []
    assert as_lines(result)


def test_votes_travel_with_the_exports():
    source = json.loads((ASSETS / "examples" / "street.report.json").read_text(encoding="utf-8"))
    methods = [panel["method"] for panel in source["panels"]]
    text = source["panels"][1]["text"]
    word = text.split()[1]
    start = text.index(word)
    wrong = [{"panel": 1, "start": start, "end": start + len(word)}]
    source["votes"] = [ballot(source, {"seed": 3, "ranks": {"1": 1}, "wrong": wrong, "complete": True})]
    again = reports.loads(reports.dumps(source))
    assert again["votes"] == source["votes"]
    assert again["votes"][0]["ranks"] == {methods[1]: 1}
    for export in (reports.html(source), reports.markdown(source)):
        assert "Blind vote 1" in export
        assert f"wrong: {word} (" in export
    hostile = {**source["votes"][0], "wrong": [{"method": "<b>", "start": 0, "end": 1, "text": "<script>"}]}
    assert "<script>" not in reports.html({**source, "votes": [hostile]})


def test_equal_answers_are_not_ranked_against_each_other():
    source = report("x", "y", "z")
    source["panels"][1] = {**source["panels"][1], "text": source["panels"][0]["text"]}
    source["votes"] = [ballot(source, data(ranks={str(place): place + 1 for place in range(3)}, wrong=[]))]
    (model,) = tally([source])["models"]
    pairs = {row["method"]: row["n"] for row in model["methods"]}
    assert pairs == {"x": 1, "y": 1, "z": 2}


def test_words_side_by_side_and_in_other_panels_are_ticked():
    words = [{"panel": panel, "start": start, "end": start + 2} for panel in (1, 0) for start in (0, 2, 4)]
    assert len(vote(report(), wrong=words)["wrong"]) == 6
