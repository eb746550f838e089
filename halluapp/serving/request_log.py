"""One line a request: when, whose session, which methods, how long, how it ended. Nothing that a visitor wrote.

The lines are JSON on standard error, by the logger `halluapp.requests`. A refusal is one of them and no traceback;
tracebacks are for faults.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from gradio.context import LocalContext

from halluapp.serving import metrics

ANSWERED, REFUSED, STOPPED, ABANDONED, FAILED = "answered", "refused", "stopped", "abandoned", "failed"
MOST_NAMES = 13  # methods of one line: more than a comparison takes
logger = logging.getLogger("halluapp.requests")


def start_logging() -> None:
    """Writes the lines to standard error unless the process has its own handlers for them."""
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    logger.setLevel(logging.INFO)


class Entry:
    """A request that is being answered. outcome: set by whoever knows that it was refused or stopped."""

    def __init__(self, endpoint: str, methods: Iterable[object] = (), session: str | None = None):
        self.endpoint = endpoint
        self.methods = [metrics.panel_name(name) for name in list(methods or ())[:MOST_NAMES]]
        self.session = _current_session() if session is None else session
        self.outcome = ANSWERED
        self._start = time.perf_counter()

    def end(self, *, stopped: bool = False) -> None:
        """Writes the line; called in a `finally`, where an error on its way decides the outcome."""
        error = sys.exception()
        if self.outcome == ANSWERED and error is not None:
            self.outcome = ABANDONED if isinstance(error, GeneratorExit) else FAILED
        if self.outcome in (ANSWERED, ABANDONED) and stopped:
            self.outcome = STOPPED
        seconds = time.perf_counter() - self._start
        metrics.count_request(self.endpoint, self.outcome, seconds)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "endpoint": self.endpoint,
            "session": _digest(self.session), "methods": self.methods, "seconds": round(seconds, 3),
            "outcome": self.outcome,
        }  # fmt: skip
        logger.info(json.dumps(line))


def _current_session() -> str:
    """The session hash of the request that this thread works on; "" outside one."""
    return str(getattr(LocalContext.request.get(None), "session_hash", None) or "")


def _digest(session: str) -> str:
    """A caller chooses the session hash, so that it may hold anything: a digest of it tells sessions apart."""
    return hashlib.sha256(session.encode("utf-8", "replace")).hexdigest()[:12] if session else ""
