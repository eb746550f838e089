"""Verdicts: hand-made cases, and what must hold for any text, detections and threshold."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.grounding.evidence import Evidence
from halluapp.grounding.verdicts import box_iou, judge, judge_text
from halluapp.grounding.words import vocabulary

LABELS = ("person", "dog", "cat", "hat", "man")
COCO = vocabulary.coco_names()


def _found(label: str, score: float, x0: float = 0.0) -> dict:
    return {"label": label, "score": score, "box": [x0, 0.0, x0 + 0.2, 0.5]}


def _verdicts(text: str, *detections: dict, labels: tuple[str, ...] = LABELS, threshold: float | None = None) -> list:
    return [(v["object"], v["verdict"]) for v in judge_text(text, list(detections), labels, threshold)]


def test_verdicts_of_a_detector_without_probabilities() -> None:
    found = _verdicts("A dog, a cat and a castle by a tree.", _found("dog", 0.9), _found("cat", 0.2))
    others = [("castle", "not checkable"), ("tree", "not checkable")]
    assert found == [("dog", "grounded"), ("cat", "contradicted"), *others]


def test_the_best_box_and_its_score_are_given() -> None:
    verdict = judge_text("The dog", [_found("dog", 0.6), _found("dog", 0.9, 0.4)], LABELS)[0]
    assert (verdict["score"], verdict["box"][0], verdict["label"]) == (0.9, 0.4, "dog")


def test_a_score_at_the_threshold_grounds() -> None:
    assert _verdicts("a dog", _found("dog", 0.5)) == [("dog", "grounded")]
    assert _verdicts("a dog", _found("dog", 0.5), threshold=0.51) == [("dog", "contradicted")]


def test_people_are_checked_as_person_and_it_is_said() -> None:
    verdict = judge_text("A woman", [_found("person", 0.8)], COCO)[0]
    assert verdict["verdict"] == "grounded"
    assert "checked as person" in verdict["reason"]
    verdict = judge_text("A woman", [], COCO)[0]
    assert verdict["verdict"] == "contradicted"
    assert "checked as person" in verdict["reason"]


def test_a_kind_has_precedence_over_the_wider_label() -> None:
    verdict = judge_text("A man", [_found("person", 0.9), _found("man", 0.6, 0.5)], LABELS)[0]
    assert verdict["label"] == "man"


def test_a_wider_object_backs_a_kind_and_it_is_said() -> None:
    verdict = judge_text("A man", [_found("person", 0.9), _found("man", 0.2, 0.5)], LABELS)[0]
    assert (verdict["verdict"], verdict["label"]) == ("grounded", "person")
    assert "man itself was not" in verdict["reason"]


def test_another_instance_takes_the_next_box_and_a_repetition_the_same() -> None:
    boxes = [_found("dog", 0.9), _found("dog", 0.8, 0.4)]
    found = judge_text("A dog runs. The dog barks at another brown dog. A dog sleeps; two dogs.", boxes, LABELS)
    assert [verdict["box"][0] for verdict in found] == [0.0, 0.0, 0.4, 0.4, 0.4]


def test_one_thing_under_two_labels_is_one_box() -> None:
    found = judge_text("A man and another man", [_found("man", 0.9), _found("person", 0.8, 0.01)], LABELS)
    assert [verdict["label"] for verdict in found] == ["man", "man"]


@pytest.mark.parametrize(
    "text",
    [
        "There is no dog.",
        "A boy without a dog",
        "There isn't a dog here",
        "There are no cats, dogs",
        "no visible dog",
        "The dog is not visible",
        "Neither cats nor dogs",
        "no cats or dogs",
        "There is no sign of a dog",
    ],
)
def test_what_the_text_denies_is_not_checkable(text: str) -> None:
    dogs = [v for v in judge_text(text, [], LABELS) if v["object"] == "dog"]
    assert [(v["verdict"], v["reason"]) for v in dogs] == [("not checkable", "the text says it is absent")]


@pytest.mark.parametrize(
    "text",
    ["No, there is a dog.", "Not only a dog", "no cats but a dog", "He has no cat, a dog runs", "not far from a dog",
     "a boy without a hat on a dog", "The dog does not look", "not looking at the dog", "The sky is clear. Dogs"],
)  # fmt: skip
def test_what_the_text_does_not_deny_is_checked(text: str) -> None:
    assert ("dog", "contradicted") in _verdicts(text)


_BOX = st.tuples(*[st.floats(0, 1)] * 4).map(
    lambda b: [min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])]
)
_DETECTIONS = st.lists(
    st.fixed_dictionaries({"label": st.sampled_from(COCO[:20]), "score": st.floats(0, 1), "box": _BOX}), max_size=8
)
_PIECES = ["a", "another", "no", "without", "or", ",", ".", "is not visible", *list(vocabulary.words())[:400]]
_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join)
_KNOWN = st.lists(st.sampled_from(COCO[:20]), max_size=10, unique=True).map(tuple)


@given(_TEXTS, _DETECTIONS, _KNOWN, st.floats(0, 1))
def test_spans_are_ordered_and_hold_their_text(text: str, detections: list, labels: tuple, threshold: float) -> None:
    end = 0
    for verdict in judge_text(text, detections, labels, threshold):
        assert verdict["start"] >= end
        assert text[verdict["start"] : verdict["end"]] == verdict["text"]
        assert (verdict["box"] is not None) == (verdict["verdict"] == "grounded")
        assert verdict["reason"]
        end = verdict["end"]


@given(_TEXTS, _DETECTIONS, _KNOWN, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_only_takes_grounds_away(
    text: str, detections: list, labels: tuple, a: float, b: float
) -> None:
    low, high = (judge_text(text, detections, labels, value) for value in sorted((a, b)))
    for before, after in zip(low, high, strict=True):
        if before["verdict"] == "not checkable":
            assert after == before
        assert not (before["verdict"] == "contradicted" and after["verdict"] == "grounded")


@given(_TEXTS, _DETECTIONS, _KNOWN, st.randoms())
def test_the_order_of_detections_does_not_decide(text: str, detections: list, labels: tuple, rng) -> None:
    shuffled = list(detections)
    rng.shuffle(shuffled)
    one, two = judge_text(text, detections, labels), judge_text(text, shuffled, labels)
    assert [v["verdict"] for v in one] == [v["verdict"] for v in two]


@given(_TEXTS, _DETECTIONS)
def test_a_detector_that_knows_nothing_contradicts_nothing(text: str, detections: list) -> None:
    assert {v["verdict"] for v in judge_text(text, detections, ())} <= {"not checkable"}


def test_judge_without_mentions() -> None:
    assert judge([], Evidence((_found("dog", 1.0),), LABELS)) == []


@given(_BOX, _BOX)
def test_iou_is_symmetric_and_bounded(one: list, two: list) -> None:
    assert 0 <= box_iou(one, two) <= 1 + 1e-9
    assert box_iou(one, two) == pytest.approx(box_iou(two, one))


def test_importing_it_loads_no_model_library() -> None:
    code = "import sys, halluapp.grounding.verdicts; assert not {'torch', 'transformers', 'gradio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
