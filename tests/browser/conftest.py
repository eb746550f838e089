from __future__ import annotations

import pytest
from served import app, chromium_path, launch_chromium


@pytest.fixture(scope="session")
def browser():
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium_path() is None:
        pytest.skip("no Chromium is installed")
    with launch_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def address(browser):
    with app() as url:
        yield url
