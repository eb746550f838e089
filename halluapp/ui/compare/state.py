"""The state of a comparison: the one plain dict that the panel component draws, built from the events of a run."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import asdict
from typing import Any

from PIL import Image

from halluapp.data.photos import small_jpeg
from halluapp.decoding.events import Decoded, Detected, Done, Event, Failed, Finished, Started, Status
from halluapp.grounding.answers import judge_answer
from halluapp.grounding.evidence import Evidence
from halluapp.grounding.inventions import expected_inventions
from halluapp.grounding.verdicts import judge_text
from halluapp.ui import texts

_run_numbers = itertools.count(1)


def empty(error: str = "") -> dict[str, Any]:
    """The state before any run, or with the sentence that says why there was none."""
    return {
        "run": 0,
        "status": "" if error else texts.READY,
        "error": error,
        "photo": "",
        "prompt": "",
        "evidence": {},
        "measured": {},
        "panels": [],
    }


def photo_url(photo: Image.Image) -> str:
    """The photo as the page shows it: a JPEG data URL, upright and small."""
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(photo)).decode()


class ComparisonState:
    """The state of one run; `add` takes events, `snapshot` gives plain JSON data. report: there after `Done`."""

    def __init__(self, photo: Image.Image, prompt: str, sure: float):
        self.prompt, self.sure = prompt, sure
        self.evidence = Evidence()
        self.report: dict[str, Any] | None = None
        self.data = {**empty(), "run": next(_run_numbers), "photo": photo_url(photo), "busy": True,
                     "prompt": prompt, "sure": sure, "status": texts.CHECKING}  # fmt: skip
        self._panels: dict[str, dict[str, Any]] = {}

    def add(self, event: Event) -> None:
        """Takes one event."""
        if isinstance(event, Status):
            self.data["status"] = event.text
        elif isinstance(event, Detected):
            self.evidence = Evidence.of(asdict(event))
            self.data.update(evidence=self.evidence.plain(), detector=event.detector, measured=event.measured)
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Decoded):
            self._add_token(self._panels[event.method], event)
        elif isinstance(event, Finished):
            self._panels[event.method].update(
                status=event.reason, seconds=event.seconds, passes=event.forward_passes, note=event.note
            )
        elif isinstance(event, Failed):
            self._panels[event.method].update(status="failed", error=event.error)
        elif isinstance(event, Done):
            self._finish(event)

    def _start(self, event: Started) -> None:
        self._panels = {
            method["method"]: {
                "method": method["method"], "title": method["title"], "explanation": method["explanation"],
                "reference": method["reference"], "rows": method["rows"],
                "status": "waiting", "error": "", "text": "", "tokens": [],
                "mentions": [], "inventions": None, "answer": None, "labels": None, "seconds": None, "passes": None,
                "note": "",
            }
            for method in event.methods
        }  # fmt: skip
        self.data["panels"] = list(self._panels.values())
        self.data["status"] = texts.DECODING.format(n=len(self._panels))

    @staticmethod
    def _add_token(panel: dict[str, Any], event: Decoded) -> None:
        token, start = event.token, min(len(panel["text"]), len(event.text))
        record = {
            "s": start, "e": len(event.text), "t": token.text, "p": token.p, "main": token.p_main,
            "ref": token.p_reference, "branches": token.branches, "top": token.top, "instead": token.instead,
        }  # fmt: skip
        # One string a token: gradio and the browser walk through every object of the state at every update.
        panel["tokens"].append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        panel["text"], panel["status"] = event.text, "decoding"
        if "labels" in token.notes:
            panel["labels"] = token.notes["labels"]

    def _finish(self, event: Done) -> None:
        self.report = event.report
        stopped = any(panel["status"] == "stopped" for panel in self._panels.values())
        longest = max((panel["seconds"] or 0 for panel in self._panels.values()), default=0)
        self.data["status"] = texts.STOPPED if stopped else texts.DONE.format(seconds=longest)
        self.data["busy"] = False

    def snapshot(self) -> dict[str, Any]:
        """The state as JSON data, mentions judged as surely as was asked."""
        panels = [{**panel, "tokens": list(panel["tokens"])} for panel in self._panels.values()]
        return _judged({**self.data, "panels": panels}, self.evidence, self.sure)


def judge_again(state: dict[str, Any], sure: float) -> dict[str, Any]:
    """The same state with surer or less sure verdicts: no model is asked again."""
    return _judged(state, Evidence.of(state["evidence"]), sure)


def _judged(state: dict[str, Any], evidence: Evidence, sure: float) -> dict[str, Any]:
    """The state with the verdicts of every panel."""
    panels = []
    for panel in state["panels"]:
        mentions = judge_text(panel["text"], evidence, sure=sure)
        inventions = expected_inventions(mentions)
        answer = judge_answer(state["prompt"], panel["text"], evidence, sure)
        panels.append({
            **panel, "mentions": mentions, "inventions": asdict(inventions) if inventions else None, "answer": answer
        })  # fmt: skip
    return {**state, "panels": panels, "sure": sure}
