"""The report of a comparison: built, checked when read, exported; and the models of the other outputs (`outputs`)."""

from halluapp.report.build import build, dumps, panel, plain, versions
from halluapp.report.export import bundle, html, markdown, preview_bytes
from halluapp.report.reading import load, loads, parse, validate
from halluapp.report.record import SCHEMA
from halluapp.report.schema import MARKS, Report, Verdict

__all__ = [
    "MARKS", "SCHEMA", "Report", "Verdict", "build", "bundle", "dumps", "html", "load", "loads", "markdown", "panel",
    "parse", "plain", "preview_bytes", "validate", "versions",
]  # fmt: skip
