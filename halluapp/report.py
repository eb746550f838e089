"""The report of a comparison: versioned JSON (schema 1), checked when it is read, and exports for papers and mail."""

from __future__ import annotations

import base64
import html as markup
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from importlib import metadata
from typing import Any

from halluapp import __version__
from halluapp.decoding.events import Token
from halluapp.errors import InputError

SCHEMA = 1
PACKAGES = ("torch", "transformers", "bitsandbytes", "gradio")
# verdict -> symbol, underline style, what it says in words: never colour alone.
MARKS = {
    "grounded": ("✓", "solid", "grounded: the detector found it in the photo"),
    "contradicted": ("✗", "wavy", "contradicted: the detector looked for it and did not find it"),
    "not checkable": ("?", "dotted", "not checkable: nothing here can decide it"),
}


def build(
    *,
    model: str | Mapping[str, Any],
    prompt: str,
    seed: int,
    photo: Mapping[str, Any],
    detections: Iterable[Mapping[str, Any]],
    panels: Iterable[Mapping[str, Any]],
    sampling: Any = None,
    threshold: float | None = None,
    labels: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Assembles a report of plain JSON values.

    model: {"name", ..} or only the name. photo: {"sha256", "width", "height"}. sampling: dataclass or mapping.
    panels: made by `panel`. threshold, labels: the detector score that grounds, and what the detector can find (with
    them a reader judges again without a model). Numbers that JSON does not have (NaN, infinities) become null.
    """
    return plain({
        "schema": SCHEMA,
        "model": {"name": model} if isinstance(model, str) else model,
        "prompt": prompt,
        "seed": seed,
        "sampling": sampling,
        "threshold": threshold,
        "photo": photo,
        "versions": versions(),
        "detections": list(detections),
        "labels": None if labels is None else list(labels),
        "panels": list(panels),
    })  # fmt: skip


def panel(
    method: str,
    parameters: Mapping[str, Any],
    text: str,
    tokens: Iterable[Token],
    mentions: Iterable[Mapping[str, Any]],
    seconds: float | None,
    forward_passes: int | None,
    reason: str | None,
    error: str | None = None,
    explanation: str = "",
) -> dict[str, Any]:
    """One method's part of a report. mentions: as `grounding.verdicts.judge` returns them. reason: why it ended."""
    return plain({
        "method": method,
        "parameters": parameters,
        "explanation": explanation,
        "text": text,
        "error": error,
        "tokens": [asdict(token) for token in tokens],
        "mentions": list(mentions),
        "seconds": seconds,
        "forward_passes": forward_passes,
        "reason": reason,
    })  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what decides the numbers; packages that are not installed are left out. Imports none of them."""
    found = {"halluapp": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """Any nested value -> strict JSON values: finite numbers, lists, text that UTF-8 can hold."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        # Bytes of a command line that are not UTF-8 arrive as lone surrogates.
        return value.encode("utf-8", "replace").decode("utf-8")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # arrays and tensors, their scalars included
        return plain(value.tolist())
    return plain(str(value))


def dumps(report: Mapping[str, Any]) -> str:
    """Report -> JSON text."""
    return json.dumps(plain(report), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


_BOX, _NUMBER, _TEXT, _OPTIONAL_NUMBER = "box", (int, float), (str,), (int, float, type(None))
_DETECTION = {"label": _TEXT, "score": _NUMBER, "box": _BOX}
_MENTION = {
    "text": _TEXT, "start": (int,), "end": (int,), "object": _TEXT, "verdict": _TEXT, "box": _BOX,
    "score": _OPTIONAL_NUMBER,
}  # fmt: skip
_TOKEN = {"id": (int,), "text": _TEXT, "p": _OPTIONAL_NUMBER, "p_reference": _OPTIONAL_NUMBER, "top": (list,)}
_PANEL = {
    "method": _TEXT, "parameters": (dict,), "text": _TEXT, "error": (str, type(None)), "tokens": [_TOKEN],
    "mentions": [_MENTION], "seconds": _OPTIONAL_NUMBER, "forward_passes": (int, type(None)),
}  # fmt: skip
_REPORT = {
    "model": {"name": _TEXT}, "prompt": _TEXT, "seed": (int,), "versions": (dict,), "detections": [_DETECTION],
    "photo": {"sha256": _TEXT, "width": (int,), "height": (int,)}, "panels": [_PANEL],
}  # fmt: skip


def loads(text: str | bytes) -> dict[str, Any]:
    """JSON text -> checked report. Raises InputError in one sentence."""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("This file is not JSON; open a report that `compare --json` or the page has saved.") from error
    return validate(report)


def validate(report: Any) -> dict[str, Any]:
    """Returns the report if it has the shape of this schema; else raises InputError in one sentence."""
    if not isinstance(report, dict) or "schema" not in report:
        raise InputError("This is not a halluapp report: it has no schema number.")
    if type(report["schema"]) is not int or report["schema"] != SCHEMA:
        number = repr(report["schema"])[:20]
        raise InputError(
            f"This report has schema {number}, but only {SCHEMA} is read here; use the version that wrote it."
        )
    _check(report, _REPORT, "report")
    for place, one in enumerate(report["panels"]):
        for index, mention in enumerate(one["mentions"]):
            where = f"report.panels[{place}].mentions[{index}]"
            if mention["verdict"] not in MARKS:
                raise _broken(where + ".verdict", "must be one of " + ", ".join(MARKS))
            if not 0 <= mention["start"] <= mention["end"] <= len(one["text"]):
                raise _broken(where, "points outside the panel's text")
        for index, token in enumerate(one["tokens"]):
            if not all(_is_choice(choice) for choice in token["top"]):
                raise _broken(f"report.panels[{place}].tokens[{index}].top", "must hold [text, probability] pairs")
    return report


def _is_choice(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and _is_a(one[1], _OPTIONAL_NUMBER)


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, int | float) and not abs(value) < 2**63:  # NaN, infinities, and what float() cannot hold
        return False
    return isinstance(value, kinds) and not isinstance(value, bool)


def _broken(where: str, problem: str) -> InputError:
    return InputError(f"This report cannot be read: {where} {problem}.")


def _check(value: Any, shape: Any, where: str) -> None:
    """shape: tuple of types, [shape of each item], {key: shape} (more keys are allowed), or _BOX (box or null)."""
    if shape is _BOX:
        if value is None and not where.startswith("report.detections"):
            return
        if not (isinstance(value, list) and len(value) == 4 and all(_is_a(x, _NUMBER) for x in value)):
            raise _broken(where, "must hold four numbers")
    elif isinstance(shape, tuple):
        if not _is_a(value, shape):
            names = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}
            raise _broken(where, "must be " + " or ".join(names.get(kind, "null") for kind in shape))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _broken(where, "must be a list")
        for index, item in enumerate(value):
            _check(item, shape[0], f"{where}[{index}]")
    else:
        if not isinstance(value, dict):
            raise _broken(where, "must be an object")
        for key, part in shape.items():
            if key not in value:
                raise _broken(f"{where}.{key}", "is missing")
            _check(value[key], part, f"{where}.{key}")


def _pieces(text: str, mentions: list[dict]) -> list[tuple[str, dict | None]]:
    """Cuts a text at its mentions -> [(piece, mention or None)] in order; an overlapping mention is left out."""
    pieces, end = [], 0
    for mention in sorted(mentions, key=lambda one: one["start"]):
        if mention["start"] < end or mention["start"] == mention["end"]:
            continue
        pieces += [(text[end : mention["start"]], None), (text[mention["start"] : mention["end"]], mention)]
        end = mention["end"]
    return [piece for piece in [*pieces, (text[end:], None)] if piece[0]]


def _row(one: dict) -> list[str]:
    counts = [str(sum(mention["verdict"] == verdict for mention in one["mentions"])) for verdict in MARKS]
    seconds = "–" if one["seconds"] is None else f"{one['seconds']:.2f}"
    passes = "–" if one["forward_passes"] is None else str(one["forward_passes"])
    return [one["method"], *counts, str(len(one["tokens"])), seconds, passes]


_COLUMNS = ["method", *(f"{mark[0]} {name}" for name, mark in MARKS.items()), "tokens", "seconds", "forward passes"]


def _md(text: Any, lines: bool = False) -> str:
    """Escapes Markdown; line breaks become spaces unless the caller quotes every line."""
    text = str(text).replace("\r", "") if lines else " ".join(str(text).split())
    text = re.sub(r"([\\`*_\[\]<>&|~#$])", r"\\\1", text)
    marker = r"(?m)^(\s*)(?:([-+=])(?=[\s=-]|$)|(\d+)([.)])(?=\s|$))"  # of a list, a rule or a heading
    return re.sub(marker, lambda m: f"{m[1]}{m[3] or ''}\\{m[2] or m[4]}", text)


def _quote(text: str) -> str:
    return "> " + text.replace("\n", "  \n> ")


def _facts(report: dict) -> list[tuple[str, str]]:
    photo, model = report["photo"], report["model"]
    about = ", ".join(str(value) for value in model.values() if value)
    packages = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    picture = f"{photo['width']} × {photo['height']}, SHA-256 {photo['sha256']}"
    return [("Model", about), ("Photo", picture), ("Seed", str(report["seed"])), ("Versions", packages)]


def markdown(report: dict[str, Any]) -> str:
    """Report -> Markdown; mentions are bold and followed by the symbol of their verdict."""
    lines = ["# Comparison", "", _quote(_md(report["prompt"], lines=True)), ""]
    lines += [f"- {name}: {_md(value)}" for name, value in _facts(report)]
    lines += ["", "| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    lines += ["| " + " | ".join(_md(cell) for cell in _row(one)) + " |" for one in report["panels"]]
    for one in report["panels"]:
        marked = (
            f"**{_md(piece)}** {MARKS[mention['verdict']][0]}" if mention else _md(piece, lines=True)
            for piece, mention in _pieces(one["text"], one["mentions"])
        )
        body = f"Failed: {_md(one['error'])}" if one["error"] else "".join(marked)
        explanation = [_md(one["explanation"]), ""] if one.get("explanation") else []
        lines += ["", f"## {_md(one['method'])}", "", *explanation, _quote(body)]
    return "\n".join(lines) + "\n"


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2024;background:#fff}
blockquote,.text{white-space:pre-wrap;margin:.5rem 0;padding:.5rem 1rem;border-left:3px solid #8a94a0}
table{border-collapse:collapse;font-size:.875rem}td,th{padding:.2rem .6rem;border:1px solid #c8ced4;text-align:left}
mark{background:none;color:inherit;font-weight:600;text-decoration:underline;text-decoration-thickness:2px}
.contradicted{text-decoration-color:#c62828}.grounded{text-decoration-color:#1b7f3b}
.photo{position:relative;display:inline-block;overflow:hidden}.photo img{display:block;max-width:100%}
.photo span{position:absolute;border:2px solid #fff;outline:1px solid #000;color:#fff;text-shadow:0 0 3px #000}
@media(prefers-color-scheme:dark){body{color:#e6e8ea;background:#16191c}}
"""
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def _h(text: Any) -> str:
    return markup.escape(str(text), quote=True)


def _marked(piece: str, mention: dict | None) -> str:
    if mention is None:
        return _h(piece)
    symbol, underline, words = MARKS[mention["verdict"]]
    title = _h(f"{mention['object']} – {mention.get('reason') or words}")
    kind = mention["verdict"].replace(" ", "-")
    return f'<mark class="{kind}" style="text-decoration-style:{underline}" title="{title}">{_h(piece)} {symbol}</mark>'


def _photo(report: dict, photo: bytes | None) -> str:
    kind = next((name for magic, name in _KINDS.items() if photo and photo.startswith(magic)), None)
    if photo is None or kind is None:
        return ""
    boxes = []
    for found in report["detections"]:
        x0, y0, x1, y1 = (100 * side for side in found["box"])
        place = f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"
        boxes.append(f'<span style="{place}">{_h(found["label"])} {found["score"]:.2f}</span>')
    image = f'<img alt="the photo" src="data:{kind};base64,{base64.b64encode(photo).decode()}">'
    return f'<div class="photo">{image}{"".join(boxes)}</div>'


def _panel_html(one: dict) -> str:
    text = "".join(_marked(*piece) for piece in _pieces(one["text"], one["mentions"]))
    body = f"<p><strong>Failed:</strong> {_h(one['error'])}</p>" if one["error"] else f'<div class="text">{text}</div>'
    return f"<h2>{_h(one['method'])}</h2><p>{_h(one.get('explanation') or '')}</p>{body}"


def html(report: dict[str, Any], photo: bytes | None = None) -> str:
    """Report -> one self-contained HTML page without scripts. photo: its encoded bytes, shown with the detections."""
    facts = "".join(f"<li>{name}: {_h(value)}</li>" for name, value in _facts(report))
    head = "".join(f"<th>{_h(name)}</th>" for name in _COLUMNS)
    rows = "".join("<tr>" + "".join(f"<td>{_h(cell)}</td>" for cell in _row(one)) + "</tr>" for one in report["panels"])
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Comparison</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style></head><body>'
        f"<h1>Comparison</h1><blockquote>{_h(report['prompt'])}</blockquote>{_photo(report, photo)}<ul>{facts}</ul>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        + "".join(_panel_html(one) for one in report["panels"])
        + "</body></html>\n"
    )
