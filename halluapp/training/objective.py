"""What a training run needs of a method: the modules it trains, the losses of a batch, the files it saves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from halluapp.data.pairs import Pair
from halluapp.lvlm.base import LVLM, EmbeddedPrompt, ImageFeatures
from halluapp.lvlm.weights.fingerprint import fingerprint
from halluapp.methods.base import Method
from halluapp.methods.baseline import Baseline
from halluapp.training import peft_adapter, vision_tower
from halluapp.training.batches import disk_cache, examples
from halluapp.training.batches.packed_forward import check_supported
from halluapp.training.batches.pixels import Pixels
from halluapp.training.recipes import Lora, Recipe


class Objective(ABC):
    """A method's losses over `pairs`. Subclasses build what is trained in `build` and compute in `losses`."""

    corrupts_images = False

    def __init__(self, lvlm: LVLM, recipe: Recipe, pairs: list[Pair], cache: Path | None = None, log: Callable = print):
        self.lvlm, self.recipe, self.pairs, self.cache, self.log = lvlm, recipe, pairs, cache, log
        check_supported(lvlm)
        # First, because it raises InputError for a tower that cannot be trained, and all else takes long.
        self.tower_layers = vision_tower.trainable_layers(lvlm) if isinstance(recipe, Lora) and recipe.vision else []
        self.trains_tower = False  # True once the tower has an adapter: features are then computed anew for every batch
        self.language = lvlm.decoder
        lvlm.model.requires_grad_(False)
        self.examples = examples.tokenize(lvlm, pairs)
        strategy = recipe.rejected_photo if self.corrupts_images else None
        step = recipe.noise_step if self.corrupts_images else 0
        self.corruption = [strategy, step, recipe.seed] if strategy else []
        self.pixels = Pixels(lvlm, pairs, strategy, step, recipe.seed)
        self.model_hash = fingerprint(lvlm) if cache else ""
        self.features = examples.encode_images(lvlm, self.pixels, self._cache_path("features"), log)
        if any(image.layout for image in self.features.images):  # photos of other shapes have other lengths
            lengths = [lvlm.image_length(image.to(lvlm.device), "") for image in self.features.images]
            examples.check_lengths(lvlm, pairs, self.examples, lengths)
        self.build()
        if recipe.checkpointing:
            self.language.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})

    def _cache_path(self, part: str, *more: Any) -> Path | None:
        """The file of something that is computed once of the model, the photos, their corruption and `more`.

        A photo's corruption depends on its name, so that the key holds its name beside its content.
        """
        if self.cache is None:
            return None
        name = disk_cache.key(self.model_hash, self.pixels.hashes(), self.corruption, *more)
        return self.cache / f"{part}-{name}.safetensors"

    def wrap(self, language: bool = True):
        """Puts a fresh adapter into the language model, and into the tower if the recipe says so -> the PeftModel."""
        wrapped = peft_adapter.wrap(self.lvlm, self.recipe, self.tower_layers, language)
        self.trains_tower = bool(self.tower_layers)
        return wrapped

    @abstractmethod
    def build(self) -> None:
        """Creates the trained modules, and computes what needs the untrained model."""

    @abstractmethod
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups with their rate as "lr"."""

    @abstractmethod
    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        """Loss of these pairs to minimise, scalar, and its components as numbers."""

    def after_step(self) -> None:  # noqa: B027 (most methods have nothing to do)
        """Called after every optimizer step."""

    def order(self, rows: list[int], rng: Random) -> list[int]:
        """The pairs of one epoch in the order in which they are learned."""
        order = list(rows)
        rng.shuffle(order)
        return order

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """Trained modules and buffers by name; a resumed run restores them."""

    def state(self) -> dict[str, Any]:
        """Trained weights and buffers, by name."""
        return {
            name: {
                key: value.detach().cpu() for key, value in module.state_dict().items() if self.is_trained(name, key)
            }
            for name, module in self.modules().items()
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores the tensors of `state`."""
        for name, module in self.modules().items():
            module.load_state_dict(state[name], strict=False)

    def is_trained(self, module: str, key: str) -> bool:
        """Whether a tensor of a module is trained, in contrast to the frozen weights around an adapter."""
        return "lora_" in key if module == "adapter" else True

    def train(self, training: bool) -> None:
        """Switches dropout of the trained modules, and the mode that gradient checkpointing reads."""
        for module in self.modules().values():
            module.train(training)
        self.language.train(training)
        vision_tower.switch_dropout(self.lvlm.tower, training)

    @abstractmethod
    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Writes a folder that `lvlm.adapters.load` reads."""

    @abstractmethod
    def probe(self) -> Method:
        """The method whose panel shows the model with its present weights."""

    def undo(self) -> None:
        """Removes everything from the model that the run put in; its weights are as before, bit by bit."""
        if self.recipe.checkpointing:
            self.language.activation_checkpointing_disable()

    def image(self, row: int, corrupted: bool = False) -> ImageFeatures:
        """A pair's image as the projector gets it: cached, or with gradients while the tower is trained."""
        if self.trains_tower:
            return self._encoded(self.examples[row].photo, corrupted)
        images = self.features.corrupted_images if corrupted else self.features.images
        assert images is not None
        return images[self.examples[row].photo].to(self.lvlm.device)

    def _encoded(self, photo: int, corrupted: bool) -> ImageFeatures:
        pixels = self.pixels.corrupted(photo) if corrupted else self.pixels.clean(photo)
        # One image at a time like the reference's features: kernels round in another way on a batch.
        if self.recipe.checkpointing and torch.is_grad_enabled():
            return checkpoint(examples.encode_pixels, self.lvlm, pixels, use_reentrant=False)
        return examples.encode_pixels(self.lvlm, pixels)

    def prefix(self, row: int, image: ImageFeatures, visual_tokens: Tensor | None = None) -> EmbeddedPrompt:
        """A pair's question with its image, and with these visual tokens [n, D] (None: the base projector's)."""
        tokens = self.lvlm.visual_tokens(image, "") if visual_tokens is None else visual_tokens
        return self.lvlm.embed_prompt(self.examples[row].prompt, image, tokens)


class LoraObjective(Objective):
    """A method that trains a low-rank adapter of the language model, and of the tower where the recipe says so.

    A subclass needs `losses` alone; what it computes once with the untrained model it adds before `super().build()`.
    """

    def build(self) -> None:
        self.wrapped = self.wrap()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": peft_adapter.trainable_parameters(self.wrapped), "lr": self.recipe.rate}]

    def modules(self) -> dict[str, nn.Module]:
        return {"adapter": self.wrapped}

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        peft_adapter.save(folder, self.wrapped, about=about)

    def probe(self) -> Method:
        return Baseline()  # the adapter is in the model while it is trained

    def undo(self) -> None:
        super().undo()
        peft_adapter.unwrap(self.lvlm, self.wrapped)
