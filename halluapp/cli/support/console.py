"""What a console cannot print ends no command: signs get another form, other characters a question mark."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys

PLAIN = {
    "✓": "+",
    "✗": "x",
    "–": "-",
    "—": "-",
    "…": "...",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "×": "x",
    "→": "->",
}
HANDLER = "halluapp.plain"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def make_printable() -> None:
    """Lets standard output take every text: ascii and cp1252 lack signs that we print, UTF-8 lacks lone surrogates."""
    codecs.register_error(HANDLER, _plain)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=HANDLER)


def close() -> None:
    """After a reader went away (`halluapp ... | head`): Python must not try again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
