"""`/healthz` and `/metrics`: whether the server works and what it does, off the queue and without a visitor's data."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import psutil
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from halluapp.serving import metrics
from halluapp.serving.lane import LANE
from halluapp.session import is_loaded

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def routes() -> list[Route]:
    """The two routes, for the app that gradio makes."""
    return [Route("/healthz", healthz), Route("/metrics", prometheus)]


async def healthz(request: Request) -> JSONResponse:
    """{"status": "ok", "model_loaded", "queue": {"waiting", "running"}}."""
    return JSONResponse({"status": "ok", "model_loaded": is_loaded(), "queue": LANE.counts()})


async def prometheus(request: Request) -> PlainTextResponse:
    """All metrics in the text format of Prometheus."""
    gauges: dict[str, tuple[str, Mapping[str, float]]] = {
        "halluapp_model_loaded": ("Whether the model is loaded.", {"": float(is_loaded())}),
        "halluapp_queue": ("Comparisons that wait and run.",
                           {f'{{state="{state}"}}': n for state, n in LANE.counts().items()}),
        "halluapp_queue_wait_seconds": ("Expected wait of whoever comes now.", {"": LANE.expected_seconds()}),
        "halluapp_memory_bytes": ("Memory of the server's process.",
                                  {f'{{kind="{kind}"}}': n for kind, n in memory().items()}),
    }  # fmt: skip
    lines = [line for name, (about, values) in gauges.items() for line in metrics.family(name, "gauge", about, values)]
    return PlainTextResponse("\n".join([*metrics.lines(), *lines, ""]), headers={"content-type": TEXT_FORMAT})


def memory() -> dict[str, int]:
    """Bytes: resident, and on the GPU once torch uses one."""
    bytes_by_kind = {"resident": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        bytes_by_kind["gpu"] = torch.cuda.memory_allocated()
    return bytes_by_kind
