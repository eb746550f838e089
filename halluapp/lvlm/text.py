"""The text side of an LVLM: chat format, escaped prompts, the unknown token, label ids, and ids back to text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar


class PromptTokenizer:
    """A checkpoint's tokenizer with its chat format.

    template: of checkpoints that come without one; "" if all bring their own.
    """

    template: ClassVar[str] = ""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self._surface_ids: dict[tuple[str, ...], list[int]] = {}
        self._token_texts: dict[int, str] = {}

    def chat(self, prompt: str) -> str:
        """The chat-formatted text of one question about one photo, by the checkpoint's template."""
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self.tokenizer.chat_template or self.template,
            tokenize=False,
            add_generation_prompt=True,
        )

    def escape_special_tokens(self, prompt: str, tokenizer: Any = None) -> str:
        """The prompt without special tokens: spaces split their text, so that a prompt cannot smuggle one in."""
        tokenizer = tokenizer or self.tokenizer
        # Some checkpoints mark <image> as special among the added tokens only.
        added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
        for token in dict.fromkeys([*tokenizer.all_special_tokens, *added]):
            prompt = prompt.replace(token, " ".join(token))
        return prompt

    @property
    def unknown_token(self) -> int:
        """The id that stands for the photo in the view "unk": <unk>, or the padding token where there is none.

        No text contains a padding token and no answer is trained on one, so it carries as little as <unk> does.
        """
        ids = (self.tokenizer.unk_token_id, self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next(i for i in ids if i is not None)

    @property
    def unknown_note(self) -> str:
        """What a panel must say about the view "unk" of this model; "" if the tokenizer has an <unk>."""
        token = self.tokenizer.convert_ids_to_tokens(self.unknown_token)
        return "" if "unk" in token.lower() else f"this tokenizer has no <unk>, so {token} stands in for it"

    def surface_ids(self, forms: Iterable[str]) -> list[int]:
        """First-token ids of the surface forms of a label, as an answer begins (with and without a space piece)."""
        key = tuple(forms)
        if key not in self._surface_ids:
            ids: dict[int, None] = {}
            for form in key:
                for text in (form, " " + form):
                    tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
                    pieces = [i for i in tokens if self.tokenizer.decode([i]).strip()]
                    if len(pieces) == 1:  # a label that splits would lend its mass to whatever shares its first piece
                        ids[pieces[0]] = None
            self._surface_ids[key] = list(ids)
        return self._surface_ids[key]

    def piece(self, token: int) -> str:
        """The text of one token id, spaces included; cached, because every trace names a dozen of them."""
        if token not in self._token_texts:
            name = str(self.tokenizer.convert_ids_to_tokens(token))
            # SentencePiece writes spaces so; decoded alone, a token of LLaMA would lose its first one.
            text = name.replace("▁", " ") if name.startswith("▁") else self.tokenizer.decode([token])
            self._token_texts[token] = text
        return self._token_texts[token]

    def decode(self, ids: list[int]) -> str:
        """Token ids of an answer -> text."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).lstrip()
