"""Examples: photographs that a package ships, and scenes that our renderer drew, each with a finished comparison.

A finished comparison needs no model to be shown.

    python -m halluapp.ui.compare.examples [FOLDER]

decodes every example with the embedded model and writes NAME.report.json to the folder (default: `assets/examples`,
where the scenes' PNG files are); it is run again whenever the model, the methods or the judge change. A photograph is
read where its package keeps it and stands in no file of this project: its report is written without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halluapp import report as reports
from halluapp.data.files import write_text
from halluapp.data.photos import read_photo
from halluapp.errors import InputError
from halluapp.request import make_request
from halluapp.serving.models import Models
from halluapp.settings import ASSETS, Settings
from halluapp.ui import texts
from halluapp.ui.compare import state

SUFFIX = ".report.json"
PACKAGE, FOLDER = "skimage", "data"
# name: (file of the package, who made it and what its docstring says of the licence)
PHOTOGRAPHS = {
    "cat": ("chelsea.png", "Photo: St\u00e9fan van der Walt, CC0"),
    "astronaut": ("astronaut.png", "Photo: NASA, public domain"),
    "cameraman": ("camera.png", "Photo: Lav Varshney, CC0"),
}
DRAWN = "Drawn by halluapp, CC0"


@dataclass(frozen=True)
class Example:
    """A photo that can be clicked. report: the file of its finished comparison. credit: source and licence."""

    name: str
    photo: Path
    report: Path
    credit: str


def examples(assets: Path) -> list[Example]:
    """All examples: photographs first, of each kind those first whose comparison shows most surely that a method
    invents less. Photographs are left out where their package or their comparison is missing."""
    folder = assets / "examples"
    photos = [example for example in photographs(folder) if example.report.exists()]
    return [
        example
        for kind in (photos, scenes(folder))
        for example in sorted(kind, key=lambda one: (_story(report_of(one)), one.name))
    ]


def photographs(folder: Path) -> list[Example]:
    """The photographs of the package, if it is installed; it is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return []
    package = Path(next(iter(spec.submodule_search_locations)))
    photos = [
        Example(name, package / FOLDER / file, folder / (name + SUFFIX), f"{credit}, from scikit-image")
        for name, (file, credit) in PHOTOGRAPHS.items()
    ]
    return [example for example in photos if example.photo.is_file()]


def scenes(folder: Path) -> list[Example]:
    """The drawn scenes of a folder."""
    return [Example(path.stem, path, path.with_suffix(SUFFIX), DRAWN) for path in sorted(folder.glob("*.png"))]


def report_of(example: Example) -> dict[str, Any] | None:
    """The finished comparison of an example, its photo in it; None where there is none that can be read."""
    try:
        report = reports.loads(example.report.read_bytes())
    except (OSError, InputError):
        return None
    if not report["photo"].get("preview"):
        report["photo"]["preview"] = state.preview(read_photo(example.photo))
    return report


def _story(report: dict[str, Any] | None) -> float:
    """The least upper end of the differences to the baseline: below 0 where a method surely invents less."""
    panels = report["panels"] if report else []
    return min((panel["difference"]["high"] for panel in panels if panel.get("difference")), default=0.0)


def main(arguments: list[str] | None = None) -> int:
    """Writes the comparisons -> exit code."""
    parser = argparse.ArgumentParser(prog="python -m halluapp.ui.compare.examples", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ASSETS / "examples")
    for path in write(parser.parse_args(arguments).folder):
        print(f"wrote {path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


def write(folder: Path, settings: Settings | None = None) -> Iterable[Path]:
    """Decodes the scenes of a folder and the photographs, one after the other -> the files, as they are written."""
    models = Models(settings or Settings())
    for example in [*scenes(folder), *photographs(folder)]:
        request = make_request(example.photo, texts.PROMPTS[0])
        current = state.ComparisonState(read_photo(example.photo), request.prompt, request.sure, example.photo.name)
        for event in models.stream(request):
            current.add(event)
        report = current.report or {}
        if example.photo.parent != folder:
            report = {**report, "photo": {**report["photo"], "preview": ""}}
        write_text(example.report, json.dumps(report, ensure_ascii=False, separators=(",", ":")))
        yield example.report


if __name__ == "__main__":
    raise SystemExit(main())
