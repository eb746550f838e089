"""The method that shows a model in training, for projectors: captions during a run use it."""

from __future__ import annotations

from halluapp.methods.base import Intervention, Method, Row

PROJECTOR_NAME, HEADS_FILE = "in training", "heads.safetensors"


class ProjectorProbe(Method):
    """Decodes behind the projector that is being trained."""

    name, title = "training", "In training"

    def rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row("photo", Intervention(projector=PROJECTOR_NAME)),)
