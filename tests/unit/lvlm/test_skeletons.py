"""Published checkpoints by their real small files: prompt ids, pixels and greedy tokens are transformers' own."""

from __future__ import annotations

from pathlib import Path

import pytest
import skeletons
import torch
from tiny import run
from training_runs import SHORT, pairs_in

from halluapp.data.pairs import read_pairs
from halluapp.methods import registry
from halluapp.methods.registry import Baseline
from halluapp.training import recipes
from halluapp.training.methods import registry as registry_of_training

PROMPT, TOKENS = "Describe this image in detail.", 6


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("name", skeletons.VISION_LANGUAGE)
def test_ids_pixels_and_greedy_tokens_are_transformers_own(name: str, quantization: str) -> None:
    lvlm, theirs = skeletons.lvlm(name, quantization), skeletons.inputs(name, PROMPT)
    photo = skeletons.photo()
    image, pixels = lvlm.encode_image(photo), lvlm.pixels(photo)
    ids = lvlm.expand_image_token(lvlm.prompt_ids(PROMPT, "photo"), image, len(lvlm.visual_tokens(image, PROMPT)))
    assert ids == theirs["input_ids"][0].tolist()
    for key, value in theirs.items():
        if key.startswith("pixel"):
            assert torch.equal(pixels[key].to(value.dtype), value), key
    config = lvlm.model.generation_config
    config.repetition_penalty, config.do_sample = 1.0, False
    generated = lvlm.model.generate(
        **{key: value.to(lvlm.model.dtype) if value.is_floating_point() else value for key, value in theirs.items()},
        max_new_tokens=TOKENS, min_new_tokens=TOKENS,
    )[0, len(ids) :].tolist()  # fmt: skip
    answers = run(lvlm, image, PROMPT, [Baseline()], max_new_tokens=TOKENS, ignore_end=True)
    assert answers["baseline"].ids == generated
    answers = run(lvlm, image, PROMPT, [registry.create(method) for method in registry.defaults()], max_new_tokens=3)
    assert all(answer.ids for answer in answers.values())


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("name", skeletons.VISION_LANGUAGE)
def test_three_steps_of_training(name: str, quantization: str, tmp_path: Path) -> None:
    """CHiP with a corrupted photo, on the real tokenizer and processor; each on a model that was never decoded with."""
    pairs = read_pairs(pairs_in(tmp_path / "pairs", photos=2))
    recipe = recipes.create("chip", **{**SHORT, "rank": 2, "batch": 1})
    trained = registry_of_training.objective("chip")(skeletons.fresh(name, quantization), recipe, pairs, log=str)
    optimizer = torch.optim.AdamW(trained.parameter_groups(), lr=1e-3)
    losses = []
    for step in range(3):
        loss, _ = trained.losses([0], step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    trained.undo()
    assert losses[2] < losses[0]


def test_leading_spaces_of_token_texts_are_kept() -> None:
    """Kind: a token of LLaMA that is decoded alone loses the space before its word."""
    from transformers import AutoTokenizer

    from halluapp.lvlm.text import PromptTokenizer

    text = "USER: A man  and\n a dog in the café"
    for name in ("llava-hf--llava-1.5-7b-hf", "Qwen--Qwen2.5-VL-3B-Instruct"):
        words = PromptTokenizer(AutoTokenizer.from_pretrained(skeletons.source(name), trust_remote_code=False))
        ids = words.tokenizer(text, add_special_tokens=False)["input_ids"]
        pieces = [words.piece(index) for index in ids]
        assert " man" in pieces
        assert "".join(pieces).lstrip() == text
