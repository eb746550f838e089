"""A loss against saying a word again: answers of small models loop ("a fork, a fork, a fork")."""

from __future__ import annotations

import torch
from torch import Tensor

# What a sentence may well say again.
FUNCTION_WORDS = (
    " a an the and is are in on of with to at by from for his her their its it there this that also some one two three "
    "left right middle background photo image no not can't I tell what an as up down near next while who has have"
)


def function_tokens(words) -> Tensor:
    """Ids of the tokens that a text may repeat: function words, marks, single letters."""
    spelled = [" " + word for word in FUNCTION_WORDS.split()] + [*",.?!;:'-/", "</s>", "There", "The", "A", "I"]
    ids = {index for text in spelled for index in words(text, add_special_tokens=False)["input_ids"]}
    ids |= {index for index in range(len(words)) if len(words.convert_ids_to_tokens(index).lstrip("Ġ")) < 3}
    return torch.tensor(sorted(ids))


def repetition_loss(logits: Tensor, labels: Tensor, answer: Tensor, exempt: Tensor) -> Tensor:
    """Unlikelihood of a word that the answer has said before, where it does not come next: mean over tokens.

    logits [N, V] before each token, labels [N], answer [N]: which answer a token belongs to, exempt: ids of function
    words. Source: Welleck et al. 2020, arXiv 1908.04319, equation 5 (without it small models loop: "a fork, a fork").
    """
    earlier = (answer[:, None] == answer[None]) & (labels[:, None] != labels[None]) & ~torch.isin(labels, exempt)[None]
    earlier &= torch.ones_like(earlier).tril(-1)
    row, column = earlier.nonzero(as_tuple=True)
    row, words = torch.stack([row, labels[column]]).unique(dim=1)  # a set: a word said twice before counts once
    p = (logits[row, words] - logits.logsumexp(-1)[row]).exp()
    return -torch.log1p(-p * (1 - 1e-3)).sum() / len(labels)  # finite at p = 1, and never without a gradient
