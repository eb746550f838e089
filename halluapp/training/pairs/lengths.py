"""Pairs that are longer than a model reads, found by its configuration and tokenizer alone: before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from halluapp.data.pairs import Pair
from halluapp.errors import InputError
from halluapp.lvlm import loading, random_weights
from halluapp.lvlm.text import PromptTokenizer


def check_lengths(pairs: list[Pair], model: str, assets: Path) -> None:
    """Raises InputError for a pair whose photo, question and answer are certainly longer than the model's context.

    model: as `catalog.load` takes it; nothing is checked where that chooses or makes up a model. A lower bound: the
    chat format is not counted. `examples.tokenize` counts exactly, with the loaded model.
    """
    if model == "auto" or model.startswith(random_weights.PREFIX):
        return
    from transformers import AutoTokenizer

    from halluapp.lvlm.families import pocket  # with transformers, which the page does without until it is there

    pocket.register()
    source = str(assets / "pocket") if model == "pocket" else model
    config = loading.configuration(source)
    context, visual = config.get_text_config().max_position_embeddings, _visual_tokens(config)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, ImportError):
        return  # whoever loads the model says what is wrong with it
    escape = PromptTokenizer(tokenizer).escape_special_tokens
    for pair in pairs:
        texts = [escape(text) for text in (pair.question, pair.chosen, pair.rejected)]
        question, *answers = (len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])
        length = visual + question + max(answers)
        if length > context:
            raise InputError(
                f"{pair.position or 'A pair'}: photo, question and answer are {length:,} tokens or more, but {model} "
                f"reads {context:,}; shorten the texts or leave the pair out."
            )


def _visual_tokens(config: Any) -> int:
    """Visual tokens of a photo, at least: by the two numbers that a configuration may have, 0 without either."""
    vision = getattr(config, "vision_config", None)
    side, patch = getattr(vision, "image_size", 0), getattr(vision, "patch_size", 0)
    grid = (side // patch) ** 2 if isinstance(side, int) and isinstance(patch, int) and patch else 0
    grid += getattr(vision, "class_regions", 0)  # of the embedded model
    return min(grid, getattr(config, "image_seq_length", grid) or 0)
