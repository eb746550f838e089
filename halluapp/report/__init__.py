"""The report of a comparison: made, checked when read, and exported."""

from halluapp.report.build import build, dumps, panel, plain, versions
from halluapp.report.export import html, markdown
from halluapp.report.schema import MARKS, SCHEMA, loads, validate

__all__ = ["MARKS", "SCHEMA", "build", "dumps", "html", "loads", "markdown", "panel", "plain", "validate", "versions"]
