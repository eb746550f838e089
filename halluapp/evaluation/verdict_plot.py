"""Precision against coverage, and reliability, of a judge as one SVG drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SIDE, MARGIN = 260, 46
PARTS = {"all": "#0f766e", "without_persons": "#b45309"}


def plot(result: Mapping[str, Any]) -> str:
    """The output of `judging.evaluate_verdicts` -> SVG text: left precision by coverage, right truth by said p."""
    width, height = 2 * (SIDE + 2 * MARGIN), SIDE + 2 * MARGIN + 18
    curves, bins = [], []
    for name, colour in PARTS.items():
        curves.append(_line([(row["coverage"], row["precision"]) for row in result[name]["curve"]], colour))
        bins.append(_dots([(row["p"], row["present"]) for row in result[name]["bins"]], colour))
    legend = "".join(
        f'<text x="{MARGIN + 130 * i}" y="{height - 6}" fill="{colour}">{name.replace("_", " ")}</text>'
        for i, (name, colour) in enumerate(PARTS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        + _axes("coverage (share of checkable mentions decided)", "precision") + "".join(curves)
        + f'<g transform="translate({SIDE + 2 * MARGIN} 0)">' + _axes("p(object in photo), as said", "share present")
        + _line([(0, 0), (1, 1)], "#9ca3af") + "".join(bins) + "</g>" + legend + "</svg>\n"
    )  # fmt: skip


def _at(x: float, y: float) -> tuple[float, float]:
    return round(MARGIN + SIDE * x, 1), round(MARGIN / 2 + SIDE * (1 - y), 1)


def _axes(below: str, beside: str) -> str:
    x0, y0 = _at(0, 0)
    marks = "".join(
        f'<text x="{_at(v, 0)[0]}" y="{y0 + 14}" text-anchor="middle">{v:g}</text>'
        f'<text x="{x0 - 6}" y="{_at(0, v)[1] + 4}" text-anchor="end">{v:g}</text>'
        f'<path d="M{x0} {_at(0, v)[1]}h{SIDE}" stroke="#e5e7eb"/>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<rect x="{x0}" y="{y0 - SIDE}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#374151"/>{marks}'
        f'<text x="{x0 + SIDE / 2}" y="{y0 + 30}" text-anchor="middle">{below}</text>'
        f'<text transform="translate({x0 - 34} {y0 - SIDE / 2}) rotate(-90)" text-anchor="middle">{beside}</text>'
    )


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x},{y}" for x, y in (_at(*point) for point in points))
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _dots(points: Sequence[tuple[float, float]], colour: str) -> str:
    return "".join(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in (_at(*point) for point in points))
