"""Errors that are shown to a person as they are: one sentence with the cause and what to try."""


class InputError(ValueError):
    """Something the person gave cannot be used (photo, prompt, parameter, path)."""


class MissingWeights(RuntimeError):
    """A method needs weights (a HalluSpace, a projector, an adapter) that this model does not have."""


LONGEST = 80  # characters of somebody's value in a sentence


def excerpt(text: str) -> str:
    """A text from outside, short enough for a sentence."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def quotation(value: object) -> str:
    """A value from outside as Python writes it, short enough for a sentence."""
    return excerpt(repr(value))
