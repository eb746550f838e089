"""Exports of a report never turn text into markup, and show every verdict without colour."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from example_reports import PROBE, example, mention, panel
from hypothesis import given
from hypothesis import strategies as st

from halluapp import report
from halluapp.errors import InputError
from halluapp.report import export


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.titles: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data):
        self.text += data


def probed() -> dict:
    text = "A " + PROBE + " dog " + PROBE
    found = [mention(text, "dog", "not checkable", object=PROBE, reason=PROBE), mention(text, "<script>", "grounded")]
    return example(
        model=PROBE, prompt=PROBE, detections=[{"label": PROBE, "score": 0.5, "box": [0, 0, 1, 1]}],
        panels=[panel(method=PROBE, text=text, mentions=found, explanation=PROBE), panel(error=PROBE)],
    )  # fmt: skip


def test_probe_stays_text_in_html():
    page = report.html(report.validate(probed()), photo=b"\xff\xd8\xff0")
    tags = _Tags()
    tags.feed(page)
    assert "script" not in tags.tags
    assert tags.tags.count("img") == 1
    assert not {name for name in tags.names if name.startswith("on")}
    assert "href" not in tags.names
    assert "http" not in page.replace("http-equiv", "")
    assert tags.text.count(PROBE) == 7
    assert tags.titles[1] == f"{PROBE} – {PROBE}"


@given(st.text(alphabet=st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_any_text_is_shown_as_it_is(text):
    """Browsers read CR as LF and NUL as U+FFFD, so those two cannot come back."""
    tags = _Tags()
    tags.feed(report.html(example(prompt=text, panels=[panel(text=text, mentions=[], explanation=text)])))
    assert f"Comparison\n{text}\n" in tags.text
    assert f"\n{text}\n" in tags.text.partition("vdd")[2]
    assert {"script", "img", "iframe", "svg", "a", "form"}.isdisjoint(tags.tags)


def test_the_page_is_under_a_policy_that_loads_nothing():
    page = report.html(example(), photo=b"RIFF")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert page.index(f'http-equiv="Content-Security-Policy" content="{policy}"') < page.index("<style>")
    assert 'src="data:image/webp;base64,UklGRg=="' in page
    assert page.startswith("<!doctype html>")
    assert "left:10.00%;top:20.00%;width:40.00%;height:70.00%" in page
    assert "dog</span>" in page
    assert "<img" not in report.html(example(), photo=b"GIF89a")
    assert "<img" not in report.html(example())


def test_the_template_escapes_everything():
    source = (Path(export.__file__).parent / "template.html.j2").read_text(encoding="utf-8")
    assert export._template().environment.autoescape is True
    assert not re.search(r"autoescape|\|\s*safe|Markup", source)


def test_what_is_no_report_is_not_exported():
    for write in (report.html, report.markdown):
        with pytest.raises(InputError, match="no schema number"):
            write({"panels": []})


def test_probe_stays_text_in_markdown():
    text = report.markdown(report.validate(probed()))
    assert "<script" not in text.replace("\\<script", "")
    assert "](javascript" not in text.replace("\\](javascript", "")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1  # no cell breaks out of its row


def test_markdown_cannot_start_a_block():
    text = report.markdown(example(prompt="# Title\n- item\n1. one\n> quote\n---"))
    assert "> \\# Title  \n> \\- item  \n> 1\\. one  \n> \\> quote  \n> \\---" in text


def test_names_cannot_start_a_line_and_numbers_stay_readable():
    made = example(panels=[panel(method="a\n# b", explanation="c\n\n# d")])
    text = report.markdown(made)
    assert "\n## a \\# b\n\nc \\# d\n" in text
    assert "| 1.25 |" in text


def test_verdicts_are_marked_without_colour():
    page, text = report.html(example()), report.markdown(example())
    assert "**dog** ✓" in text
    assert "**car** ✗" in text
    assert 'style="text-decoration-style:wavy" title="car – contradicted' in page
    assert "car ✗</mark>" in page
    assert len({mark[0] for mark in report.MARKS.values()}) == len({mark[1] for mark in report.MARKS.values()}) == 4


def test_overlapping_mentions_keep_the_text():
    text = "a hot dog stand"
    mentions = [mention(text, word, "grounded") for word in ("hot dog", "dog", "stand")]
    pieces = export._pieces(report.parse(example(panels=[panel(text=text, mentions=mentions)])).panels[0])
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, one in pieces if one] == ["hot dog", "stand"]


@given(st.text("ab cd,\n", max_size=40), st.text("ab cd,\n", max_size=40))
def test_what_differs_from_the_baseline_is_marked_and_no_letter_is_lost(first, second):
    read = report.parse(example(panels=[
        panel(method="baseline", text=first, mentions=[]), panel(method="vdd", text=second, mentions=[])
    ]))  # fmt: skip
    pieces = export._marked_pieces(read.panels[1], read)
    assert "".join(piece for piece, _, _ in pieces) == second
    if first.split() == second.split():
        assert not any(differs for _, _, differs in pieces)
    assert all(not differs for _, _, differs in export._marked_pieces(read.panels[0], read))


def test_the_words_that_a_method_changed_are_marked_in_html():
    panels = [panel(method="baseline", text="A red kite.", mentions=[]), panel(text="A big boat.", mentions=[])]
    page = report.html(example(panels=panels))
    assert 'A <span class="own">big boat</span>.' in page
    assert page.count('class="own"') == 1


def test_exports_say_what_the_numbers_depend_on():
    flags = [{"method": "vdd", "start": 0, "end": 3, "text": "dog", "verdict": "grounded"}]
    made = {**example(), "date": "2026-11-30T12:00:00+00:00", "flags": flags}
    made["photo"]["name"] = "park.png"
    legend = [words for _, _, words in report.MARKS.values()]
    for text in (report.html(made), report.markdown(made).replace("\\", "")):
        for part in ("2026-11-30", "park.png", "dog (grounded, vdd)", *legend):
            assert part in text
