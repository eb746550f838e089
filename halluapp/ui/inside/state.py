"""What the fold shows: the words of every panel, and the answer to the last question about one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from halluapp import report as reports
from halluapp.data.photos import read_photo
from halluapp.errors import InputError
from halluapp.grounding.spread import answers
from halluapp.methods.registry import create
from halluapp.request import MAX_NEW_TOKENS, MAX_SAMPLES, make_request
from halluapp.serving import callers, request_log
from halluapp.serving.models import Models
from halluapp.ui.inside import texts
from halluapp.ui.inside.survivors import survivors

SAMPLING = ("max_new_tokens", "temperature", "top_p", "top_k", "seed", "repetition_penalty", "stop")
MOST_NAME = 200  # characters of a method or a view
NUMBERS = tuple(map(str, range(1, MAX_SAMPLES)))  # of further samples
Result = dict[str, Any] | None


def of_result(result: Result) -> dict[str, Any]:
    """The fold for a result that the page shows. Input: result. Output: fold."""
    report = result.get("report") if result else None
    if not result or not report:
        return {"run": 0, "photo": "", "panels": [], "answer": None, "error": "", "note": texts.NOTHING}
    stage = result["stage"]
    panels = [
        _panel(panel, answer, number)
        for panel in report["panels"]
        for number, answer in enumerate(answers(panel))
        if answer["text"]
    ]
    return {"run": stage["run"], "photo": stage["photo"], "panels": panels, "answer": None, "error": "", "note": ""}


def fail(result: Result) -> dict[str, Any]:
    """The fold when a look ended as none should: nothing pulses on. Input: result. Output: fold."""
    return {**_same(result), "error": texts.FAILED}


def _same(result: Result) -> dict[str, Any]:
    """The fold as the page has it already: neither photo nor words are sent once more with an answer."""
    run = result["stage"]["run"] if result and result.get("report") else 0
    return {"run": run, "photo": "", "panels": None, "answer": None, "error": "", "note": ""}


def _panel(panel: dict[str, Any], answer: dict[str, Any], sample: int) -> dict[str, Any]:
    """An answer's words: [start, end, box of the thing that the word names or None].

    answer: the panel itself, or one of its further samples, which is called METHOD#NUMBER.
    """
    from halluapp.inspection.answer import WORD

    words = []
    for match in WORD.finditer(answer["text"]):
        covering = (one["box"] for one in answer["mentions"] if one["start"] <= match.start() < one["end"])
        words.append([match.start(), match.end(), next(covering, None)])
    name, title = panel["method"], panel.get("title") or panel["method"]
    return {
        "method": f"{name}#{sample}" if sample else name, "text": answer["text"], "words": words,
        "title": texts.SAMPLE.format(title=title, number=sample + 1) if sample else title,
    }  # fmt: skip


def _sample(method: str) -> tuple[str, int]:
    """METHOD#NUMBER -> the method and the number of the sample."""
    name, mark, number = method.rpartition("#")
    return (name, int(number)) if mark and number in NUMBERS else (method, 0)


def look(models: Models, result: Result, photo: str | None, event: Any) -> dict[str, Any]:
    """Inputs: result, photo path, and what was clicked. Output: fold, without what it has already.

    event: view, method, word (its number, from 1), and box of the counterfactual (None: the whole photo).
    """
    fold = _same(result)
    values = event._data if isinstance(event._data, dict) else {}
    key = {name: values.get(name) for name in ("view", "method", "word", "box")}
    left, is_question = callers.departure(), _is_question(key)
    entry = request_log.Entry("inside", [_sample(str(key["method"]))[0]] if is_question else [])
    try:
        if not is_question:  # never sent back: it may hold anything
            entry.outcome = request_log.REFUSED
            return {**fold, "error": texts.NOT_A_QUESTION}
        answer, note = _answer(models, result, photo, key, left)
        return {**fold, "answer": {**answer, "key": key}, "note": note}
    except InputError as error:
        entry.outcome = request_log.ABANDONED if left() else request_log.REFUSED
        return {**fold, "error": str(error), "answer": {"key": key}}
    finally:
        entry.end()


def _is_question(key: dict[str, Any]) -> bool:
    """Whether what the page sent has the kinds of a question."""
    view, method, word = key["view"], key["method"], key["word"]
    texts_fit = all(isinstance(text, str) and len(text) <= MOST_NAME for text in (view, method))
    return texts_fit and type(word) is int and 0 <= word < 2**31 and (key["box"] is None or _is_box(key["box"]))


def _is_box(value: Any) -> bool:
    edges = isinstance(value, list) and len(value) == 4 and all(type(edge) in (int, float) for edge in value)
    return edges and all(0 <= edge <= 1 for edge in value) and value[0] < value[2] and value[1] < value[3]


def _answer(
    models: Models, result: Result, photo: str | None, key: dict[str, Any], left: Callable[[], bool]
) -> tuple[dict[str, Any], str]:
    """The view that was asked for, and a note on what it was read from ("" for the photo itself). Raises InputError."""
    from halluapp.inspection.question import Question

    report = (result or {}).get("report")
    if not report:
        raise InputError(texts.NO_REPORT)
    lvlm = models.session().lvlm
    if report["model"]["name"] not in (lvlm.name, Path(lvlm.name).name):  # strangers are not told its folder
        raise InputError(texts.OTHER_MODEL.format(other=report["model"]["name"], name=lvlm.name))
    image, note = _photo(report, photo)
    panels = report["panels"]
    name, number = _sample(key["method"])
    panel = next((panel for panel in panels if panel["method"] == name), None)
    if panel is None or number >= len(answers(panel)):
        raise InputError(texts.NOT_A_QUESTION)
    answer = answers(panel)[number]
    sampling = {name: value for name in SAMPLING if (value := (report.get("sampling") or {}).get(name)) is not None}
    methods = [create(one["method"], **one["parameters"]) for one in panels if not one["error"] or one is panel]
    request = make_request(image, report["prompt"], methods, **{**sampling, "seed": answer.get("seed", report["seed"])})
    ids = tuple(token["id"] for token in answer["tokens"][:MAX_NEW_TOKENS])
    question = Question(
        key["view"], request.photo, request.prompt, request.methods, panel["method"], ids, key["word"],
        request.sampling, _box(key["box"]),
    )  # fmt: skip
    view = reports.plain(models.inspect(question, left))
    if question.view == "counterfactual":
        view |= survivors(answer["text"], view["text"], view["words"])
    return view, note


def _box(value: Any) -> tuple[float, float, float, float]:
    """A box that the page sends, None for the whole photo."""
    if value is None:
        return 0.0, 0.0, 1.0, 1.0
    x0, y0, x1, y1 = map(float, value)
    return x0, y0, x1, y1


def _photo(report: dict[str, Any], path: str | None) -> tuple[Any, str]:
    """The photo of a report: the file that it was made from, else the small copy in it. Raises InputError."""
    if path:
        photo = read_photo(path)
        if hashlib.sha256(photo.tobytes()).hexdigest() == report["photo"]["sha256"]:
            return photo, ""
    if not report["photo"].get("preview"):
        raise InputError(texts.NO_PHOTO)
    return read_photo(reports.preview_bytes(report)), texts.SMALL_COPY
