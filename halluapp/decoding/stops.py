"""Stop strings: texts that end an answer and are not part of it."""

from __future__ import annotations


def cut(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """The part of a growing answer that can be shown -> (text, whether a stop string has ended it).

    The text ends before the earliest stop string. Until one is complete, its beginning at the end of the text is held
    back too: what has been shown never has to be taken back.
    """
    starts = [start for stop in stops if (start := text.find(stop)) >= 0]
    if starts:
        return text[: min(starts)], True
    partial = max((_partial_length(text, stop) for stop in stops), default=0)
    return text[: len(text) - partial], False


def _partial_length(text: str, stop: str) -> int:
    """The number of characters at the end of the text that begin the stop string."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
