"""Answers that come in another order than the clicks: the newer sentence of the training tab stays."""

from __future__ import annotations

import threading

import pytest
from served import app
from train_page import TrainTab

from halluapp.ui.train import data, texts


@pytest.fixture
def gate(monkeypatch) -> threading.Event:
    """The check of pairs waits for it, as it does for a large file."""
    opened, check = threading.Event(), data.check

    def late(path: str) -> str:
        assert opened.wait(60)
        return check(path)

    monkeypatch.setattr(data, "check", late)
    return opened


def test_a_late_answer_never_replaces_a_newer_sentence(browser, gate, tmp_path):
    with app(runs=tmp_path / "runs") as url:
        tab = TrainTab(browser, url)
        tab.page.click("#train-check")
        tab.open_section(texts.PRESETS)
        tab.page.locator(".train-presets button:visible").first.click()
        sentence = tab.wait_notice("Preset")
        gate.set()
        tab.page.wait_for_selector("#train-pairs img")  # the answer has come: its pairs are drawn
        assert tab.page.locator("#train-notice .notice").text_content() == sentence
        tab.page.click("#train-check")
        tab.wait_notice("every line is in order")
        for caption in tab.page.locator("#train-pairs .caption-label").all():
            assert "hallucinated:" in caption.text_content()
            assert caption.evaluate("(node) => node.scrollWidth <= node.clientWidth + 1")
        tab.fill("name", "vdd")  # a name that Start refuses
        tab.page.wait_for_function(
            "() => document.querySelector('#train-command textarea').value.startsWith('vdd is the name of a method')"
        )
        tab.fill("chip-steps", 2.5)
        tab.page.wait_for_function("() => document.querySelector('#train-notice .notice').textContent === ''")
        tab.page.click("#train-start")
        assert "whole number" in tab.wait_notice("steps must be")
        assert tab.errors == []
        tab.page.close()
