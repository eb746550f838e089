"""A really launched app for the api and browser tiers: the embedded model, a free port, one process a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from halluapp.settings import Settings


@contextmanager
def app(**changes) -> Iterator[str]:
    """Launches the app with changed settings -> its address; closes it afterwards."""
    from halluapp.ui.app import build, launch_options

    settings = Settings(port=0, **changes)
    blocks = build(settings).queue(max_size=8)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(settings))
    try:
        yield address
    finally:
        blocks.close()
