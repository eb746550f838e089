from __future__ import annotations

from pathlib import Path

import pytest
from page import Visit
from served import app, chromium_path, launch_chromium


def pytest_collection_modifyitems(items) -> None:
    """Every test of this folder needs a browser, so `-m "not browser"` leaves all of them out."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


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


@pytest.fixture
def visit(browser, address):
    """The page with its first example drawn; a module may have another."""
    visit = Visit(browser, address)
    visit.page.wait_for_selector(".panel .own")
    yield visit
    visit.page.close()
