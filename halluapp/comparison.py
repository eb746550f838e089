"""One comparison from the request to the report: check, detect, decode all methods in one batch, judge, report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from halluapp import report
from halluapp.decoding.events import Decoded, Detected, Done, Event, Failed, Finished, Started, Status
from halluapp.errors import InputError
from halluapp.grounding.verdicts import judge_text
from halluapp.methods.base import Method
from halluapp.request import Request, make_request
from halluapp.session import Session, load_session
from halluapp.settings import Settings

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM

__all__ = ["compare", "events", "stream", "texts_of"]


def _check_fits(request: Request, lvlm: LVLM, visual) -> None:
    """Raises InputError where photo, prompt and answer together are longer than what the model was trained to read."""
    from halluapp.decoding.plan import full_prompt

    prompts = {
        full_prompt(request.prompt, row.instruction)
        for method in request.methods
        for row in method.rows(request.prompt)
    }
    prompt = max(len(lvlm.prompt_ids(text, "photo")) + lvlm.image_length(visual, text) - 1 for text in prompts)
    most = lvlm.context_length
    if prompt + request.sampling.max_new_tokens > most:
        raise InputError(
            f"Photo and prompt are {prompt:,} tokens and the answer may have {request.sampling.max_new_tokens:,}, but "
            f"{lvlm.name} reads {most:,}; shorten the prompt or the answer."
        )


def _detect(session: Session, photo, visual) -> list[dict]:
    if visual.maps and hasattr(session.detector, "detect_features"):
        return session.detector.detect_features(*visual.maps)
    return session.detector.detect(photo)


Runner = Callable[[Request, Session, Callable[[], bool]], Iterator[Event]]


def stream(
    request: Request, session: Session, stop: Callable[[], bool] = lambda: False, run: Runner | None = None
) -> Iterator[Event]:
    """Runs a comparison; yields events and ends with Done(report). Closing the generator stops decoding.

    run: makes the events elsewhere (on ZeroGPU in another process); None: `events`, here.
    """
    panels = {method.name: {"text": "", "tokens": [], "end": None} for method in request.methods}
    detections: list[dict] = []
    for event in (run or events)(request, session, stop):
        if isinstance(event, Detected):
            detections = event.detections
        elif isinstance(event, Decoded):
            panels[event.method]["text"] = event.text
            panels[event.method]["tokens"].append(event.token)
        elif isinstance(event, Finished | Failed):
            panels[event.method]["end"] = event
        yield event
    yield Done(_report(request, session, detections, panels))


def events(request: Request, session: Session, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """All events of a comparison but the last: what needs the model. They are plain data that can be pickled."""
    from halluapp.decoding import engine
    from halluapp.decoding.views import Views

    yield Status("Looking at the photo…")
    views = Views(session.lvlm, request.photo, request.sampling.seed)
    _check_fits(request, session.lvlm, views.clean)
    detections = _detect(session, request.photo, views.clean)
    yield Detected(detections, session.detector.labels, session.detector.name)
    yield Started([_about(method, request.prompt, session.lvlm) for method in request.methods])
    job = engine.Job(views, request.prompt, list(request.methods))
    yield from engine.decode(session.lvlm, job, request.sampling, stop)


def _about(method: Method, prompt: str, lvlm) -> dict[str, Any]:
    try:
        explanation = method.explain(lvlm, prompt)
    except RuntimeError:  # MissingWeights: the panel will say so by itself
        explanation = method.summary
    return {
        "method": method.name,
        "title": method.title,
        "summary": method.summary,
        "explanation": explanation,
        "reference": method.reference_description,
        "rows": [row.describe() for row in method.rows(prompt)],
        "parameters": method.parameters(),
    }


def _report(request: Request, session: Session, detections: list[dict], panels: dict[str, dict]) -> dict[str, Any]:
    made = []
    for method in request.methods:
        panel, end = panels[method.name], panels[method.name]["end"]
        about = _about(method, request.prompt, session.lvlm)
        made.append(
            report.panel(
                method.name,
                method.parameters(),
                panel["text"],
                panel["tokens"],
                judge_text(panel["text"], detections, session.detector.labels, request.threshold),
                seconds=getattr(end, "seconds", None),
                forward_passes=getattr(end, "forward_passes", None),
                reason=getattr(end, "reason", None),
                error=getattr(end, "error", None),
                explanation=about["explanation"],
                note=getattr(end, "note", ""),
            )
        )
    photo = request.photo
    return report.build(
        model={"name": session.lvlm.name, "quantization": session.lvlm.quantization, "detector": session.detector.name},
        prompt=request.prompt,
        seed=request.sampling.seed,
        sampling=request.sampling,
        threshold=request.threshold,
        labels=session.detector.labels,
        photo={"sha256": hashlib.sha256(photo.tobytes()).hexdigest(), "width": photo.width, "height": photo.height},
        detections=detections,
        panels=made,
    )


def compare(photo, prompt: str, settings: Settings | None = None, **options) -> dict[str, Any]:
    """One comparison in one call -> the report (schema 1). options: as `make_request`. Raises InputError."""
    request = make_request(photo, prompt, **options)
    for event in stream(request, load_session(settings or Settings.from_environment())):
        if isinstance(event, Done):
            return event.report
    raise RuntimeError("The comparison ended without a report.")


def texts(request: Request, session: Session) -> dict[str, str]:
    """Only the texts, by method name: no detection, no report. For evaluation."""
    return texts_of([request], session)[0]


def texts_of(requests: list[Request], session: Session) -> list[dict[str, str]]:
    """The texts of several requests, decoded in one batch; all must share their sampling (else ValueError)."""
    from halluapp.decoding import engine
    from halluapp.decoding.views import Views

    if not requests:
        return []
    if any(request.sampling != requests[0].sampling for request in requests):
        raise ValueError("requests of one batch must share their sampling")
    jobs = [engine.Job(Views(session.lvlm, r.photo, r.sampling.seed), r.prompt, list(r.methods)) for r in requests]
    found: list[dict[str, str]] = [{} for _ in requests]
    for index, event in engine.decode_many(session.lvlm, jobs, requests[0].sampling):
        if isinstance(event, Decoded):
            found[index][event.method] = event.text
        elif isinstance(event, Failed):
            raise InputError(event.error)
    return found
