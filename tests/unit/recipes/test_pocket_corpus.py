"""Training text: facts from records, geometry of views, balanced questions."""

from __future__ import annotations

import random

import pytest

from halluapp.evaluation.annotations import read_record
from halluapp.grounding.words.mentions import find_mentions
from halluapp.recipes.pocket import corpus, crops

WHOLE = [0.0, 0.0, 1.0, 1.0, 0.0]
RECORD = {
    "source": "flickr8k",
    "captions": ["A brown dog runs on the beach.", "The dog carries a red ball on the left."],
    "entities": [
        {"type": "animals", "phrases": ["A brown dog", "The dog"], "boxes": [[0.0, 0.3, 0.3, 0.9]]},
        {"type": "other", "phrases": ["a red ball"], "boxes": [[0.8, 0.4, 0.9, 0.5]]},
    ],
    "detections": [
        ["horse", 0.9, 0.0, 0.3, 0.3, 0.9],
        ["person", 0.9, 0.5, 0.5, 0.6, 0.7],
        ["kite", 0.25, 0, 0, 0.1, 0.1],
    ],
}


def test_presence_reads_people_and_teacher_but_not_the_teachers_animals():
    result = read_record(RECORD)
    assert {"dog", "beach", "sports ball", "person"} <= result.present
    assert "horse" not in result.present
    assert "horse" in result.possible
    assert "kite" in result.possible
    assert "kite" not in result.present
    assert "ocean" in result.possible  # a beach is present: nobody can say that no ocean is


def test_teacher_animals_count_where_people_named_none():
    other = {"source": "visual7w", "detections": [["horse", 0.9, 0.0, 0.3, 0.3, 0.9]]}
    assert read_record(other).present == {"horse"}


def test_unsure_detections_are_described_but_never_asked_about():
    scene = {"source": "visual7w", "detections": [["car", 0.9, 0, 0, 0.5, 0.5], ["clock", 0.25, 0.6, 0.1, 0.7, 0.2]]}
    photo = read_record(scene)
    assert "clock" in photo.possible
    assert "clock" not in photo.present
    corpus_of_photos = corpus.Corpus([photo] * 30)
    assert "clock" in corpus_of_photos.detail([], scene, photo, WHOLE, random.Random(0))
    assert not any("clock" in question for question, _ in corpus_of_photos.yes_no(photo, random.Random(0), 40))


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_crop_box_maps_into_the_view(flip):
    view = crops.crop_box([0.25, 0.25, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5, flip])
    assert view == pytest.approx([0.0, 0.5, 0.5, 1.0] if flip else [0.5, 0.5, 1.0, 1.0])
    assert crops.crop_box([0.6, 0.6, 0.9, 0.9], [0.0, 0.0, 0.5, 0.5, flip]) is None


def test_mirrored_views_swap_left_and_right():
    corpus_of_photos = corpus.Corpus([read_record(RECORD)] * 30)
    answers = " ".join(
        a for _, a in corpus_of_photos.pairs(RECORD, read_record(RECORD), [0, 0, 1, 1, 1.0], random.Random(0))
    )
    assert "on the right" in answers


def test_detail_names_true_things_only():
    photo = read_record(RECORD)
    corpus_of_photos = corpus.Corpus([photo] * 30)
    for seed in range(20):
        text = corpus_of_photos.detail(RECORD["captions"], RECORD, photo, WHOLE, random.Random(seed))
        assert {m.object for m in find_mentions(text)} <= photo.present, text


def _world():
    records = [RECORD] * 25 + [{"captions": [f"A {name} near a {other}."]} for name, other in
                               [("cat", "bus"), ("horse", "car"), ("train", "bird")] for _ in range(25)]  # fmt: skip
    return records, [read_record(record) for record in records]


def test_questions_are_balanced_and_never_ask_about_what_may_be_there():
    _records, photos = _world()
    corpus_of_photos, rng = corpus.Corpus(photos), random.Random(0)
    answers = []
    for _ in range(200):
        for question, answer in corpus_of_photos.yes_no(photos[0], rng, 4):
            named = {m.object for m in find_mentions(question)}
            answers.append(answer)
            if answer == "No.":
                assert not named & photos[0].present, question
                assert not named & photos[0].possible, question
            else:
                assert named & photos[0].present, question
    assert 0.45 < answers.count("Yes.") / len(answers) < 0.55
