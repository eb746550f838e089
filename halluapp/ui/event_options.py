"""Options of gradio events, by what the handler needs, and the sentence that answers an event.

None of these handlers is an endpoint of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp.serving.models import Models
from halluapp.serving.visitors import visitor_of
from halluapp.settings import Settings

QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
INSTANT: dict[str, Any] = {**QUEUED, "queue": False}  # for handlers that only read or set what is there
# By default gradio drops an event while an equal one is pending; these carry what was chosen, and each counts.
EACH: dict[str, Any] = {**INSTANT, "trigger_mode": "multiple"}
# Handlers that wait in `serving.lane`: gradio's own queue lets all of them in, so that they can say what they wait for.
LANE: dict[str, Any] = {**QUEUED, "concurrency_id": "lane", "concurrency_limit": None}
# The last input of an event is its number: one that a person caused is the next one, a timer's is as old as the last.
NEXT = """(...inputs) => { window.halluappEvents = (window.halluappEvents || 0) + 1;
  return [...inputs.slice(0, -1), window.halluappEvents]; }"""
LATEST = "(...inputs) => [...inputs.slice(0, -1), window.halluappEvents || 0]"
DRAW = """let shown = 0;
watch("value", () => {
  const { text, number } = props.value;
  if (number < shown) return;
  shown = number;
  element.querySelector(".notice").textContent = text;
});"""
STYLE = """.notice { margin: 0; padding: 8px 12px; border-radius: 8px; border: 1px solid var(--border-color-primary);
  background: var(--block-background-fill); color: var(--body-text-color); font-size: 14px; overflow-wrap: anywhere; }
.notice:empty { display: none; }"""


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


class Notice:
    """One sentence about what was done or why not; names and paths in it are a person's, and stay text.

    Answers can come in another order than the clicks: one that is older than what is shown is not shown. component: an
    output of every event that `connect` connects.
    """

    def __init__(self, elem_id: str):
        self.component = gr.HTML(
            value="",
            html_template='<p class="notice" role="status" aria-live="polite"></p>',
            css_template=STYLE,
            apply_default_css=False,
            padding=False,
            js_on_load=DRAW,
            elem_id=elem_id,
        )
        self.number = gr.Number(0, visible=False)

    def connect(
        self,
        trigger: Callable[..., Any],
        handler: Callable,
        inputs: Sequence[Component],
        outputs: Sequence[gr.blocks.Block],
        settings: Settings | None = None,
        js: str = NEXT,
        **options: Any,
    ) -> Any:
        """Connects a handler whose outputs hold the notice -> gradio's event.

        settings: of the server, for a handler that takes the visitor first. js: NEXT, or LATEST for a timer.
        """
        handler = self.numbered(handler, outputs)
        handler = with_visitor(settings, handler) if settings else handler
        return trigger(handler, [*inputs, self.number], list(outputs), js=js, **options)

    def numbered(self, handler: Callable, outputs: Sequence[gr.blocks.Block]) -> Callable:
        """The handler with one more input, the number of its event, which the sentence carries."""
        index = [output is self.component for output in outputs].index(True)

        def call(*inputs: Any) -> Any:
            *values, number = inputs
            results = handler(*values)
            if len(outputs) == 1:
                return self._sentence(results, number)
            return [self._sentence(one, number) if k == index else one for k, one in enumerate(results)]

        return call

    @staticmethod
    def _sentence(text: Any, number: Any) -> Any:
        return {"text": text, "number": number or 0} if isinstance(text, str) else text
