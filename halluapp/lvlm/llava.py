"""LLaVA-1.5 and every model of its class (`LlavaForConditionalGeneration`), the embedded pocket LVLM among them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, Visual
from halluapp.lvlm.diffusion import diffuse


class Llava(LVLM):
    """A LLaVA with its image processor. Images are resized as the checkpoint's processor says."""

    def __init__(self, model, tokenizer, image_processor, name: str, quantization: str = "none"):
        super().__init__(model, tokenizer, name, quantization)
        self.image_processor = image_processor
        self.image_token = model.config.image_token_id

    @property
    def layers(self) -> nn.ModuleList:
        return self.model.model.language_model.layers

    @torch.no_grad()
    def look(self, photo, noise_step: int = 0, seed: int = 0) -> Visual:
        tower = self.model.model.vision_tower
        pixels = self.image_processor(photo, return_tensors="pt")["pixel_values"]
        if noise_step:
            noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed))
            pixels = diffuse(pixels, noise_step, noise)
        pixels = pixels.to(self.device, next(tower.parameters()).dtype)
        maps: tuple[Tensor, ...] = ()
        with self.lock:
            if hasattr(tower, "features"):  # the pocket tower: its maps also feed the detector
                maps = tower.features(pixels)
                states = tower.neck(*maps)
            else:
                states = tower(pixels, output_hidden_states=True).hidden_states
        return Visual(self._select(states)[0], maps)

    def _select(self, states) -> Tensor:
        """Hidden states of the tower -> projector input [1, n, d], by the checkpoint's layer and strategy."""
        layer = self.model.config.vision_feature_layer
        chosen = [states[index] for index in ([layer] if isinstance(layer, int) else layer)]
        if self.model.config.vision_feature_select_strategy == "default":
            chosen = [state[:, 1:] for state in chosen]  # without CLS
        return torch.cat(chosen, dim=-1)

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        module = projector or self.model.model.multi_modal_projector
        return module(features[None])[0]

    def prompt_ids(self, prompt: str, view: str) -> list[int]:
        content = [{"type": "image"}, {"type": "text", "text": self._harmless(prompt)}]
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        ids = self.tokenizer(text)["input_ids"]
        spot = ids.index(self.image_token)
        middle = {"photo": [self.image_token], "none": [], "unk": [self._unknown_id()]}[view]
        return ids[:spot] + middle + ids[spot + 1 :]

    def _harmless(self, prompt: str) -> str:
        """A prompt cannot smuggle in special tokens: their text is taken apart by a space."""
        # Some checkpoints mark <image> as special among the added tokens only.
        added = (str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special)
        for token in dict.fromkeys([*self.tokenizer.all_special_tokens, *added]):
            prompt = prompt.replace(token, " ".join(token))
        return prompt

    def _unknown_id(self) -> int:
        unknown = self.tokenizer.unk_token_id
        return unknown if unknown is not None else self.tokenizer.pad_token_id

    def embed(self, ids: list[int], visual: Tensor | None) -> Tensor:
        table = self.model.get_input_embeddings()
        if visual is None or self.image_token not in ids:
            return table(torch.tensor(ids, device=self.device))
        spot = ids.index(self.image_token)
        parts = (ids[:spot], ids[spot + 1 :])
        before, after = (torch.tensor(part, device=self.device, dtype=torch.long) for part in parts)
        return torch.cat([table(before), visual.to(table.weight.dtype), table(after)])  # [S - 1 + n, D]

    def forward(self, cache, mask, positions, ids=None, embeds=None) -> Tensor:
        hidden = self.model.model.language_model(
            input_ids=ids,
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return self.model.lm_head(hidden[:, -1]).float()
