"""The state of the model line: what is loaded, what could be, what a switch is doing; plain data for the component."""

from __future__ import annotations

from typing import Any

from halluapp.errors import InputError
from halluapp.serving.models import Models
from halluapp.serving.models import choices as allowed
from halluapp.serving.models.choices import POCKET, Choice, Room
from halluapp.serving.models.switch import Progress
from halluapp.settings import QUANTIZATIONS
from halluapp.ui.model_picker import texts

SLOW_WEIGHTS = 3.0  # billions of parameters with which an answer takes minutes without a GPU


def of(models: Models, line: str = "", error: str = "") -> dict[str, Any]:
    """Everything that the component draws. line: instead of the one about the loaded model."""
    settings, progress = models.current, models.switch.progress
    room = Room.now(settings, models.switch.ready_session())
    amounts = {"free": allowed.gigabytes(room.free), "loaded": allowed.gigabytes(room.loaded)}
    rows = enumerate(allowed.choices(models.settings))
    return {
        "line": progress_line(progress) if progress else line or loaded_line(models),
        "share": progress.done / progress.total if progress and progress.total else None,
        "busy": progress is not None,
        "error": error,
        "free": (texts.FREE if room.loaded else texts.FREE_ALONE).format(**amounts, where=texts.PLACES[room.on_gpu]),
        "fixed": texts.FIXED if allowed.is_fixed(models.settings) else "",
        "any": allowed.allows_any(models.settings),
        "quantization": settings.quantization,
        "quantizations": [[name, texts.QUANTIZATIONS[name]] for name in QUANTIZATIONS],
        "choices": [_row(models, choice, number, room) for number, choice in rows],
        "words": texts.WORDS,
    }


def loaded_line(models: Models) -> str:
    """The model that answers, in one line."""
    session = models.switch.ready_session()
    if session is None:
        return texts.LOADING
    lvlm = session.lvlm
    name = Choice(models.switch.model).title
    return texts.line(name, lvlm.quantization, lvlm.dtype, session.detector.name, session.notice)


def progress_line(progress: Progress) -> str:
    """What a switch is doing, in one line."""
    done, total, stage = progress.done, progress.total, progress.stage
    if total and stage == "files":
        amounts = {"done": allowed.gigabytes(done), "total": allowed.gigabytes(total)}
        return texts.STAGES["fetching"].format(model=progress.title, **amounts)
    stage = "tensors" if total and stage == "weights" else stage
    return texts.STAGES[stage].format(model=progress.title, done=done, total=total)


def _row(models: Models, choice: Choice, number: int, room: Room) -> dict[str, Any]:
    """One line of the list."""
    about, absence = description(choice), texts.ABSENT if allowed.absence(choice) else ""
    each, most = room.dense_bytes(models.current), allowed.most_bytes(models.current, room)
    needs = {name: choice.need(name, each) for name in QUANTIZATIONS}
    return {
        "number": number,
        "title": choice.title,
        "page": about["page"],
        "facts": " · ".join(filter(None, (about["parameters"], about["licence"], about["files"]))),
        "family": about["family"],
        "needs": {
            name: texts.UNCOUNTED if need is None else texts.NEEDS.format(need=allowed.gigabytes(need))
            for name, need in needs.items()
        },
        "problems": {
            name: absence or allowed.shortage(choice.title, need or 0, most, room) for name, need in needs.items()
        },
        "slow": texts.SLOW if not room.on_gpu and choice.entry and choice.entry.weights > SLOW_WEIGHTS else "",
        "loaded": choice.model in (models.switch.model, models.current.model),
    }


def description(choice: Choice) -> dict[str, str]:
    """Family, parameters, licence, model card and files of a choice, as texts; "" for what is not known."""
    entry = choice.entry
    if choice.model == POCKET:
        count = texts.FEW_PARAMETERS.format(count=round(allowed.POCKET_WEIGHTS[0] / 1e6, 1))
        return {"family": "llava", "parameters": count, "licence": texts.EMBEDDED_LICENCE, "page": "",
                "files": texts.EMBEDDED_FILES}  # fmt: skip
    return {
        "family": entry.family if entry else "",
        "parameters": texts.PARAMETERS.format(count=f"{entry.weights:.1f}") if entry else "",
        "licence": entry.licence if entry else texts.OWN_LICENCE,
        "page": entry.page if entry else "",
        "files": texts.HERE if choice.is_here else texts.TO_FETCH,
    }


def asked_model(models: Models, data: Any) -> tuple[str, str]:
    """(model, quantization) that the page asks for. Raises InputError for what it could not have sent."""
    values = data if isinstance(data, dict) else {}
    quantization, number, text = values.get("quantization"), values.get("number"), values.get("text")
    rows = allowed.choices(models.settings)
    if isinstance(quantization, str):
        if type(number) is int and 0 <= number < len(rows):
            return rows[number].model, quantization
        if isinstance(text, str) and text.strip() and allowed.allows_any(models.settings):
            return text.strip()[:500], quantization
    raise InputError(texts.NOT_A_CHOICE)
