"""Module names of an adapter -> those of the loaded model: transformers 4.52 moved the parts of such models."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from halluapp.lvlm.base import LVLM

# Where the decoder was before transformers 4.52 (LLaVA, Qwen2.5-VL), is now, or is in a model of text alone.
_DECODER = re.compile(r"(?:(?:model|language_model|text_model)\.)+((?:layers\.\d+|norm|embed_tokens)(?:\..+|$))")
_HEAD = re.compile(r"(?:(?:model|language_model)\.)*lm_head")


class ModuleNames:
    """The modules of a loaded LVLM, by the names that adapters of several versions of transformers use for them."""

    def __init__(self, lvlm: LVLM):
        self.modules: dict[str, nn.Module] = dict(lvlm.model.named_modules())
        names = {id(module): name for name, module in self.modules.items()}
        self._decoder, self._head = names[id(lvlm.decoder)], names.get(id(lvlm.head), "")

    def resolve(self, name: str) -> str | None:
        """The loaded model's name of a module, None where it has none."""
        return next((form for form in self._forms(name) if form in self.modules), None)

    def _forms(self, name: str) -> Iterator[str]:
        yield name
        if match := _DECODER.fullmatch(name):
            yield f"{self._decoder}.{match[1]}"
        if _HEAD.fullmatch(name):
            yield self._head
        for form in (name, re.sub(r"(vision_tower\.)vision_model\.", r"\1", name)):
            yield from (form, f"model.{form}")
