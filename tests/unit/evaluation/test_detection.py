"""Detector quality: hand-made photos whose right numbers can be counted on fingers."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from halluapp.errors import InputError
from halluapp.evaluation.detection import Counts, count, match, measure, scores, truth_of

LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]


class Scripted:
    """Finds a dog on the left of bright photos, and a cat in none."""

    name, labels = "scripted", ("person", "man", "dog", "cat")

    def detect(self, photo: Image.Image) -> list[dict]:
        if photo.getpixel((0, 0))[0] < 128:
            return [{"label": "cat", "score": 0.4, "box": LEFT}]
        return [{"label": "dog", "score": 0.9, "box": LEFT}]


def _write(folder, key: str, level: int, **record) -> None:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), (level,) * 3).save(encoded, "JPEG")
    (folder / f"{key}.jpg").write_bytes(encoded.getvalue())
    (folder / f"{key}.json").write_text(json.dumps(record))


def test_measured_on_coco_records(tmp_path) -> None:
    _write(tmp_path, "a", 255, objects=["dog"], boxes=[["dog", *LEFT], ["dog", *RIGHT]], captions=[])
    _write(tmp_path, "b", 255, objects=["person"], boxes=[], captions=[])
    _write(tmp_path, "c", 255, objects=[], boxes=[], captions=["A puppy"])  # named, not annotated: counts neither way
    _write(tmp_path, "d", 0, objects=["cat"], boxes=[["cat", *LEFT]], captions=[])
    result = measure(Scripted(), tmp_path)
    assert (result["precision"], result["recall"]) == (1 / 2, 1 / 3)
    assert (result["mean_iou"], result["box_recall"], result["boxes"]) == (1.0, 1 / 3, 3)
    assert result["labels"]["dog"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "photos": 1, "found": 2}
    assert "man" not in result["labels"], "COCO does not speak about men"
    low = measure(Scripted(), tmp_path, threshold=0.3)
    assert low["recall"] == 2 / 3
    assert measure(Scripted(), tmp_path, limit=1)["photos"] == 1
    json.dumps(result, allow_nan=False)


def test_truth_of_human_phrases() -> None:
    entity = {"type": "people", "phrases": ["a man"], "boxes": [LEFT]}
    record = {"source": "flickr8k", "captions": ["A man"], "entities": [entity], "detections": [["car", 0.9, *RIGHT]]}
    truth = truth_of(record)
    assert truth.present == {"man", "person"}
    assert {"car", "woman"} <= truth.uncertain
    assert truth.boxes == (("man", tuple(LEFT)), ("person", tuple(LEFT)))


def test_nothing_to_read_is_one_sentence(tmp_path) -> None:
    with pytest.raises(InputError):
        measure(Scripted(), tmp_path)


def test_undefined_scores_are_null() -> None:
    empty = scores(Counts(), ["dog"])
    assert empty["precision"] is None
    assert empty["mean_iou"] is None
    assert empty["labels"] == {}


_SIDE = st.floats(0, 1)
_BOXES = st.lists(
    st.tuples(_SIDE, _SIDE, _SIDE, _SIDE).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    max_size=5,
)


@given(_BOXES, _BOXES)
def test_matching_is_one_to_one_and_bounded(human: list, detected: list) -> None:
    values = match(human, detected)
    assert len(values) <= min(len(human), len(detected))
    assert values == sorted(values, reverse=True)
    assert all(0 < value <= 1 + 1e-9 for value in values)


@given(_BOXES)
def test_perfect_boxes_match_perfectly(human: list) -> None:
    solid = [box for box in dict.fromkeys(human) if (box[2] - box[0]) * (box[3] - box[1]) > 1e-6]
    assert match(solid, solid) == pytest.approx([1.0] * len(solid))


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_finds_more(a: float, b: float) -> None:
    truth = truth_of({"objects": ["dog"], "boxes": [], "captions": []})
    detections = [{"label": "dog", "score": 0.3, "box": LEFT}, {"label": "cat", "score": 0.7, "box": LEFT}]
    low, high = Counts(), Counts()
    for counts, threshold in ((low, min(a, b)), (high, max(a, b))):
        count(counts, detections, truth, ["dog", "cat"], threshold)
    assert high.right.total() <= low.right.total()
    assert high.wrong.total() <= low.wrong.total()
