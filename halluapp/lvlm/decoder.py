"""The language model of an LVLM: its parts, its logits, and the past of a decode that it keeps."""

from __future__ import annotations

import inspect
import threading
from abc import abstractmethod
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from halluapp.errors import InputError
from halluapp.lvlm.weights.placement import device_of
from halluapp.lvlm.weights.precision import Float32Head, dtype_name

ADVICE = "Install a version of transformers that requirements.txt names."
NAMES = ("cache", "past_key_values")  # the second until transformers 5.23; later versions drop it


def cache_argument(decoder: Any) -> str:
    """The name under which a decoder's class takes its cache. Raises InputError where it has neither.

    Not tried out: an argument that no signature names falls into **kwargs, and the past is lost in silence.
    """
    parameters = inspect.signature(decoder.forward).parameters
    for name in NAMES:
        if name in parameters:
            return name
    raise InputError(f"{decoder.__name__} takes its cache under an unknown name. {ADVICE}")


def check_kept(cache: Any, length: int) -> None:
    """Raises InputError where a cache does not hold the `length` positions of the prefill."""
    if cache.get_seq_length() != length:
        raise InputError(f"The model does not keep its past, so no token would depend on the prompt. {ADVICE}")


class DecoderParts:
    """Where a model of transformers has the parts of its language model, for a class with `model` and `lock`."""

    model: Any
    lock: threading.RLock

    @property
    @abstractmethod
    def decoder(self) -> Any:
        """The language model without its head."""

    @property
    def device(self) -> torch.device:
        """Where prompts are embedded; of a model over several devices, their first."""
        return device_of(self.decoder.get_input_embeddings())

    @property
    def head(self) -> Any:
        """The LM head as the checkpoint has it, in the weights' precision; it is called through `logits`."""
        return self.model.lm_head

    @cached_property
    def logits(self) -> Float32Head:
        """Hidden states [..., D] after the final norm -> logits [..., V] in float32."""
        return Float32Head(self.head)

    @cached_property
    def cache_argument(self) -> str:
        """The decoder's name for its cache."""
        return cache_argument(type(self.decoder))

    @property
    def dtype(self) -> str:
        """The dtype of the dense weights, by name."""
        return dtype_name(self.decoder.get_input_embeddings().weight.dtype)

    @property
    def tied(self) -> bool:
        """Whether the LM head's weights are those of the embeddings; offloaded ones are no longer one object."""
        keys = getattr(self.model, "all_tied_weights_keys", {})
        same = self.decoder.get_input_embeddings().weight is self.head.weight
        return same or any("lm_head" in key for key in keys)

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers."""
        return self.decoder.layers

    @property
    def attention_config(self) -> Any:
        """transformers' configuration that the attention of all decoder layers reads."""
        decoder_layer: Any = self.layers[0]
        return decoder_layer.self_attn.config

    @property
    def final_norm(self) -> nn.Module:
        """The norm between the last decoder layer and the LM head."""
        return self.decoder.norm

    def read_out(self, hidden: Tensor) -> Tensor:
        """Residual stream [..., D] after any decoder layer -> logits [..., V] in float32: final norm, then LM head."""
        with torch.no_grad(), self.lock:
            return self.logits(self.final_norm(hidden.to(device_of(self.final_norm))))

    def output_projection(self, layer: int) -> Any:
        """The linear layer that writes a decoder layer's MLP output into the residual stream."""
        decoder_layer: Any = self.layers[layer]
        return decoder_layer.mlp.down_proj
