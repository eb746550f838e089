"""Who a request comes from, and whose a training run is.

On a public server every browser gets a signed cookie; a run belongs to the browser that started it, and to the
operator. Elsewhere one person uses the server, and everything is theirs. gradio's session hash would not do: it ends
with the page, and any caller may choose it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from halluapp.data.files import write_text
from halluapp.errors import InputError
from halluapp.settings import Settings
from halluapp.training.runs import Run

COOKIE, OPERATOR_COOKIE, OPERATOR_HEADER = "halluapp_visitor", "halluapp_operator", "x-halluapp-operator"
OWNER_FILE, SECRET_FILE = "owner", ".secret"  # in a run's folder; in the folder of runs
COOKIE_SECONDS, SECRET_BYTES = 365 * 24 * 3600, 32
NO_COOKIE = "This browser keeps no cookies, and a run belongs to the browser that starts it; allow them and reload."


@dataclass(frozen=True)
class Visitor:
    """id: signed by this server ("": none). all_runs: every run is theirs, on their own machine or as operator."""

    id: str = ""
    all_runs: bool = False

    def owns(self, run: Run) -> bool:
        """Whether the run may be seen and changed."""
        return self.all_runs or (self.id != "" and owner(run) == self.id)

    def check_can_own(self) -> None:
        """Raises InputError where a new run could belong to nobody."""
        if not self.all_runs and not self.id:
            raise InputError(NO_COOKIE)


OWNER_OF_ALL = Visitor(all_runs=True)


def owner(run: Run) -> str:
    """The id of whoever started a run; "" for one of the command line or of a server for one person."""
    try:
        return (run.folder / OWNER_FILE).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def set_owner(run: Run, visitor: Visitor) -> None:
    """Writes whose a new run is."""
    if visitor.id:
        write_text(run.folder / OWNER_FILE, visitor.id)


def stranger(settings: Settings) -> Visitor:
    """Whoever opens the page, before a request says more."""
    return Visitor() if settings.public else OWNER_OF_ALL


def visitor_of(settings: Settings, request: Any) -> Visitor:
    """The visitor that a request of gradio (`gr.Request`) or of Starlette comes from."""
    if not settings.public:
        return OWNER_OF_ALL
    request = getattr(request, "request", None) or request
    headers = getattr(request, "headers", None) or {}
    return from_headers(settings, headers.get("cookie", ""), headers.get(OPERATOR_HEADER, ""))


def from_headers(settings: Settings, cookie: str, token: str = "") -> Visitor:
    """The visitor of a public server by the headers of a request; a signature that is wrong counts as none."""
    try:
        cookies = {name: morsel.value for name, morsel in SimpleCookie(cookie).items()}
    except CookieError:
        cookies = {}
    visitor_id, _, signature = cookies.get(COOKIE, "").partition(".")
    valid = visitor_id != "" and _equal(signature, _sign(settings, visitor_id))
    operator = bool(settings.operator_token) and (
        is_operator_token(settings, token) or _equal(cookies.get(OPERATOR_COOKIE, ""), operator_value(settings))
    )
    return Visitor(visitor_id if valid else "", operator)


def new_value(settings: Settings) -> str:
    """The value of the cookie of a browser that comes for the first time: an id and its signature."""
    visitor_id = secrets.token_hex(16)
    return f"{visitor_id}.{_sign(settings, visitor_id)}"


def is_operator_token(settings: Settings, token: str) -> bool:
    """Whether this is HALLUAPP_OPERATOR_TOKEN."""
    return bool(settings.operator_token) and _equal(token, settings.operator_token)


def operator_value(settings: Settings) -> str:
    """The value of the operator's cookie; another token makes it void."""
    return _sign(settings, "operator:" + settings.operator_token)


def _equal(text: str, other: str) -> bool:
    return hmac.compare_digest(text.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _sign(settings: Settings, text: str) -> str:
    return hmac.new(_secret(settings.runs), text.encode(), hashlib.sha256).hexdigest()


def _secret(root: Path) -> bytes:
    """The key of all signatures: made once a folder of runs, readable by the server's user only."""
    path = root / SECRET_FILE
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=root, prefix=SECRET_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        with suppress(FileExistsError):  # another process was first, and its key holds
            os.link(draft, path)
        os.unlink(draft)
    key = path.read_bytes()
    if len(key) != SECRET_BYTES:
        raise InputError(f"{path} is damaged; remove it, and every visitor gets a new cookie.")
    return key
