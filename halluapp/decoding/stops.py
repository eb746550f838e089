"""Stop strings: texts that end an answer and are not part of it."""

from __future__ import annotations


def cut(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """What may be shown of a growing answer -> (text, whether a stop string has ended it).

    The text ends before the earliest stop string. Until one is complete, its beginning at the end of the text is held
    back too: what has been shown never has to be taken back.
    """
    found = [place for stop in stops if (place := text.find(stop)) >= 0]
    if found:
        return text[: min(found)], True
    held = max((_begun(text, stop) for stop in stops), default=0)
    return text[: len(text) - held], False


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of the text are the beginning of the stop string."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
