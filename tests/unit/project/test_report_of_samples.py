"""A comparison of several samples: each is judged and reported as the comparison with its seed alone."""

from __future__ import annotations

import json

import gradio as gr
import pytest
from conformity import undescribed
from tiny import OPEN, photo
from tiny_sessions import tiny_session

from halluapp import report as reports
from halluapp.comparison import stream, texts_of
from halluapp.decoding.events import Finished
from halluapp.errors import InputError
from halluapp.methods.registry import METHODS
from halluapp.request import make_request
from halluapp.serving import zero_gpu
from halluapp.ui.compare import opened, state
from halluapp.ui.inside import state as inside

METHODS_HERE = ["baseline", "vdd", "vcd", "chip"]
SAMPLING = {"max_new_tokens": 9, "temperature": 1.2}
SAME = ("text", "error", "mentions", "reason", "inventions", "difference", "answer", "forward_passes")


class Judge:
    """A calibrated detector that knows some of the words the tiny model can say."""

    name, labels = "judge", ("dog", "cat", "horse", "car")

    def detect(self, photo):
        return []

    def presence(self, photo, detections):
        return {"dog": 0.9, "cat": 0.2, "horse": 0.4, "car": 0.05}


def request(seed: int = 3, samples: int = 1):
    return make_request(photo(), OPEN, METHODS_HERE, seed=seed, samples=samples, **SAMPLING)


@pytest.fixture(scope="module")
def report() -> dict:
    return list(stream(request(samples=3), tiny_session()))[-1].report


def test_every_sample_is_the_report_of_its_seed(report) -> None:
    assert report["samples"] == 3
    for number in range(3):
        alone = list(stream(request(3 + number), tiny_session()))[-1].report
        for panel, other in zip(report["panels"], alone["panels"], strict=True):
            answer = panel["samples"][number - 1] if number else panel
            assert {key: answer[key] for key in SAME} == {key: other[key] for key in SAME}, panel["method"]
            assert [token["id"] for token in answer["tokens"]] == [token["id"] for token in other["tokens"]]
            assert other["samples"] == []
            assert other["spread"] is None
        assert [panel["samples"][1]["seed"] for panel in report["panels"]] == [5] * 4


def test_the_report_is_as_described_and_every_export_shows_all_samples(report) -> None:
    assert undescribed(reports.parse(reports.validate(report))) == []
    texts = [sample["text"] for panel in report["panels"][:3] for sample in panel["samples"]]
    page, markdown = reports.html(report), reports.markdown(report)
    assert page.count("With seed 4:") == markdown.count("With seed 4:") == 4
    assert len(texts) == 6
    assert "Samples of every method: 3" in markdown
    example = {**report["panels"][1], "spread": {"n": 3, "words": 5.0, "named": 2.5, "mean": 1.25, "deviation": 0.5,
               "least": 0.75, "most": 1.75, "difference": {"value": -0.5, "low": -1.0, "high": 0.0}}}  # fmt: skip
    table = reports.markdown({**report, "panels": [example]})
    assert "1.2 ± 0.5 (sd) of 2.5 (mean of 3 samples)" in table
    assert "-0.5 \\[-1.0, +0.0\\]" in table


def test_the_page_streams_the_first_sample_and_ends_with_all() -> None:
    current, states = state.ComparisonState(photo(), OPEN, 0.9, "", 3), []
    for event in stream(request(samples=3), tiny_session()):
        current.add(event)
        states.append(current.snapshot())
        if isinstance(event, Finished):
            panel = next(panel for panel in states[-1]["panels"] if panel["method"] == event.method)
            assert (panel["status"] == "decoding") == (current._ends[event.method] < 3)
    final = states[-1]
    json.dumps(final, allow_nan=False)
    assert all(not panel["samples"] for panel in states[-2]["panels"])
    assert [len(panel["samples"]) for panel in final["panels"]] == [2] * 4
    for panel in final["panels"][:3]:
        for answer in [panel, *panel["samples"]]:
            tokens = [json.loads(token) for token in answer["tokens"]]
            assert tokens[-1]["e"] == len(answer["text"])
        assert panel["spread"]["n"] == 3
    assert state.of_report(current.report)["panels"][1]["samples"] == final["panels"][1]["samples"]


def test_another_sureness_judges_all_samples(report) -> None:
    texts = ["A dog.", "A dog and a cat.", "A cat and a car."]
    panels = [
        {**panel, "text": text, "samples": [{**panel["samples"][0], "text": f"{text} A horse."}], "tokens": []}
        for panel, text in zip(report["panels"][:3], texts, strict=True)
    ]
    judge = {"presence": Judge().presence(None, []), "support": {}, "cuts": {"ground": 0.8, "contradict": 0.3}}
    labelled = {**report, "labels": list(Judge.labels), "judge": judge, "panels": panels}
    sure, unsure = (state.judge_again(labelled, value)["panels"] for value in (0.95, 0.6))
    for panel in (*sure, *unsure):
        for answer in (panel, *panel["samples"]):
            assert answer["inventions"]["named"] == len(answer["mentions"])
        mean = (panel["inventions"]["expected"] + panel["samples"][0]["inventions"]["expected"]) / 2
        assert panel["spread"]["mean"] == pytest.approx(mean)
    differences = [panel["spread"]["difference"] for panel in sure]
    assert differences[0] is None
    assert [one["value"] for one in differences[1:]] == pytest.approx([0.8, 1.65])
    assert sure[1]["samples"][0]["difference"]["value"] == pytest.approx(0.8)


def test_a_flag_belongs_to_a_sample(report) -> None:
    verdict = {"text": "dog", "start": 2, "end": 5, "object": "dog", "verdict": "grounded", "box": None, "score": None}
    sample = {**report["panels"][1]["samples"][1], "text": "A dog.", "mentions": [verdict]}
    panel = {**report["panels"][1], "samples": [report["panels"][1]["samples"][0], sample]}
    labelled = {**report, "panels": [report["panels"][0], panel]}
    result = {"stage": {**state.of_report(labelled), "link": ""}, "report": labelled}
    click = gr.EventData(None, {"method": "vdd", "start": 2, "sample": 2})
    _, flagged, *_ = opened.flag(result, click)
    assert flagged["report"]["flags"] == [
        {"method": "vdd", "start": 2, "end": 5, "text": "dog", "verdict": "grounded", "sample": 2}
    ]
    assert "dog (grounded, vdd, sample 3)" in reports.markdown(flagged["report"])
    assert opened.flag(flagged, click)[1]["report"]["flags"] == []
    for other in (0, 1, 7, "x", None):
        assert opened.flag(result, gr.EventData(None, {"method": "vdd", "start": 2, "sample": other}))[1] == gr.skip()


def test_the_fold_can_look_into_every_sample(report) -> None:
    panels = inside.of_result({"stage": state.of_report(report), "report": report})["panels"]
    names = [panel["method"] for panel in panels]
    assert names == [f"{name}{mark}" for name in METHODS_HERE for mark in ("", "#1", "#2")]
    assert panels[5]["title"] == "VDD, sample 3"
    assert inside._sample("vdd#2") == ("vdd", 2)
    for name in ("vdd#9", "vdd#", "adapter:a#x", "vdd"):
        assert inside._sample(name) == (name, 0)


def test_bad_numbers_of_samples_get_one_sentence() -> None:
    for wrong in ({"samples": 2}, {"samples": 9, "temperature": 1}, {"samples": 0}, {"samples": 1.5},
                  {"samples": 8, "temperature": 1, "methods": list(METHODS)}):  # fmt: skip
        with pytest.raises(InputError) as caught:
            make_request(photo(), OPEN, **wrong)
        assert str(caught.value).endswith(".")
    with pytest.raises(InputError, match="one text"):
        texts_of([request(samples=2)], tiny_session())


def test_a_stopped_worker_ends_every_sample() -> None:
    def work(request):
        from halluapp import comparison

        yield from comparison.events(request, tiny_session())

    decoded: list = []
    events = stream(request(samples=2), tiny_session(), lambda: len(decoded) > 9, zero_gpu.stoppable_runner(work))
    end = [decoded.append(event) or event for event in events][-1].report
    for panel in end["panels"][:3]:
        assert [answer["reason"] for answer in (panel, *panel["samples"])] == ["stopped", "stopped"]
    assert zero_gpu.seconds_for(request(samples=4)) > zero_gpu.seconds_for(request())
