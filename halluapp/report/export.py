"""A report as Markdown or as one HTML page, for papers and mail; text never turns into markup."""

from __future__ import annotations

import base64
import html as markup
import re
from typing import Any

from halluapp.report.schema import MARKS


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
