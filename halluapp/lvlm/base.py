"""What the engine needs from an LVLM, whatever its family: prompt and photo in, logits of rows out."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from halluapp.errors import MissingWeights

if TYPE_CHECKING:
    from PIL import Image

    from halluapp.lvlm.adapters import Adapter


@dataclass(frozen=True)
class HalluSpace:
    """Orthonormal directions per decoder layer, V [D, K] each, strongest first, and what they were computed from."""

    layers: dict[int, Tensor]
    about: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Visual:
    """A photo as the model sees it: projector input [n, d]. `maps`: feature maps that a detector can share."""

    features: Tensor
    maps: tuple[Tensor, ...] = ()


class LVLM(ABC):
    """One loaded model. `lock` serialises forwards: hooks of one request never see the rows of another.

    spaces: HalluSpaces by name; projectors: further projectors by name (the model's own is not among them).
    adapters: what training runs have made, by name.
    """

    def __init__(self, model: nn.Module, tokenizer, name: str, quantization: str = "none"):
        self.model, self.tokenizer, self.name, self.quantization = model.eval(), tokenizer, name, quantization
        self.lock = threading.RLock()
        self.spaces: dict[str, HalluSpace] = {}
        self.projectors: dict[str, nn.Module] = {}
        self.adapters: dict[str, Adapter] = {}
        self._surfaces: dict[tuple[str, ...], list[int]] = {}
        self._pieces: dict[int, str] = {}

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end an answer."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if i is not None)

    @property
    @abstractmethod
    def layers(self) -> nn.ModuleList:
        """The decoder layers."""

    @abstractmethod
    def look(self, photo: Image.Image) -> Visual:
        """Runs the vision tower once."""

    @abstractmethod
    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Projector input [n, d] -> visual tokens [n, D], by the model's own projector or another."""

    @abstractmethod
    def prompt_ids(self, prompt: str, view: str) -> list[int]:
        """Token ids of the chat-formatted prompt; view "photo": image placeholders in place; "none": deleted;
        "unk": replaced by one unknown token (Zhang et al. 2024, section 4)."""

    @abstractmethod
    def embed(self, ids: list[int], visual: Tensor | None) -> Tensor:
        """Ids [S] and visual tokens for their placeholders -> input embeddings [S, D]."""

    @abstractmethod
    def forward(
        self, cache, mask: Tensor, positions: Tensor, ids: Tensor | None = None, embeds: Tensor | None = None
    ) -> Tensor:
        """One forward of rows -> logits of the last position [R, V] in float32; extends `cache` in place.

        mask [R, past + new], positions [R, new], and either ids [R, new] or embeds [R, new, D].
        """

    def output_projection(self, layer: int) -> nn.Module:
        """The module of a decoder layer that writes the MLP's output into the residual stream."""
        return self.layers[layer].mlp.down_proj

    def space(self, name: str) -> HalluSpace:
        """A HalluSpace by name; raises MissingWeights."""
        if name not in self.spaces:
            raise MissingWeights(
                f"No HalluSpace is loaded for {self.name}; compute one with: "
                f"python -m halluapp calibrate PAIRS --out FILE --model {self.name}"
            )
        return self.spaces[name]

    def projector(self, name: str) -> nn.Module:
        """Another projector by name; raises MissingWeights."""
        if name not in self.projectors:
            raise MissingWeights(
                f"No {name} projector is loaded for {self.name}; "
                f"put projector-{name}.safetensors beside its checkpoint."
            )
        return self.projectors[name]

    def adapter(self, name: str) -> Adapter:
        """A loaded adapter by name; raises MissingWeights."""
        if name not in self.adapters:
            loaded = f"loaded are {', '.join(sorted(self.adapters))}" if self.adapters else "none is loaded"
            raise MissingWeights(
                f"No adapter {name} is loaded for {self.name} ({loaded}); train one with: python -m halluapp train, "
                "and name its folder in adapters/ beside the checkpoint."
            )
        return self.adapters[name]

    def surface_ids(self, forms: Iterable[str]) -> list[int]:
        """First-token ids of the surface forms of a label, as an answer begins (with and without a space piece)."""
        key = tuple(forms)
        if key not in self._surfaces:
            found: dict[int, None] = {}
            for form in key:
                for text in (form, " " + form):
                    ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
                    pieces = [i for i in ids if self.tokenizer.decode([i]).strip()]
                    if len(pieces) == 1:  # a label that splits would lend its mass to whatever shares its first piece
                        found[pieces[0]] = None
            self._surfaces[key] = list(found)
        return self._surfaces[key]

    def piece(self, token: int) -> str:
        """The text of one token id, spaces included; kept, because every trace names a dozen of them."""
        if token not in self._pieces:
            self._pieces[token] = self.tokenizer.decode([token])
        return self._pieces[token]

    def decode(self, ids: list[int]) -> str:
        """Token ids of an answer -> text."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).lstrip()
