"""Figures of verdicts on planted data: precision, coverage, calibration, curve, ranking, and which mentions count."""

from __future__ import annotations

import json
import random

import pytest

from halluapp.evaluation import verdicts
from halluapp.evaluation.verdicts import CONTRADICTED, GROUNDED, NOT_SURE, Checked, checked, part, report


def _said(name: str, verdict: str, p: float | None = None, **more) -> dict:
    return {"object": name, "verdict": verdict, "presence": p, **more}


COCO = {"objects": ["dog", "person"], "captions": ["A dog on a couch."], "boxes": []}


def test_a_label_counts_once_a_photo_and_method_with_its_first_verdict() -> None:
    judged = {"a": [_said("dog", GROUNDED, 0.9), _said("dog", CONTRADICTED, 0.1)], "b": [_said("dog", NOT_SURE, 0.5)]}
    rows = checked("k", COCO, judged)
    assert rows == [Checked("k", "a", "dog", GROUNDED, 0.9, True), Checked("k", "b", "dog", NOT_SURE, 0.5, True)]


def test_what_cannot_be_checked_or_is_uncertain_counts_nowhere() -> None:
    said = [
        _said("cat", "not checkable"), _said("couch", CONTRADICTED, 0.1),  # a caption names it, no annotation does
        _said("tree", GROUNDED, 0.9), _said("cat", CONTRADICTED, 0.05),  # a tree is outside the complete labels
    ]  # fmt: skip
    assert checked("k", COCO, {"a": said}) == [Checked("k", "a", "cat", CONTRADICTED, 0.05, False)]


def test_people_are_one_label() -> None:
    said = [_said("woman", GROUNDED, 0.97), _said("man", GROUNDED, 0.97), _said("child", GROUNDED, 0.9, label="person")]
    assert checked("k", COCO, {"a": said}) == [Checked("k", "a", "person", GROUNDED, 0.97, True)]


def _planted(photos: int = 400, seed: int = 0) -> list[Checked]:
    """Calibrated p, cuts at 0.8 and 0.2; method "worse" names absent things more often than "better"."""
    rng, rows = random.Random(seed), []
    for photo in range(photos):
        for method, low in (("better", 0.4), ("worse", 0.0)):
            for label in ("dog", "cup", "person"):
                p = rng.uniform(low, 1)
                says = GROUNDED if p >= 0.8 else CONTRADICTED if p <= 0.2 else NOT_SURE
                rows.append(Checked(str(photo), method, label, says, p, rng.random() < p))
    return rows


def test_planted_precision_and_coverage_are_found() -> None:
    found = part(_planted())
    assert found["grounded"]["precision"] == pytest.approx(0.9, abs=0.03)
    assert found["contradicted"]["precision"] == pytest.approx(0.9, abs=0.05)
    low, high = found["grounded"]["interval"]
    assert low < found["grounded"]["precision"] < high
    assert high - low < 0.1
    assert found["decided"] == pytest.approx((1 / 3 + 0.4) / 2, abs=0.03)
    assert found["ece"] < 0.05
    curve = [point["precision"] for point in found["curve"]]
    assert curve[0] > 0.9 > curve[-1]
    assert found["curve"][-1]["coverage"] == 1


def test_exact_figures_of_four_mentions() -> None:
    rows = [
        Checked("1", "a", "dog", GROUNDED, 0.95, True), Checked("1", "a", "cup", GROUNDED, 0.95, False),
        Checked("2", "a", "cat", CONTRADICTED, 0.05, False), Checked("2", "a", "bed", NOT_SURE, 0.45, True),
    ]  # fmt: skip
    found = part(rows)
    assert (found["mentions"], found["present"], found["decided"]) == (4, 0.5, 0.75)
    assert found["grounded"]["precision"] == 0.5
    assert found["contradicted"]["precision"] == 1
    assert found["grounded"]["mentions"] == found["grounded"]["pairs"] == 2
    assert found["ece"] == pytest.approx((0.05 + 2 * 0.45 + 0.55) / 4)
    assert [entry["mentions"] for entry in found["bins"]] == [1, 1, 2]


def test_overconfidence_is_an_error_of_calibration() -> None:
    rows = [Checked(str(i), "a", "dog", GROUNDED, 0.99, i % 2 == 0) for i in range(100)]
    assert part(rows)["ece"] == pytest.approx(0.49)


def test_persons_stand_apart() -> None:
    found = report(_planted(), draws=100)
    assert found["persons"]["mentions"] == 800
    assert found["without_persons"]["mentions"] == 1600
    assert set(found["labels"]) == {"dog", "cup", "person"}


def test_methods_are_ranked_as_the_truth_ranks_them() -> None:
    found = report(_planted(), draws=200)["methods"]
    assert [entry["method"] for entry in found["methods"]] == ["better", "worse"]
    assert found["methods"][1]["expected"] == pytest.approx(0.5, abs=0.05)
    (pair,) = found["pairs"]
    assert pair["clear"]
    assert pair["agree"]
    assert pair["true"]["interval"][0] > 0


def test_a_judge_that_flatters_a_method_is_found_out() -> None:
    rows = [
        row if row.method == "better" else Checked(row.photo, row.method, row.label, GROUNDED, 0.99, row.present)
        for row in _planted()
    ]
    (pair,) = report(rows, draws=200)["methods"]["pairs"]
    assert pair["clear"]
    assert not pair["agree"]


def test_equal_methods_do_not_differ_clearly() -> None:
    rows = [Checked(row.photo, "twin", *list(vars(row).values())[2:]) for row in _planted() if row.method == "better"]
    both = rows + [row for row in _planted() if row.method == "better"]
    (pair,) = report(both, draws=200)["methods"]["pairs"]
    assert not pair["clear"]


def test_a_judge_without_probabilities_still_has_verdicts() -> None:
    rows = [Checked("1", "a", "dog", GROUNDED, None, True)]
    found = report(rows, draws=50)
    assert found["all"]["grounded"]["precision"] == 1
    assert found["all"]["ece"] is None
    assert found["all"]["curve"] == []
    assert found["methods"] == {"methods": [], "pairs": []}


def test_no_mentions_give_no_figures_and_a_table() -> None:
    found = report([], draws=10)
    assert found["all"]["grounded"]["precision"] is None
    assert found["all"]["decided"] is None
    assert verdicts.table(found)


def test_the_report_is_plain_data_and_its_table_names_every_method_and_label() -> None:
    found = report(_planted(50), draws=50)
    assert json.loads(json.dumps(found)) == found
    text = verdicts.table(found)
    assert all(word in text for word in ("better", "worse", "dog", "cup", "person", "without persons"))
