"""What a request may hold is checked before any component reads it, and a refusal is a sentence and a line of the log.

gradio makes a component anew in a session once an event changes how it looks, and loses what was laid around its
`preprocess`; so the check stands in front of all of them, for every route (call, run, queue, MCP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.route_utils import FnIndexInferError
from starlette.requests import Request
from starlette.responses import JSONResponse

from halluapp.errors import InputError
from halluapp.serving.request_log import REFUSED, Entry
from halluapp.serving.uploads import NOT_UPLOADED, is_uploaded

UNREADABLE = "A value of this request cannot be read; check the kinds of its arguments."
LINKS = ("http://", "https://")  # gradio fetches these itself, to the upload folder, and no address of this network
UNKNOWN = "There is no such function here; the page's footer lists those of the API."
ROUTES_BY_NAME = re.compile(r"/(queue/join|run/[^/]*|api/[^/]*|call/[^/]*|call/v2/[^/]*)/?$")
MOST_DEPTH = 20
FILE_COMPONENTS = (gr.File, gr.Image, gr.UploadButton)


def check_requests(app: gr.Blocks) -> None:
    """Checks whatever reaches a handler of the app from now on."""
    preprocess_data = app.preprocess_data

    async def checked(block_fn: Any, inputs: list[Any], *more: Any, **options: Any) -> list[Any]:
        try:
            if block_fn.api_visibility == "public":  # a program may leave out what it does not need
                inputs = [*inputs, *(component.value for component in block_fn.inputs[len(inputs) :])]
            _check_files(block_fn, inputs)
            return await preprocess_data(block_fn, inputs, *more, **options)
        except gr.Error as error:
            raise _refusal(str(error.message)) from error
        except InputError as error:
            raise _refusal(str(error)) from error
        except (ValueError, TypeError) as error:  # gradio's own, in its developers' words
            raise _refusal(UNREADABLE) from error

    call_function = app.call_function

    async def called(
        block_fn: Any, inputs: list[Any], iterator: Any = None, requests: Any = None, event_id: str | None = None,
        event_data: Any = None, *more: Any, **options: Any,
    ) -> Any:  # fmt: skip
        try:  # gradio looks up every path in it, and says which one it does not like
            if event_data is not None and not all(is_uploaded(path) for path in _event_paths(event_data._data)):
                raise InputError(NOT_UPLOADED)
        except InputError as error:
            raise _refusal(str(error)) from error
        return await call_function(block_fn, inputs, iterator, requests, event_id, event_data, *more, **options)

    vars(app).update(preprocess_data=checked, call_function=called)


def exception_handlers() -> dict[Any, Any]:
    """What FastAPI is to say where gradio looks up a function that there is not, or cannot read a body: a sentence."""
    return {KeyError: _unknown, FnIndexInferError: _unknown, RequestValidationError: _unreadable}


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    if not ROUTES_BY_NAME.search(request.url.path):
        raise error
    return _answer(404, UNKNOWN)


async def _unreadable(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own answer repeats what was sent."""
    return _answer(422, UNREADABLE)


def _answer(status: int, sentence: str) -> JSONResponse:
    _log_refusal()
    return JSONResponse({"error": sentence, "detail": sentence}, status)


def _log_refusal() -> None:
    entry = Entry("input")
    entry.outcome = REFUSED
    entry.end()


def _refusal(sentence: str) -> gr.Error:
    _log_refusal()
    return gr.Error(sentence, print_exception=False)


def _check_files(block_fn: Any, inputs: list[Any]) -> None:
    """Raises InputError where a file component is given anything but an uploaded file or a link."""
    for component, value in zip(block_fn.inputs, inputs, strict=False):
        if isinstance(component, FILE_COMPONENTS):
            for path in _paths(value):
                if not path.startswith(LINKS) and not is_uploaded(path):
                    raise InputError(NOT_UPLOADED)


def _event_paths(data: Any) -> Iterator[str]:
    """Every path that the data of an event names."""
    return _paths(data) if isinstance(data, dict | list) else iter(())


def _paths(value: Any, depth: int = 0) -> Iterator[str]:
    """Every path that a payload names, at any depth."""
    if depth > MOST_DEPTH:
        raise InputError(UNREADABLE)
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if value.get("path") is not None:
            yield str(value["path"])
        for nested in value.values():
            if isinstance(nested, dict | list):
                yield from _paths(nested, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, depth + 1)
