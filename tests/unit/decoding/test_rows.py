"""Rows against full forwards by transformers: no cache, no batch, no padding; VDD as the contrast of such rows."""

from __future__ import annotations

import pytest
import torch
from separate_rows import from_scratch
from tiny import CHOICE, KINDS, MODELS, OPEN, PROMPTS, YES_NO, RecordingMethod, lvlm, run, visual

from halluapp.methods.formulas.contrast import contrast, plausible
from halluapp.methods.registry import VDD, Baseline

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
STEPS = 8


@over_models
@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_row_equals_a_full_forward_of_its_own_text(kind, quantization, prompt) -> None:
    """Kills the shared-cache bug: the reference branch keeps its own past at every step."""
    model, method = lvlm(kind, quantization), RecordingMethod(VDD(reference="both", beta=0.0))
    answers = run(model, visual(kind, quantization, 1), prompt, [Baseline(), method], max_new_tokens=STEPS,
               ignore_end=True)  # fmt: skip
    rows = torch.stack(method.logits, dim=1)  # [3, T, V]
    for row, view in zip(rows, ("photo", "none", "unk"), strict=True):
        expected = from_scratch(model, prompt, view, answers["vdd"].ids, seed=1)
        assert expected.shape == row.shape == (STEPS, len(model.tokenizer))
        torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-4)
    assert (rows[0] - rows[1]).abs().max() > 0.1
    assert (rows[1] - rows[2]).abs().max() > 0.1


@over_models
@pytest.mark.parametrize("reference", ["none", "unk", "both"])
def test_vdd_is_the_contrast_of_separate_rows(kind, quantization, reference) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(VDD(alpha=1.3, beta=0.05, reference=reference))
    answers = run(model, visual(kind, quantization), OPEN, [method], max_new_tokens=STEPS, ignore_end=True)["vdd"]
    main = from_scratch(model, OPEN, "photo", answers.ids)
    views = ("none", "unk") if reference == "both" else (reference,)
    against = torch.stack([from_scratch(model, OPEN, view, answers.ids) for view in views]).mean(0)
    expected = contrast(main, against, 1.3, 0.05)
    scores = torch.stack([combined.scores for combined in method.combined])
    assert torch.equal(scores.isfinite(), expected.isfinite())
    torch.testing.assert_close(scores, expected, atol=1e-3, rtol=1e-3)
    assert answers.ids == expected.argmax(-1).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [1e-6, 0.1, 0.5, 1.0])
def test_the_main_choice_is_never_masked(kind, beta) -> None:
    model, method = lvlm(kind, "nf4"), RecordingMethod(VDD(alpha=3.0, beta=beta, reference="both"))
    answers = run(model, visual(kind, "nf4"), YES_NO, [Baseline(), method], max_new_tokens=STEPS)
    for raw, combined in zip(method.logits, method.combined, strict=True):
        assert combined.scores[raw[0].argmax()].isfinite()
        assert torch.equal(combined.scores.isfinite(), plausible(raw[0], beta))
    if beta == 1.0:
        assert answers["vdd"].ids == answers["baseline"].ids


@pytest.mark.parametrize("kind", KINDS)
def test_vdd_changes_the_answer_and_says_where(kind) -> None:
    model = lvlm(kind, "nf4")
    answers = run(model, visual(kind, "nf4"), OPEN, [Baseline(), VDD(alpha=2.0, reference="none")], max_new_tokens=16)
    assert answers["vdd"].ids != answers["baseline"].ids
    assert any(event.token.instead for event in answers["vdd"].events)
    assert not any(event.token.instead for event in answers["baseline"].events)


@pytest.mark.parametrize("kind", KINDS)
def test_reference_rows_do_not_see_the_photo(kind) -> None:
    """Two photos, one question: the first reference rows are bitwise equal, the main rows are not."""
    model, logits = lvlm(kind, "nf4"), []
    for seed in (0, 1):
        method = RecordingMethod(VDD(reference="both"))
        run(model, visual(kind, "nf4", seed), CHOICE, [method], max_new_tokens=1)
        logits.append(method.logits[0])
    assert torch.equal(logits[0][1:], logits[1][1:])
    assert not torch.equal(logits[0][0], logits[1][0])
