"""What else the page can show than a run of its own: a photo just chosen, an example, a report saved earlier; flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from halluapp import report as reports
from halluapp.data.photos import read_photo
from halluapp.errors import InputError
from halluapp.grounding.spread import answers
from halluapp.results import Store
from halluapp.serving import callers
from halluapp.serving.uploads import NOT_UPLOADED, is_uploaded
from halluapp.ui import texts
from halluapp.ui.compare import examples, exports, state, stored
from halluapp.ui.compare.run import Result, fault, finished, stage_of

MOST_CHARACTERS = 12_000_000  # of a report that somebody opens
MOST_PANELS, MOST_TOKENS, MOST_TEXT = 64, 2048, 20_000  # of it, samples counted; the last two of an answer
Key = tuple[Any, int, int]  # method, start, sample of a flagged mention


def take(result: Result, event: gr.EventData) -> tuple:
    """A photo that was just uploaded. Input: result. Outputs: stage state, result, photo path, files of the report."""
    path = str(_field(event, "path"))
    try:
        if not is_uploaded(path):
            raise InputError(NOT_UPLOADED)
        stage = state.of_photo(read_photo(path), Path(path).name)
    except InputError as error:
        return fault(result, str(error)), gr.skip(), gr.skip(), *exports.nothing_new()
    stage, result, *files = finished(stage, None)
    return stage, result, path, *files


def example(assets: Path, number: int) -> tuple:
    """An example by its number. Outputs: as `show`."""
    all_examples = examples.examples(assets)
    if not 0 <= number < len(all_examples):
        return show(state.empty(), None, None)
    chosen = all_examples[number]
    report = examples.report_of(chosen)
    if report is None:
        return show(state.of_photo(read_photo(chosen.photo), chosen.photo.name), None, str(chosen.photo))
    status = texts.EXAMPLE_SHOWN.format(credit=chosen.credit)
    return show({**state.of_report(report), "status": status}, report, str(chosen.photo))


def chosen_example(assets: Path, event: gr.EventData) -> tuple:
    """The example that was clicked. Outputs: as `show`."""
    number = _field(event, "number")
    return example(assets, number if type(number) is int else -1)


def reopen_handler(store: Store | None) -> Callable[..., tuple]:
    """`reopen` for gradio, which gives the event's data to a function that names their type."""

    def handler(event: gr.EventData, result: Result) -> tuple:
        return reopen(result, event, store)

    return handler


def reopen(result: Result, event: gr.EventData, store: Store | None = None) -> tuple:
    """A report that was dropped on the page, stands in its history, or is kept on the server (by its link).

    Input: result. Outputs: as `show`.
    """
    link = _field(event, "link")
    if isinstance(link, str):
        return follow(result, link, store)
    return open_text(result, lambda: str(_field(event, "text")), store)


def fetch_handler(store: Store | None) -> Callable[..., dict[str, Any]]:
    """`fetch` for gradio."""

    def handler(event: gr.EventData, result: Result) -> dict[str, Any]:
        return fetch(result, event, store)

    return handler


def fetch(result: Result, event: gr.EventData, store: Store | None = None) -> dict[str, Any]:
    """What the page shows of reports that stand beside another, by their links. Input: result. Output: stage state."""
    links = _field(event, "links")  # one text: a text in a list would be a path
    chosen = links.split()[:2] if isinstance(links, str) else []
    try:
        with callers.slot():
            outlines = {link: stored.outline(stored.of_link(link, store)) for link in chosen}
    except InputError as error:
        return {**stage_of(result), "error": str(error)}
    return {**stage_of(result), "fetched": outlines}


def follow(result: Result, link: str, store: Store | None = None) -> tuple:
    """The report that a link leads to. Input: result. Outputs: as `show`."""
    return open_text(result, lambda: stored.of_link(link, store), store)


def open_text(result: Result, text: Callable[[], str | dict[str, Any]], store: Store | None = None) -> tuple:
    """A saved report, or the last result with the sentence that says what is wrong. Outputs: as `show`."""
    try:
        with callers.slot():
            source = text()
            report = read(source) if isinstance(source, str) else None
            match = stored.counterpart(store, report) if report else source
            # What is kept is shown as it is kept: the rest of a file with the same answers may be anybody's words.
            return _opened(page_report(reports.validate(match)) if match else report or {}, match is not None)
    except InputError as error:
        return fault(result, str(error)), gr.skip(), gr.skip(), gr.skip(), *exports.nothing_new()


def _opened(report: dict[str, Any], is_kept: bool) -> tuple:
    """A saved report that can be shown. is_kept: on this server. Outputs: as `show`."""
    when = report.get("date", "")[:16].replace("T", " ")
    status = texts.REPORT_SHOWN.format(date=f" of {when}" if when else "", model=report["model"]["name"])
    return show({**state.of_report(report), "status": status, "kept": is_kept}, report, exports.photo_file(report))


def read(text: str) -> dict[str, Any]:
    """A saved report; the photo that it carries is decoded and encoded anew. Raises InputError."""
    if len(text) > MOST_CHARACTERS:
        raise InputError(
            f"The file has more than {MOST_CHARACTERS // 10**6} million characters, and the page opens none so long; "
            "choose a report of fewer samples or tokens."
        )
    return page_report(reports.loads(text))


def page_report(report: dict[str, Any]) -> dict[str, Any]:
    """A report that is small enough for the page, its photo encoded anew. Raises InputError."""
    panels = [answer for panel in report["panels"] for answer in answers(panel)]
    longest = [max((len(panel[part]) for panel in panels), default=0) for part in ("tokens", "text")]
    if len(panels) > MOST_PANELS or longest[0] > MOST_TOKENS or longest[1] > MOST_TEXT:
        raise InputError(
            f"The page shows reports of up to {MOST_PANELS} answers with {MOST_TOKENS:,} tokens and {MOST_TEXT:,} "
            "characters each; this one has more."
        )
    carried = report["photo"].get("preview")
    if carried:
        photo = read_photo(reports.preview_bytes(report))
        report = {**report, "photo": {**report["photo"], "preview": state.preview(photo)}}
    return report


def show(stage: dict[str, Any], report: dict[str, Any] | None, photo: str | None) -> tuple:
    """Outputs: stage state, result, photo path, prompt, files of the report."""
    stage, result, *files = finished(stage, report)
    return stage, result, photo, report["prompt"] if report else gr.skip(), *files


def flag_handler(store: Store | None) -> Callable[..., tuple]:
    """`flag` for gradio, kept on the server as well where the result is."""

    def handler(event: gr.EventData, result: Result) -> tuple:
        outputs = flag(result, event)
        if store and result and result["stage"]["kept"] and isinstance(outputs[1], dict):
            key, flags = _flag_key(event), outputs[1]["report"]["flags"]
            is_wrong = any(_key_of(one) == key for one in flags)
            with suppress(InputError):  # deleted meanwhile by its age: it stays with the report that is shown
                store.set_flags(result["report"]["id"], lambda report: flags_with(report, key, is_wrong))
        return outputs

    return handler


def flag(result: Result, event: gr.EventData) -> tuple:
    """Keeps with the report that a person holds a verdict to be wrong, or no longer does.

    Input: result. Outputs: stage state, result, files of the report.
    """
    key, report = _flag_key(event), result["report"] if result else None
    if not result or not report or not _mention(report, key):
        return gr.skip(), gr.skip(), *exports.nothing_new()
    is_wrong = all(_key_of(one) != key for one in report.get("flags", []))
    report = {**report, "flags": flags_with(report, key, is_wrong)}
    return finished({**result["stage"], "flags": report["flags"]}, report)


def flags_with(report: Mapping[str, Any], key: Key, is_wrong: bool) -> list[dict[str, Any]]:
    """The flags of a report once the verdict on one mention is held to be wrong or no longer is; where the report has
    no such mention, as they are. Text and verdict are the report's."""
    flags, mention = report.get("flags", []), _mention(report, key)
    if mention is None:
        return flags
    method, _, sample = key
    one = {"method": method, **{name: mention[name] for name in ("start", "end", "text", "verdict")}, "sample": sample}
    return [*(flag for flag in flags if _key_of(flag) != key), *([one] if is_wrong else [])]


def _mention(report: Mapping[str, Any], key: Key) -> dict[str, Any] | None:
    method, start, sample = key
    panels = [panel for panel in report["panels"] if panel["method"] == method]
    chosen = [answer for panel in panels for number, answer in enumerate(answers(panel)) if number == sample]
    return next((mention for answer in chosen for mention in answer["mentions"] if mention["start"] == start), None)


def _flag_key(event: gr.EventData) -> Key:
    """Of the mention that was clicked; a key that no mention has where the page sent something else."""
    method, start, sample = _field(event, "method"), _field(event, "start"), _field(event, "sample") or 0
    return (method, start, sample) if type(start) is int and type(sample) is int else ("", -1, 0)


def _key_of(flag: Mapping[str, Any]) -> Key:
    return flag["method"], flag["start"], flag.get("sample", 0)


def _field(event: gr.EventData, name: str) -> Any:
    """What the page's script sent under a name; None where it sent nothing."""
    return event._data.get(name) if isinstance(event._data, dict) else None
