"""A word's worth under every method behind an answer's own beginning: against traces, and against full forwards."""

from __future__ import annotations

import pytest
import tiny
import tiny_families
import torch
from separate_rows import from_scratch
from tiny import OPEN, lvlm, photo, run, views

from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.inspection.answer import token_ends, word_at, words_of
from halluapp.inspection.evidence import evidence, reliance
from halluapp.inspection.question import VIEWS, Question, inspect
from halluapp.lvlm.types import Adapter, Delta
from halluapp.methods.adapter import NamedAdapter
from halluapp.methods.formulas.contrast import contrast
from halluapp.methods.registry import METHODS, VCD, VDD, Baseline, Nullu, create

STEPS = 7
STACKS = ("nullu+vdd", "vdd+calibration")


def family_views(kind: str) -> tuple:
    """(model, views, logits [T, V] of an answer in a view from scratch) of a tiny model of any family."""
    if kind in tiny.KINDS:
        model = lvlm(kind)
        return model, views(kind, "none"), lambda view, ids: from_scratch(model, OPEN, view, ids)
    model = tiny_families.lvlm(kind)
    return (
        model,
        Views.from_features(tiny_families.visual(kind, "none")),
        lambda view, ids: tiny_families.from_scratch(kind, "none", OPEN, view, ids),
    )


@pytest.mark.parametrize(("kind", "quantization"), [("llava", "nf4"), ("pocket", "none")])
def test_a_panel_read_as_a_whole_has_the_probabilities_of_its_own_trace(kind, quantization) -> None:
    """All methods, stacks among them: early exits, raised attention, penalties, noise, adapters, projectors."""
    model, seen = lvlm(kind, quantization), views(kind, quantization)
    methods = [create(name) for name in (*METHODS, *STACKS)]
    answers = run(model, seen, OPEN, methods, max_new_tokens=STEPS, ignore_end=True)
    for method in methods:
        ids, trace = answers[method.name].ids, [event.token for event in answers[method.name].events]
        for first, last in ((0, 0), (STEPS - 3, STEPS - 1)):
            lines = evidence(model, seen, OPEN, methods, ids, first, last)["methods"]
            own = next(line for line in lines if line["method"] == method.name)
            assert own["tokens"] == pytest.approx([token.p for token in trace[first : last + 1]], abs=2e-5), own
            assert own["top"][0][0] == trace[first].top[0][0]
            assert not any(line["error"] for line in lines)


def test_an_adapter_on_the_head_counts() -> None:
    """The kind: what is read out after the forward, when the row's changes are gone again."""
    model, seen = tiny.lvlm("llava", "none"), views("llava", "none")
    head, rng = model.model.lm_head.weight, torch.Generator().manual_seed(0)
    delta = Delta(torch.randn(4, head.shape[1], generator=rng), torch.randn(head.shape[0], 4, generator=rng), 0.1)
    model.adapters["head"] = Adapter("head", {"lm_head": delta})
    try:
        methods = [Baseline(), NamedAdapter(adapter="head")]
        answers = run(model, seen, OPEN, methods, max_new_tokens=STEPS, ignore_end=True)
        answer = answers[methods[1].name]
        trace = [event.token.p for event in answer.events]
        plain, own = evidence(model, seen, OPEN, methods, answer.ids, 0, STEPS - 1)["methods"]
        assert own["tokens"] == pytest.approx(trace, abs=2e-5)
        assert plain["tokens"] != pytest.approx(trace, abs=1e-2)
        with_head = reliance(model, seen, OPEN, answer.ids, methods[1])
        assert with_head != pytest.approx(reliance(model, seen, OPEN, answer.ids), abs=1e-3)
    finally:
        del model.adapters["head"]


@pytest.mark.parametrize("kind", [*tiny.KINDS, *tiny_families.KINDS])
def test_evidence_and_reliance_equal_forwards_from_scratch(kind) -> None:
    """Of an answer that another method gave: VDD's worth of the baseline's words is the contrast of whole forwards."""
    model, seen, scratch = family_views(kind)
    vdd, nullu = VDD(alpha=0.7, beta=0.0, reference="both"), Nullu(rank=3)
    ids = run(model, seen, OPEN, [Baseline()], max_new_tokens=STEPS, ignore_end=True)["baseline"].ids
    rows = {view: scratch(view, ids) for view in ("photo", "none", "unk")}
    first, last = 2, 4
    result = evidence(model, seen, OPEN, [Baseline(), vdd, nullu], ids, first, last)
    base, other, edited = result["methods"]
    tokens = torch.tensor(ids)[:, None]

    def worth(logits: torch.Tensor) -> list[float]:
        return logits.softmax(-1).gather(-1, tokens)[first : last + 1, 0].tolist()

    expected = contrast(rows["photo"], (rows["none"] + rows["unk"]) / 2, 0.7, 0.0)
    assert base["tokens"] == pytest.approx(worth(rows["photo"]), rel=2e-3, abs=1e-6)
    assert other["tokens"] == pytest.approx(worth(expected), rel=5e-3, abs=1e-6)
    assert result["photo"] == pytest.approx(base["p"]) == pytest.approx(torch.tensor(base["tokens"]).prod().item())
    assert result["none"] == pytest.approx(torch.tensor(worth(rows["none"])).prod().item(), rel=5e-3, abs=1e-9)
    assert edited["tokens"] != base["tokens"]
    difference = (rows["photo"].log_softmax(-1) - rows["none"].log_softmax(-1)).gather(-1, tokens)[:, 0]
    assert reliance(model, seen, OPEN, ids) == pytest.approx(difference.tolist(), abs=2e-3)


def test_words_cover_the_tokens_that_spell_them() -> None:
    model = lvlm("pocket")
    ids = model.answer_ids("A man and a dog walk on the street.")
    words, ends = words_of(model, ids), token_ends(model, ids)
    assert [word.text for word in words] == ["A", "man", "and", "a", "dog", "walk", "on", "the", "street"]
    for word in words:
        assert (ends[word.first - 1] if word.first else 0) <= word.start < word.end <= ends[word.last]
    assert word_at(model, ids, 5).text == "dog"
    for number in (0, 10):
        with pytest.raises(InputError, match="1 to 9"):
            word_at(model, ids, number)


def test_a_method_without_its_weights_says_so_and_the_others_answer(monkeypatch) -> None:
    model = lvlm("pocket")
    monkeypatch.setattr(model, "spaces", {})
    methods = [Baseline(), Nullu(), VCD()]
    ids = run(model, views("pocket", "none"), OPEN, [Baseline()], max_new_tokens=3, ignore_end=True)["baseline"].ids
    lines = evidence(model, views("pocket", "none"), OPEN, methods, ids, 0, 1)["methods"]
    assert "HalluSpace" in lines[1]["error"]
    assert lines[1]["p"] is None
    assert all(0 <= line["p"] <= 1 for line in (lines[0], lines[2]))


def test_every_view_answers_with_plain_data_and_leaves_no_hook() -> None:
    import json
    import pickle

    model, methods = lvlm("pocket", "nf4"), (Baseline(), VDD(), create("pai"))
    ids = model.answer_ids("A man and a dog.")[:-1]
    for view in VIEWS:
        question = Question(view, photo(), OPEN, methods, "pai", tuple(ids), 2)
        result = inspect(model, pickle.loads(pickle.dumps(question)))
        assert json.loads(json.dumps(result, allow_nan=False))["word"]["text"] == "man"
    assert tiny.hooks(model) == 0
    for foreign in (-1, 10**6, 2**70, model.image_token):  # a report that somebody opened may hold anything
        with pytest.raises(InputError, match="not this model's"):
            inspect(model, Question("evidence", photo(), OPEN, methods, "pai", (*ids, foreign), 2))
    with pytest.raises(InputError, match="known are evidence"):
        inspect(model, Question("soul", photo(), OPEN, methods, "pai", tuple(ids)))
    with pytest.raises(InputError, match="empty"):
        inspect(model, Question("prior", photo(), OPEN, methods, "pai", ()))
