"""Calibrated decoding: the formula on separately computed logits, a prior without the photo, and open prompts."""

from __future__ import annotations

import pytest
import torch
from tiny import CHOICE, KINDS, MODELS, OPEN, YES_NO, RecordingMethod, inputs, lvlm, run, visual

from halluapp.methods import calibration
from halluapp.methods.formulas.contrast import plausible
from halluapp.methods.formulas.label_calibration import calibrate_next_token
from halluapp.methods.formulas.labels import find_labels
from halluapp.methods.registry import Baseline, Calibration

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
TASKS = {YES_NO: ("yes", "no"), CHOICE: ("A", "B", "C")}


@pytest.fixture
def labels_present(monkeypatch) -> None:
    """A random model hardly ever answers with a label: every mass counts as enough."""
    monkeypatch.setattr(calibration, "LEAST_LABEL_MASS", 0.0)


@pytest.fixture
def labels_absent(monkeypatch) -> None:
    monkeypatch.setattr(calibration, "LEAST_LABEL_MASS", 1.1)


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
@pytest.mark.usefixtures("labels_present")
def test_label_probabilities_follow_the_formula(kind, quantization, prompt, prior, strength) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(Calibration(prior=prior, label_strength=strength))
    answers = run(model, visual(kind, quantization, 1), prompt, [Baseline(), method], max_new_tokens=4)["calibration"]
    views = ("none", "unk") if prior == "both" else (prior,)
    p = _masses(model, _first(model, prompt, "photo", seed=1), prompt)
    without = torch.stack([_masses(model, _first(model, prompt, view), prompt) for view in views]).mean(0)
    powered = without**strength / (without**strength).sum()
    q = p / (powered + 1e-4)
    q = q / q.sum()
    notes = answers.events[0].token.notes["labels"]
    assert notes["labels"] == list(TASKS[prompt])
    for key, expected in (("before", p), ("prior", without), ("after", q)):
        assert notes[key] == pytest.approx(expected.tolist(), abs=2e-4), key
    forms = find_labels(prompt).forms[int(q.argmax())]
    assert answers.events[0].token.text.strip() in forms
    assert answers.ids[0] in model.surface_ids(forms)
    assert answers.events[0].token.p == pytest.approx(float(q.max()), abs=2e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", TASKS)
@pytest.mark.usefixtures("labels_present")
def test_after_the_label_the_model_goes_on_by_itself(kind, prompt) -> None:
    model, method = lvlm(kind), RecordingMethod(Calibration())
    run(model, visual(kind, "none"), prompt, [method], max_new_tokens=5, ignore_end=True)
    allowed = {token for forms in find_labels(prompt).forms for token in model.surface_ids(forms)}
    remaining = method.combined[0].scores.isfinite().nonzero()[:, 0].tolist()
    assert set(remaining) <= allowed
    assert len(remaining) == len(TASKS[prompt])
    for raw, combined in list(zip(method.logits, method.combined, strict=True))[1:]:
        assert torch.equal(combined.scores, raw[0])
        assert not combined.notes


@pytest.mark.parametrize(("kind", "quantization"), MODELS)
@pytest.mark.usefixtures("labels_present")
def test_the_prior_does_not_depend_on_the_photo(kind, quantization) -> None:
    model, notes, rows = lvlm(kind, quantization), [], []
    for seed in (0, 1, 2):
        method = RecordingMethod(Calibration())
        answers = run(model, visual(kind, quantization, seed), YES_NO, [method], max_new_tokens=1)["calibration"]
        notes.append(answers.events[0].token.notes["labels"])
        rows.append(method.logits[0])
    assert notes[0]["prior"] == notes[1]["prior"] == notes[2]["prior"]
    assert notes[0]["before"] != notes[1]["before"]
    assert torch.equal(rows[0][1:], rows[1][1:])
    assert torch.equal(rows[1][1:], rows[2][1:])


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
@pytest.mark.usefixtures("labels_absent")
def test_without_labels_in_the_answer_the_prompt_is_open_and_it_is_noted(kind) -> None:
    model, method = lvlm(kind, "nf4"), RecordingMethod(Calibration())
    answers = run(model, visual(kind, "nf4"), YES_NO, [method], max_new_tokens=5)["calibration"]
    assert answers.events[0].token.notes == {"labels_absent": True}
    labels = {token for forms in find_labels(YES_NO).forms for token in model.surface_ids(forms)}
    assert answers.ids[0] not in labels
    for raw, combined in zip(method.logits, method.combined, strict=True):
        assert torch.equal(combined.scores.isfinite(), plausible(raw[0], 0.1))


def test_a_label_that_the_tokenizer_splits_makes_the_prompt_open(monkeypatch) -> None:
    monkeypatch.setattr(calibration, "LEAST_LABEL_MASS", 0.0)
    model, prompt = lvlm(), "Which one? A. cat B. dog C. cow D. pig"
    assert model.surface_ids(("A",))
    assert len(find_labels(prompt).names) == 4
    monkeypatch.setitem(model._surface_ids, ("D",), [])
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
        (YES_NO, {}, 3), (OPEN, {}, 3), (YES_NO, {"prior": "none"}, 2), (YES_NO, {"label_strength": 0.0}, 1),
        (OPEN, {"label_strength": 0.0}, 3), (OPEN, {"strength": 0.0}, 1), (YES_NO, {"strength": 0.0}, 3),
    ],
)  # fmt: skip
def test_rows_are_asked_for_only_where_they_are_used(prompt, settings, rows) -> None:
    assert len(Calibration(**settings).rows(prompt)) == rows
