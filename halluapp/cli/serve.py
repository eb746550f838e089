"""`halluapp serve`: the app; `python app.py` is the same."""

from __future__ import annotations

from dataclasses import replace

from halluapp.errors import InputError
from halluapp.machine import address_problem
from halluapp.settings import Settings


def add(commands) -> None:
    """Adds the command."""
    command = commands.add_parser("serve", help="start the app", description="Starts the app in the browser.")
    command.set_defaults(run=run)
    command.add_argument(
        "--host", default=None, help="address to listen on (default: GRADIO_SERVER_NAME, or this machine only)"
    )
    command.add_argument("--port", type=int, default=None, help="0: a free one (default: 7860)")
    command.add_argument("--model", default=None, help="pocket (embedded), auto (what fits), a hub id or a folder")


def run(options) -> int:
    """Serves until it is stopped -> exit code."""
    changes = {"host": options.host, "port": options.port, "model": options.model}
    settings = replace(
        Settings.from_environment(), **{key: value for key, value in changes.items() if value is not None}
    ).checked(serving=True)
    if settings.port and (sentence := address_problem(settings.host, settings.port)):
        raise InputError(sentence)
    from halluapp.ui.app import serve

    serve(settings)
    return 0
