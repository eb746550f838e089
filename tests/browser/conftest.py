from __future__ import annotations

import pytest
from chromium import chromium_path, launch_chromium
from served import app


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
