"""What gradio remembers of every caller, bounded: it would hold a megabyte for each call of the API, for ever.

A session holds the settings of every component and the last values of all; each call of `call/` and `run/` is a session
of its own, of which nothing is needed once it has ended. Pages keep theirs until there are too many.
"""

from __future__ import annotations

import ctypes
import datetime
import sys
from contextlib import suppress
from typing import Any

import gradio as gr

MOST_PAGES = 128  # whose state is remembered; the page that was used longest ago starts anew
MOST_STREAMS = 512  # of messages that nobody has fetched yet
CLOSED_SECONDS = 3600  # how long a page that was closed may come back to its state
M_ARENA_MAX = -8  # malloc.h
MOST_ANALYTICS = 64  # gradio makes a table of all of them after every request


def share_arenas() -> None:
    """Lets all threads share two arenas of glibc: each of the many that may decode would hold what it once needed."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def forget_calls(app: gr.Blocks) -> None:
    """Lets every call of a public endpoint end without a trace."""
    process_api = app.process_api

    async def process(block_fn: Any, *values: Any, **options: Any) -> Any:
        try:
            return await process_api(block_fn, *values, **options)
        finally:
            session_hash = options.get("session_hash")
            function = app.fns.get(block_fn) if isinstance(block_fn, int) else block_fn
            if session_hash and getattr(function, "api_visibility", "") == "public":
                _forget(app, session_hash)

    vars(app)["process_api"] = process


def bound(app: gr.Blocks) -> None:
    """Bounds what the queue of an app remembers; to be called once `queue` was."""
    queue = app._queue
    queue.pending_messages_per_session.max_size = MOST_STREAMS
    queue.ANALYTICS_MAX_EVENTS, queue.ANAYLTICS_CACHE_FREQUENCY = MOST_ANALYTICS, 10**9


def drop_closed(app: gr.Blocks, seconds: float = CLOSED_SECONDS) -> int:
    """Forgets pages that were closed long ago -> how many; and callers that have nothing to fetch."""
    holder, count = app.state_holder, 0
    limit = datetime.datetime.now() - datetime.timedelta(seconds=seconds)
    for session, state in list(holder.session_data.items()):
        if state.is_closed and holder.time_last_used.get(session, limit) <= limit:
            _forget(app, session)
            count += 1
    queue = app._queue
    for session, events in list(queue.pending_event_ids_session.items()):
        if not events and session not in queue.pending_messages_per_session:  # no stream reads there any more
            queue.pending_event_ids_session.pop(session, None)
    return count


def _forget(app: gr.Blocks, session: str) -> None:
    app.state_holder.session_data.pop(session, None)
    app.state_holder.time_last_used.pop(session, None)
