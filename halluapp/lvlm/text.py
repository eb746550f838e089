"""The text side of an LVLM: chat format, escaped prompts, the unknown token, label ids, and ids back to text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

SAMPLE_PROMPT, SAMPLE_ANSWER = "?", "Yes"  # of which the frame of every answer is read


@dataclass(frozen=True)
class AnswerFrame:
    """The text around an answer: start, the chat text of a prompt; lead, the white space between it and the answer.

    prompt_ids: ids of `start`; end_token: the id that ends the answer in this format.
    """

    start: str
    lead: str
    prompt_ids: list[int]
    end_token: int


class PromptTokenizer:
    """A checkpoint's tokenizer with its chat format.

    template: of checkpoints that come without one; "" if all bring their own.
    """

    template: ClassVar[str] = ""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self._surface_ids: dict[tuple[str, ...], list[int]] = {}
        self._token_texts: dict[int, str] = {}

    def chat(self, prompt: str, answer: str | None = None) -> str:
        """The chat-formatted text of one question about one photo, by the checkpoint's template.

        answer: the assistant's turn after it; None: the text ends where an answer begins.
        """
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
        if answer is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        return self.tokenizer.apply_chat_template(
            messages,
            chat_template=self.tokenizer.chat_template or self.template,
            tokenize=False,
            add_generation_prompt=answer is None,
        )

    def chat_ids(self, text: str) -> list[int]:
        """Token ids of chat-formatted text, with one start token where the tokenizer has one."""
        has_start = self.tokenizer.bos_token is not None and text.startswith(self.tokenizer.bos_token)
        return self.tokenizer(text, add_special_tokens=not has_start)["input_ids"]

    @cached_property
    def answer_frame(self) -> AnswerFrame:
        """What the checkpoint's template puts around an answer; a template without an assistant's turn adds a space."""
        start, whole = self.chat(SAMPLE_PROMPT), self.chat(SAMPLE_PROMPT, SAMPLE_ANSWER)
        turn = whole.removeprefix(start) if whole.startswith(start) else ""
        lead, sample, tail = turn.partition(SAMPLE_ANSWER)
        if not sample or lead.strip():
            lead, tail = "" if start[-1:].isspace() else " ", ""
        after = self.tokenizer(tail.strip(), add_special_tokens=False)["input_ids"]
        end = next((i for i in after[:1] if i in self.special_ids), self.tokenizer.eos_token_id)
        return AnswerFrame(start, lead, self.chat_ids(start), end)

    @property
    def special_ids(self) -> set[int]:
        """Ids of the special tokens; some checkpoints mark some of them among the added tokens only."""
        added = {index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return added | set(self.tokenizer.all_special_ids)

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of an answer as the model writes it after a prompt's ids, the end token included.

        Prompt and answer are tokenised as one text and the prompt's ids cut off: LLaMA's tokenizer puts a space of its
        own before a text, so that an answer tokenised alone begins with an empty token.
        """
        frame = self.answer_frame
        ids, cut = self.chat_ids(frame.start + frame.lead + answer.strip()), len(frame.prompt_ids)
        if ids[:cut] != frame.prompt_ids:  # the tokenizer joins the prompt's last piece with the answer's first
            return [*self.tokenizer(answer.strip(), add_special_tokens=False)["input_ids"], frame.end_token]
        return [*ids[cut:], frame.end_token]

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
