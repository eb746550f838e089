"""Label names of other data sets in the vocabulary's names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.grounding.detectors.base import known_name
from halluapp.grounding.verdicts import judge_text
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.foreign_labels import NEVER_IN_COCO, never_annotated

# own label -> a text that names the thing so
GROUNDED = {
    "Sneakers": "A pair of sneakers.", "Street Lights": "Two street lights.", "television_set": "A television.",
    "Desk": "A desk by a window.", "aircraft": "An airplane.", "Mobile phone": "A phone.", "SUV": "An SUV.",
    "Monitor/TV": "A monitor.", "Handbag/Satchel": "A purse.", "Cabinet/shelf": "A cabinet.", "diningtable": "A table.",
    "pottedplant": "A plant.", "tvmonitor": "A television.", "aeroplane": "A plane.", "motorbike": "A motorbike.",
    "sofa": "A couch.", "Wild Bird": "A bird.", "Leather Shoes": "A pair of shoes.", "Other Shoes": "A boot.",
    "Sailboat": "A boat.", "Pickup Truck": "A truck.", "Wine Glass": "A wine glass.",
    "mouse_(computer_equipment)": "A mouse.",
    "cellular_telephone": "A cell phone.", "Luggage": "A suitcase.", "Stool": "A stool.", "Hamburger": "A burger.",
    "Human hair": "Her hair.", "Tennis ball": "A ball.", "Houseplant": "A houseplant.", "Bow Tie": "A bow tie.",
}  # fmt: skip


def test_a_label_meets_the_mention_of_the_same_thing() -> None:
    for label, text in GROUNDED.items():
        name = known_name(label)
        box = {"label": name, "score": 0.9, "box": [0, 0, 1, 1]}
        assert judge_text(text, [box], (name,))[0]["verdict"] == "grounded", label


def test_our_own_names_stay() -> None:
    for name in vocabulary.objects():
        assert known_name(name) == name
        assert known_name(name.upper().replace(" ", "_")) == name, name


@given(st.text(max_size=30))
def test_any_label_has_a_name(label: str) -> None:
    assert known_name(label) == known_name(label.lower())


@pytest.mark.parametrize(
    "label", ["Traffic cone", "Head Phone", "Computer Box", "Vehicle registration plate", "Giraffe bus 9"]
)
def test_what_only_sounds_like_an_object_stays(label: str) -> None:
    assert known_name(label) == label.lower()


def test_names_that_a_set_lists_but_never_annotates() -> None:
    coco = vocabulary.coco_names()
    ninety_one = [*coco, "N/A", "Street Sign", *sorted(NEVER_IN_COCO - {"street sign"})]
    assert {label.lower() for label in never_annotated(ninety_one)} == NEVER_IN_COCO
    assert never_annotated(coco) == frozenset() == never_annotated(["person", "hat", "desk"])
    wide = [*ninety_one, *(f"thing {index}" for index in range(30))]
    assert never_annotated(wide) == frozenset(), "a set of hundreds of names annotates them"
