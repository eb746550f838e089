"""Example photos: scenes that our renderer drew, each with a finished comparison that needs no model to be shown.

    python -m halluapp.ui.compare.examples [FOLDER]

decodes every PNG of the folder (default: `assets/examples`) with the embedded model and writes NAME.report.json beside
it; it is run again whenever the model, the methods or the judge change.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
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


def photos(assets: Path) -> list[Path]:
    """The example photos, those first whose comparison shows most surely that a method invents less."""
    return sorted((assets / "examples").glob("*.png"), key=lambda path: (_story(report_of(path)), path.name))


def report_of(photo: Path) -> dict[str, Any] | None:
    """The finished comparison of an example; None where there is none that can be read."""
    try:
        return reports.loads(photo.with_suffix(SUFFIX).read_bytes())
    except (OSError, InputError):
        return None


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
    """Decodes the examples of a folder one after the other -> the files, as they are written."""
    models = Models(settings or Settings())
    for path in sorted(folder.glob("*.png")):
        request = make_request(path, texts.PROMPTS[0])
        current = state.ComparisonState(read_photo(path), request.prompt, request.sure, path.name)
        for event in models.stream(request):
            current.add(event)
        write_text(path.with_suffix(SUFFIX), json.dumps(current.report, ensure_ascii=False, separators=(",", ":")))
        yield path.with_suffix(SUFFIX)


if __name__ == "__main__":
    raise SystemExit(main())
