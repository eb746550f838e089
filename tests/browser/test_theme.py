"""Light and dark: as the system has it, until somebody presses the button; then as it was chosen, in this browser."""

from __future__ import annotations

import pytest
from page import Visit

DARK = "() => document.body.classList.contains('dark')"
SHADE = """() => {
  const [r, g, b] = getComputedStyle(document.querySelector('gradio-app')).backgroundColor.match(/\\d+/g).map(Number);
  return (r + g + b) / 3; }"""


def reload(visit: Visit) -> None:
    visit.page.reload()
    visit.page.wait_for_selector(".panel .own")


def system(visit: Visit, scheme: str) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.wait_for_function(f"() => matchMedia('(prefers-color-scheme: {scheme})').matches")


def press(visit: Visit) -> None:
    name = "Light" if visit.page.evaluate(DARK) else "Dark"
    visit.page.get_by_role("button", name=name, exact=True).press("Enter")


def test_the_page_follows_the_system_until_somebody_chooses(visit):
    page = visit.page
    for scheme in ("dark", "light"):
        system(visit, scheme)
        page.wait_for_function(DARK if scheme == "dark" else f"() => !({DARK})()")
    press(visit)
    assert page.evaluate(DARK)
    assert page.evaluate(SHADE) < 60
    assert visit.errors == []  # a reload breaks off gradio's own requests
    reload(visit)
    assert page.evaluate(DARK)  # it is remembered, against the system
    press(visit)
    assert page.evaluate(SHADE) > 200
    assert page.evaluate("() => localStorage.getItem('halluapp-theme')") is None
    system(visit, "dark")  # the system's own theme is no choice against it
    reload(visit)
    assert page.evaluate(DARK)
    press(visit)
    system(visit, "light")
    system(visit, "dark")
    assert not page.evaluate(DARK)


def test_both_themes_can_be_read_after_a_switch(visit):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for _ in range(2):
        press(visit)
        visit.page.wait_for_timeout(300)
        violations = axe.run(visit.page, options={"runOnly": ["color-contrast"]}).response["violations"]
        assert not violations, [node["html"][:200] for one in violations for node in one["nodes"]]
