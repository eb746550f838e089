"""The state of a comparison: the one plain dict that the panel component draws, built from the events of a run."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from PIL import Image

from halluapp.data.photos import small_jpeg
from halluapp.decoding.events import Decoded, Detected, Done, Event, Failed, Finished, Started, Status
from halluapp.grounding.answers import judge_answer
from halluapp.grounding.evidence import Evidence
from halluapp.grounding.inventions import expected_difference, expected_inventions
from halluapp.grounding.spread import answers, spread
from halluapp.grounding.verdicts import judge_text
from halluapp.methods.baseline import Baseline
from halluapp.request import SURE
from halluapp.serving.models.choices import Choice
from halluapp.ui import texts
from halluapp.ui.model_picker.texts import answered_by

URL = "data:image/jpeg;base64,"
# Of a state that stays when its verdicts are judged again: no text changes.
LASTING = ("status", "vote", "voted", "kept", "link", "files")
_run_numbers = itertools.count(1)


def empty(error: str = "") -> dict[str, Any]:
    """The state before any run, or with the sentence that says why there was none."""
    return {
        "run": 0,
        "status": "" if error else texts.READY,
        "error": error,
        "busy": False,
        "photo": "",
        "name": "",
        "prompt": "",
        "model": "",
        "measured": {},
        "judge": None,
        "panels": [],
        "flags": [],
        "votes": 0,
        "vote": None,
        "voted": False,
        "kept": False,
        "link": "",
        "files": "",
    }


def of_photo(photo: Image.Image, name: str = "") -> dict[str, Any]:
    """The state of a photo that nobody has asked about yet."""
    return {**empty(), "run": next(_run_numbers), "photo": URL + preview(photo), "name": name}


def _measured(figures: Mapping[str, Any], sure: float | None) -> Mapping[str, Any]:
    """How right the verdicts were, which was measured at the default sureness alone."""
    return figures if sure == SURE else {}


def preview(photo: Image.Image) -> str:
    """The photo as the page shows it, upright and small: a JPEG in base64."""
    return base64.b64encode(small_jpeg(photo)).decode()


def of_report(report: Mapping[str, Any], run: int = 0) -> dict[str, Any]:
    """The state that shows a report as it was judged. run: the number of its run (0: a new one)."""
    photo, longest = report["photo"], max((panel["seconds"] or 0 for panel in report["panels"]), default=0)
    stopped, judge = any(panel.get("reason") == "stopped" for panel in report["panels"]), report.get("judge") or {}
    votes = report.get("votes", [])
    return {
        **empty(),
        "run": run or next(_run_numbers),
        "status": texts.STOPPED if stopped else texts.DONE.format(seconds=longest),
        "photo": URL + photo["preview"] if photo.get("preview") else "",
        "name": photo.get("name", ""),
        "size": [photo["width"], photo["height"]],
        "prompt": report["prompt"],
        "sure": report.get("sure"),
        "model": answered_by(Choice(report["model"]["name"]).title, report["model"].get("quantization")),
        "detector": report["model"].get("detector") or "",
        "measured": _measured(judge.get("measured", {}), report.get("sure")),
        "panels": [_panel_of_report(panel) for panel in report["panels"]],
        "judge": {name: judge.get(name) or {} for name in ("cuts", "support")} if judge.get("presence") else None,
        "flags": report.get("flags", []),
        "votes": len(votes),
        "vote": {"ranks": {}, "wrong": [], **votes[-1]} if votes else None,
    }


def _panel_of_report(panel: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_panel(panel),
        **_answer_of_report(panel),
        "title": panel.get("title") or panel["method"],
        "samples": [{**_answer_of_report(sample), "seed": sample["seed"]} for sample in panel.get("samples", [])],
        "spread": panel.get("spread"),
    }


def _answer_of_report(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a panel shows of one answer: of a panel of a report, or of one of its further samples."""
    tokens, start, labels = [], 0, None
    for token in answer["tokens"]:
        end = token.get("end")
        end = min(start + len(token["text"]), len(answer["text"])) if end is None else end
        tokens.append(_token_record(token, min(start, end), end))
        start, labels = end, token.get("notes", {}).get("labels", labels)
    return {
        **{key: answer.get(key) for key in ("text", "mentions", "inventions", "difference", "answer", "seconds")},
        "status": "failed" if answer["error"] else answer.get("reason") or "end",
        "error": answer["error"] or "",
        "tokens": tokens,
        "labels": labels,
        "passes": answer["forward_passes"],
        "note": answer.get("note", ""),
    }


def _panel(description: Mapping[str, Any]) -> dict[str, Any]:
    """A panel before its first token, from what `Started` or a report tells of its method."""
    return {
        "method": description["method"], "title": description.get("title", ""), "source": description.get("source", ""),
        "explanation": description.get("explanation", ""), "reference": description.get("reference", ""),
        "rows": description.get("rows", []), "status": "waiting", "error": "", "text": "", "tokens": [],
        "mentions": [], "inventions": None, "difference": None, "answer": None, "labels": None, "seconds": None,
        "passes": None, "note": "", "samples": [], "spread": None,
    }  # fmt: skip


def _token_record(token: Mapping[str, Any], start: int, end: int) -> str:
    """One string a token: gradio and the browser walk through every object of the state at every update."""
    record = {
        "s": start, "e": end, "t": token["text"], "p": token["p"], "main": token.get("p_main"),
        "ref": token["p_reference"], "branches": token.get("branches", []), "top": token["top"],
        "instead": token.get("instead"),
    }  # fmt: skip
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


class ComparisonState:
    """The state of one run; `add` takes events, `snapshot` gives plain JSON data. report: there after `Done`.

    samples: answers of every method; while they are decoded the page shows the first, and it ends with the last.
    """

    def __init__(self, photo: Image.Image, prompt: str, sure: float, name: str = "", samples: int = 1):
        self.prompt, self.sure, self.samples = prompt, sure, samples
        self._ends: Counter[str] = Counter()  # answers that have ended, by method
        self.evidence = Evidence()
        self.report: dict[str, Any] | None = None
        self.data = {**of_photo(photo, name), "size": list(photo.size), "busy": True, "prompt": prompt, "sure": sure,
                     "status": texts.CHECKING}  # fmt: skip
        self._panels: dict[str, dict[str, Any]] = {}

    def add(self, event: Event) -> None:
        """Takes one event."""
        if isinstance(event, Status):
            self.data["status"] = event.text
        elif isinstance(event, Detected):
            self.evidence = Evidence.of(asdict(event))
            self.data.update(detector=event.detector, measured=_measured(event.measured, self.sure))
        elif isinstance(event, Started):
            self._panels = {method["method"]: _panel(method) for method in event.methods}
            sentence = texts.DECODING if self.samples == 1 else texts.DECODING_SAMPLES
            self.data["status"] = sentence.format(n=len(self._panels), samples=self.samples)
        elif isinstance(event, Decoded) and event.sample == 0:
            self._add_token(self._panels[event.method], event)
        elif isinstance(event, Finished | Failed):
            self._end(self._panels[event.method], event)
        elif isinstance(event, Done):
            self._finish(event)

    @property
    def whole(self) -> bool:
        """Whether every answer has ended, although what the judge makes of them is not there yet."""
        return bool(self._panels) and sum(self._ends.values()) == self.samples * len(self._panels)

    @staticmethod
    def _add_token(panel: dict[str, Any], event: Decoded) -> None:
        start = min(len(panel["text"]), len(event.text))
        panel["tokens"].append(_token_record(asdict(event.token), start, len(event.text)))
        panel["text"], panel["status"] = event.text, "decoding"
        if "labels" in event.token.notes:
            panel["labels"] = event.token.notes["labels"]

    def _end(self, panel: dict[str, Any], event: Finished | Failed) -> None:
        self._ends[event.method] += 1
        if event.sample == 0:
            if isinstance(event, Finished):
                panel.update(seconds=event.seconds, passes=event.forward_passes, note=event.note, reason=event.reason)
            else:
                panel.update(error=event.error, reason="failed")
        if self._ends[event.method] == self.samples:
            panel["status"] = panel.pop("reason")

    def _finish(self, event: Done) -> None:
        picture = {"name": self.data["name"], "preview": self.data["photo"].removeprefix(URL)}
        photo = {**event.report["photo"], **picture}
        self.report = {**event.report, "id": secrets.token_urlsafe(16), "photo": photo}

    def snapshot(self) -> dict[str, Any]:
        """The state as JSON data, mentions judged as surely as was asked; the end is the state of the report."""
        if self.report:
            return of_report(self.report, self.data["run"])
        panels = [{**panel, "tokens": list(panel["tokens"])} for panel in self._panels.values()]
        return {**self.data, "panels": judge_panels(panels, self.prompt, self.evidence, self.sure)}


def judge_again(report: Mapping[str, Any], sure: float) -> dict[str, Any]:
    """The same report with surer or less sure verdicts: no model is asked again."""
    evidence = Evidence.of({**report, **(report.get("judge") or {})})
    return {**report, "sure": sure, "panels": judge_panels(report["panels"], report["prompt"], evidence, sure)}


def judge_panels(
    panels: Iterable[Mapping[str, Any]], prompt: str, evidence: Evidence, sure: float
) -> list[dict[str, Any]]:
    """Panels (of a state or a report) with the verdicts on their texts, all samples included."""

    def judge(answer: Mapping[str, Any]) -> dict[str, Any]:
        mentions = judge_text(answer["text"], evidence, sure=sure)
        inventions, verdict = expected_inventions(mentions), judge_answer(prompt, answer["text"], evidence, sure)
        return {
            **answer, "mentions": mentions, "inventions": asdict(inventions) if inventions else None,
            "answer": verdict, "difference": None,
        }  # fmt: skip

    judged = [{**judge(panel), "samples": [*map(judge, panel.get("samples", ()))]} for panel in panels]
    baseline = next((panel for panel in judged if panel["method"] == Baseline.name), None)
    for panel in judged:
        if baseline is not None and panel is not baseline:
            for answer, other in zip(answers(panel), answers(baseline), strict=False):
                difference = expected_difference(answer["mentions"], other["mentions"])
                answer["difference"] = asdict(difference) if difference else None
        panel["spread"] = spread(panel, baseline)
    return judged
