"""What the engine needs from an LVLM, whatever its family: prompt and photo in, logits of rows out."""

from __future__ import annotations

import shlex
import threading
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from halluapp.errors import InputError, MissingWeights
from halluapp.lvlm.decoder import DecoderParts
from halluapp.lvlm.dequantized import DequantizedLayers
from halluapp.lvlm.diffusion import diffuse
from halluapp.lvlm.text import PromptTokenizer
from halluapp.lvlm.types import Adapter, EmbeddedPrompt, HalluSpace, ImageFeatures
from halluapp.lvlm.weights import placement

if TYPE_CHECKING:
    from PIL import Image

    from halluapp.lvlm.families.grids import Box


EMBEDDED = "halluapp-pocket"  # the name of the embedded model
__all__ = ["LVLM", "EmbeddedPrompt", "HalluSpace", "ImageFeatures"]


class LVLM(PromptTokenizer, DecoderParts, ABC):
    """One loaded model. `lock` serialises forwards: hooks of one request never see the rows of another.

    spaces: HalluSpaces by name; projectors: further projectors by name (the base projector is not among them).
    adapters: adapters of training runs, by name.
    replay_mode: which decode steps may be taken, "auto", "off" or "on"; replay_verdicts: what was measured of them, by
    number of rows (both belong to `decoding.replay.policy`).
    dense_modules: full names of the modules that are never quantized.
    trainable: whether CHiP, HACL and AdaVIB know how this family's visual tokens come about.
    has_image_marks: whether a start and an end token enclose the image placeholder.
    processor_parts: further arguments of the constructor, which are attributes of transformers' processor.
    """

    dense_modules: ClassVar[tuple[str, ...]] = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
    has_image_marks: ClassVar[bool] = False
    trainable: ClassVar[bool] = False
    processor_parts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any, name: str, quantization: str = "none"):
        super().__init__(tokenizer)
        self.model, self.name, self.quantization = model.eval(), name, quantization
        self.image_processor = image_processor
        self.image_token: int = model.config.image_token_id
        self.lock = threading.RLock()
        self.spaces: dict[str, HalluSpace] = {}
        self.projectors: dict[str, nn.Module] = {}
        self.adapters: dict[str, Adapter] = {}
        self.replay_mode = "auto"
        self.replay_verdicts: dict[int, Any] = {}

    @classmethod
    def constructor_options(cls, source: Any) -> dict[str, Any]:
        """Further arguments of this family's constructor, loaded from the checkpoint `source` (folder or hub id)."""
        return {}

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end an answer."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if i is not None)

    @cached_property
    def dequantized(self) -> DequantizedLayers:
        """Dequantized weights of small 4-bit layers, for forwards of the decode loop."""
        return DequantizedLayers(self.model)

    @property
    def context_length(self) -> int:
        """The largest number of tokens of photo, prompt and answer together."""
        return self.model.config.get_text_config().max_position_embeddings

    @property
    @abstractmethod
    def tower(self) -> nn.Module:
        """The vision tower."""

    @property
    @abstractmethod
    def base_projector(self) -> nn.Module:
        """The checkpoint's projector: features of the tower (or queries of the Q-Former) -> visual tokens."""

    def encode_image(self, photo: Image.Image, noise_step: int = 0, seed: int = 0) -> ImageFeatures:
        """One forward of the vision tower; with noise_step > 0 on noised pixels (VCD), the same for the same seed."""
        inputs = self.pixels(photo)
        inputs["pixel_values"] = self._add_noise(inputs["pixel_values"], noise_step, seed)
        inputs = self.to_device(inputs)
        with torch.no_grad(), self.lock:
            return self.encode_pixels(inputs)

    def pixels(self, photo: Image.Image) -> dict:
        """The image processor's output: normalised "pixel_values", and their layout. Raises InputError."""
        return self.processed(photo)

    def processed(self, photo: Image.Image, **options: Any) -> dict:
        """The image processor's output with these options. Raises InputError where it refuses the photo's shape."""
        try:
            return dict(self.image_processor(photo, return_tensors="pt", **options))
        except (ValueError, ZeroDivisionError) as error:
            size = f"{photo.width} x {photo.height} pixels"
            sentence = f"{self.name} cannot read a photo of {size}; use one that is larger or less narrow."
            raise InputError(sentence) from error

    def _add_noise(self, pixels: Tensor, noise_step: int, seed: int) -> Tensor:
        """Normalised pixels after VCD's diffusion, at step 0 themselves; drawn on the CPU: one seed, one noise."""
        if not noise_step:
            return pixels
        return diffuse(pixels, noise_step, self.image_noise(pixels, torch.Generator().manual_seed(seed)))

    def image_noise(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Standard normal noise of the pixels' shape."""
        return torch.randn(pixels.shape, generator=generator)

    def to_device(self, inputs: dict) -> dict:
        """Output of `pixels` -> input of `encode_pixels`: tensors on the device, pixels in the tower's precision."""
        device = placement.device_of(self.tower)
        inputs = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in inputs.items()}
        return inputs | {"pixel_values": inputs["pixel_values"].to(next(self.tower.parameters()).dtype)}

    @abstractmethod
    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        """One forward of the vision tower over the output of `pixels`, moved `to_device`."""

    def native_inputs(self, photo: Image.Image, prompt: str) -> dict[str, Tensor]:
        """The inputs of transformers' own `generate` for a photo and a prompt (to measure and to check against)."""
        inputs, image = self.to_device(self.pixels(photo)), self.encode_image(photo)
        ids = self.expand_image_token(self.prompt_ids(prompt, "photo"), image, len(self.visual_tokens(image, prompt)))
        row = torch.tensor([ids], device=self.device)
        tensors = {key: value for key, value in inputs.items() if isinstance(value, Tensor)}
        return {
            "input_ids": row,
            "attention_mask": torch.ones_like(row),
            **tensors,
            **self.generate_inputs(row, prompt),
        }

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        """Further inputs of this family's `generate`; row: ids [1, S]."""
        return {}

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Projector input [..., n, d] -> projected [..., n, D], by the base projector or another."""
        return (projector or self.base_projector)(features[None])[0]

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        """Visual tokens [n, D] of a photo for a prompt, by the base projector or another."""
        return self.project(image.features, projector)

    def token_inputs(self, image: ImageFeatures) -> Tensor:
        """What each visual token is made of, [n, d']: AdaVIB's deviations are read from it."""
        return image.features.flatten(0, -2)

    def prompt_ids(self, prompt: str, view: str) -> list[int]:
        """Token ids of the chat-formatted prompt, with one image placeholder where the photo stands.

        view "photo": the placeholder stays; "none": it is deleted, with its marks; "unk": one unknown token replaces it
        (Zhang et al. 2024, section 4).
        """
        ids = self.chat_ids(self.chat(self.escape_special_tokens(prompt)))
        index, marks = ids.index(self.image_token), int(self.has_image_marks)
        before, after = ids[: index - marks], ids[index + 1 + marks :]
        middle = {"photo": ids[len(before) : len(ids) - len(after)], "none": [], "unk": [self.unknown_token]}[view]
        return before + middle + after

    def image_ids(self, image: ImageFeatures, count: int) -> list[int]:
        """The ids that one placeholder expands to: one for each of `count` visual tokens, and the family's marks."""
        return [self.image_token] * count

    def expand_image_token(self, ids: list[int], image: ImageFeatures, count: int) -> list[int]:
        """Ids with their one image placeholder expanded to those of the photo's `count` visual tokens."""
        index = ids.index(self.image_token)
        return ids[:index] + self.image_ids(image, count) + ids[index + 1 :]

    @torch.no_grad()
    def image_length(self, image: ImageFeatures, prompt: str) -> int:
        """The number of positions of a photo in the prompt, marks of its layout included."""
        return len(self.image_ids(image, len(self.visual_tokens(image, prompt))))

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        """The box of each of `count` visual tokens in a photo of `size` (width, height), row by row of their order.

        None: a token that is no patch of the photo (a row's end, a summary of the whole photo, a Q-Former's query).
        """
        return [None] * count

    def embed(self, ids: list[int], visual_tokens: Tensor | None) -> Tensor:
        """Ids [S], a placeholder for each visual token (or one for all), and visual tokens [n, D] -> [S', D]."""
        table = self.decoder.get_input_embeddings()
        if visual_tokens is not None and ids.count(self.image_token) == 1:
            index = ids.index(self.image_token)
            ids = ids[:index] + [self.image_token] * len(visual_tokens) + ids[index + 1 :]
        row = torch.tensor(ids, device=self.device, dtype=torch.long)
        if visual_tokens is None or self.image_token not in ids:
            return table(row)
        embeds = table(row)
        return embeds.index_put((row == self.image_token,), visual_tokens.to(embeds))

    def embed_prompt(
        self, ids: list[int], image: ImageFeatures | None = None, visual_tokens: Tensor | None = None
    ) -> EmbeddedPrompt:
        """Ids of a prompt (and of an answer after it), the photo and its visual tokens -> the decoder's input."""
        if image is None or visual_tokens is None:
            image_mask = torch.zeros(len(ids), dtype=torch.bool, device=self.device)
            return EmbeddedPrompt(self.embed(ids, None), self.positions(ids, None).to(self.device), image_mask)
        ids = self.expand_image_token(ids, image, len(visual_tokens))
        image_mask = torch.tensor(ids, device=self.device) == self.image_token
        positions = self.positions(ids, image).to(self.device)
        return EmbeddedPrompt(self.embed(ids, visual_tokens), positions, image_mask, image.deepstack)

    def positions(self, ids: list[int], image: ImageFeatures | None) -> Tensor:
        """Positions of expanded ids: [S], or [3, S] for time, row and column (M-RoPE)."""
        return torch.arange(len(ids))

    def forward(
        self,
        cache: Any,
        mask: Tensor,
        positions: Tensor,
        ids: Tensor | None = None,
        embeds: Tensor | None = None,
        deepstack: tuple[Tensor, tuple[Tensor, ...]] | None = None,
        image_mask: Tensor | None = None,
    ) -> Tensor:
        """One forward of rows -> logits of the last position [R, V] in float32; extends `cache` in place.

        mask [R, past + new], positions [R, new] or [3, R, new], and either ids [R, new] or embeds [R, new, D];
        deepstack: image mask [R, new] and, for each of the first layers, the additions there [n, D], row after row.
        image_mask [R, new]: where visual tokens are among the embeds.
        """
        hidden = self.decoder(
            input_ids=ids,
            inputs_embeds=embeds,
            attention_mask=mask if image_mask is None else self.attention_mask(mask, embeds, cache, image_mask),
            position_ids=positions,
            use_cache=True,
            **{self.cache_argument: cache},
            **self.deepstack_arguments(deepstack),
        ).last_hidden_state
        return self.logits(hidden[:, -1])

    def attention_mask(self, mask: Tensor, embeds: Tensor | None, cache: Any, image_mask: Tensor) -> Any:
        """The decoder's mask for a prefill with photos: `mask` [R, S] where visual tokens attend as text does."""
        return mask

    def deepstack_arguments(self, deepstack: tuple[Tensor, tuple[Tensor, ...]] | None) -> dict:
        """Arguments with which this family's decoder takes visual tokens for its first layers."""
        return {}

    @property
    def folder(self) -> str:
        """The folder in assets that holds HalluSpaces and projectors of a checkpoint from the hub."""
        return f"assets/{self.name.replace('/', '--')}"

    @property
    def flag(self) -> str:
        """The value of `--model` that loads this model again."""
        return "pocket" if self.name == EMBEDDED else shlex.quote(self.name)

    def space(self, name: str) -> HalluSpace:
        """A HalluSpace by name; raises MissingWeights."""
        if name not in self.spaces:
            raise MissingWeights(
                f"No HalluSpace is loaded for {self.name}; this puts one where it is looked up: "
                f"halluapp halluspace PAIRS --model {self.flag}"
            )
        return self.spaces[name]

    def projector(self, name: str) -> nn.Module:
        """Another projector by name; raises MissingWeights."""
        if name not in self.projectors:
            way = f"put projector-{name}.safetensors beside its checkpoint or into {self.folder}."
            if name == "adavib":
                way = f"this puts one where it is looked up: halluapp train adavib --data PAIRS --model {self.flag}"
            raise MissingWeights(f"No {name} projector is loaded for {self.name}; {way}")
        return self.projectors[name]

    def adapter(self, name: str) -> Adapter:
        """A loaded adapter by name; raises MissingWeights."""
        if name not in self.adapters:
            names = f"loaded are {', '.join(sorted(self.adapters))}" if self.adapters else "none is loaded"
            raise MissingWeights(
                f"No adapter {name} is loaded for {self.name} ({names}); train one with: python -m halluapp train, "
                "and name its folder in adapters/ beside the checkpoint."
            )
        return self.adapters[name]
