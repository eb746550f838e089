"""The answers of the MCP tools as JSON: gradio hands over Python's own notation, with None and single quotes."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from pydantic import BaseModel


def answer_in_json(app: gr.Blocks) -> None:
    """Lets the tools of a launched app answer in JSON; texts stay as they are."""
    server = app.mcp_server_obj
    if server is None:
        return
    postprocess = server.postprocess_output_data

    def as_json(data: Any, root_url: str) -> Any:
        return postprocess([_text(output) for output in data], root_url)

    vars(server)["postprocess_output_data"] = as_json


def _text(output: Any) -> Any:
    if isinstance(output, BaseModel):
        output = output.model_dump()
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
