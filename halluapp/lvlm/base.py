"""What the engine needs from an LVLM, whatever its family: prompt and photo in, logits of rows out."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from halluapp.errors import MissingWeights
from halluapp.lvlm.dequantized import DequantizedLayers
from halluapp.lvlm.diffusion import diffuse
from halluapp.lvlm.text import PromptTokenizer
from halluapp.lvlm.types import Adapter, EmbeddedPrompt, HalluSpace, ImageFeatures

if TYPE_CHECKING:
    from PIL import Image


__all__ = ["LVLM", "EmbeddedPrompt", "HalluSpace", "ImageFeatures"]


class LVLM(PromptTokenizer, ABC):
    """One loaded model. `lock` serialises forwards: hooks of one request never see the rows of another.

    spaces: HalluSpaces by name; projectors: further projectors by name (the model's own is not among them).
    adapters: what training runs have made, by name.
    fast: which decode steps may be taken, "auto", "off" or "on"; verdicts: what was measured of them, by number of rows
    (both are `decoding.fast`'s).
    dense_modules: full names of the modules that are never quantized.
    """

    dense_modules: ClassVar[tuple[str, ...]] = ("model.vision_tower", "model.multi_modal_projector", "lm_head")

    def __init__(self, model: nn.Module, tokenizer, image_processor, name: str, quantization: str = "none"):
        PromptTokenizer.__init__(self, tokenizer)
        self.model, self.name, self.quantization = model.eval(), name, quantization
        self.image_processor = image_processor
        self.image_token: int = model.config.image_token_id
        self.lock = threading.RLock()
        self.spaces: dict[str, HalluSpace] = {}
        self.projectors: dict[str, nn.Module] = {}
        self.adapters: dict[str, Adapter] = {}
        self.replay_mode = "auto"
        self.replay_verdicts: dict[int, Any] = {}

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end an answer."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if i is not None)

    @cached_property
    def dequantized(self) -> DequantizedLayers:
        """Decoded copies of small 4-bit layers, for forwards of the decode loop."""
        return DequantizedLayers(self.model)

    @property
    def context_length(self) -> int:
        """How many tokens photo, prompt and answer may have together."""
        return self.model.config.get_text_config().max_position_embeddings

    @property
    @abstractmethod
    def tower(self) -> nn.Module:
        """The vision tower."""

    @property
    @abstractmethod
    def base_projector(self) -> nn.Module:
        """The module that turns what the tower (or Q-Former) says into visual tokens."""

    @property
    @abstractmethod
    def decoder(self) -> nn.Module:
        """The language model without its head."""

    @property
    def head(self) -> nn.Module:
        """Hidden states -> logits."""
        return self.model.lm_head

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers."""
        return self.decoder.layers

    def encode_image(self, photo: Image.Image, noise_step: int = 0, seed: int = 0) -> ImageFeatures:
        """Runs the vision tower once; with noise_step > 0 on noised pixels (VCD), the same for the same seed."""
        given = self.pixels(photo)
        given["pixel_values"] = self._noised(given["pixel_values"], noise_step, seed)
        given = self.to_device(given)
        with torch.no_grad(), self.lock:
            return self.encode_pixels(given)

    def to_device(self, given: dict) -> dict:
        """What `pixels` gave, as `see` takes it: tensors on the model's device, pixels in the tower's precision."""
        given = {key: value.to(self.device) if isinstance(value, Tensor) else value for key, value in given.items()}
        return given | {"pixel_values": given["pixel_values"].to(next(self.tower.parameters()).dtype)}

    def native_inputs(self, photo: Image.Image, prompt: str) -> dict[str, Tensor]:
        """What transformers' own `generate` takes for a photo and a prompt (to measure and to check against)."""
        given = self.to_device(self.pixels(photo))
        seen = self.encode_image(photo)
        ids = self.expand_image_token(self.prompt_ids(prompt, "photo"), seen, len(self.visual_tokens(seen, prompt)))
        row = torch.tensor([ids], device=self.device)
        tensors = {key: value for key, value in given.items() if isinstance(value, Tensor)}
        return {
            "input_ids": row,
            "attention_mask": torch.ones_like(row),
            **tensors,
            **self.generate_inputs(row, prompt),
        }

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        """What else this family's `generate` takes."""
        return {}

    def pixels(self, photo: Image.Image) -> dict:
        """What the checkpoint's image processor makes of a photo: normalised "pixel_values", their layout."""
        return dict(self.image_processor(photo, return_tensors="pt"))

    def _noised(self, pixels: Tensor, noise_step: int, seed: int) -> Tensor:
        """Normalised pixels after VCD's diffusion, at step 0 themselves; drawn on the CPU: one seed, one noise."""
        if not noise_step:
            return pixels
        return diffuse(pixels, noise_step, self.image_noise(pixels, torch.Generator().manual_seed(seed)))

    def image_noise(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Standard normal noise of the pixels' shape."""
        return torch.randn(pixels.shape, generator=generator)

    @abstractmethod
    def encode_pixels(self, given: dict) -> ImageFeatures:
        """One forward of the vision tower over what `pixels` gave."""

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Projector input [..., n, d] -> projected [..., n, D], by the model's own projector or another."""
        return (projector or self.base_projector)(features[None])[0]

    def visual_tokens(self, visual: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        """Visual tokens [n, D] of a photo for a prompt, by the model's own projector or another."""
        return self.project(visual.features, projector)

    def prompt_ids(self, prompt: str, view: str) -> list[int]:
        """Token ids of the chat-formatted prompt; view "photo": one image placeholder stands for the photo; "none":
        it is deleted, with what encloses it; "unk": replaced by one unknown token (Zhang et al. 2024, section 4).
        """
        text = self.chat(self._harmless(prompt))
        begun = self.tokenizer.bos_token is not None and text.startswith(self.tokenizer.bos_token)
        ids = self.tokenizer(text, add_special_tokens=not begun)["input_ids"]
        spot, around = ids.index(self.image_token), int(self.has_image_marks)
        before, after = ids[: spot - around], ids[spot + 1 + around :]
        middle = {"photo": ids[len(before) : len(ids) - len(after)], "none": [], "unk": [self.unknown_token]}[view]
        return before + middle + after

    # Whether the photo stands between a start and an end token of its own.
    has_image_marks: ClassVar[bool] = False

    def image_ids(self, visual: ImageFeatures, count: int) -> list[int]:
        """What one image placeholder becomes: a placeholder per visual token, and marks where the family has them."""
        return [self.image_token] * count

    def expand_image_token(self, ids: list[int], seen: ImageFeatures, count: int) -> list[int]:
        """Ids whose one image placeholder has become those of the photo's `count` visual tokens."""
        spot = ids.index(self.image_token)
        return ids[:spot] + self.image_ids(seen, count) + ids[spot + 1 :]

    @torch.no_grad()
    def image_length(self, visual: ImageFeatures, prompt: str) -> int:
        """How many places a photo takes in the prompt, marks of its layout included."""
        return len(self.image_ids(visual, len(self.visual_tokens(visual, prompt))))

    def embed(self, ids: list[int], visual: Tensor | None) -> Tensor:
        """Ids [S], a placeholder for each visual token (or one for all), and visual tokens [n, D] -> [S', D]."""
        table = self.decoder.get_input_embeddings()
        if visual is not None and ids.count(self.image_token) == 1:
            spot = ids.index(self.image_token)
            ids = ids[:spot] + [self.image_token] * len(visual) + ids[spot + 1 :]
        index = torch.tensor(ids, device=self.device, dtype=torch.long)
        if visual is None or self.image_token not in ids:
            return table(index)
        return table(index).index_put((index == self.image_token,), visual.to(table.weight.dtype))

    def embed_prompt(
        self, ids: list[int], seen: ImageFeatures | None = None, visual: Tensor | None = None
    ) -> EmbeddedPrompt:
        """Ids of a prompt (and of an answer after it), the photo and its visual tokens -> what the decoder reads."""
        if seen is None or visual is None:
            nowhere = torch.zeros(len(ids), dtype=torch.bool, device=self.device)
            return EmbeddedPrompt(self.embed(ids, None), self.positions(ids, None).to(self.device), nowhere)
        ids = self.expand_image_token(ids, seen, len(visual))
        image_mask = torch.tensor(ids, device=self.device) == self.image_token
        return EmbeddedPrompt(
            self.embed(ids, visual), self.positions(ids, seen).to(self.device), image_mask, seen.deepstack
        )

    def positions(self, ids: list[int], seen: ImageFeatures | None) -> Tensor:
        """Positions of expanded ids: [S], or [3, S] where time, row and column are told apart (M-RoPE)."""
        return torch.arange(len(ids))

    def forward(
        self,
        cache,
        mask: Tensor,
        positions: Tensor,
        ids: Tensor | None = None,
        embeds: Tensor | None = None,
        deepstack: tuple[Tensor, tuple[Tensor, ...]] | None = None,
    ) -> Tensor:
        """One forward of rows -> logits of the last position [R, V] in float32; extends `cache` in place.

        mask [R, past + new], positions [R, new] or [3, R, new], and either ids [R, new] or embeds [R, new, D]; deep:
        spots [R, new] and, for each of the first layers, what is added there [n, D], row after row.
        """
        hidden = self.decoder(
            input_ids=ids,
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **self.deepstack_arguments(deepstack),
        ).last_hidden_state
        return self.head(hidden[:, -1]).float()

    def deepstack_arguments(self, deepstack) -> dict:
        """How this family's decoder takes visual tokens for its first layers."""
        return {}

    @property
    def final_norm(self) -> nn.Module:
        """The norm between the last decoder layer and the LM head."""
        return self.decoder.norm

    def read_out(self, hidden: Tensor) -> Tensor:
        """Residual stream [..., D] after any decoder layer -> logits [..., V] in float32: final norm, then LM head."""
        with torch.no_grad(), self.lock:
            return self.head(self.final_norm(hidden)).float()

    def output_projection(self, layer: int) -> nn.Module:
        """The module of a decoder layer that writes the MLP's output into the residual stream."""
        return self.layers[layer].mlp.down_proj

    @property
    def folder(self) -> str:
        """Where HalluSpaces and projectors of a checkpoint from the hub are looked for: a folder in assets."""
        return f"assets/{self.name.replace('/', '--')}"

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
                f"put projector-{name}.safetensors beside its checkpoint or into {self.folder}."
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
