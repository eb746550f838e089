"""Which prompts ask for a label, and for which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from label_prompts import PROMPTS

from halluapp.methods.formulas.labels import CHINESE, KINDS, YES_NO, YES_NO_CHINESE, find_labels


def test_the_reading_of_a_prompt() -> None:
    """The kind: requests and choices taken for yes/no questions, and yes/no questions and options that are not seen."""
    for prompt, reading in PROMPTS:
        labels = find_labels(prompt)
        if reading is None:
            assert labels is None, prompt
        elif reading == "yn":
            assert labels is (YES_NO_CHINESE if CHINESE.search(prompt) else YES_NO), prompt
        else:
            assert labels is not None, prompt
            assert labels.names == tuple(reading), prompt
            assert all(name in forms for name, forms in zip(labels.names, labels.forms, strict=True)), prompt


def test_the_table_holds_two_languages_and_every_reading() -> None:
    assert len(PROMPTS) == len(dict(PROMPTS)) >= 40
    for language in (True, False):
        readings = {reading for prompt, reading in PROMPTS if bool(CHINESE.search(prompt)) is language}
        assert {None, "yn"} <= readings
        assert len(readings) > 3


def test_a_kind_that_is_asked_for_wins_over_the_prompt() -> None:
    assert find_labels("Is there a dog?", "open") is None
    assert find_labels("Describe the image.", "yes/no") is YES_NO
    assert find_labels("描述图片。", "yes/no") is YES_NO_CHINESE
    assert find_labels("Is there a dog?", "A-D").names == tuple("ABCD")
    assert find_labels("Which? A. cat B. dog", "A-D").names == tuple("AB")
    assert [find_labels("Describe it.", kind) is None for kind in KINDS] == [True, False, False, True]


def test_every_label_has_its_forms() -> None:
    assert len(YES_NO.names) == len(YES_NO.forms)
    assert not set(YES_NO_CHINESE.forms[0]) & set(YES_NO_CHINESE.forms[1])
    for name, forms in zip(YES_NO.names, YES_NO.forms, strict=True):
        assert {form.lower() for form in forms} == {name}


@given(st.text(max_size=300))
def test_any_text_gives_labels_or_none(prompt: str) -> None:
    labels = find_labels(prompt)
    assert labels is None or (len(labels.names) == len(labels.forms) >= 2 and all(labels.forms))
