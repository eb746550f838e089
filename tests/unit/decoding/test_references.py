"""The reference methods' rows and exits on tiny real models, against forwards of transformers alone."""

from __future__ import annotations

import pytest
import torch
from separate_rows import from_scratch, second_copy
from tiny import KINDS, LAYERS, MODELS, OPEN, YES_NO, RecordingMethod, hooks, inputs, lvlm, photo, run, views, visual

from halluapp.decoding.engine import Job
from halluapp.decoding.events import Failed
from halluapp.decoding.hooks import early_exits as exits
from halluapp.decoding.views import Views
from halluapp.lvlm.diffusion import diffuse
from halluapp.methods import icd
from halluapp.methods.base import Step
from halluapp.methods.formulas.contrast import contrast
from halluapp.methods.registry import ICD, M3ID, VCD, VDD, Baseline, DeCo, DoLa, Nullu

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
STEPS = 8


@torch.no_grad()
def noised(model, prompt: str, answer: list[int], step: int, seed: int) -> torch.Tensor:
    """As `from_scratch`, of photo 0 after `step` noise steps drawn with `seed`."""
    tensors = inputs(model, prompt)
    noise = torch.randn(tensors["pixel_values"].shape, generator=torch.Generator().manual_seed(seed))
    tensors["pixel_values"] = diffuse(tensors["pixel_values"], step, noise)
    ids = tensors["input_ids"]
    whole = torch.cat([ids, torch.tensor([answer[:-1]], dtype=torch.long)], dim=1)
    logits = model.model(input_ids=whole, pixel_values=tensors["pixel_values"], use_cache=False).logits[0]
    return logits[ids.shape[1] - 1 :].float()


def _rows(method: RecordingMethod) -> torch.Tensor:
    return torch.stack(method.logits, dim=1)  # [R, T, V]


@over_models
def test_the_noised_row_keeps_a_past_of_its_own(kind, quantization) -> None:
    """The fault of VCD's code before July 2024, of LLaVA-Align's and AGLA's: the reference continued the main cache."""
    model, method = lvlm(kind, quantization), RecordingMethod(VCD(noise_step=700))
    answers = run(
        model, Views(model, photo(), seed=5), OPEN, [Baseline(), method], max_new_tokens=STEPS, ignore_end=True
    )
    main, reference = _rows(method)
    ids = answers["vcd"].ids
    torch.testing.assert_close(main, from_scratch(model, OPEN, "photo", ids), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(reference, noised(model, OPEN, ids, 700, 5), atol=1e-4, rtol=1e-4)
    assert (main - reference).abs().amax(-1).min() > 0.01  # at every step the branches differ
    expected = contrast(main, reference, 1.0, 0.1)
    assert ids == expected.argmax(-1).tolist()


@over_models
def test_the_disturbed_row_reads_the_role_before_the_question(kind, quantization) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(ICD())
    answers = run(model, views(kind, quantization), OPEN, [Baseline(), method], max_new_tokens=STEPS, ignore_end=True)
    ids = answers["icd"].ids
    main, reference = _rows(method)
    torch.testing.assert_close(main, from_scratch(model, OPEN, "photo", ids), atol=1e-4, rtol=1e-4)
    disturbed = from_scratch(model, f"{icd.DISTURBANCE} {OPEN}", "photo", ids)
    torch.testing.assert_close(reference, disturbed, atol=1e-4, rtol=1e-4)


@over_models
def test_the_text_row_of_m3id_keeps_the_chat_template(kind, quantization) -> None:
    """A peer package feeds the bare question there, so that its contrast measures the template too."""
    model, method = lvlm(kind, quantization), RecordingMethod(M3ID())
    answers = run(model, views(kind, quantization), OPEN, [method], max_new_tokens=STEPS, ignore_end=True)
    ids = answers["m3id"].ids
    torch.testing.assert_close(_rows(method)[1], from_scratch(model, OPEN, "none", ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_m3id_unsure_acts_only_where_the_model_is_unsure(kind) -> None:
    model = lvlm(kind)
    never, always = (RecordingMethod(M3ID(gate="unsure", unsure=at, decay=0.2)) for at in (0.0, 1.0))
    plain = run(model, views(kind, "none"), OPEN, [Baseline()], max_new_tokens=STEPS)["baseline"].ids
    assert run(model, views(kind, "none"), OPEN, [never], max_new_tokens=STEPS)["m3id"].ids == plain
    run(model, views(kind, "none"), OPEN, [always], max_new_tokens=STEPS)
    assert all(combined.scores.isfinite().all() for combined in always.combined)  # no plausible set in the paper's gate
    assert not torch.equal(always.combined[0].scores, always.logits[0][0].log_softmax(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_disturbance_is_the_baseline_in_the_authors_formula(kind, monkeypatch) -> None:
    monkeypatch.setattr(icd, "DISTURBANCE", "")
    answers = run(lvlm(kind), views(kind, "none"), OPEN, [Baseline(), ICD()], max_new_tokens=12)
    assert answers["icd"].ids == answers["baseline"].ids


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_is_the_seeds(kind) -> None:
    model = lvlm(kind)
    looks = [model.encode_image(photo(), step, seed).features for step, seed in ((500, 1), (500, 1), (500, 2), (0, 1))]
    assert torch.equal(looks[0], looks[1])
    assert not torch.equal(looks[0], looks[2])
    assert torch.equal(looks[3], model.encode_image(photo()).features)


def test_a_view_is_made_once_and_only_if_asked_for() -> None:
    model, passes = lvlm("llava"), []
    image = Views(model, photo())
    probe = model.model.model.vision_tower.register_forward_hook(lambda *_: passes.append(1))
    run(model, image, OPEN, [Baseline(), VDD()], max_new_tokens=2)
    assert len(passes) == 1
    run(model, image, OPEN, [VCD(), VCD(noise_step=300, alpha=0.5)][:1], max_new_tokens=2)
    run(model, image, YES_NO, [VCD(alpha=0.5)], max_new_tokens=2)
    assert len(passes) == 2
    run(model, image, OPEN, [VCD(noise_step=300)], max_new_tokens=2)
    probe.remove()
    assert len(passes) == 3


def test_a_noised_view_needs_the_photo() -> None:
    answers = run(lvlm(), visual("llava", "none"), OPEN, [Baseline(), VCD()], max_new_tokens=2)
    assert isinstance(answers["vcd"].end, Failed)
    assert "photo" in answers["vcd"].end.error
    assert answers["baseline"].ids
    assert Job(visual("llava", "none"), OPEN, []).views.clean is visual("llava", "none")


@over_models
def test_early_exits_are_the_hidden_states_of_transformers(kind, quantization, monkeypatch) -> None:
    """The last of transformers' hidden states is after the final norm; an exit there must not be normed twice."""
    model, other = lvlm(kind, quantization), second_copy(kind, quantization)
    tensors = inputs(model, OPEN)
    norms = [one.model.language_model.norm.weight for one in (model.model, other)]
    for weight in norms:  # all ones in an untrained model, where norming twice is norming once
        monkeypatch.setattr(weight, "data", torch.linspace(0.5, 2, len(weight)))
    with torch.no_grad():
        output = other(**tensors, output_hidden_states=True)
        with exits.record_depths(model, {0: tuple(range(LAYERS + 1))}) as hidden:
            model.model(**tensors)
        assert hooks(model) == 0
        early = exits.read_out(model, hidden)
        for depth in range(LAYERS):
            torch.testing.assert_close(hidden[0, depth], output.hidden_states[depth][0, -1])
        torch.testing.assert_close(early[0, LAYERS], output.logits[0, -1], atol=1e-5, rtol=1e-5)
        normed = output.hidden_states[LAYERS][0, -1]
        assert not torch.allclose(hidden[0, LAYERS], normed, atol=1e-3)
        again = model.read_out(normed)
        assert not torch.allclose(again, output.logits[0, -1], atol=1e-3)  # twice is another answer
    with pytest.raises(ValueError, match="exits"), exits.record_depths(model, {0: (LAYERS + 1,)}):
        pass


class _Steps(RecordingMethod):
    """Keeps the Step of every combination too."""

    def combine(self, logits, step: Step, lvlm):
        self.__dict__.setdefault("steps", []).append(step)
        return super().combine(logits, step, lvlm)


@over_models
@pytest.mark.parametrize("inner", [DoLa(layers="high", repetition=1.0), DoLa(), DeCo()], ids=lambda m: str(m))
def test_exits_equal_a_full_forward_at_every_step(kind, quantization, inner) -> None:
    """In a batch of other rows, of which one is edited by Nullu; in prefill and in decoding."""
    model, method = lvlm(kind, quantization), _Steps(inner)
    methods = [Nullu(), VDD(reference="both"), method, Baseline()]
    ids = run(model, views(kind, quantization), OPEN, methods, max_new_tokens=STEPS, ignore_end=True)[inner.name].ids
    tensors = inputs(model, OPEN)
    whole = torch.cat([tensors["input_ids"], torch.tensor([ids[:-1]])], dim=1)
    depths = inner.exits(model)
    with torch.no_grad():
        whole = {"input_ids": whole, "pixel_values": tensors["pixel_values"]}
        output = second_copy(kind, quantization)(**whole, output_hidden_states=True)
        start = tensors["input_ids"].shape[1] - 1
        expected = torch.stack([model.read_out(output.hidden_states[depth][0, start:]) for depth in depths], dim=1)
    assert depths
    assert all(depth < LAYERS for depth in depths)
    results = torch.stack([step.exits for step in method.steps])  # [T, E, V]
    assert [step.tokens for step in method.steps] == [tuple(ids[:n]) for n in range(STEPS)]
    torch.testing.assert_close(results, expected, atol=1e-4, rtol=1e-4)
    assert all("depth" in combined.notes for combined in method.combined)
    assert hooks(model) == 0


def test_only_rows_that_ask_are_read(monkeypatch) -> None:
    model, calls = lvlm(), []
    real = model.read_out
    monkeypatch.setattr(model, "read_out", lambda hidden: calls.append(len(hidden)) or real(hidden))
    run(model, views("llava", "none"), OPEN, [Baseline(), VDD(), VCD()], max_new_tokens=3, ignore_end=True)
    assert calls == []
    run(model, views("llava", "none"), OPEN, [Baseline(), DoLa(), DeCo()], max_new_tokens=3, ignore_end=True)
    assert calls == [2, 2, 2]  # one product with the LM head a step serves both


@over_models
def test_the_repetition_penalty_of_dola_is_its_own(kind, quantization) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    texts = {p: run(model, image, OPEN, [DoLa(repetition=p)], max_new_tokens=24)["dola"].ids for p in (1.0, 1.2, 2.0)}
    repeats = {p: len(ids) - len(set(ids)) for p, ids in texts.items()}
    assert repeats[2.0] <= repeats[1.0]
    override = run(model, image, OPEN, [DoLa(repetition=2.0)], max_new_tokens=24, repetition_penalty=1.0)["dola"].ids
    assert override == texts[1.0]
