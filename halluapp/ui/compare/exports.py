"""The files that the page offers of a report: one HTML page, a zip with everything, JSON."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from halluapp import report as reports
from halluapp.errors import InputError
from halluapp.ui import texts

FORMS = ("html", "zip", "json")
KEY = re.compile(r"[\w-]{22}")


def build(first: list[Any]) -> list[gr.DownloadButton]:
    """A button for each of `FORMS`, in the place where it is called. first: their updates for what is shown first."""
    with gr.Row(elem_id="report"):
        gr.Markdown(texts.SAVE, elem_id="save-label")
        return [
            gr.DownloadButton(
                form.upper(), value=update["value"], interactive=update["interactive"], size="sm",
                elem_id=f"save-{form}", min_width=64,
            )
            for form, update in zip(FORMS, first, strict=True)
        ]  # fmt: skip


def updates(paths: list[str] | None) -> list[Any]:
    """Updates of the buttons: the files of a report, from `write`, or none."""
    files = [*paths] if paths else [None for _ in FORMS]
    return [gr.update(value=path, interactive=path is not None) for path in files]


def nothing_new() -> list[Any]:
    """Updates that leave the buttons as they are."""
    return [gr.skip() for _ in FORMS]


@cache
def _root() -> Path:
    return Path(tempfile.mkdtemp(prefix="halluapp-reports-"))


def write(report: Mapping[str, Any]) -> list[str]:
    """Writes a report in every form -> paths, in the order of `FORMS`. The photo is the one that the page shows.

    They lie in a folder of their own, whose name nobody can guess; a server deletes them by age (`serving.disk`).
    """
    photo = reports.preview_bytes(report)
    stem = file_stem(report)
    contents = {
        "html": reports.html(report, photo).encode(),
        "zip": reports.bundle(report, photo, stem),
        "json": reports.dumps(report).encode(),
    }
    folder = _root() / secrets.token_urlsafe(16)
    folder.mkdir(parents=True)  # the root goes with its last file
    for form, content in contents.items():
        (folder / f"{stem}.{form}").write_bytes(content)
    return [str(folder / f"{stem}.{form}") for form in FORMS]


def key(paths: list[str]) -> str:
    """What leads to the files of `write` again: the part of a link after ?r=."""
    return Path(paths[0]).parent.name


def stored(name: str) -> Path:
    """The JSON of a report by its key. Raises InputError."""
    folder = _root() / name
    path = next(folder.glob("*.json"), None) if KEY.fullmatch(name) and folder.is_dir() else None
    if path is None:
        raise InputError("This link leads to no report any more; open the file that was saved of it.")
    return path


def route() -> Route:
    """The JSON of a report at /reports/KEY of `write`, for the history that the browser keeps."""

    def respond(request: Request) -> Response:
        try:
            return FileResponse(stored(request.path_params["key"]), media_type="application/json")
        except InputError as error:
            return PlainTextResponse(str(error), 404)

    return Route("/reports/{key}", respond)


def file_stem(report: Mapping[str, Any]) -> str:
    """What its files are called: halluapp, the date, the photo; a report that was opened may hold anything there."""
    names = report.get("date", "")[:10], Path(report["photo"].get("name", "")).stem[:40]
    parts = [re.sub(r"[^\w-]+", "-", name).strip("-") for name in names]
    return "-".join(part for part in ("halluapp", *parts) if part)


def photo_file(report: Mapping[str, Any]) -> str | None:
    """The photo that a report carries as a file, so that another run can take it; None without one."""
    photo = reports.preview_bytes(report)
    if not photo:
        return None
    path = Path(tempfile.mkdtemp(prefix="halluapp-report-")) / "photo.jpg"
    path.write_bytes(photo)
    return str(path)
