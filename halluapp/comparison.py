"""One comparison from the request to the report: check, detect, decode all methods in one batch, judge, report."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from halluapp import methods as registry
from halluapp import report
from halluapp.decoding.events import Decoded, Detected, Done, Event, Failed, Finished, Started, Status
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.grounding.verdicts import judge_text
from halluapp.methods.base import Method
from halluapp.photos import read_photo
from halluapp.settings import FAST, Settings

if TYPE_CHECKING:
    from PIL import Image

    from halluapp.lvlm.base import LVLM

__all__ = ["Loaded", "Request", "compare", "load", "make_request", "read_photo", "stream", "texts"]
MOST_PROMPT = 2000  # characters
MOST_TOKENS = 512
MOST_PANELS = 12
MOST_STOPS, MOST_STOP = 8, 40  # stop strings, and characters of one
THRESHOLD = 0.5


@dataclass(frozen=True)
class Request:
    """One checked comparison: an upright RGB photo, a prompt, methods in panel order, sampling, detector threshold."""

    photo: Image.Image
    prompt: str
    methods: tuple[Method, ...]
    sampling: Sampling = field(default_factory=Sampling)
    threshold: float = THRESHOLD


@dataclass(frozen=True)
class Loaded:
    """A loaded LVLM and detector; `notice` is a sentence for the person ("" if there is nothing to say)."""

    lvlm: LVLM
    detector: Any
    notice: str = ""


_loading = threading.Lock()


def load(settings: Settings) -> Loaded:
    """Loads the LVLM and the detector that the settings name, once a process. Raises InputError with one sentence."""
    with _loading:
        return _load(settings)


@lru_cache(maxsize=2)
def _load(settings: Settings) -> Loaded:
    import torch

    from halluapp.grounding import detectors
    from halluapp.lvlm import catalog

    if settings.fast not in FAST:
        raise InputError(f"HALLUAPP_FAST is {settings.fast!r}; use {', '.join(FAST[:-1])} or {FAST[-1]}.")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    lvlm, notice = catalog.load(settings.model, settings.quantization, settings.device, settings.assets)
    # A worker on ZeroGPU lives for one answer: whatever it measured would be measured again by the next one.
    lvlm.fast = "off" if settings.zero_gpu and settings.fast == "auto" else settings.fast
    if settings.detector != "pocket":
        return Loaded(lvlm, detectors.TransformersDetector(settings.detector), notice)
    tower = lvlm.tower
    if settings.model != "pocket":  # the pocket detector brings its own copy of the tower that it was trained with
        device = settings.device if hasattr(tower, "features") else "cpu"  # where shared maps of the trunk would be
        tower = catalog.load("pocket", "none", device, settings.assets)[0].tower
    return Loaded(lvlm, detectors.PocketDetector(settings.assets / "pocket", tower), notice)


def make_request(
    photo,
    prompt: str,
    methods: list[Method | str] | None = None,
    max_new_tokens: int = 80,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    threshold: float = THRESHOLD,
    repetition_penalty: float = 0.0,
    stop: Sequence[str] = (),
) -> Request:
    """Checks everything a person typed. photo: path, bytes or image. methods: names or Method objects (None: the
    default panels); "nullu+vdd" stacks two. repetition_penalty: 1 to 2 for every method, 0 for each method's own. stop:
    strings that end an answer. Raises InputError with one sentence.
    """
    prompt = prompt.strip() if isinstance(prompt, str) else ""
    if not prompt:
        raise InputError("The prompt is empty; ask something about the photo.")
    if len(prompt) > MOST_PROMPT:
        raise InputError(f"The prompt has {len(prompt):,} characters; use at most {MOST_PROMPT:,}.")
    if any("\ud800" <= character <= "\udfff" for character in prompt):  # bytes of a command line that are not UTF-8
        raise InputError("The prompt holds characters that are not text; type it again.")
    wanted = registry.defaults() if methods is None else methods
    chosen = [registry.create(item) if isinstance(item, str) else item for item in wanted]
    if not chosen:
        raise InputError("No method is chosen; switch on at least one.")
    if not all(isinstance(method, Method) for method in chosen):
        raise InputError("Methods must be names or Method objects.")
    names = [method.name for method in chosen]
    if len(set(names)) < len(names):
        raise InputError("A method is named twice; name each once.")
    if len(names) > MOST_PANELS:
        raise InputError(f"{len(names)} panels are chosen; compare at most {MOST_PANELS} at once.")
    _check_range("max new tokens", max_new_tokens, 1, MOST_TOKENS, whole=True)
    _check_range("temperature", temperature, 0, 2)
    _check_range("top-p", top_p, 0.01, 1)
    _check_range("top-k", top_k, 0, 1000, whole=True)
    _check_range("seed", seed, 0, 2**32 - 1, whole=True)
    _check_range("threshold", threshold, 0, 1)
    if repetition_penalty != 0:
        _check_range("repetition penalty", repetition_penalty, 1, 2)
    sampling = Sampling(
        int(max_new_tokens), float(temperature), float(top_p), int(top_k), int(seed),
        repetition_penalty=float(repetition_penalty), stop=_checked_stop(stop),
    )  # fmt: skip
    return Request(read_photo(photo), prompt, tuple(chosen), sampling, float(threshold))


def _checked_stop(stop: Sequence[str]) -> tuple[str, ...]:
    """Stop strings as they are used. A string of spaces would end an answer at its first word; say so instead."""
    given = [stop] if isinstance(stop, str) else stop
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one.strip(" ") for one in given):
        raise InputError("Stop strings must be texts that are more than spaces.")
    if len(given) > MOST_STOPS or any(len(one) > MOST_STOP for one in given):
        raise InputError(f"Use at most {MOST_STOPS} stop strings of at most {MOST_STOP} characters.")
    return tuple(dict.fromkeys(given))


def _check_range(name: str, value, least, most, whole: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    if not number or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name[:1].upper()}{name[1:]} must be {kind} from {least} to {most}, not {value!r}.")


def _check_fits(request: Request, lvlm: LVLM, visual) -> None:
    """Raises InputError where photo, prompt and answer together are longer than what the model was trained to read."""
    from halluapp.decoding.plan import asked

    prompts = {
        asked(request.prompt, row.instruction) for method in request.methods for row in method.rows(request.prompt)
    }
    prompt = max(len(lvlm.prompt_ids(text, "photo")) + lvlm.photo_length(visual, text) - 1 for text in prompts)
    most = lvlm.context_length
    if prompt + request.sampling.max_new_tokens > most:
        raise InputError(
            f"Photo and prompt are {prompt:,} tokens and the answer may have {request.sampling.max_new_tokens:,}, but "
            f"{lvlm.name} reads {most:,}; shorten the prompt or the answer."
        )


def _detect(loaded: Loaded, photo, visual) -> list[dict]:
    if visual.maps and hasattr(loaded.detector, "detect_features"):
        return loaded.detector.detect_features(*visual.maps)
    return loaded.detector.detect(photo)


Runner = Callable[[Request, Loaded, Callable[[], bool]], Iterator[Event]]


def stream(
    request: Request, loaded: Loaded, stop: Callable[[], bool] = lambda: False, run: Runner | None = None
) -> Iterator[Event]:
    """Runs a comparison; yields events and ends with Done(report). Closing the generator stops decoding.

    run: makes the events elsewhere (on ZeroGPU in another process); None: `events`, here.
    """
    panels = {method.name: {"text": "", "tokens": [], "end": None} for method in request.methods}
    detections: list[dict] = []
    for event in (run or events)(request, loaded, stop):
        if isinstance(event, Detected):
            detections = event.detections
        elif isinstance(event, Decoded):
            panels[event.method]["text"] = event.text
            panels[event.method]["tokens"].append(event.token)
        elif isinstance(event, Finished | Failed):
            panels[event.method]["end"] = event
        yield event
    yield Done(_report(request, loaded, detections, panels))


def events(request: Request, loaded: Loaded, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """All events of a comparison but the last: what needs the model. They are plain data that can be pickled."""
    from halluapp.decoding import engine
    from halluapp.decoding.views import Views

    yield Status("Looking at the photo…")
    views = Views(loaded.lvlm, request.photo, request.sampling.seed)
    _check_fits(request, loaded.lvlm, views.clean)
    detections = _detect(loaded, request.photo, views.clean)
    yield Detected(detections, loaded.detector.labels, loaded.detector.name)
    yield Started([_about(method, request.prompt, loaded.lvlm) for method in request.methods])
    job = engine.Job(views, request.prompt, list(request.methods))
    yield from engine.decode(loaded.lvlm, job, request.sampling, stop)


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
        "reference": method.reference_is,
        "rows": [row.describe() for row in method.rows(prompt)],
        "parameters": method.parameters(),
    }


def _report(request: Request, loaded: Loaded, detections: list[dict], panels: dict[str, dict]) -> dict[str, Any]:
    made = []
    for method in request.methods:
        panel, end = panels[method.name], panels[method.name]["end"]
        about = _about(method, request.prompt, loaded.lvlm)
        made.append(
            report.panel(
                method.name,
                method.parameters(),
                panel["text"],
                panel["tokens"],
                judge_text(panel["text"], detections, loaded.detector.labels, request.threshold),
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
        model={"name": loaded.lvlm.name, "quantization": loaded.lvlm.quantization, "detector": loaded.detector.name},
        prompt=request.prompt,
        seed=request.sampling.seed,
        sampling=request.sampling,
        threshold=request.threshold,
        labels=loaded.detector.labels,
        photo={"sha256": hashlib.sha256(photo.tobytes()).hexdigest(), "width": photo.width, "height": photo.height},
        detections=detections,
        panels=made,
    )


def compare(photo, prompt: str, settings: Settings | None = None, **options) -> dict[str, Any]:
    """One comparison in one call -> the report (schema 1). options: as `make_request`. Raises InputError."""
    request = make_request(photo, prompt, **options)
    for event in stream(request, load(settings or Settings.from_environment())):
        if isinstance(event, Done):
            return event.report
    raise RuntimeError("The comparison ended without a report.")


def texts(request: Request, loaded: Loaded) -> dict[str, str]:
    """Only the texts, by method name: no detection, no report. For evaluation."""
    return texts_of([request], loaded)[0]


def texts_of(requests: list[Request], loaded: Loaded) -> list[dict[str, str]]:
    """The texts of several requests, decoded in one batch; all must share their sampling (else ValueError)."""
    from halluapp.decoding import engine
    from halluapp.decoding.views import Views

    if not requests:
        return []
    if any(request.sampling != requests[0].sampling for request in requests):
        raise ValueError("requests of one batch must share their sampling")
    jobs = [engine.Job(Views(loaded.lvlm, r.photo, r.sampling.seed), r.prompt, list(r.methods)) for r in requests]
    found: list[dict[str, str]] = [{} for _ in requests]
    for index, event in engine.decode_many(loaded.lvlm, jobs, requests[0].sampling):
        if isinstance(event, Decoded):
            found[index][event.method] = event.text
        elif isinstance(event, Failed):
            raise InputError(event.error)
    return found
