"""JSON Schemas of all published outputs: `python -m halluapp.report` writes them to `docs/schemas`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from halluapp.report import outputs, training_outputs, verdict_outputs, vote_records
from halluapp.report.record import Record
from halluapp.report.schema import Report

# File name, without .schema.json -> model. The name is the command's.
SCHEMAS: dict[str, type[Record]] = {
    "compare": Report,
    "evaluate": outputs.EvaluationResult,
    "evaluate-verdicts": verdict_outputs.VerdictsResult,
    "search": outputs.SearchResult,
    "bench": outputs.BenchResult,
    "halluspace": outputs.HalluSpaceAbout,
    "train-bench": training_outputs.TrainingBenchResult,
    "train-measure": training_outputs.RunMeasurement,
    "train-pairs": training_outputs.PairsResult,
    "votes": vote_records.VotesResult,
}


def documents() -> dict[str, str]:
    """File name -> JSON Schema (draft 2020-12) as text."""
    return {f"{name}.schema.json": _document(model) for name, model in SCHEMAS.items()}


def _document(model: type[Record]) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """`python -m halluapp.report [--write FOLDER]` -> exit code."""
    parser = argparse.ArgumentParser(prog="python -m halluapp.report", description="writes the published JSON Schemas")
    parser.add_argument(
        "--write", type=Path, default=Path("docs/schemas"), metavar="FOLDER", help="default: %(default)s"
    )
    folder = parser.parse_args(arguments).write
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")
    return 0
