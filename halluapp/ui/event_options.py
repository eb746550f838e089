"""Options of gradio events, by what the handler needs. None of these handlers is an endpoint of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from halluapp.serving.models import Models
from halluapp.serving.visitors import visitor_of
from halluapp.settings import Settings

QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
INSTANT: dict[str, Any] = {**QUEUED, "queue": False}  # for handlers that only read or set what is there
# By default gradio drops an event while an equal one is pending; these carry what was chosen, and each counts.
EACH: dict[str, Any] = {**INSTANT, "trigger_mode": "multiple"}
# Handlers that wait in `serving.lane`: gradio's own queue lets all of them in, so that they can say what they wait for.
LANE: dict[str, Any] = {**QUEUED, "concurrency_id": "lane", "concurrency_limit": None}


def with_visitor(settings: Settings, handler: Callable) -> Callable:
    """`handler` with the visitor as its first argument, whom gradio's request tells."""

    def call(request: gr.Request, *inputs: Any) -> Any:
        return handler(visitor_of(settings, request), *inputs)

    return call


def with_current(models: Models, handler: Callable) -> Callable:
    """`handler` with the settings as its first argument, whose model is the one that answers at that moment."""

    def call(*inputs: Any) -> Any:
        return handler(models.current, *inputs)

    return call
