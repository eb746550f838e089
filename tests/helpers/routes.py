"""The same comparison over the three routes of the API, by hand."""

from __future__ import annotations

import functools
import json
import urllib.request

from stranger import answer, joined, post


def by_call(address: str, data: list) -> str:
    """The texts of a comparison by POST and stream."""
    event = json.loads(post(address, "call/compare", {"data": data})[1])["event_id"]
    return texts(json.loads(answer(address, event, "compare").rpartition("data: ")[2])[0])


def by_run(address: str, data: list) -> str:
    """The texts of a comparison in one request."""
    return texts(json.loads(post(address, "run/compare", {"data": data})[1])["data"][0])


def by_queue(address: str, data: list) -> str:
    """The texts of a comparison as a page asks for it."""
    return texts(joined(address, fn_index(address), data))


@functools.cache
def fn_index(address: str) -> int:
    """The number of the handler `compare`."""
    with urllib.request.urlopen(f"{address}config", timeout=600) as response:
        config = json.loads(response.read())
    return next(function["id"] for function in config["dependencies"] if function["api_name"] == "compare")


def texts(report: dict) -> str:
    """All texts of a report."""
    return "\n".join(panel["text"] for panel in report["panels"])
