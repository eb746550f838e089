"""What prompts about one photo begin with is computed once: the same tokens and probabilities, in every family."""

from __future__ import annotations

import pytest
import tiny
import tiny_families
import torch
from sliding import sliding_model
from tiny import OPEN, lvlm, photo

from halluapp.decoding import engine, shared_heads
from halluapp.decoding.events import Decoded
from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.methods.registry import create

NAMES = ("baseline", "nullu", "vdd", "calibration", "vcd", "icd", "pai", "m3id", "dola", "deco")
PROMPTS = ("Is there a dog in the image?", OPEN, "Is there a man?")
QUICK = ("llava", "qwen3_vl")
ALL = (*tiny.KINDS, *tiny_families.KINDS)
KINDS = [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in ALL]
APART = {"instructblip", "llava/pixtral", "mistral3", "gemma3", "aya_vision", "idefics2"}  # windows, or a Q-Former


def answers(model, pictures, share: bool, sampling: Sampling) -> dict:
    views, methods = [Views(model, one) for one in pictures], [create(name) for name in NAMES]
    jobs = [engine.Job(view, prompt, methods) for view in views for prompt in PROMPTS]
    tokens: dict = {}
    for job, event in engine.decode_many(model, jobs, sampling, share=share):
        if isinstance(event, Decoded):
            tokens.setdefault((job, event.method), []).append(event.token)
    return tokens


@pytest.fixture
def starts(monkeypatch):
    """What the heads of every prefill were."""
    calls, read = [], engine.read_heads

    def spy(*arguments):
        calls.append(read(*arguments))
        return calls[-1]

    monkeypatch.setattr(engine, "read_heads", spy)
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_shared_heads_are_those_of_whole_prompts(kind, starts) -> None:
    model = lvlm(kind) if kind in tiny.KINDS else tiny_families.lvlm(kind)
    pictures = [photo(number) if kind in tiny.KINDS else tiny_families.photo() for number in range(2)]
    for sampling in (Sampling(5), Sampling(3, temperature=1.3, seed=2)):
        apart, together = (answers(model, pictures, share, sampling) for share in (False, True))
        assert {key: [one.id for one in tokens] for key, tokens in apart.items()} == {
            key: [one.id for one in tokens] for key, tokens in together.items()
        }
        for key, tokens in apart.items():
            for one, other in zip(tokens, together[key], strict=True):
                assert one.branches == pytest.approx(other.branches, abs=3e-5), key
    assert all((start is None) == (kind in APART) for start in starts)
    assert len(starts) == 2


def test_heads_hold_the_photo_once_and_tails_hold_no_photo(starts) -> None:
    model = lvlm("llava")
    answers(model, [photo(0), photo(1)], True, Sampling(1))
    (start,) = starts
    assert len(start.tails) == len(start.mask) == start.cache.layers[0].keys.shape[0]
    assert not any(tail.image_mask.any() for tail in start.tails)
    whole, count = start.mask[start.image_mask.any(1)], int(start.image_mask.sum(1).max())
    assert whole.sum(1).min() > count
    assert max(len(tail.embeds) for tail in start.tails) <= max(len(model.prompt_ids(one, "none")) for one in PROMPTS)


@pytest.mark.parametrize("mistral", [False, True])
def test_a_sliding_window_shares_nothing(mistral, starts) -> None:
    model = sliding_model("sdpa", mistral)
    jobs = [engine.Job(view, prompt, [create("baseline")]) for view in [Views(model, photo(0))] for prompt in PROMPTS]
    assert list(engine.decode_many(model, jobs, Sampling(2), share=True))
    assert starts == [None]


def test_prompts_of_different_photos_share_nothing(starts) -> None:
    model = lvlm("llava")
    jobs = [engine.Job(Views(model, photo(number)), OPEN, [create("baseline")]) for number in range(3)]
    assert list(engine.decode_many(model, jobs, Sampling(2), share=True))
    assert starts == [None]
    assert shared_heads._common_length([model.embed_prompt([5, 6, 7]) for _ in range(2)]) == 0
    assert torch.is_grad_enabled()
