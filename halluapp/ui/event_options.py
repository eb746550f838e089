"""Options of gradio events, by what the handler needs. None of these handlers is an endpoint of the API."""

from __future__ import annotations

from typing import Any

QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
INSTANT: dict[str, Any] = {**QUEUED, "queue": False}  # for handlers that only read or set what is there
# One comparison at a time; no adapter changes under a comparison.
MODEL: dict[str, Any] = {**QUEUED, "concurrency_id": "model", "concurrency_limit": 1}
