"""One comparison from the request to the report: check, detect, decode its methods in one batch, judge, report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from halluapp import report
from halluapp.decoding.events import Decoded, Detected, Done, Event, Failed, Finished, Started, Status
from halluapp.errors import InputError, MissingWeights
from halluapp.grounding.answers import judge_answer
from halluapp.grounding.evidence import Evidence, evidence_of, verdict_precision
from halluapp.grounding.inventions import expected_difference, expected_inventions
from halluapp.grounding.spread import spread
from halluapp.grounding.verdicts import judge_text
from halluapp.grounding.words.mentions import find_mentions
from halluapp.methods.base import Method
from halluapp.methods.baseline import Baseline
from halluapp.request import Request, make_request
from halluapp.session import Session, load_session
from halluapp.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from halluapp.lvlm.base import LVLM, ImageFeatures

__all__ = ["compare", "events", "judge", "stream", "texts_of"]


Runner = Callable[[Request, Session, Callable[[], bool]], Iterator[Event]]


@dataclass
class _Panel:
    """One answer of a method while its events arrive. tokens: with the end of each in the text. end: None until it has
    ended.
    """

    text: str = ""
    tokens: list[dict[str, Any]] = field(default_factory=list)
    end: Finished | Failed | None = None


Panels = dict[tuple[str, int], _Panel]  # by method and sample


def stream(
    request: Request, session: Session, stop: Callable[[], bool] = lambda: False, run: Runner | None = None
) -> Iterator[Event]:
    """Runs a comparison; yields events and ends with Done(report). Closing the generator stops decoding.

    run: yields the events from elsewhere (on ZeroGPU from another process); None: `events`, in this process.
    """
    panels: Panels = {(method.name, k): _Panel() for method in request.methods for k in range(request.samples)}
    detected = Detected([], session.detector.labels, session.detector.name)
    for event in (run or events)(request, session, stop):
        if isinstance(event, Detected):
            detected = event
        elif isinstance(event, Decoded):
            panel = panels[event.method, event.sample]
            panel.text = event.text
            panel.tokens.append({**asdict(event.token), "end": len(event.text)})
        elif isinstance(event, Finished | Failed):
            panels[event.method, event.sample].end = event
        yield event
    yield Done(_report(request, session, detected, panels))


def events(request: Request, session: Session, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """All events of a comparison but the last: what needs the model. They are plain data that can be pickled."""
    from halluapp.decoding import engine, samples
    from halluapp.decoding.views import Views

    yield Status("Looking at the photo…")
    views = Views(session.lvlm, request.photo, request.sampling.seed)
    _check_length(request, session.lvlm, views.clean)
    yield _detect(session, request.photo, views.clean)
    yield Started([_describe(method, request.prompt, session.lvlm) for method in request.methods])
    job = engine.Job(views, request.prompt, list(request.methods))
    answers: dict[tuple[str, int], str] = {}
    for event in samples.decode_samples(session.lvlm, job, request.sampling, request.samples, stop):
        if isinstance(event, Decoded):
            answers[event.method, event.sample] = event.text
        yield event
    if hasattr(session.detector, "find"):
        yield Status("Looking for what was named…")
        yield _find(session, request.photo, answers.values())


def _check_length(request: Request, lvlm: LVLM, image: ImageFeatures) -> None:
    """Raises InputError where photo, prompt and answer together are longer than the model's context."""
    from halluapp.decoding.plan import full_prompt

    rows = [row for method in request.methods for row in method.rows(request.prompt)]
    prompts = {full_prompt(request.prompt, row.instruction) for row in rows}
    length = max(len(lvlm.prompt_ids(text, "photo")) + lvlm.image_length(image, text) - 1 for text in prompts)
    if length + request.sampling.max_new_tokens > lvlm.context_length:
        raise InputError(
            f"Photo and prompt are {length:,} tokens and the answer may have {request.sampling.max_new_tokens:,}, but "
            f"{lvlm.name} reads {lvlm.context_length:,}; shorten the prompt or the answer."
        )


def _detect(session: Session, photo: Image.Image, image: ImageFeatures) -> Detected:
    """What the detector makes of the photo, from the vision tower's feature maps where it shares them."""
    evidence = evidence_of(session.detector, photo, image.maps)
    measured = verdict_precision(getattr(session.detector, "measured", {}))
    return Detected(
        [dict(one) for one in evidence.detections], evidence.labels, session.detector.name, dict(evidence.presence),
        {label: dict(sides) for label, sides in evidence.support.items()}, dict(evidence.cuts), measured,
    )  # fmt: skip


def _find(session: Session, photo: Image.Image, answers: Iterable[str]) -> Detected:
    """An open-vocabulary detector is asked for exactly what the answers name."""
    names = tuple(dict.fromkeys(mention.object for text in answers for mention in find_mentions(text)))
    return Detected(session.detector.find(photo, names), names, session.detector.name)


def _describe(method: Method, prompt: str, lvlm: LVLM) -> dict[str, Any]:
    """A method as the event Started carries it."""
    return {
        "method": method.name,
        "title": method.title,
        "summary": method.summary,
        "source": method.source,
        "explanation": _explanation(method, prompt, lvlm),
        "reference": method.reference_description,
        "rows": [row.describe() for row in method.rows(prompt)],
        "parameters": method.parameters(),
    }


def _explanation(method: Method, prompt: str, lvlm: LVLM) -> str:
    try:
        return method.explain(lvlm, prompt)
    except MissingWeights:  # the panel itself says so
        return method.summary


def _report(request: Request, session: Session, detected: Detected, panels: Panels) -> dict[str, Any]:
    photo, evidence = request.photo, Evidence.of(asdict(detected))
    report_panels = [_report_panel(method, panels, request, session, evidence) for method in request.methods]
    baseline = next((panel for panel in report_panels if panel["method"] == Baseline.name), None)
    return report.build(
        model={
            "name": session.lvlm.name,
            "quantization": session.lvlm.quantization,
            "dtype": session.lvlm.dtype,
            "detector": session.detector.name,
        },
        prompt=request.prompt,
        seed=request.sampling.seed,
        sampling=request.sampling,
        sure=request.sure,
        samples=request.samples,
        labels=detected.labels,
        judge=_judge(detected),
        photo={"sha256": hashlib.sha256(photo.tobytes()).hexdigest(), "width": photo.width, "height": photo.height},
        detections=detected.detections,
        panels=[{**panel, "spread": spread(panel, baseline)} for panel in report_panels],
    )


def _judge(detected: Detected) -> dict[str, Any] | None:
    """What a reader needs to judge again; None for a detector that is not calibrated."""
    if not detected.presence:
        return None
    return {name: getattr(detected, name) for name in ("presence", "support", "cuts", "measured")}


def _report_panel(
    method: Method, panels: Panels, request: Request, session: Session, evidence: Evidence
) -> dict[str, Any]:
    """A method's part of the report: the first sample, and with it the further ones."""
    first, *others = [
        _answer(panels[method.name, k], panels.get((Baseline.name, k)), request, evidence)
        for k in range(request.samples)
    ]
    seeds = request.sampling.seeds(request.samples)
    return report.panel(
        method.name,
        method.parameters(),
        **first,
        samples=[{"seed": seed, **other} for seed, other in zip(seeds[1:], others, strict=True)],
        explanation=_explanation(method, request.prompt, session.lvlm),
        title=method.title,
        source=method.source,
        reference=method.reference_description,
        rows=[row.describe() for row in method.rows(request.prompt)],
    )


def _answer(panel: _Panel, baseline: _Panel | None, request: Request, evidence: Evidence) -> dict[str, Any]:
    """One answer, judged, as a panel of a report carries it. baseline: the baseline's answer of the same seed."""
    end, verdicts = panel.end, judge_text(panel.text, evidence, sure=request.sure)
    others = None if baseline is None or baseline is panel else judge_text(baseline.text, evidence, sure=request.sure)
    return {
        "text": panel.text,
        "error": getattr(end, "error", None),
        "tokens": panel.tokens,
        "mentions": verdicts,
        "seconds": getattr(end, "seconds", None),
        "forward_passes": getattr(end, "forward_passes", None),
        "reason": getattr(end, "reason", None),
        "note": getattr(end, "note", ""),
        "inventions": expected_inventions(verdicts),
        "difference": None if others is None else expected_difference(verdicts, others),
        "answer": judge_answer(request.prompt, panel.text, evidence, request.sure),
    }


def judge(session: Session, photo: Image.Image, text: str, prompt: str, sure: float) -> dict[str, Any]:
    """What the detector says about a text of anybody's: detections, mentions, inventions, the verdict on a yes or no.

    photo: as `read_photo` gives it. prompt: the question that the text answers ("": none).
    """
    if hasattr(session.detector, "find"):
        evidence = Evidence.of(asdict(_find(session, photo, [text])))
    else:
        evidence = evidence_of(session.detector, photo)
    mentions = judge_text(text, evidence, sure=sure)
    inventions = expected_inventions(mentions)
    return report.plain({
        "detector": session.detector.name, "sure": sure, "detections": list(evidence.detections), "mentions": mentions,
        "inventions": asdict(inventions) if inventions else None,
        "answer": judge_answer(prompt, text, evidence, sure),
    })  # fmt: skip


def compare(photo, prompt: str, settings: Settings | None = None, **options) -> dict[str, Any]:
    """One comparison in one call -> the report (schema 1); `halluapp.compare` is this function.

    options: as `make_request`. settings: None: from the environment. Raises InputError.
    """
    request = make_request(photo, prompt, **options)
    for event in stream(request, load_session(settings or Settings.from_environment())):
        if isinstance(event, Done):
            return event.report
    raise RuntimeError("The comparison ended without a report.")


def texts_of(requests: list[Request], session: Session) -> list[dict[str, str]]:
    """The texts of several requests, decoded in one batch; all must share their sampling (else ValueError)."""
    from halluapp.decoding import engine
    from halluapp.decoding.views import Views

    if not requests:
        return []
    if any(request.sampling != requests[0].sampling for request in requests):
        raise ValueError("requests of one batch must share their sampling")
    if any(request.samples > 1 for request in requests):
        raise InputError("Only one text a method is decoded here; compare gives several samples.")
    jobs = [engine.Job(Views(session.lvlm, r.photo, r.sampling.seed), r.prompt, list(r.methods)) for r in requests]
    texts: list[dict[str, str]] = [{} for _ in requests]
    for index, event in engine.decode_many(session.lvlm, jobs, requests[0].sampling):
        if isinstance(event, Decoded):
            texts[index][event.method] = event.text
        elif isinstance(event, Failed):
            raise InputError(event.error)
    return texts
