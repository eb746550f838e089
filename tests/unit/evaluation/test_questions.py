"""Questions: balance, POPE's three kinds of absent objects, and nothing uncertain is ever asked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.data.wording import article
from halluapp.evaluation.annotations import read_record
from halluapp.evaluation.questions import BACKGROUND, COMMON, SPLITS, build, object_truths, wording
from halluapp.grounding.words import vocabulary

COCO = vocabulary.coco_names()


def _coco(*objects: str) -> dict:
    return {"objects": list(objects), "captions": []}


_SETS = st.lists(st.lists(st.sampled_from(COCO), max_size=6, unique=True).map(lambda o: _coco(*o)), max_size=8)


@given(_SETS, st.integers(1, 4), st.integers(0, 5))
def test_every_split_is_balanced_right_and_without_repetition(records: list, per_photo: int, seed: int) -> None:
    questions = build(records, per_photo=per_photo, seed=seed)
    assert questions == build(records, per_photo=per_photo, seed=seed)
    for number, record in enumerate(records):
        for split in SPLITS:
            group = [q for q in questions if q.photo == number and q.split == split]
            assert (
                Counter(q.label for q in group)["yes"] * 2 == len(group) == 2 * min(per_photo, len(record["objects"]))
            )
            assert len({q.object for q in group}) == len(group)
            assert all((q.object in record["objects"]) == (q.label == "yes") for q in group)


def test_popular_and_adversarial_follow_their_definitions() -> None:
    records = [_coco("dog", "frisbee")] * 3 + [_coco("person")] * 9 + [_coco("car")] * 5 + [_coco("dog")]
    last = [q for q in build(records, per_photo=1) if q.photo == len(records) - 1 and q.label == "no"]
    assert {q.split: q.object for q in last if q.split != "random"} == {"popular": "person", "adversarial": "frisbee"}


def test_an_object_named_only_in_a_caption_is_asked_neither_way() -> None:
    truth = object_truths([{"objects": ["dog"], "captions": ["A dog and a cat"]}], "coco")[0]
    assert truth.present == {"dog"}
    assert "cat" not in truth.absent


def _flickr(caption: str, *detections: tuple) -> dict:
    return {"source": "flickr8k", "captions": [caption], "entities": [], "detections": [list(d) for d in detections]}


def test_what_may_be_there_is_never_asked() -> None:
    texts = ["A man on grass", "A dog by a tree", "A car on a street", "A cup on a table", "A boy at a lake"]
    records = [_flickr(text) for text in texts for _ in range(COMMON)]
    records += [_flickr("A woman", ("car", 0.3, 0, 0, 1, 1)), _flickr("A child", ("dog", 0.9, 0, 0, 1, 1))]
    questions = build(records, "wide", per_photo=3)
    assert questions
    for question in questions:
        maybe = read_record(records[question.photo])
        if question.label == "no":
            assert question.object not in maybe.present | maybe.possible
        else:
            assert question.object in maybe.present
    negatives = {q.object for q in questions if q.photo >= len(records) - 2 and q.label == "no"}
    assert not negatives & set(vocabulary.PEOPLE)
    assert not {q.object for q in questions if q.label == "no"} & BACKGROUND
    assert "woman" not in {q.object for q in questions}, "rarer than COMMON photos"


def test_no_photos_no_questions() -> None:
    assert build([]) == []
    with pytest.raises(ValueError):
        build([], per_photo=0)


def test_wording() -> None:
    assert wording("dog") == "Is there a dog in the image?"
    assert wording("orange") == "Is there an orange in the image?"
    assert wording("skis") == "Are there skis in the image?"
    assert wording("sheep") == "Is there a sheep in the image?"
    assert wording("water") == "Is there water in the image?"


def test_the_article_of_a_question_is_that_of_the_spoken_word() -> None:
    words = (
        "an apple, a dog, a uniform, a unicycle, an umbrella, a utensil, an urn, an hour, a house, an onion, a ukulele"
    )
    for phrase in words.split(", "):
        name = phrase.split()[1]
        assert wording(name) == f"Is there {phrase} in the image?"
        assert wording(name.upper()).startswith(f"Is there {phrase.split()[0]} ")
    assert article("unimportant detail") == "an"
    assert article("one-way street") == "a"
