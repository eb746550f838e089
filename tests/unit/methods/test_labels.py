"""Which prompts ask for a label, and for which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from halluapp.methods.formulas.labels import YES_NO, find_labels

YES_NO_PROMPTS = (
    "Is there a dog in the image?",
    "is there a door in the photo?",  # "or" inside a word offers no alternative
    "Are the people happy?",
    "Does this contain a forest?",
    "Isn't that a cat?",
    "  Can you see a horse?  ",
    "Is there a dog in the image?\nAnswer with one word.",
    "Is there a dog or a cat? Answer yes or no.",
    "Please answer Yes/No: a dog is here.",
    "A dog is in the photo, yes or no",
)
OPEN_PROMPTS = (
    "", "   ", "?", "Describe the image.", "What is in the image?", "Is it red or blue?", "Is it a cat, or a dog?",
    "Can you describe the photo?", "Could you explain this?", "How many dogs are there?", "There is a dog.",
    "Is there a dog", "Isolate the dog?", "Where is it? Is it here", "No.", "Yes", "I can see A. nothing else",
    "Look at B. and C. again", "Write two sentences about it!",
)  # fmt: skip
CHOICES = {
    "Which? A. cat B. dog": "AB",
    "Which animal is it?\nA. a cat\nB. a dog\nC. a horse": "ABC",
    "Pick one: (A) red (B) blue (C) green (D) grey": "ABCD",
    "Which? A) one B) two": "AB",
    "A: cat\nB: dog": "AB",
    "Is it A. a cat or B. a dog?": "AB",  # the options win over the question
    "A. cat B. dog. Is A. right?": "AB",
}


def test_yes_no() -> None:
    for prompt in YES_NO_PROMPTS:
        assert find_labels(prompt) is YES_NO, prompt


def test_open() -> None:
    for prompt in OPEN_PROMPTS:
        assert find_labels(prompt) is None, prompt


def test_multiple_choice() -> None:
    for prompt, names in CHOICES.items():
        labels = find_labels(prompt)
        assert labels is not None, prompt
        assert labels.names == tuple(names), prompt
        assert labels.forms == tuple((name,) for name in names), prompt


def test_every_label_has_its_forms() -> None:
    assert len(YES_NO.names) == len(YES_NO.forms)
    for name, forms in zip(YES_NO.names, YES_NO.forms, strict=True):
        assert {form.lower() for form in forms} == {name}


@given(st.text(max_size=300))
def test_any_text_gives_labels_or_none(prompt: str) -> None:
    labels = find_labels(prompt)
    assert labels is None or (len(labels.names) == len(labels.forms) >= 2 and all(labels.forms))
