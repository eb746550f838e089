"""What the loaded model was trained to answer, and whether a prompt asks for something else."""

from __future__ import annotations

import re

from halluapp.serving.models.choices import POCKET, Choice
from halluapp.settings import RANDOM
from halluapp.ui.model_picker import texts

FOREIGN_SHARE = 0.2  # of the letters of a prompt that is not English
# The first that a prompt matches; "how many" before "how", and reading before persons ("the name on the boat").
KINDS = {
    "count": r"\b(how many|count|number of)\b",
    "reading": r"\b(read|written|transcribe|license plate|text (in|on|of)|(sign|label|shirt|banner|screen) says?)\b"
    r"|\bwhat does .{0,30}\bsay\b",
    "person": r"\bwho(se| is| are|'s)\b|\b(his|her|their|person's) names?\b|\bfamous\b|\bcelebrity\b",
    "time": r"\b(happened|happens?|will|going to) .{0,20}\b(before|after|next|happen)\b|^\s*why\b|\byesterday\b",
    "task": r"\b(translate|poem|story|joke|code|python|essay|email|recipe|equation|solve|capital of)\b"
    r"|\d\s*[-+*/x]\s*\d",
}  # fmt: skip
_PATTERNS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in KINDS.items()}


def kind_of(prompt: str) -> str:
    """The kind of a prompt that the embedded model was not trained for, a key of `texts.LIMITS`; "" for none."""
    letters = [letter for letter in prompt if letter.isalpha()]
    foreign = sum(not letter.isascii() for letter in letters)
    if letters and foreign > FOREIGN_SHARE * len(letters):
        return "language"
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(prompt)), "")


def note(model: str, prompt: str) -> str:
    """What stands under the prompt. model: as `Settings.model`, "auto" with the model that it chose."""
    if model != POCKET:
        text = texts.RANDOM if model.startswith(RANDOM) else texts.GENERAL
        return text.format(model=Choice(model).title)
    kind = kind_of(prompt or "")
    return texts.LIMITS[kind] if kind else texts.TRAINED
