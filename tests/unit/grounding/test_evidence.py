"""The judge by calibrated probabilities: what cuts, support and sureness do to verdicts, and expected inventions."""

from __future__ import annotations

import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.grounding.answers import judge_answer
from halluapp.grounding.evidence import SURE, Evidence, verdict_precision
from halluapp.grounding.inventions import expected_inventions
from halluapp.grounding.verdicts import VERDICTS, judge_text

BOX = [0.1, 0.2, 0.5, 0.9]
P = {"dog": 0.97, "cat": 0.04, "car": 0.5, "person": 0.03, "bus": 0.95, "truck": 0.02}
CUTS = {"grounded": 0.85, "contradicted": 0.08}
SUPPORT = {"bus": {"grounded": False, "contradicted": True}, "truck": {"grounded": True, "contradicted": False}}


def evidence(**changes) -> Evidence:
    """A photo with a dog, as a calibrated detector describes it."""
    values = {"detections": ({"label": "dog", "score": 0.97, "box": BOX},), "labels": tuple(P), "presence": P,
              "support": SUPPORT, "cuts": CUTS, **changes}  # fmt: skip
    return Evidence(**values)


def verdicts(text: str, sure: float = SURE, **changes) -> dict[str, str]:
    """object -> verdict."""
    return {one["object"]: one["verdict"] for one in judge_text(text, evidence(**changes), sure=sure)}


def test_the_four_verdicts():
    text = "A dog, a cat, a car, a bus and a truck near a tree, and a woman."
    assert verdicts(text) == {
        "dog": "grounded", "cat": "contradicted", "car": "not sure", "bus": "not sure", "truck": "not sure",
        "tree": "not checkable", "woman": "not sure",
    }  # fmt: skip


def test_the_reason_says_the_probability_and_never_a_score():
    dog, cat, woman = judge_text("A dog, a cat and a woman.", evidence(presence={**P, "dog": 0.999}))
    assert dog["reason"] == "p(dog in photo) > .99"
    assert cat["reason"] == "p(cat in photo) = .04"
    assert "checked as person" in woman["reason"]
    assert "cannot be ruled out reliably" in woman["reason"]
    assert (dog["presence"], dog["checked_as"], dog["box"]) == (0.999, "dog", BOX)


def test_people_are_grounded_as_a_person_and_never_contradicted():
    people = {**P, "person": 0.99}
    assert set(verdicts("A man, a woman, a boy and a child.", presence=people).values()) == {"grounded"}
    assert set(verdicts("A man and a girl.", sure=0.5).values()) == {"not sure"}


def test_one_person_has_one_box_under_two_words():
    boxes = ({"label": "person", "score": 0.9, "box": BOX},)
    man, woman = judge_text("A man. The woman smiles.", evidence(presence={**P, "person": 0.99}, detections=boxes))
    assert man["box"] == woman["box"] == BOX


def test_a_detector_without_probabilities_is_judged_by_its_boxes():
    raw = evidence(presence={}, support={}, cuts={})
    assert not raw.calibrated
    assert [one["verdict"] for one in judge_text("A dog and a cat.", raw)] == ["grounded", "contradicted"]
    assert judge_text("A dog.", raw, sure=0.99)[0]["presence"] is None


def test_counts_are_a_soft_note():
    one = judge_text("Two dogs run.", evidence())[0]
    assert one["verdict"] == "grounded"
    assert one["reason"].endswith("the text counts 2, 1 clear box found")
    assert "counts" not in judge_text("A dog runs.", evidence())[0]["reason"]


@given(
    st.floats(0.5, 0.98), st.floats(0.5, 0.98), st.dictionaries(st.sampled_from(sorted(P)), st.floats(0, 1), min_size=1)
)
def test_surer_verdicts_are_fewer_and_never_turn_round(one, two, presence):
    low, high = sorted((one, two))
    text = "A dog, a cat, a car, a bus, a truck and a man."
    loose, strict = (judge_text(text, evidence(presence=presence), sure=sure) for sure in (low, high))
    for before, after in zip(loose, strict, strict=True):
        assert after["verdict"] in (before["verdict"], "not sure")
        assert before["verdict"] in VERDICTS


@given(st.floats(0.5, 0.99))
def test_the_two_cuts_never_cross(sure):
    ground, contradict = evidence().cuts_at(sure)
    assert contradict <= 0.5 <= ground
    assert evidence().cuts_at(SURE) == pytest.approx((0.85, 0.08))


def test_evidence_is_plain_data():
    whole = evidence()
    assert Evidence.of(json.loads(json.dumps(whole.plain()))).plain() == json.loads(json.dumps(whole.plain()))
    assert pickle.loads(pickle.dumps(whole)) == whole


def test_expected_inventions_count_each_thing_once():
    mentions = judge_text("A dog and a dog, a cat, a man and a woman by a tree. No car.", evidence())
    found = expected_inventions(mentions)
    each = [1 - P["dog"], 1 - P["cat"], 1 - P["person"]]
    assert found.named == 3
    assert found.expected == pytest.approx(sum(each))
    spread = 1.96 * math.sqrt(sum(p * (1 - p) for p in each))
    assert (found.low, found.high) == pytest.approx((max(0, sum(each) - spread), min(3, sum(each) + spread)))


def test_nothing_is_expected_where_nothing_is_calibrated_or_checked():
    assert expected_inventions(judge_text("A dog.", evidence(presence={}))) is None
    assert expected_inventions(judge_text("A tree.", evidence())) is None
    assert expected_inventions([]) is None


@pytest.mark.parametrize(
    ("prompt", "answer", "verdict"),
    [
        ("Is there a dog in the image?", "Yes.", "right"),
        ("Is there a dog in the image?", "No, there is no dog.", "wrong"),
        ("Is there a cat?", "No", "right"),
        ("Are there any cats visible in this photo?", "Yes", "wrong"),
        ("Do you see a dog?", "yes, I do", "right"),
        ("Does the image show a cat?", "Yes.", "wrong"),
        ("Is there a car?", "Yes", "unsure"),
        ("Is there a person in the photo?", "No.", "unsure"),
        ("Which animal is in the photo?\nA. a dog\nB. a cat", "A.", "right"),
        ("What is shown? A) cat B) dog", "A", "wrong"),
    ],
)
def test_answers_are_judged_by_the_same_probabilities(prompt, answer, verdict):
    assert judge_answer(prompt, answer, evidence())["verdict"] == verdict


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Is the dog brown?", "Yes."),
        ("Is there a dog or a cat?", "Yes."),
        ("Is there a dog in the image?", "A dog on a couch."),
        ("Is there a tree?", "Yes."),
        ("Describe the image.", "Yes."),
        ("Which colour is the dog?\nA. red\nB. brown", "A"),
        ("How many dogs are there?", "Two"),
    ],
)
def test_what_presence_cannot_answer_is_not_judged(prompt, answer):
    assert judge_answer(prompt, answer, evidence()) is None


def test_the_legend_quotes_the_first_measured_set():
    grounded = {"precision": 0.93, "interval": [0.9, 0.95], "mentions": 700}
    figures = {"all": {"grounded": grounded, "contradicted": {"precision": None, "interval": None, "mentions": 0}}}
    measured = {"verdicts": {"coco-dev": figures, "other": {"all": {}}}}
    assert verdict_precision(measured) == {"grounded": {"precision": 0.93, "low": 0.9, "high": 0.95, "n": 700}}
    assert verdict_precision({}) == {} == verdict_precision({"verdicts": {}})
