"""The words of an LVLM: chat format, harmless prompts, the unknown token, labels, and ids back to text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class PromptTokenizer:
    """What a model's tokenizer says. template: of checkpoints that come without one; "" if all bring their own."""

    template: ClassVar[str] = ""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self._surfaces: dict[tuple[str, ...], list[int]] = {}
        self._pieces: dict[int, str] = {}

    def chat(self, prompt: str) -> str:
        """The chat-formatted text of one question about one photo, as the checkpoint's template says."""
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self.tokenizer.chat_template or self.template,
            tokenize=False,
            add_generation_prompt=True,
        )

    def _harmless(self, prompt: str, tokenizer=None) -> str:
        """A prompt cannot smuggle in special tokens: their text is taken apart by a space."""
        tokenizer = tokenizer or self.tokenizer
        # Some checkpoints mark <image> as special among the added tokens only.
        added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
        for token in dict.fromkeys([*tokenizer.all_special_tokens, *added]):
            prompt = prompt.replace(token, " ".join(token))
        return prompt

    @property
    def unknown_token(self) -> int:
        """The id that stands for the photo in the view "unk": <unk>, or the padding token where there is none.

        No text contains a padding token and no answer is trained on one, so it says as little as <unk> does.
        """
        ids = (self.tokenizer.unk_token_id, self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next(i for i in ids if i is not None)

    @property
    def unknown_note(self) -> str:
        """What a panel must say about the view "unk" of this model; "" if the tokenizer has an <unk>."""
        used = self.tokenizer.convert_ids_to_tokens(self.unknown_token)
        return "" if "unk" in used.lower() else f"this tokenizer has no <unk>, so {used} stands in for it"

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
