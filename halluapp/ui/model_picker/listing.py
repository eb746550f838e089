"""The endpoint that lists the models of a server, for programs and agents."""

from __future__ import annotations

from typing import Any

from halluapp.serving import request_log
from halluapp.serving.models import Models
from halluapp.serving.models import choices as allowed
from halluapp.settings import QUANTIZATIONS
from halluapp.ui.model_picker import state


def models(server: Models) -> list[dict[str, Any]]:
    """Lists the model that answers here and those that the page can switch to.

    Returns:
        For each model name, family, parameters, licence, model card, memory to start with in bytes (estimates), and
        whether it answers.
    """
    entry = request_log.Entry("models")
    try:
        room = allowed.Room.now(server.current, server.switch.ready_session())
        each, name = room.dense_bytes(server.current), server.switch.model
        return [
            {
                "name": choice.title, **state.description(choice), "loaded": choice.model == name,
                "memory": {kind: choice.need(kind, each) for kind in QUANTIZATIONS},
                "problem": allowed.absence(choice),
            }
            for choice in allowed.choices(server.settings)
        ]  # fmt: skip
    finally:
        entry.end()
