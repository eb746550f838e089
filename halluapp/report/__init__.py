"""The report of a comparison: built, checked when read, exported; and the models of the other outputs (`outputs`)."""

from halluapp.report.build import build, dumps, panel, plain, versions
from halluapp.report.export import html, markdown
from halluapp.report.record import SCHEMA
from halluapp.report.schema import MARKS, Report, load, loads, parse, validate

__all__ = [
    "MARKS", "SCHEMA", "Report", "build", "dumps", "html", "load", "loads", "markdown", "panel", "parse", "plain",
    "validate", "versions",
]  # fmt: skip
