"""POPE: golden answers through four parsers, and hand-made confusion matrices."""

from __future__ import annotations

import pytest
from golden_cases import cases

from halluapp.evaluation.pope import Confusion, confusion, scores_from
from halluapp.numerics import parse_answer, pope_scores, read_answer

# Golden variant -> ours; LLaVA's script reads answers by the official rule.
VARIANTS = {"official": "official", "llava": "official", "substring": "vcd", "nullu": "nullu", "word-list": "opera"}
COUNTS = {"TP": "true_yes", "FP": "false_yes", "TN": "true_no", "FN": "false_no"}
SHARES = ("accuracy", "precision", "recall", "f1", "yes_ratio")
ALL = cases("pope", "")


def test_golden_readings() -> None:
    for case in ALL:
        variant, answers = VARIANTS[case.parameters["variant"]], case.inputs["answers"]
        for label in ("yes", "no"):
            readings = [read_answer(text, label, variant) for text in answers]
            if variant == "vcd":  # reads no answer, only whether it is right for a label
                right = [reading == label for reading in readings]
                assert right == case.outputs[f"right_if_label_{label}"], case
            else:
                assert readings == case.outputs["parsed"], case
        if variant == "official":
            assert [parse_answer(text) or "yes" for text in answers] == case.outputs["parsed"], case


def test_golden_scores() -> None:
    """Where the authors' script divides by zero, its counts agree and the score that it could not compute is 0. That
    exception (authors_only) has no mode in ours: a report must not stop at a method that never says yes."""
    for case in ALL:
        arguments = case.inputs["answers"], case.inputs["labels"], VARIANTS[case.parameters["variant"]]
        expected, counts, scores = case.outputs["scores"], confusion(*arguments), pope_scores(*arguments)
        for theirs, ours in COUNTS.items():
            assert getattr(counts, ours) == expected[theirs], case
        for name in SHARES:
            if name in expected:
                assert getattr(scores, name) == pytest.approx(expected[name]), case
        assert scores.count == len(case.inputs["labels"]), case
        if case.outputs["error"] is None:
            assert set(SHARES) <= set(expected), case
        else:
            assert set(case.authors_only) == {"scores", "error"}, case
            assert scores.f1 == 0.0, case


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("No, there is not.", "no"),
        ("Yes, there is a dog in the image.", "yes"),
        ("I do not know", "no"),
        ("yeS!", "yes"),
        ("Yes,no", "yes"),
        ("yes no", "no"),
        ("Yes. There is no doubt.", "yes"),
        ("", None),
        ("NO", None),
        ("nope", None),
        ("I know there is a cat.", None),
        ("Yesterday", None),
    ],
)
def test_parse_answer(text: str, answer: str | None) -> None:
    assert parse_answer(text) == answer


def test_confusion_matrix_and_unparsed_of_eight_answers() -> None:
    answers = ["Yes", "yes.", "No", "Absolutely", "No.", "no", "Yes", ""]
    labels = ["yes", "yes", "yes", "yes", "no", "no", "no", "no"]
    assert confusion(answers, labels) == Confusion(true_yes=3, false_yes=2, true_no=2, false_no=1)
    scores = pope_scores(answers, labels)
    assert (scores.unparsed, scores.count) == (2, 8)
    assert (scores.accuracy, scores.precision, scores.recall) == (5 / 8, 3 / 5, 3 / 4)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.yes_ratio == 5 / 8


def test_always_yes_and_always_no() -> None:
    labels = ["yes", "no"] * 3
    always = pope_scores(["Yes"] * 6, labels)
    assert (always.recall, always.precision, always.yes_ratio) == (1.0, 0.5, 1.0)
    assert always.f1 == pytest.approx(2 / 3)
    never = pope_scores(["No"] * 6, labels)
    assert (never.recall, never.precision, never.f1, never.yes_ratio, never.accuracy) == (0, 0, 0, 0, 0.5)


def test_nothing_asked() -> None:
    assert pope_scores([], []) == scores_from(Confusion(0, 0, 0, 0))


def test_refuses_wrong_input() -> None:
    with pytest.raises(ValueError, match="labels"):
        pope_scores(["Yes"], ["yes", "no"])
    with pytest.raises(ValueError, match="label"):
        pope_scores(["Yes"], ["Yes"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="variant"):
        pope_scores(["Yes"], ["yes"], variant="mine")  # type: ignore[arg-type]
