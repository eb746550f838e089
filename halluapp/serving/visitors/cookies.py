"""The cookies of a public server: one for every browser, which its runs belong to, and the operator's."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from halluapp.serving import visitors
from halluapp.settings import Settings

OPERATOR_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>halluapp: operator</title>
<body style="font-family: system-ui, sans-serif; max-width: 30em; margin: 4em auto; padding: 0 1em">
<form method="post"><p><label>Operator token <input type="password" name="token" autofocus required></label>
<button>Open</button></p><p role="status">{sentence}</p></form></body></html>"""
WRONG_TOKEN = "This is not the operator's token."
MOST_BYTES = 4096  # of the form


class VisitorCookies:
    """ASGI middleware: every page that is opened without a valid cookie of a visitor sets one."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and adds the cookie to the start of the answer."""
        if scope["type"] != "http" or scope["method"] != "GET" or not self._is_new(Request(scope)):
            await self.app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                cookie = header(self.settings, scope, visitors.COOKIE, visitors.new_value(self.settings))
                further = [
                    (b"set-cookie", cookie.encode()),
                    (b"cache-control", b"no-store"),
                ]  # no cache hands it to others
                message = {**message, "headers": [*message["headers"], *further]}
            await send(message)

        await self.app(scope, receive, send_with_cookie)

    def _is_new(self, request: Request) -> bool:
        return not visitors.from_headers(self.settings, request.headers.get("cookie", "")).id


def _is_page(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"])


def header(settings: Settings, scope: MutableMapping[str, Any], name: str, value: str) -> str:
    """The header `Set-Cookie`: unreadable for scripts, never sent by other sites.

    A Space is shown in a frame of another site, so its cookies are `SameSite=None` and kept apart by that site.
    """
    secure = settings.space or Request(scope).headers.get("x-forwarded-proto", scope.get("scheme")) == "https"
    parts = [f"{name}={value}", f"Max-Age={visitors.COOKIE_SECONDS}", "Path=/", "HttpOnly"]
    parts += ["Secure"] if secure else []
    return "; ".join([*parts, *(["SameSite=None", "Partitioned"] if settings.space else ["SameSite=Lax"])])


def operator_route(settings: Settings) -> Route:
    """`/operator`: a form for HALLUAPP_OPERATOR_TOKEN, which is never part of an address."""

    async def operator(request: Request) -> Response:
        sentence = ""
        if request.method == "POST":
            if await _has_token(request):
                value = visitors.operator_value(settings)
                cookie = header(settings, request.scope, visitors.OPERATOR_COOKIE, value)
                return RedirectResponse("./", status_code=303, headers={"set-cookie": cookie})
            sentence = WRONG_TOKEN
        return HTMLResponse(OPERATOR_PAGE.format(sentence=sentence), status_code=403 if sentence else 200)

    async def _has_token(request: Request) -> bool:
        if not request.headers.get("content-length", "").isdecimal():
            return False
        if int(request.headers["content-length"]) > MOST_BYTES:
            return False
        form = await request.form()
        return visitors.is_operator_token(settings, str(form.get("token", "")))

    return Route("/operator", operator, methods=["GET", "POST"])
