"""By which names a server may be called: a page of another site must not reach one that listens to this machine only.

Such a page may let its own name lead to 127.0.0.1 (DNS rebinding); to the browser the server is then that site, and all
that it answers can be read. The name in `Host` stays the site's, and no script can change it.
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from halluapp.machine import is_loopback
from halluapp.settings import Settings

FOREIGN = "This server is not called by this name; use http://127.0.0.1, or allow the name with HALLUAPP_HOSTS."
MISDIRECTED = 421
_PORT = re.compile(r":\d*$")


def names(settings: Settings) -> frozenset[str] | None:
    """The names beside loopback's that requests may carry; None for any: on a public server without HALLUAPP_HOSTS."""
    if settings.public and not settings.hosts:
        return None
    return frozenset(name.lower() for name in settings.hosts)


class HostCheck:
    """ASGI middleware: refuses a request, of any route, whose `Host` is neither loopback's nor one of the names."""

    def __init__(self, app: ASGIApp, names: frozenset[str]):
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it. One without a `Host` comes from no browser."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
        if all(map(self._is_ours, hosts)):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = JSONResponse({"error": FOREIGN, "detail": FOREIGN}, MISDIRECTED)
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_ours(self, host: str) -> bool:
        name = _PORT.sub("", host.strip()).lower().removesuffix(".")
        return is_loopback(name) or name in self.names
