"""Training on the model's own descriptions: what it wrongly names, or names again, becomes less likely.

Teacher-forced sentences never contain "a mouse, a mouse, a mouse", so no loss on them unlearns it. Source: unlikelihood
on sequences of the model's own decoding, Welleck et al. 2020, arXiv 1908.04319, section 5.2 (there for repeated
n-grams; here for mentions, judged by the photo's labels as well).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import find_mentions
from halluapp.lvlm.decoder import cache_argument
from halluapp.recipes.pocket.crops import crop_box
from halluapp.recipes.pocket.description import MOST_NAMED

TOKENS = 48
SEPARATORS = (",", "and")
ADDS = ("There is also", "There are also")
ITEM = 4  # tokens from the separator before an item to its noun, at most


class View(NamedTuple):
    """A photo of a batch by its row, with its labels and the view of it that the model sees."""

    row: int
    photo: AnnotatedObjects
    crop: list[float]


class Mark(NamedTuple):
    """A token of a text, by its position: whether it should have been said, and how much that counts."""

    position: int
    good: bool
    weight: float


class OwnTexts:
    """Decodes and judges descriptions of the photos of a batch: `loss` of a step."""

    def __init__(self, tokenizer):
        self.tokenizer, self.end = tokenizer, tokenizer.eos_token_id
        self.pieces = [tokenizer.decode([index]) for index in range(len(tokenizer))]

    def loss(self, lvlm, visual: Tensor, prompt: list[int], views: Sequence[View]) -> Tensor:
        """Of the answers to one prompt about some photos; visual [B, V, D]: of the whole batch."""
        if not views:
            return visual.sum() * 0.0
        chosen = visual[[view.row for view in views]]
        answers = decode(lvlm, chosen, prompt, self.end)
        marks = []
        for ids, view in zip(answers.tolist(), views, strict=True):
            length = ids.index(self.end) if self.end in ids else len(ids)
            marks.append(marks_of([self.pieces[index] for index in ids[:length]], view.photo, view.crop))
        return loss(lvlm, chosen, prompt, answers, marks)


@torch.no_grad()
def decode(lvlm, visual: Tensor, prompt: list[int], end: int, tokens: int = TOKENS) -> Tensor:
    """Greedy answers to one prompt about each photo: visual [B, V, D] -> ids [B, T], filled with `end`."""
    x = embedded(lvlm, visual, torch.tensor([prompt] * len(visual)))
    past, name = DynamicCache(), cache_argument(type(lvlm.model.language_model))
    answer: list[Tensor] = []
    ended = torch.zeros(len(visual), dtype=torch.bool)
    for _ in range(tokens):
        output = lvlm.model.language_model(inputs_embeds=x, use_cache=True, **{name: past})
        chosen = lvlm.lm_head(output.last_hidden_state[:, -1]).float().argmax(-1).masked_fill(ended, end)
        answer.append(chosen)
        ended |= chosen == end
        if ended.all():
            break
        x = lvlm.get_input_embeddings()(chosen[:, None])
    return torch.stack(answer, 1)


def embedded(lvlm, visual: Tensor, ids: Tensor) -> Tensor:
    """Input embeddings of ids [B, T], the photo's tokens in their places."""
    x = lvlm.get_input_embeddings()(ids)
    return x.masked_scatter((ids == lvlm.config.image_token_id)[..., None], visual.to(x.dtype))


def loss(lvlm, visual: Tensor, prompt: list[int], answers: Tensor, marks: Sequence[Sequence[Mark]]) -> Tensor:
    """-ln(1 - p) of the marked tokens that should not stand there, -ln p of those that should: mean over texts."""
    ids = torch.cat([torch.tensor([prompt] * len(answers)), answers], 1)
    hidden = lvlm.model.language_model(inputs_embeds=embedded(lvlm, visual, ids), use_cache=False).last_hidden_state
    flat = [(row, mark) for row, of_row in enumerate(marks) for mark in of_row]
    if not flat:
        return hidden.sum() * 0.0
    rows = torch.tensor([row for row, _ in flat])
    positions = torch.tensor([mark.position for _, mark in flat])
    logits = lvlm.lm_head(hidden[rows, len(prompt) - 1 + positions]).float()
    log_p = logits.log_softmax(-1).gather(1, answers[rows, positions][:, None])[:, 0]
    good = torch.tensor([mark.good for _, mark in flat])
    weight = torch.tensor([mark.weight for _, mark in flat])
    unlikely = -torch.log1p(-log_p.exp() * (1 - 1e-3))  # finite at p = 1
    return (torch.where(good, -log_p, unlikely) * weight).sum() / len(answers)


def marks_of(tokens: Sequence[str], photo: AnnotatedObjects, crop: Sequence[float]) -> list[Mark]:
    """Which tokens of a text name what is there for the first time (good), or too often or wrongly (not good).

    tokens: the pieces whose concatenation is the text. What the labels leave open, or the view cuts off, is not marked.
    Nor is a person who is there: rewarded, "person" ended in every sentence. A kind of a thing is that thing.
    """
    text, ends = "".join(tokens), []
    for token in tokens:
        ends.append(len(token) + (ends[-1] if ends else 0))
    marks: list[Mark] = []
    earlier: list[tuple[str, int]] = []  # names and the sentences that they stand in
    for mention in find_mentions(text):
        position = next(index for index, end in enumerate(ends) if end > mention.start)
        sentence = text.count(". ", 0, mention.start)
        alike = [number for name, number in earlier if vocabulary.same_or_kind(mention.object, name)]
        earlier.append((mention.object, sentence))
        adds = text[: mention.start].rpartition(". ")[2].startswith(ADDS)  # to what was named before
        if len(alike) >= MOST_NAMED or sentence in alike or (alike and adds):
            marks += _wrong(tokens, position)
            continue
        there = is_there(mention.object, photo, crop)
        if there is False:
            marks += _wrong(tokens, position)
        elif there and not alike and mention.object not in vocabulary.PEOPLE:
            marks.append(Mark(position, True, 0.5))
    return marks


def _wrong(tokens: Sequence[str], position: int) -> list[Mark]:
    """The noun, and at half its weight the separator that began its item: the list should have ended there."""
    before = [at for at in range(max(position - ITEM, 0), position) if tokens[at].strip() in SEPARATORS]
    return [Mark(position, False, 1.0), *(Mark(at, False, 0.5) for at in before[-1:])]


def is_there(name: str, photo: AnnotatedObjects, crop: Sequence[float]) -> bool | None:
    """Whether a view shows a thing; None where its labels do not say."""
    alike = {other for other in photo.present if name in (other, vocabulary.parent(other))}
    if alike:
        boxes = [box for other, box in photo.boxes if other in alike]
        return True if not boxes or any(crop_box(box, list(crop)) for box in boxes) else None
    open_names = photo.possible | photo.present
    if any(vocabulary.same_or_kind(name, other) for other in open_names):
        return None
    certain = getattr(photo, "certain", None)
    if certain is None:  # five people named what they saw, or else a teacher looked for COCO's categories only
        return False if photo.phrases or name in vocabulary.coco_names() else None
    return False if {name, vocabulary.parent(name)} & certain else None
