"""Calibrated decoding: the formula on separately computed logits, a prior without the photo, and open prompts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields

import pytest
import torch
from tiny import CHOICE, KINDS, MODELS, OPEN, YES_NO, RecordingMethod, inputs, lvlm, run, visual

from halluapp.errors import InputError
from halluapp.methods.base import Step
from halluapp.methods.formulas.contrast import plausible
from halluapp.methods.formulas.label_calibration import calibrate_next_token
from halluapp.methods.formulas.labels import find_labels
from halluapp.methods.registry import Baseline, Calibration, create

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
TASKS = {YES_NO: ("yes", "no"), CHOICE: ("A", "B", "C")}


def _label_ids(model, prompt: str) -> list[list[int]]:
    return [model.surface_ids(forms) for forms in find_labels(prompt).forms]


@contextmanager
def shifted_labels(model, prompt: str, by: float):
    """Within the context every label of a prompt is more probable, or less: a random model hardly answers with one.

    The shift is the same for all of them, so that it changes nothing among the labels themselves.
    """
    every = sorted({token for ids in _label_ids(model, prompt) for token in ids})

    def shift(_module, _inputs, logits):
        return logits.index_add(-1, torch.tensor(every), logits.new_full((*logits.shape[:-1], len(every)), by))

    handle = model.logits.register_forward_hook(shift)
    try:
        yield
    finally:
        handle.remove()


SHIFT = 40.0  # from which on the labels have all of the probability


@torch.no_grad()
def _first(model, prompt: str, view: str, seed: int = 0) -> torch.Tensor:
    """Logits of the first answer token, by transformers alone."""
    if view == "photo":
        return model.model(**inputs(model, prompt, seed)).logits[0, -1]
    return model.model(input_ids=torch.tensor([model.prompt_ids(prompt, view)])).logits[0, -1]


def _masses(model, logits: torch.Tensor, prompt: str) -> torch.Tensor:
    """Probabilities of the labels among themselves, their surface forms added up."""
    p = logits.softmax(-1)
    masses = torch.stack([p[model.surface_ids(forms)].sum() for forms in find_labels(prompt).forms])
    return masses / masses.sum()


@over_models
@pytest.mark.parametrize("prompt", TASKS)
@pytest.mark.parametrize(("prior", "strength"), [("none", 1.0), ("unk", 1.0), ("both", 1.0), ("both", 0.5)])
def test_label_probabilities_follow_the_formula(kind, quantization, prompt, prior, strength) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(Calibration(prior=prior, label_strength=strength))
    with shifted_labels(model, prompt, SHIFT):
        answers = run(model, visual(kind, quantization, 1), prompt, [Baseline(), method], max_new_tokens=4)[
            "calibration"
        ]
    views = ("none", "unk") if prior == "both" else (prior,)
    logits = _first(model, prompt, "photo", seed=1)
    p = _masses(model, logits, prompt)
    without = torch.stack([_masses(model, _first(model, prompt, view), prompt) for view in views]).mean(0)
    powered = without**strength / (without**strength).sum()
    q = p / (powered + 1e-4)
    q = q / q.sum()
    notes = answers.events[0].token.notes["labels"]
    assert notes["labels"] == list(TASKS[prompt])
    assert notes["mass"] == pytest.approx(1, abs=1e-4)
    for key, expected in (("before", p), ("prior", without), ("after", q)):
        assert notes[key] == pytest.approx(expected.tolist(), abs=2e-4), key
    # A label's probability is shared out among its surface forms as it was.
    tokens = {
        token: float(share * part)
        for ids, part in zip(_label_ids(model, prompt), q, strict=True)
        for token, share in zip(ids, logits[ids].softmax(-1), strict=True)
    }
    assert answers.events[0].token.p == pytest.approx(max(tokens.values()), abs=2e-4)
    assert tokens[answers.ids[0]] == pytest.approx(max(tokens.values()), abs=2e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", TASKS)
def test_only_labels_change_and_after_one_the_model_goes_on_by_itself(kind, prompt) -> None:
    model, method = lvlm(kind), RecordingMethod(Calibration())
    with shifted_labels(model, prompt, SHIFT):
        run(model, visual(kind, "none"), prompt, [method], max_new_tokens=5, ignore_end=True)
    labels = [token for ids in _label_ids(model, prompt) for token in ids]
    change = method.combined[0].scores - method.logits[0][0]
    assert bool(change[labels].any())
    assert not bool(change.index_fill(0, torch.tensor(labels), 0.0).any())
    for raw, combined in list(zip(method.logits, method.combined, strict=True))[1:]:
        assert torch.equal(combined.scores, raw[0])
        assert not combined.notes


@pytest.mark.parametrize(("kind", "quantization"), MODELS)
def test_the_prior_does_not_depend_on_the_photo(kind, quantization) -> None:
    model, notes, rows = lvlm(kind, quantization), [], []
    for seed in (0, 1, 2):
        method = RecordingMethod(Calibration())
        with shifted_labels(model, YES_NO, SHIFT):
            answers = run(model, visual(kind, quantization, seed), YES_NO, [method], max_new_tokens=1)["calibration"]
        notes.append(answers.events[0].token.notes["labels"])
        rows.append(method.logits[0])
    assert notes[0]["prior"] == notes[1]["prior"] == notes[2]["prior"]
    assert notes[0]["before"] != notes[1]["before"]
    assert torch.equal(rows[0][1:], rows[1][1:])
    assert torch.equal(rows[1][1:], rows[2][1:])


def _logits(model, masses: dict[int, float], rows: int = 3) -> torch.Tensor:
    """Logits [R, V] of a first token with these probabilities in the main row, the rest spread over all others."""
    size = model.head.weight.shape[0]
    p = torch.full((rows, size), (1 - sum(masses.values())) / (size - len(masses)))
    p[0, list(masses)] = torch.tensor(list(masses.values()))
    p[1:] = 1 / size
    yes, no = (ids[0] for ids in _label_ids(model, YES_NO))
    p[1:, yes], p[1:, no] = 0.4, 0.1  # without the photo the model says yes
    return p.log()


def _combined(masses: dict[int, float], **parameters):
    model = lvlm()
    logits = _logits(model, masses)
    return logits[0], Calibration(**parameters).combine(logits, Step(0, YES_NO), model)


def test_it_acts_where_the_answer_begins_with_a_label() -> None:
    """The kind: an answer forced to be a label that had a twentieth of the probability."""
    model = lvlm()
    (yes, *_), (no, *_) = _label_ids(model, YES_NO)
    labels = {token for ids in _label_ids(model, YES_NO) for token in ids}
    other = next(token for token in range(20, 90) if token not in labels)
    for masses, acts in (
        ({yes: 0.3, no: 0.05, other: 0.25}, True),  # the most probable token is a label
        ({yes: 0.3, no: 0.25, other: 0.4}, True),  # it is not, but labels have more than half together
        ({yes: 0.05, other: 0.6}, False),
        ({yes: 0.2, no: 0.2, other: 0.5}, False),
    ):
        raw, combination = _combined(masses)
        assert ("labels" in combination.notes) is acts, masses
        assert ("labels_absent" in combination.notes) is not acts, masses
        _, forced = _combined(masses, labels="yes/no")
        assert "labels" in forced.notes
        assert not _combined(masses, labels="open")[1].notes
        if acts:  # the mass outside the labels stays where it was
            assert combination.scores.softmax(-1)[other] == pytest.approx(masses[other], abs=1e-5)
            mass = float(raw.softmax(-1)[sorted(labels)].sum())
            assert combination.notes["labels"]["mass"] == pytest.approx(mass, abs=1e-4)
            assert float(combination.scores.softmax(-1)[sorted(labels)].sum()) == pytest.approx(mass, abs=1e-4)


def test_a_small_strength_is_near_the_baseline() -> None:
    """The kind: a jump between strength 0 and the next one."""
    model = lvlm()
    (yes, *_), (no, *_) = _label_ids(model, YES_NO)
    for masses in ({yes: 0.4, no: 0.3}, {yes: 0.05, 30: 0.6}, {yes: 0.3, no: 0.25, 30: 0.4}):
        raw, baseline = _combined(masses, label_strength=0.0)
        _, near = _combined(masses, label_strength=0.05)
        assert int(near.scores.argmax()) == int(baseline.scores.argmax()) == int(raw.argmax())
        previous = None
        for strength in (0.1, 0.01, 0.001):
            _, combination = _combined(masses, label_strength=strength)
            finite = baseline.scores.isfinite()
            furthest = float((combination.scores - baseline.scores)[finite].abs().max())
            assert previous is None or furthest <= previous / 5
            previous = furthest


@pytest.mark.parametrize("prompt", TASKS)
def test_label_strength_zero_and_a_small_one_say_the_same(prompt) -> None:
    model = lvlm()
    for shift in (0.0, SHIFT):
        with shifted_labels(model, prompt, shift):
            texts = [
                run(model, visual("llava", "none"), prompt, [Calibration(label_strength=strength)], max_new_tokens=4)
                for strength in (0.0, 0.001)
            ]
        assert texts[0]["calibration"].ids == texts[1]["calibration"].ids


def test_labels_are_a_parameter_of_the_method() -> None:
    assert create("calibration", labels="A-D").labels == "A-D"
    with pytest.raises(InputError, match="labels must be one of auto, yes/no, A-D, open"):
        create("calibration", labels="true/false")
    (item,) = (item for item in fields(Calibration) if item.name == "labels")
    assert item.metadata["choices"] == ("auto", "yes/no", "A-D", "open")


@over_models
@pytest.mark.parametrize(("strength", "beta"), [(0.5, 0.1), (1.5, 0.3), (1.0, 0.01)])
def test_open_prompts_stay_in_the_plausible_set(kind, quantization, strength, beta) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(Calibration(strength=strength, beta=beta))
    answers = run(model, visual(kind, quantization), OPEN, [Baseline(), method], max_new_tokens=8)
    for token, raw, combined in zip(answers["calibration"].ids, method.logits, method.combined, strict=True):
        keep = plausible(raw[0], beta)
        assert torch.equal(combined.scores.isfinite(), keep)
        assert bool(keep[token])
        prior = raw[1:].softmax(-1).mean(0).log()
        expected = calibrate_next_token(raw[0], prior, strength, beta)
        torch.testing.assert_close(combined.scores, expected, atol=1e-4, rtol=1e-4)
    assert not any(combined.notes for combined in method.combined)


@pytest.mark.parametrize("kind", KINDS)
def test_without_labels_in_the_answer_the_prompt_is_open_and_it_is_noted(kind) -> None:
    model, method = lvlm(kind, "nf4"), RecordingMethod(Calibration())
    with shifted_labels(model, YES_NO, -SHIFT):
        answers = run(model, visual(kind, "nf4"), YES_NO, [method], max_new_tokens=5)["calibration"]
    assert answers.events[0].token.notes == {"labels_absent": True}
    labels = {token for forms in find_labels(YES_NO).forms for token in model.surface_ids(forms)}
    assert answers.ids[0] not in labels
    for raw, combined in zip(method.logits, method.combined, strict=True):
        assert torch.equal(combined.scores.isfinite(), plausible(raw[0], 0.1))


def test_a_label_that_the_tokenizer_splits_makes_the_prompt_open(monkeypatch) -> None:
    model, prompt = lvlm(), "Which one? A. cat B. dog C. cow D. pig"
    assert model.surface_ids(("A",))
    assert len(find_labels(prompt).names) == 4
    monkeypatch.setitem(model._surface_ids, ("D",), [])
    with shifted_labels(model, prompt, SHIFT):
        answers = run(model, visual("llava", "none"), prompt, [Calibration()], max_new_tokens=1)["calibration"]
    assert answers.events[0].token.notes == {"labels_absent": True}


def test_the_explanation_names_what_is_done() -> None:
    model, method = lvlm(), Calibration()
    assert "yes / no" in method.explain(model, YES_NO)
    assert "A / B / C" in method.explain(model, CHOICE)
    assert "Open prompt" in method.explain(model, OPEN)


@pytest.mark.parametrize(
    ("prompt", "settings", "rows"),
    [
        (YES_NO, {}, 3), (OPEN, {}, 3), (YES_NO, {"prior": "none"}, 2), (YES_NO, {"label_strength": 0.0}, 3),
        (OPEN, {"label_strength": 0.0}, 3), (OPEN, {"strength": 0.0}, 1), (YES_NO, {"strength": 0.0}, 3),
        (YES_NO, {"strength": 0.0, "label_strength": 0.0}, 1), (YES_NO, {"strength": 0.0, "labels": "open"}, 1),
        (OPEN, {"strength": 0.0, "labels": "yes/no"}, 3),
    ],
)  # fmt: skip
def test_rows_are_asked_for_only_where_they_are_used(prompt, settings, rows) -> None:
    assert len(Calibration(**settings).rows(prompt)) == rows
