"""Whole answers on a card that is not there: the same as on the CPU, nothing mixes devices, every wait is counted."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import card as cards
import pytest
import tiny
import torch
from tiny import CHOICE, OPEN, YES_NO, photo

from halluapp.decoding.events import Failed
from halluapp.decoding.views import Views
from halluapp.lvlm import sidecar_files
from halluapp.lvlm.families.llava import Llava
from halluapp.methods.base import Combination, Method
from halluapp.methods.registry import METHODS, Baseline, create, defaults

pytestmark = pytest.mark.skipif(not cards.exists(), reason="this torch makes no device in Python")
EVERY = [name for name in METHODS if name != "adapter"] + ["adapter:chip", "nullu+vdd", "vcd+calibration"]


def on_card() -> Llava:
    """The tiny LLaVA on the card, with its HalluSpace, projectors and adapters."""
    whole = tiny.lvlm("llava")
    lvlm = Llava(copy.deepcopy(whole.model).to("card:0"), whole.tokenizer, whole.image_processor, "on a card")
    sidecar_files.attach(lvlm, tiny.folder("llava"))
    return lvlm


def answers(lvlm, methods: list[Method], prompt: str = OPEN, **sampling) -> dict[str, tuple]:
    """method: (ids, texts, probabilities, alternatives, how it ended)."""
    sampling = {"max_new_tokens": 4, "ignore_end": True, **sampling}
    parts = tiny.run(lvlm, Views(lvlm, photo()), prompt, methods, **sampling)
    return {
        name: (
            part.ids,
            [event.text for event in part.events],
            [number for event in part.events for number in (event.token.p, *event.token.branches)],
            [[text for text, _ in event.token.top] for event in part.events],
            getattr(part.end, "reason", part.end),
        )
        for name, part in parts.items()
    }


@pytest.mark.parametrize(
    ("prompt", "sampling"), [(OPEN, {}), (YES_NO, {"temperature": 0.8, "top_p": 0.9}), (CHOICE, {})]
)
def test_every_method_answers_on_a_card_as_on_the_cpu(prompt, sampling):
    methods = [create(name) for name in EVERY]
    expected = answers(tiny.lvlm("llava"), methods, prompt, **sampling)
    assert not [each[-1] for each in expected.values() if isinstance(each[-1], Failed)]
    with cards.card():
        results = answers(on_card(), methods, prompt, **sampling)
    assert list(results) == list(expected)
    for name, (ids, texts, numbers, alternatives, end) in expected.items():
        assert results[name] == (ids, texts, pytest.approx(numbers, abs=2e-5), alternatives, end), name


def per_token(names: list[str], steps: int = 8) -> dict[str, float]:
    """What crosses for one token more, on average, once all rows are there."""
    methods, totals = [create(name) for name in names], []
    with cards.card() as crossings:
        lvlm = on_card()
        for length in (2, 2 + steps):
            before = cards.Crossings(**vars(crossings))
            answers(lvlm, methods, max_new_tokens=length)
            totals.append({kind: number - getattr(before, kind) for kind, number in vars(crossings).items()})
    return {kind: (totals[1][kind] - totals[0][kind]) / steps for kind in totals[0]}


@pytest.mark.parametrize(("names", "down", "values"), [(defaults(), 2, 1), (EVERY, 3, 2)])
def test_a_token_waits_for_the_card_as_often_whatever_the_panels(names, down, values):
    """The chosen tokens and their probabilities come back; transformers' mask asks whether any row is padded.

    DoLa and DeCo each ask which early layer they need. Ids go up twice; a new order of rows, DoLa's repetitions once.
    """
    counts = per_token(names)
    assert (counts["down"], counts["values"], counts["sizes"]) == (down, values, 0)
    assert counts["up"] <= 4


@dataclass(frozen=True)
class Careless(Baseline):
    """A method that does what a method must not: it takes its logits to the CPU, or meets a tensor from there."""

    name = "careless"
    mixes: bool = False

    def _combine(self, logits, step, lvlm) -> Combination:
        if self.mixes:
            return Combination(logits[0] + torch.zeros(logits.shape[-1]))
        scores = logits[0]
        scores[int(scores.argmax())] += 1.0
        return Combination(torch.where(scores > scores[scores > 0].mean(), scores, scores - 1.0))


def test_the_card_finds_what_a_gpu_would_wait_for_or_refuse():
    with cards.card() as crossings:
        lvlm, before = on_card(), cards.Crossings(**vars(crossings))
        answers(lvlm, [Careless()], max_new_tokens=1)
        careless = crossings.waits() - before.waits()
        before = cards.Crossings(**vars(crossings))
        answers(lvlm, [create("baseline")], max_new_tokens=1)
        assert careless - (crossings.waits() - before.waits()) == 2  # int() and a mask
        assert "two devices" in answers(lvlm, [Careless(mixes=True)], max_new_tokens=1)["careless"][-1].error
        with pytest.raises(RuntimeError, match="generator of the card"):
            torch.multinomial(torch.ones(3, device="card:0"), 1, generator=torch.Generator())
    with pytest.raises(RuntimeError, match="outside of"):
        lvlm.model.lm_head.weight + 1
    assert not torch.card.is_available()
