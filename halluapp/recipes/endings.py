"""How the command of a recipe ends."""

from __future__ import annotations

import sys
from collections.abc import Callable

from halluapp.errors import InputError


def exit_code(work: Callable[[], object]) -> int:
    """Runs the recipe -> 0, or 2 with one clear line."""
    try:
        work()
    except (InputError, ValueError) as error:
        print(f"halluapp: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
