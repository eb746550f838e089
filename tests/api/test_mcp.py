"""The MCP server, with the client of the protocol's own package: five tools, described and typed, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import pytest

from halluapp import report
from halluapp.data import scenes

REQUIRED = {
    "compare": {"photo", "prompt"},
    "judge": {"photo", "text"},
    "methods": set(),
    "models": set(),
    "report": {"report"},
}


def with_session(address: str, use):
    """The result of an async function of a session."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def run():
        async with (
            streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await use(session)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def photo() -> str:
    buffer = io.BytesIO()
    scenes.render("park")[0].save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_exactly_five_tools_each_described_and_typed(address):
    tools = with_session(address, lambda session: session.list_tools()).tools
    assert {tool.name for tool in tools} == set(REQUIRED)
    for tool in tools:
        assert len(tool.description) > 60
        assert set(tool.inputSchema.get("required", ())) == REQUIRED[tool.name]
        for name, schema in tool.inputSchema["properties"].items():
            assert schema.get("description"), (tool.name, name)
            assert schema.get("type") or schema.get("anyOf"), (tool.name, name)


def test_every_tool_answers_in_json_or_text(address, photo):
    async def use(session):
        compared = await session.call_tool(
            "compare", {"photo": photo, "prompt": "Describe.", "methods": "baseline", "max_new_tokens": 3}
        )
        values = json.loads(compared.content[0].text)
        judged = await session.call_tool("judge", {"photo": photo, "text": "A dog."})
        methods = await session.call_tool("methods", {})
        page = await session.call_tool("report", {"report": values, "form": "markdown"})
        return values, *(answer.content[0].text for answer in (judged, methods, page))

    values, judged, methods, page = with_session(address, use)
    assert report.validate(values)["panels"][0]["text"]
    assert json.loads(judged)["mentions"][0]["object"] == "dog"
    assert "vdd" in [method["name"] for method in json.loads(methods)]
    assert page.startswith("# ")


def test_a_wrong_argument_is_an_error_with_our_sentence(address, photo):
    async def use(session):
        return [
            await session.call_tool("compare", {"photo": photo, "prompt": "Describe.", **wrong})
            for wrong in ({"methods": "magic"}, {"max_new_tokens": 1.5}, {"temperature": 9})
        ]

    for result, word in zip(with_session(address, use), ("magic", "max_new_tokens", "temperature"), strict=True):
        assert result.isError
        assert word in result.content[0].text
        assert "Traceback" not in result.content[0].text
