"""The page in Chinese: chosen by the browser or by the switch, whole, with nothing of a model's words translated."""

from __future__ import annotations

import re

import pytest
from page import Visit

# Visible texts of the page and names of its parts, without what a model, a person or a file said.
TEXTS = """() => {
  const found = new Set(), names = ["aria-label", "title", "placeholder", "alt", "data-label"];
  for (const node of document.body.querySelectorAll("*")) {
    if (node.closest("[translate=no], script, style, textarea, pre, code") || !node.checkVisibility()) continue;
    for (const part of node.childNodes) if (part.nodeType === Node.TEXT_NODE) found.add(part.nodeValue.trim());
    for (const name of names) if (node.hasAttribute(name)) found.add(node.getAttribute(name).trim());
  }
  return [...found];
}"""
DONE = "() => document.querySelector('.status-text').textContent.startsWith('完成')"
LANGUAGE = "() => document.documentElement.lang"
HAN = re.compile(r"[\u4e00-\u9fff]")
SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
HALF = re.compile(r"(?:[a-z]{2,}[,;:]? ){3}[a-z]{2,}")
PROMPTS = "Describe this image|List the objects|Is there a dog"


def english(page) -> list[str]:
    """Sentences on the page that are still English, or half so; prompts are for the model."""
    texts = [text for text in page.evaluate(TEXTS) if not re.match(PROMPTS, text)]
    return [text for text in texts if (HALF if HAN.search(text) else SENTENCE).search(text)]


@pytest.fixture(scope="module")
def chinese(browser, address):
    visit = Visit(browser, address, locale="zh-CN")
    visit.page.wait_for_selector(".panel .own")
    yield visit
    visit.page.close()


def test_a_chinese_browser_gets_a_chinese_page(chinese):
    page = chinese.page
    assert page.evaluate(LANGUAGE) == "zh-CN"
    page.click(".toggle-settings")
    for fold in page.locator("#settings button.label-wrap").all():
        fold.click()
    assert english(page) == []
    answers = chinese.texts()
    page.locator(".panel .seg.m").first.click()
    assert english(page) == []
    assert not any(HAN.search(answer) for answer in answers)
    page.keyboard.press("Escape")
    page.click(".toggle-settings")
    assert chinese.errors == chinese.outside == []


def test_what_the_server_says_is_chinese_too(chinese):
    page = chinese.page
    chinese.ask(" ")
    page.click("#run")
    page.wait_for_selector("#panels .error:not([hidden])")
    assert page.inner_text("#panels .error").startswith("提示词为空")
    chinese.ask("Is there a dog in the image?")
    page.click("#run")
    page.wait_for_function(DONE, timeout=60_000)
    assert english(page) == []


def test_the_fold_and_the_training_tab_are_chinese(chinese):
    page = chinese.page
    page.click("#inside summary")
    for view in ("evidence", "attention", "counterfactual", "visual"):
        page.click(f"#inside [data-view={view}]")
        page.wait_for_function("() => !document.querySelector('#inside .view .pulse')", timeout=60_000)
        assert english(page) == [], view
    page.get_by_role("tab", name="训练", exact=True).click()
    page.wait_for_selector("#train-start")
    for fold in page.locator("#train button.label-wrap:visible").all():
        fold.click()
    page.wait_for_timeout(500)
    assert english(page) == []


def test_the_switch_changes_the_page_at_once_and_is_remembered(visit):
    page = visit.page
    run = page.get_attribute("[data-run]", "data-run")
    for language, button in (("zh-CN", "运行"), ("en", "Run"), ("zh-CN", "运行")):
        page.click(".language-switch")
        assert page.evaluate(LANGUAGE) == language
        assert page.inner_text("#run") == button
        assert page.get_attribute("[data-run]", "data-run") == run  # the result stays
        assert any(HAN.search(text) for text in page.evaluate(TEXTS)) == (language == "zh-CN")
    page.reload()
    page.wait_for_selector(".panel .own")
    assert page.evaluate(LANGUAGE) == "zh-CN"
    assert page.inner_text("#run") == "运行"
