"""Whether whoever asked is still there: nobody is decoded for who has left.

gradio notes that the stream of a queued event was closed, but runs its handler to the end; and of a direct call
(`run/`) it notes nothing.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gradio.context import LocalContext
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from halluapp.errors import InputError
from halluapp.serving.lane import LEFT as TOO_LATE
from halluapp.serving.lane import POLL_SECONDS, never

LEFT = "halluapp.left"  # in the scope of a direct call: the event that is set when it is closed
_slots = threading.Semaphore(2)
DIRECT_CALL = re.compile(r"/(run|api)/[^/]+/?$")


def departure() -> Callable[[], bool]:
    """A flag that says whether the caller of this handler has left; to be made in the handler itself."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is None:
        return never
    if event_id is not None:
        events = blocks._queue.event_ids_to_events

        def has_left() -> bool:
            event = events.get(event_id)
            return event is None or not event.alive

        return has_left
    request = getattr(LocalContext.request.get(None), "request", None)
    left = request.scope.get(LEFT) if request is not None else None
    return left.is_set if left is not None else never


@contextmanager
def slot() -> Iterator[None]:
    """A turn for heavy work without the model, such as writing a report that somebody opened: two at a time.

    To be entered in the handler itself. Raises InputError where its caller leaves before.
    """
    left = departure()
    while not _slots.acquire(timeout=POLL_SECONDS):
        if left():
            raise InputError(TOO_LATE)
    try:
        yield
    finally:
        _slots.release()


class CallerWatch:
    """ASGI middleware: notes in the scope of a direct call when its connection is closed."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; once its body is read, waits beside it for the end of the connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or not DIRECT_CALL.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        left, is_read = threading.Event(), asyncio.Event()

        async def noted() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                left.set()
            elif not message.get("more_body", False):
                is_read.set()
            return message

        async def watch() -> None:
            await is_read.wait()
            await noted()

        watcher = asyncio.create_task(watch())
        try:
            await self.app({**scope, LEFT: left}, noted, send)
        finally:
            watcher.cancel()
