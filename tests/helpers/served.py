"""What the api and browser tiers launch: the app on the embedded model at a free port, and Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from halluapp.settings import Settings

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip


@contextmanager
def app(**changes) -> Iterator[str]:
    """Launches the app with changed settings -> its address; closes it afterwards."""
    from halluapp.ui.app import launch

    blocks, address = launch(Settings(port=0, **changes), quiet=True)
    try:
        yield address
    finally:
        blocks.close()


def chromium_path() -> str | None:
    """The installed Chromium, None without one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def launch_chromium() -> Iterator:
    """A headless browser of playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
