"""A report as Markdown or as one HTML page, for papers and mail; text never turns into markup."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.report.build import dumps
from halluapp.report.reading import parse
from halluapp.report.record import Box
from halluapp.report.schema import MARKS, Report, ReportFlag, ReportMention, ReportPanel, ReportSample, ReportSpread
from halluapp.report.vote_records import ReportVote

if TYPE_CHECKING:
    from jinja2 import Template

_COLUMNS = [
    "method",
    "expected inventions",
    "against the baseline",
    *(f"{mark[0]} {name}" for name, mark in MARKS.items()),
    "tokens",
    "seconds",
    "forward passes",
]
MOST_WORDS = 2000  # of a text whose differences are marked: the comparison grows with the square
BASELINE = "baseline"  # the method that the others are compared with
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def bundle(report: Mapping[str, Any] | Report, photo: bytes | None, stem: str) -> bytes:
    """Report -> a zip with the report as JSON, HTML and Markdown, and the photo beside them (PNG, JPEG or WebP).

    stem: file names without suffix. Raises InputError where the values are no report.
    """
    picture = f"{stem}.{_suffix(photo)}" if _suffix(photo) else ""
    contents = {
        f"{stem}.json": dumps(report), f"{stem}.html": html(report, photo), f"{stem}.md": markdown(report, picture),
    }  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
        if picture and photo:
            archive.writestr(picture, photo)
    return buffer.getvalue()


def markdown(report: Mapping[str, Any] | Report, picture: str = "") -> str:
    """Report -> Markdown; mentions are bold and followed by the symbol of their verdict.

    picture: the name of the photo's file beside it. Raises InputError where the values are no report.
    """
    report = parse(report)
    lines = ["# Comparison", "", _quote(_md(report.prompt, lines=True)), ""]
    lines += [f"![The photo]({picture})", ""] if picture else []
    lines += [f"- {name}: {_md(value)}" for name, value in _facts(report)]
    lines += ["", "| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    lines += ["| " + " | ".join(_md(cell) for cell in _row(panel)) + " |" for panel in report.panels]
    for panel in report.panels:
        explanation = [_md(panel.explanation), ""] if panel.explanation else []
        parameters = [f"Parameters: {_md(_parameters(panel))}", ""] if panel.parameters else []
        lines += ["", f"## {_md(panel.title or panel.method)}", "", *explanation, *parameters, _md_answer(panel)]
        for sample in panel.samples:
            lines += ["", f"With seed {sample.seed}:", "", _md_answer(sample)]
    lines += ["", "Signs: " + "; ".join(f"{symbol} {_md(words)}" for symbol, _, words in MARKS.values())]
    return "\n".join(lines) + "\n"


def _md_answer(answer: ReportPanel | ReportSample) -> str:
    pieces = (
        f"**{_md(piece)}** {MARKS[mention.verdict][0]}" if mention else _md(piece, lines=True)
        for piece, mention in _pieces(answer)
    )
    return _quote(f"Failed: {_md(answer.error)}" if answer.error else "".join(pieces))


def html(report: Mapping[str, Any] | Report, photo: bytes | None = None) -> str:
    """Report -> one self-contained HTML page without scripts, by `template.html.j2`.

    photo: its encoded bytes (PNG, JPEG or WebP), shown with the detections. Raises InputError where the values are no
    report.
    """
    report = parse(report)
    return _template().render(
        report=report, photo=_data_uri(photo), facts=_facts(report), columns=_COLUMNS, marks=MARKS, row=_row,
        pieces=_marked_pieces, boxes=_boxes(report), parameters=_parameters, compared=_compared(report),
        percent=lambda share: f"{100 * share:.2f}%",
    )  # fmt: skip


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("halluapp.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("template.html.j2")


def preview_bytes(report: Mapping[str, Any]) -> bytes:
    """The small photo that a report carries; b"" without one. Raises InputError where it is no base64."""
    try:
        return base64.b64decode(report["photo"].get("preview", ""), validate=True)
    except ValueError as error:
        raise InputError("The photo inside this report is damaged.") from error


def _suffix(photo: bytes | None) -> str:
    """Of a file of the photo; "" for bytes of another kind."""
    return next((kind.partition("/")[2] for magic, kind in _KINDS.items() if photo and photo.startswith(magic)), "")


def _data_uri(photo: bytes | None) -> str:
    """The photo inside the page; "" without one and for bytes of another kind."""
    kind = next((name for magic, name in _KINDS.items() if photo and photo.startswith(magic)), None)
    return f"data:{kind};base64,{base64.b64encode(photo).decode()}" if photo and kind else ""


def _pieces(panel: ReportPanel | ReportSample) -> list[tuple[str, ReportMention | None]]:
    """Cuts an answer's text at its mentions -> [(piece, mention or None)]; an overlapping mention is left out."""
    pieces: list[tuple[str, ReportMention | None]] = []
    end = 0
    for mention in sorted(panel.mentions, key=lambda mention: mention.start):
        if mention.start < end or mention.start == mention.end:
            continue
        pieces += [(panel.text[end : mention.start], None), (panel.text[mention.start : mention.end], mention)]
        end = mention.end
    return [piece for piece in [*pieces, (panel.text[end:], None)] if piece[0]]


def _row(panel: ReportPanel) -> list[str]:
    """Cells of the table, in the order of _COLUMNS."""
    counts = [str(sum(mention.verdict == verdict for mention in panel.mentions)) for verdict in MARKS]
    seconds = "–" if panel.seconds is None else f"{panel.seconds:.2f}"
    passes = "–" if panel.forward_passes is None else str(panel.forward_passes)
    return [
        panel.title or panel.method,
        _inventions(panel),
        _difference(panel),
        *counts,
        str(len(panel.tokens)),
        seconds,
        passes,
    ]


def _answers(panel: ReportPanel) -> list[ReportPanel | ReportSample]:
    return [panel, *panel.samples]


def _boxes(report: Report) -> list[tuple[str, Box]]:
    """Boxes of what the texts name, each once: (label, box)."""
    mentions = (one for panel in report.panels for answer in _answers(panel) for one in answer.mentions)
    boxes: dict[Box, str] = {one.box: one.label or one.object for one in mentions if one.box}
    return [(label, box) for box, label in boxes.items()]


def _inventions(panel: ReportPanel) -> str:
    """ "1.8 [0.6, 3.1] of 5", of several samples "1.8 ± 0.6 (sd) of 5.2", or a dash where nothing is calibrated."""
    if panel.spread:
        return _spread(panel.spread)
    one = panel.inventions
    return f"{one.expected:.1f} [{one.low:.1f}, {one.high:.1f}] of {one.named}" if one else "–"


def _spread(spread: ReportSpread) -> str:
    """Mean and standard deviation over the samples."""
    if spread.mean is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.1f} (sd)"
    return f"{spread.mean:.1f}{deviation} of {spread.named or 0:.1f} (mean of {spread.n} samples)"


def _difference(panel: ReportPanel) -> str:
    """ "-1.3 [-2.2, -0.4]", or a dash for the baseline and where nothing is calibrated."""
    one = panel.spread.difference if panel.spread else panel.difference
    return f"{one.value:+.1f} [{one.low:+.1f}, {one.high:+.1f}]" if one else "–"


def _parameters(panel: ReportPanel) -> str:
    """ "alpha 1.0, beta 0.1", "" for a method without any."""
    return ", ".join(f"{name} {value}" for name, value in panel.parameters.items())


def _compared(report: Report) -> bool:
    """Whether there is a baseline that other panels can differ from."""
    return len(report.panels) > 1 and any(panel.method == BASELINE for panel in report.panels)


def _words(text: str) -> list[tuple[int, int, str]]:
    """Words: first character, the one after the last, the word in small letters."""
    return [(match.start(), match.end(), match[0].lower()) for match in re.finditer(r"\w+(?:['’-]\w+)*", text)]


def _differing(answer: ReportPanel | ReportSample, report: Report, sample: int) -> list[tuple[int, int]]:
    """Stretches of an answer's text that the baseline's of the same sample does not have."""
    baselines = (_answers(panel) for panel in report.panels if panel.method == BASELINE)
    baseline = next((answers[sample] for answers in baselines if sample < len(answers)), None)
    if baseline is None or baseline.error or baseline is answer:
        return []
    words, others = _words(answer.text), _words(baseline.text)
    if max(len(words), len(others)) > MOST_WORDS:
        return []
    matcher = SequenceMatcher(None, [word[2] for word in others], [word[2] for word in words], autojunk=False)
    return [(words[j][0], words[k - 1][1]) for _, _, _, j, k in _changes(matcher) if k > j]


def _changes(matcher: SequenceMatcher) -> list[tuple[str, int, int, int, int]]:
    return [change for change in matcher.get_opcodes() if change[0] != "equal"]


def _marked_pieces(
    answer: ReportPanel | ReportSample, report: Report, sample: int = 0
) -> list[tuple[str, ReportMention | None, bool]]:
    """`_pieces`, cut where the text leaves the baseline's -> [(piece, mention or None, whether it differs)].

    A mention stays whole, and differs where any part of it does. sample: which of the panel's answers it is.
    """
    spans, pieces, start = _differing(answer, report, sample), [], 0
    for piece, mention in _pieces(answer):
        end = start + len(piece)
        inside = [(max(a, start), min(b, end)) for a, b in spans if a < end and start < b]
        if mention or not inside:
            pieces.append((piece, mention, bool(inside)))
        else:
            cuts = sorted({start, end, *(cut for span in inside for cut in span)})
            parts = [(answer.text[a:b], None, (a, b) in inside) for a, b in pairwise(cuts)]
            pieces += parts
        start = end
    return pieces


def _verdicts(report: Report) -> str:
    """How right each verdict was where it was measured, at the default sureness."""
    return "; ".join(
        f"{name} right in {verdict.precision:.2f} of {verdict.n} mentions"
        for name, verdict in (report.judge.measured.items() if report.judge else ())
        if verdict.precision is not None
    )


def _facts(report: Report) -> list[tuple[str, str]]:
    """What the numbers depend on: name, value."""
    photo = report.photo
    model = ", ".join(str(value) for value in report.model.model_dump().values() if value)
    packages = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    picture = f"{photo.width} × {photo.height}, SHA-256 {photo.sha256}"
    verdicts = [("Verdicts at the default sureness", measured)] if (measured := _verdicts(report)) else []
    facts = [
        ("Date", report.date), ("Model", model), ("Photo", f"{photo.name}, {picture}" if photo.name else picture),
        ("Seed", str(report.seed)), ("Samples of every method", str(report.samples) if report.samples > 1 else ""),
        ("Sampling", _sampling(report)),
        ("Verdicts have to be", f"{report.sure:g} sure" if report.sure else ""), *verdicts,
        ("Held to be wrong", "; ".join(f"{flag.text} ({flag.verdict}, {_flag_panel(flag)})" for flag in report.flags)),
        *((f"Blind vote {number}", _vote(vote, report)) for number, vote in enumerate(report.votes, 1)),
        ("Versions", packages),
    ]  # fmt: skip
    return [(name, value) for name, value in facts if value]


def _vote(vote: ReportVote, report: Report) -> str:
    """A ranking from the best on, and the ticked words; those of a method that the report lacks go by its name."""
    titles = {panel.method: panel.title or panel.method for panel in report.panels}
    ranks = sorted((rank, titles.get(method, method)) for method, rank in vote.ranks.items())
    words = ", ".join(f"{word.text} ({titles.get(word.method, word.method)})" for word in vote.wrong)
    parts = (", ".join(f"{rank}. {title}" for rank, title in ranks), f"wrong: {words}" if words else "")
    return "; ".join(part for part in parts if part) or "no word is wrong"


def _flag_panel(flag: ReportFlag) -> str:
    return f"{flag.method}, sample {flag.sample + 1}" if flag.sample else flag.method


def _sampling(report: Report) -> str:
    """All settings of the sampling, "" where the report has none."""
    values = report.sampling.model_dump() if report.sampling else {}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items() if name != "seed")


def _md(text: Any, lines: bool = False) -> str:
    """Escapes Markdown; line breaks become spaces unless the caller quotes every line."""
    text = str(text).replace("\r", "") if lines else " ".join(str(text).split())
    text = re.sub(r"([\\`*_\[\]<>&|~#$])", r"\\\1", text)
    marker = r"(?m)^(\s*)(?:([-+=])(?=[\s=-]|$)|(\d+)([.)])(?=\s|$))"  # of a list, a rule or a heading
    return re.sub(marker, lambda m: f"{m[1]}{m[3] or ''}\\{m[2] or m[4]}", text)


def _quote(text: str) -> str:
    return "> " + text.replace("\n", "  \n> ")
