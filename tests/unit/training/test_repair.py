"""Repaired answers: only wrong words change, nothing false stays, and enumerations stay as long as they were."""

from __future__ import annotations

import pytest
from tiny import lvlm, photo

from halluapp.evaluation import chair
from halluapp.grounding.words.mentions import find_mentions
from halluapp.training.pairs import pair_sets, repair
from halluapp.training.pairs.repair import aligned, completed, offered_objects, repaired_rows

LIST = "The image shows a dog, a car and two cats. The car is on the left."


@pytest.mark.parametrize("answer, present, expected", [
    (LIST, ["dog", "cat", "bench"], "The image shows a dog, a bench and two cats. The bench is on the left."),
    (LIST, ["dog", "cat", "apple"], "The image shows a dog, an apple and two cats. The apple is on the left."),
    (LIST, ["dog", "cat"], "The image shows a dog and two cats."),
    (LIST, ["car"], "The image shows a car. The car is on the left."),
    ("The image shows a cup, a cup, a cup and a bowl.", ["cup", "bowl"], "The image shows a cup and a bowl."),
    ("A man rides a horse. There is also a frisbee.", ["person", "horse"], "A man rides a horse."),
    ("A man rides a horse.", ["person", "motorcycle", "cow"], "A man rides a cow."),
    ("A dog runs.", ["dog"], None), ("A dog runs.", ["bench"], None), ("", ["dog"], None),
])  # fmt: skip
def test_what_is_wrong_gives_way_and_nothing_else(answer, present, expected):
    assert repair.repair(answer, present, [], present) == expected


def test_what_is_unsure_stays_and_is_never_offered():
    assert repair.repair("The image shows a dog and a tree.", ["dog"], ["tree"], ["dog"]) is None
    assert repair.repair("The image shows a cat and a tree.", ["dog"], ["tree"], ["dog"]) == (
        "The image shows a dog and a tree."
    )


def test_an_enumeration_that_lost_its_wrong_words_names_what_else_is_there():
    assert completed("The image shows a dog.", ["dog", "bench", "apple"], 3) == (
        "The image shows a dog, a bench and an apple."
    )
    assert completed("The image shows a dog and a cat.", ["cat", "bench"], 3) == (
        "The image shows a dog, a bench and a cat."
    )
    assert completed("The image shows a dog.", ["dog"], 3) == "The image shows a dog."
    assert completed("A dog runs.", ["bench"], 3) == "A dog runs."


def test_a_dropped_sentence_is_in_neither_answer():
    whole = "The image shows a dog and a cat. It is night. The cat is on the left."
    assert aligned(whole, "The image shows a dog. It is night.") == "The image shows a dog and a cat. It is night."
    assert aligned(whole, whole) == whole


def test_nothing_false_and_no_loop_is_left_in_any_repaired_text():
    names = ["dog", "cat", "car", "bench", "cup", "bowl", "horse"]
    for number in range(120):
        said = [names[(number * k + k * k) % len(names)] for k in range(1, 6)]
        present = [name for index, name in enumerate(names) if (number >> index) & 1]
        items = [f"a {name}" for name in said]
        answer = f"The image shows {', '.join(items[:-1])} and {items[-1]}. The {said[0]} is on the left."
        mended = repair.repair(answer, present, [], present)
        if mended is None:
            continue
        mended = completed(mended, present, len(find_mentions(answer)))
        row = chair.chair_row(chair.object_mentions(mended, "wide"), set(present), exact=False)
        assert (row.hallucinated, row.repetitions) == (0, 0), (answer, mended)
        assert row.mentions <= len(find_mentions(answer))
        assert mended.endswith(".")
        assert ", ," not in mended


def test_offered_are_what_people_boxed_the_largest_first_and_people_once():
    boxes = [["dog", 0, 0, 0.1, 0.1], ["person", 0, 0, 0.5, 0.5], ["person", 0, 0, 0.5, 1], ["car", 0, 0, 0.6, 0.6]]
    assert offered_objects({"boxes": boxes}) == ["person", "car", "dog"]
    entity = {"phrases": ["a brown dog"], "type": "animals", "boxes": [[0, 0, 0.5, 0.5]]}
    assert offered_objects({"entities": [entity], "captions": ["A dog"], "detections": [["cat", 0.9, 0, 0, 1, 1]]}) == [
        "dog"
    ]


def test_labels_that_are_complete_make_absence_certain():
    record = {"objects": ["dog"], "captions": ["A dog"], "detections": []}
    assert "tree" not in pair_sets.objects_of_record(record)[1]
    unsure = pair_sets.objects_of_record({**record, "complete_labels": True})[1]
    assert "tree" in unsure
    assert "cat" not in unsure


def test_what_is_left_of_a_wrong_answer_is_wrong():
    """A sentence that the repair drops takes the wrong word with it; loops alone teach no truth."""
    dog = repair.Photo("a.jpg", photo, ["dog"], ["tree"], ["dog"])
    assert repair.names_absent("The image shows a dog, a tree and a cat.", dog)
    assert not repair.names_absent("The image shows a dog, a dog, a dog and a tree.", dog)


def test_rows_of_a_tiny_model_are_its_own_answers_and_seeded():
    model = lvlm("llava", "none")
    photos = [repair.Photo(f"{n}.jpg", lambda n=n: photo(n), ["dog"], [], ["dog"]) for n in range(2)]
    rows = repaired_rows(model, photos, "Describe this image.", 2)
    assert rows == repaired_rows(model, photos, "Describe this image.", 2)
    for row in rows:
        assert row["kind"] == "repaired"
        assert row["chosen"] != row["rejected"]
