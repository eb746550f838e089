"""The report: a round trip through JSON, refusal of what is not one, and exports that never turn text into markup."""

from __future__ import annotations

import copy
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from conformity import undescribed
from hypothesis import given, settings
from hypothesis import strategies as st

from halluapp import report
from halluapp.decoding.events import Token
from halluapp.errors import InputError
from halluapp.report import export, schema

PROBE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&[x](javascript:alert(1)) `a` | b {{ 7 * 7 }}{% endif %}{#"
)


def mention(text: str, word: str, verdict: str, **more) -> dict:
    start = text.index(word)
    return {
        "text": word, "start": start, "end": start + len(word), "object": word, "verdict": verdict, "box": None,
        "score": None, **more,
    }  # fmt: skip


def panel(**changes) -> dict:
    text = "A dog and a car."
    tokens = [Token(3, "A", 0.9, 0.8, 0.1, (("A", 0.9), ("The", 0.05))), Token(4, " dog", 0.5, 0.4, None, (), " cat")]
    mentions = [
        mention(text, "dog", "grounded", box=[0.1, 0.2, 0.5, 0.9], score=0.8, label="dog", reason="dog found"),
        mention(text, "car", "contradicted"),
    ]
    values = {"method": "vdd", "parameters": {"alpha": 1.0}, "text": text, "tokens": tokens, "mentions": mentions}
    return report.panel(**{**values, "seconds": 1.25, "forward_passes": 2, "reason": "end", **changes})


def example(**changes) -> dict:
    values = {
        "model": "tiny", "prompt": "What is here?", "seed": 7, "photo": {"sha256": "0" * 64, "width": 4, "height": 3},
        "detections": [{"label": "dog", "score": 0.8, "box": [0.1, 0.2, 0.5, 0.9]}], "panels": [panel()],
    }  # fmt: skip
    return report.build(**{**values, **changes})


def test_round_trip_is_exact():
    made = example()
    assert report.loads(report.dumps(made)) == made
    assert report.validate(made) is made


def test_a_file_is_read_as_a_report(tmp_path):
    made = example(labels=["dog"], sure=0.9)
    path = tmp_path / "report.json"
    path.write_text(report.dumps(made), encoding="utf-8")
    read = report.load(path)
    assert read.panels[0].tokens[0].top == [("A", 0.9), ("The", 0.05)]
    assert read.panels[0].mentions[0].verdict == "grounded"
    assert (read.schema_number, read.photo.width, read.labels) == (1, 4, ["dog"])
    assert report.dumps(read) == report.dumps(made)  # no key is lost, and their order stays
    assert report.html(read) == report.html(made)
    for wrong in (tmp_path, tmp_path / "nowhere.json"):
        with pytest.raises(InputError, match=r"cannot be read: .+[.]$"):
            report.load(wrong)


def test_keys_of_a_newer_version_are_kept():
    made = example()
    made["place"] = {"city": "Oslo"}
    made["panels"][0]["tokens"][0]["entropy"] = 0.25
    read = report.parse(made)
    assert read.panels[0].tokens[0].entropy == 0.25
    assert json.loads(report.dumps(read)) == made
    assert undescribed(read) == [".place", ".panels[0].tokens[0].entropy"]


FINITE = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TOKENS = st.lists(
    st.builds(
        Token, id=st.integers(0), text=st.text(), p=FINITE, p_main=FINITE, p_reference=FINITE,
        top=st.lists(st.tuples(st.text(), FINITE)).map(tuple), instead=st.none() | st.text(),
        notes=st.dictionaries(st.text(), FINITE), branches=st.lists(FINITE).map(tuple),
    ), max_size=3,
)  # fmt: skip


@st.composite
def panels(draw):
    text = draw(st.text())
    spans = draw(st.lists(st.tuples(*[st.integers(0, len(text))] * 2).map(sorted), max_size=3))
    box = st.none() | st.lists(st.floats(0, 1), min_size=4, max_size=4)
    mentions = [
        {"text": text[start:end], "start": start, "end": end, "object": draw(st.text()), "box": draw(box),
         "verdict": draw(st.sampled_from(sorted(report.MARKS))), "score": draw(FINITE), "label": None, "reason": ""}
        for start, end in spans
    ]  # fmt: skip
    return panel(
        method=draw(st.text()), text=text, tokens=draw(TOKENS), mentions=mentions, seconds=draw(FINITE),
        forward_passes=draw(st.none() | st.integers(0)), error=draw(st.none() | st.text()),
    )  # fmt: skip


@settings(max_examples=40)
@given(st.lists(panels(), max_size=2), st.text(), st.integers(), FINITE, st.none() | st.lists(st.text()))
def test_report_to_json_to_report(those, prompt, seed, sure, labels):
    made = example(panels=those, prompt=prompt, seed=seed, sure=sure, labels=labels)
    read = report.parse(made)
    again = report.parse(json.loads(report.dumps(read)))
    assert again == read
    assert report.loads(report.dumps(again)) == made
    assert report.html(again) == report.html(made)
    assert report.markdown(again) == report.markdown(made)


def test_names_of_the_schema():
    made = example()
    assert made["schema"] == 1
    assert {"model", "prompt", "seed", "photo", "versions", "detections", "panels"} <= set(made)
    first = made["panels"][0]
    assert {"method", "parameters", "text", "error", "tokens", "mentions", "seconds", "forward_passes"} <= set(first)
    assert {"id", "text", "p", "p_reference", "top"} <= set(first["tokens"][0])
    assert first["tokens"][0]["top"] == [["A", 0.9], ["The", 0.05]]


def test_numbers_that_json_lacks_become_null():
    token = Token(1, "x", math.nan, 0.1, math.inf, (("x", -math.inf),), notes={"scores": torch.tensor([1.0, math.inf])})
    made = example(panels=[panel(tokens=[token], seconds=float("nan"), parameters={"a": np.float32(0.5)})])
    text = report.dumps(made)
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    first = report.loads(text)["panels"][0]
    assert first["tokens"][0]["p"] is None
    assert first["tokens"][0]["notes"] == {"scores": [1.0, None]}
    assert first["seconds"] is None
    assert first["parameters"] == {"a": 0.5}


def test_undecodable_command_line_bytes_can_be_written():
    made = example(prompt="caf\udce9")
    assert report.loads(report.dumps(made).encode("utf-8")) == made


def test_a_failed_panel_is_a_valid_one():
    failed = panel(
        text="", tokens=[], mentions=[], seconds=None, forward_passes=None, reason=None, error="No weights <here>."
    )
    made = report.validate(example(panels=[failed]))
    assert "Failed: No weights \\<here\\>." in report.markdown(made)
    assert "No weights &lt;here&gt;." in report.html(made)


def _set(path: tuple, value):
    def change(made: dict) -> None:
        for key in path[:-1]:
            made = made[key]
        made[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda made: made.pop("schema"), "schema"),
        (_set(("schema",), 2), "schema 2"),
        (_set(("schema",), True), "schema True"),
        (_set(("schema",), "1"), "schema '1'"),
        (lambda made: made.pop("panels"), "report.panels is missing"),
        (_set(("panels",), {}), "report.panels must be a list"),
        (_set(("panels", 0), None), "report.panels[0] must be an object"),
        (_set(("panels", 0, "text"), 3), "report.panels[0].text must be text"),
        (_set(("panels", 0, "tokens", 1, "p"), math.nan), "tokens[1].p must be"),
        (_set(("panels", 0, "tokens", 0, "top"), [["A"]]), "tokens[0].top must hold"),
        (_set(("panels", 0, "mentions", 0, "verdict"), "true"), "must be one of grounded"),
        (_set(("panels", 0, "mentions", 0, "end"), 999), "points outside"),
        (_set(("panels", 0, "mentions", 0, "start"), True), "must be a whole number"),
        (_set(("panels", 0, "mentions", 0, "box"), [0, 1]), "four numbers"),
        (_set(("detections", 0, "box"), None), "four numbers"),
        (_set(("photo", "width"), "4"), "report.photo.width"),
        (_set(("panels", 0, "seconds"), 10**400), "seconds must be"),
    ],
)
def test_wrong_shapes_are_refused_in_one_sentence(change, says):
    made = copy.deepcopy(example())
    change(made)
    with pytest.raises(InputError) as caught:
        report.validate(made)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[]", '"x"', b"\xff\xfe\x00", b"\x89PNG\r\n"])
def test_text_that_is_no_report_is_refused(text):
    with pytest.raises(InputError):
        report.loads(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["method", "text", "box"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(["model", "prompt", "seed", "photo", "versions", "detections", "panels"]), JSON)
def test_any_part_is_accepted_or_refused_but_never_a_crash(key, value):
    try:
        report.validate({**example(), key: value})
    except InputError as error:
        assert "\n" not in str(error)


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


def test_verdict_names_are_those_of_the_judge():
    from halluapp.grounding import verdicts

    assert set(report.MARKS) == set(get_args(schema.Verdict))
    assert tuple(report.MARKS) == verdicts.VERDICTS


def test_versions_without_imports():
    code = "import sys; from halluapp import report; v = report.versions(); assert v['torch'] and v['halluapp'];"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'gradio', 'bitsandbytes')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_help_needs_neither_pydantic_nor_jinja():
    code = "import sys, halluapp.cli.main as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(name in sys.modules for name in ('pydantic', 'jinja2')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0
