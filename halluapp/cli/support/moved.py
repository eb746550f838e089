"""Commands that live elsewhere now: they say where."""

from __future__ import annotations

import argparse

from halluapp.errors import InputError


def add(commands) -> None:
    """Adds the old names."""
    command = commands.add_parser("pocket", help="moved to: python -m halluapp.recipes.pocket")
    command.add_argument("rest", nargs=argparse.REMAINDER)
    command.set_defaults(run=run)


def run(options) -> int:
    """Raises InputError with the command that does it now."""
    words = " ".join(word for word in options.rest if word)
    raise InputError(f"`halluapp pocket` has moved; type: python -m halluapp.recipes.pocket {words}".strip())
