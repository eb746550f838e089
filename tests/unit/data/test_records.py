"""Records of photos: read where their meaning is certain, refused by name where it is not."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halluapp.data.records import FORMS, UnknownObject, described, parse_record, read_records
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation.annotations import object_name, object_names


def parse(value):
    return parse_record(value, "a in photos", object_name)


@pytest.mark.parametrize("value, record", [
    ({"captions": "A man walks."}, {"captions": ["A man walks."]}),
    ({"captions": ["A man.", "", "  "], "objects": None}, {"captions": ["A man."]}),
    ({"objects": "dog"}, {"objects": ["dog"]}),
    ({"objects": "dog, cat"}, {"objects": ["dog", "cat"]}),
    ({"objects": ["Dog", " puppies ", "traffic_light", "T-Shirt"]}, {"objects": ["dog", "traffic light", "shirt"]}),
    ({"Caption": "A dog.", "OBJECTS": ["cat"]}, {"captions": ["A dog."], "objects": ["cat"]}),
    ({"captions": ["A dog."], "caption": "A cat."}, {"captions": ["A dog."]}),
    ({"objects": [], "source": "coco", "fine": 3}, {"objects": [], "source": "coco", "fine": 3}),
    ({"detections": [["Dog", 1, 0, 0, 1, 1]]}, {"detections": [["dog", 1.0, 0.0, 0.0, 1.0, 1.0]]}),
    ({"boxes": [["a_thing", 0, 0, 1, 1]]}, {"boxes": [["a_thing", 0.0, 0.0, 1.0, 1.0]]}),
    ({"entities": [{"type": "animals", "phrases": "a dog"}]},
     {"entities": [{"type": "animals", "phrases": ["a dog"], "boxes": []}]}),
    ({"qa": [{"question": "What?", "answer": "A dog.", "distractors": []}]},
     {"qa": [{"question": "What?", "answer": "A dog.", "distractors": []}]}),
])  # fmt: skip
def test_what_is_certain_is_read(value, record) -> None:
    """Public kind: annotations that do not mean what is read are scored in silence."""
    assert parse(value).items() >= record.items()
    assert parse(parse(value)) == parse(value)


@pytest.mark.parametrize("value, words", [
    ([1, 2], "is a list"), (None, "is null"), (3, "is a number"), ("A dog.", "is a text"), (True, "is true or false"),
    ({"captions": [None]}, "null at captions.0"),
    ({"captions": [{"caption": "A dog."}]}, "an object at captions.0"),
    ({"captions": [["A dog."]]}, "a list at captions.0"), ({"captions": {"0": "A dog."}}, "an object at captions"),
    ({"captions": 5}, "a number at captions"), ({"captions": ["A \ud83d dog"]}, "half a character"),
    ({"objects": [{"category": "dog"}]}, "an object at objects.0"), ({"objects": [18]}, "a number at objects.0"),
    ({"objects": {"dog": 2}}, "an object at objects"), ({"objects": ["dog", None]}, "null at objects.1"),
    ({"entities": ["dog"]}, "a text at entities.0"), ({"entities": [{"type": "x"}]}, "lacks entities.0.phrases"),
    ({"detections": [["dog", 0.9]]}, "detections must be a list of [name, score, x0, y0, x1, y1]"),
    ({"detections": [["dog", True, 0, 0, 1, 1]]}, "true or false at detections.0.1"),
    ({"boxes": [["dog", 0, 0, 1, math.nan]]}, "a number at boxes.0.4"), ({"qa": [{"question": "?"}]}, "qa.0.answer"),
])  # fmt: skip
def test_what_is_not_certain_is_refused_by_name(value, words) -> None:
    """Public kind: a record of another shape ends in a traceback."""
    with pytest.raises(InputError) as caught:
        parse(value)
    sentence = str(caught.value)
    assert sentence.startswith("The record of a in photos ")
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("names", [["dog", "unicorn"], ["18"], ["dog and cat"], "blarg"])
def test_an_unknown_object_is_not_taken_for_an_absent_one(names) -> None:
    with pytest.raises(UnknownObject, match="no name that we know"):
        parse({"objects": names})


def test_names_that_are_only_guessed_stay() -> None:
    assert object_names(["Dogs", "unicorn", "sports_ball"]) == {"dog", "unicorn", "sports ball"}


def _folder(root, records: dict):
    for key, record in records.items():
        (root / f"{key}.jpg").write_bytes(b"photo")
        (root / f"{key}.json").write_text(json.dumps(record))
    return root


def test_every_record_is_used_or_named(tmp_path) -> None:
    records = {"a": {"objects": ["Dog"]}, "b": {"objects": ["unicorn"]}, "c": {"qa": []}, "d": {"captions": "A cat."}}
    _folder(tmp_path, records)
    (tmp_path / "e.jpg").write_bytes(b"photo")
    samples, left_out = read_records(tmp_path, object_name, ("objects", "captions"))
    assert [(sample.key, sample.record) for sample in samples] == [
        ("a", {"objects": ["dog"]}), ("d", {"captions": ["A cat."]})
    ]  # fmt: skip
    assert {item.key for item in left_out} == {"b", "c", "e"}
    assert [sample.key for sample in read_records(tmp_path, object_name, ("objects",), limit=1)[0]] == ["a"]
    with pytest.raises(InputError, match=r"no annotated photos \(entities in KEY\.json\): \w is left out: "):
        read_records(tmp_path, object_name, ("entities",))
    (tmp_path / "f.jpg").write_bytes(b"photo")
    (tmp_path / "f.json").write_text("[1]")
    with pytest.raises(InputError, match="The record of f in"):
        read_records(tmp_path, object_name, ())


def test_a_long_list_is_counted() -> None:
    lines = described([LeftOut(f"{number}\n", "it is no photo") for number in range(25)])
    assert lines[0] == r"0\n is left out: it is no photo."
    assert (len(lines), lines[-1]) == (11, "15 more are left out.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(["dog", "Dog", "puppy", "unicorn", "", "A dog and a cat.", "\ud83d"])
VALUES = st.one_of(
    WORDS, st.lists(WORDS, max_size=3), st.lists(st.tuples(WORDS, *[st.floats(0, 1)] * 5).map(list), max_size=2),
    st.lists(st.fixed_dictionaries({"type": WORDS, "phrases": st.lists(WORDS)}), max_size=2), JSON,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(st.sampled_from([*FORMS, "caption", "Objects", "other"]), VALUES) | JSON)
def test_any_json_is_a_record_or_one_sentence(value) -> None:
    try:
        record = parse(value)
    except (InputError, UnknownObject) as error:
        assert "\n" not in str(error)
        str(error).encode()
        return
    assert parse(record) == record
    assert all(isinstance(text, str) and text.strip() for text in record.get("captions", []))
    assert all(object_name(name) == name for name in record.get("objects", []))
