"""What the server has done so far, counted: requests by their end, seconds by panel. Nothing of a visitor is kept."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from halluapp.decoding.events import Event, Finished
from halluapp.methods.registry import METHODS
from halluapp.training.library import PREFIX

MOST_PARTS = 4  # of a stacked panel's name
_lock = threading.Lock()
_requests: Counter[tuple[str, str]] = Counter()  # by endpoint and outcome
_request_seconds: defaultdict[str, float] = defaultdict(float)  # by endpoint
_panels: Counter[str] = Counter()
_panel_seconds: defaultdict[str, float] = defaultdict(float)


def panel_name(name: object) -> str:
    """A method's name without a visitor's own words: an adapter is "adapter", what is none is "unknown"."""
    parts = [part.strip() for part in str(name)[:200].split("+")]
    names = ["adapter" if part.startswith(PREFIX) else part for part in parts]
    known_parts = all(part == "adapter" or part in METHODS for part in names)
    return "+".join(names) if known_parts and len(names) <= MOST_PARTS else "unknown"


def count_request(endpoint: str, outcome: str, seconds: float) -> None:
    """Counts a request that has ended."""
    with _lock:
        _requests[endpoint, outcome] += 1
        _request_seconds[endpoint] += seconds


def count_panels(events: Iterator[Event]) -> Iterator[Event]:
    """The events, of which every ended panel is counted; closing it closes them."""
    try:
        for event in events:
            if isinstance(event, Finished):
                with _lock:
                    _panels[panel_name(event.method)] += 1
                    _panel_seconds[panel_name(event.method)] += event.seconds
            yield event
    finally:
        if close := getattr(events, "close", None):
            close()


def lines() -> list[str]:
    """The counters in the text format of Prometheus."""
    with _lock:
        families: tuple[tuple[str, str, Mapping[str, float]], ...] = (
            ("halluapp_requests_total", "Requests that have ended.",
             {f'{{endpoint="{endpoint}",outcome="{outcome}"}}': n for (endpoint, outcome), n in _requests.items()}),
            ("halluapp_request_seconds_total", "Seconds of requests, waiting not included.",
             {f'{{endpoint="{endpoint}"}}': seconds for endpoint, seconds in _request_seconds.items()}),
            ("halluapp_panels_total", "Panels that have ended.",
             {f'{{panel="{name}"}}': n for name, n in _panels.items()}),
            ("halluapp_panel_seconds_total", "Seconds of panels, which decode side by side.",
             {f'{{panel="{name}"}}': seconds for name, seconds in _panel_seconds.items()}),
        )  # fmt: skip
    return [line for name, about, values in families for line in family(name, "counter", about, values)]


def family(name: str, kind: str, about: str, values: Mapping[str, float]) -> list[str]:
    """The lines of one metric. values: by label set, "" for none."""
    rows = [f"{name}{labels} {value:.10g}" for labels, value in sorted(values.items())]
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *rows]
