"""One comparison from the request to the report: check, detect, decode all methods in one batch, judge, report."""

from __future__ import annotations
