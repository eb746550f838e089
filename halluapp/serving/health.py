"""`/healthz` and `/metrics`: whether the server works and what it does, off the queue and without a visitor's data."""

from __future__ import annotations

import sys
from typing import Any

import psutil
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from halluapp.serving import metrics
from halluapp.session import is_loaded

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def routes() -> list[Route]:
    """The two routes, for the app that gradio makes."""
    return [Route("/healthz", healthz), Route("/metrics", prometheus)]


async def healthz(request: Request) -> JSONResponse:
    """{"status": "ok", "model_loaded", "queue": {"waiting", "running"}}."""
    return JSONResponse({"status": "ok", "model_loaded": is_loaded(), "queue": queue(request.app)})


async def prometheus(request: Request) -> PlainTextResponse:
    """All metrics in the text format of Prometheus."""
    gauges = {
        "halluapp_model_loaded": ("Whether the model is loaded.", {"": float(is_loaded())}),
        "halluapp_queue": ("Requests that wait and run.",
                           {f'{{state="{state}"}}': n for state, n in queue(request.app).items()}),
        "halluapp_memory_bytes": ("Memory of the server's process.",
                                  {f'{{kind="{kind}"}}': n for kind, n in memory().items()}),
    }  # fmt: skip
    lines = [line for name, (about, values) in gauges.items() for line in metrics.family(name, "gauge", about, values)]
    return PlainTextResponse("\n".join([*metrics.lines(), *lines, ""]), headers={"content-type": TEXT_FORMAT})


def queue(app: Any) -> dict[str, int]:
    """How many requests wait, and how many run, in gradio's queue."""
    events = app.get_blocks()._queue
    return {"waiting": len(events), "running": sum(len(job) for job in events.active_jobs if job)}


def memory() -> dict[str, int]:
    """Bytes: resident, and on the GPU once torch uses one."""
    bytes_by_kind = {"resident": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        bytes_by_kind["gpu"] = torch.cuda.memory_allocated()
    return bytes_by_kind
