"""Every family in the one batch: transformers' own ids and tokens, rows as if alone, references as if from scratch."""

from __future__ import annotations

import copy
from itertools import zip_longest

import pytest
import torch
from smuggled_tokens import SMUGGLED
from tiny import CHOICE, OPEN, PROMPTS, YES_NO, Answer, RecordingMethod, hooks, run, run_many
from tiny_families import (
    KINDS,
    MARKED,
    MODELS,
    QWEN,
    folder,
    from_scratch,
    inputs,
    lvlm,
    photo,
    visual,
)

from halluapp.decoding import engine
from halluapp.decoding.engine import Job
from halluapp.decoding.plan import Sampling
from halluapp.lvlm import catalog
from halluapp.methods.registry import VDD, AdaVIB, Baseline, Calibration, Nullu
from halluapp.training.hallu_space import compute

over_families = pytest.mark.parametrize("kind", KINDS)
over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
STEPS = 8


def _panels() -> list:
    """The first five panels; the three references of VDD are run by name."""
    return [Baseline(), Nullu(rank=4), AdaVIB(), VDD(reference="both"), Calibration(strength=1.0)]


@over_families
def test_the_photo_view_is_what_transformers_makes(kind) -> None:
    for prompt in (*PROMPTS, "été – 日本 🐕", "two\nlines"):
        model = lvlm(kind)
        for seed in range(3):
            tensors, image = inputs(kind, "none", prompt, seed), visual(kind, "none", seed)
            tokens = model.visual_tokens(image, prompt)
            ids = model.expand_image_token(model.prompt_ids(prompt, "photo"), image, len(tokens))
            assert ids == tensors["input_ids"][0].tolist(), prompt
            assert model.image_length(image, prompt) == len(ids) - len(model.prompt_ids(prompt, "photo")) + 1
            read = model.embed_prompt(model.prompt_ids(prompt, "photo"), image, tokens)
            assert torch.equal(read.embeds[read.image_mask], tokens)
            assert len(read.embeds) == len(ids)


@over_families
def test_views_differ_at_the_photo_only_and_prompts_smuggle_nothing_in(kind) -> None:
    for prompt in (*PROMPTS, *SMUGGLED, "<|image_pad|> <|im_end|>", "<row_1_col_1><end_of_utterance>"):
        model = lvlm(kind)
        photo_ids, none, unk = (model.prompt_ids(prompt, view) for view in ("photo", "none", "unk"))
        assert photo_ids.count(model.image_token) == 1, prompt
        assert model.image_token not in [*none, *unk], prompt
        index = next(i for i, (a, b) in enumerate(zip_longest(none, unk)) if a != b)
        assert unk == [*none[:index], model.unknown_token, *none[index:]], prompt
        taken = len(photo_ids) - len(none)  # Qwen's start and end of a photo go with it
        assert taken == (3 if kind in MARKED else 1)
        assert photo_ids == none[:index] + photo_ids[index : index + taken] + none[index:], prompt
        plain = model.prompt_ids("x", "photo")
        special = set(model.tokenizer.all_special_ids)
        assert [i for i in photo_ids if i in special] == [i for i in plain if i in special], prompt


def test_what_stands_in_for_unk_is_said() -> None:
    for kind in KINDS:
        model, note = lvlm(kind), lvlm(kind).unknown_note
        if kind in QWEN:
            assert model.tokenizer.unk_token is None
            assert "<|endoftext|>" in note
            assert model.unknown_token == model.tokenizer.pad_token_id
            assert "<|endoftext|>" in VDD().explain(model, OPEN)
            assert "<|endoftext|>" in Calibration(prior="both").explain(model, OPEN)
            assert "<|endoftext|>" not in VDD(reference="none").explain(model, OPEN)
        else:
            assert note == ""
            assert model.unknown_token == model.tokenizer.unk_token_id


@over_models
@pytest.mark.parametrize(("seed", "prompt", "length"), [(0, OPEN, 16), (1, YES_NO, 10), (2, CHOICE, 10)])
def test_the_baseline_is_what_transformers_generates(kind, quantization, seed, prompt, length) -> None:
    model, tensors = lvlm(kind, quantization), inputs(kind, quantization, prompt, seed)
    output = model.model.generate(**tensors, do_sample=False, max_new_tokens=length)
    answer = run(model, visual(kind, quantization, seed), prompt, [Baseline()], max_new_tokens=length)["baseline"]
    assert answer.ids == output[0, tensors["input_ids"].shape[1] :].tolist()


@over_families
def test_native_inputs_are_those_of_transformers(kind) -> None:
    for seed, prompt in ((0, OPEN), (1, CHOICE)):
        mine, tensors = lvlm(kind).native_inputs(photo(seed), prompt), inputs(kind, "none", prompt, seed)
        assert mine.keys() == tensors.keys()
        assert all(torch.equal(mine[key], tensors[key]) for key in mine)


@over_models
def test_one_batch_equals_each_method_alone(kind, quantization) -> None:
    """Two photos of other shapes, prompts of different length, five panels: 16 rows with different padding."""
    model, cases = lvlm(kind, quantization), ((0, OPEN), (1, CHOICE))
    recorded = [[RecordingMethod(method) for method in _panels()] for _ in cases]
    jobs = [Job(visual(kind, quantization, seed), prompt, list(methods))
            for (seed, prompt), methods in zip(cases, recorded, strict=True)]  # fmt: skip
    together = run_many(model, jobs, max_new_tokens=STEPS, ignore_end=True)
    for index, (seed, prompt) in enumerate(cases):
        for method in recorded[index]:
            single = RecordingMethod(method.inner)
            image = visual(kind, quantization, seed)
            alone = run(model, image, prompt, [single], max_new_tokens=STEPS, ignore_end=True)
            assert together[index, method.name].ids == alone[method.name].ids, method.name
            for a, b in zip(method.logits, single.logits, strict=True):
                torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    assert hooks(model) == 0


@over_models
@pytest.mark.parametrize("reference", ["none", "unk"])
def test_vdd_alone_equals_vdd_beside_the_other_reference(kind, quantization, reference) -> None:
    model, image = lvlm(kind, quantization), visual(kind, quantization)
    alone, beside = (RecordingMethod(VDD(reference=reference)) for _ in range(2))
    run(model, image, OPEN, [alone], max_new_tokens=STEPS, ignore_end=True)
    run(model, image, OPEN, [Baseline(), beside, Calibration(prior="both")], max_new_tokens=STEPS, ignore_end=True)
    for a, b in zip(alone.logits, beside.logits, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@over_models
def test_every_row_equals_a_full_forward_of_its_own_text(kind, quantization) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(VDD(reference="both", beta=0.0))
    methods, image = [Baseline(), method, Nullu(rank=4)], visual(kind, quantization, 1)
    answers = run(model, image, YES_NO, methods, max_new_tokens=STEPS, ignore_end=True)
    rows = torch.stack(method.logits, dim=1)  # [3, T, V]
    for row, view in zip(rows, ("photo", "none", "unk"), strict=True):
        expected = from_scratch(kind, quantization, YES_NO, view, answers["vdd"].ids, seed=1)
        assert expected.shape == row.shape
        assert len(row) == STEPS
        torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-4)
    assert (rows[0] - rows[1]).abs().max() > 0.1
    assert (rows[1] - rows[2]).abs().max() > 0.1


@over_families
def test_adavib_is_the_model_with_its_projector_exchanged(kind) -> None:
    model, method = lvlm(kind), RecordingMethod(AdaVIB())
    answers = run(model, visual(kind, "none"), OPEN, [Baseline(), method], max_new_tokens=STEPS, ignore_end=True)
    base, other = model.base_projector, model.projector("adavib")
    plain = from_scratch(kind, "none", OPEN, "photo", answers["adavib"].ids)
    weights = copy.deepcopy(base.state_dict())
    try:
        base.load_state_dict(other.state_dict())
        expected = from_scratch(kind, "none", OPEN, "photo", answers["adavib"].ids)
    finally:
        base.load_state_dict(weights)
    torch.testing.assert_close(torch.cat(method.logits), expected, atol=1e-4, rtol=1e-4)
    assert (plain - expected).abs().max() > 0.01


@over_models
@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.9, "top_p": 0.95}], ids=["greedy", "warm"])
def test_strength_zero_is_the_baseline(kind, quantization, sampling) -> None:
    idle = [Nullu(strength=0.0), AdaVIB(strength=0.0), VDD(alpha=0.0, reference="both"),
            Calibration(label_strength=0.0, strength=0.0)]  # fmt: skip
    image = visual(kind, quantization, 2)
    answers = run(lvlm(kind, quantization), image, YES_NO, [Baseline(), *idle], max_new_tokens=10, seed=3, **sampling)
    assert all(answers[method.name].ids == answers["baseline"].ids for method in idle)


@over_families
def test_interleaved_requests_do_not_mix_and_leave_no_hook(kind) -> None:
    model = lvlm(kind, "nf4")
    cases = ((0, OPEN), (1, CHOICE))
    alone = [run(model, visual(kind, "nf4", seed), prompt, _panels(), max_new_tokens=STEPS) for seed, prompt in cases]
    running = [
        engine.decode(model, Job(visual(kind, "nf4", seed), prompt, _panels()), Sampling(max_new_tokens=STEPS))
        for seed, prompt in cases
    ]
    answers: list[dict[str, Answer]] = [{}, {}]
    for events in zip_longest(*running):
        for mine, event in zip(answers, events, strict=True):
            if event is not None:
                mine.setdefault(event.method, Answer()).add(event)
        assert hooks(model) == 0
    for mine, single in zip(answers, alone, strict=True):
        assert {name: answer.ids for name, answer in mine.items()} == {name: a.ids for name, a in single.items()}


@over_families
def test_a_hallu_space_can_be_calibrated(kind) -> None:
    """The layer outputs that it pools are those of transformers' own forward, M-RoPE and DeepStack included."""
    model, text = lvlm(kind, "nf4"), " A dog on the street."
    image = visual(kind, "nf4", 1)
    space = compute.compute_hallu_space(
        model, [(image, OPEN, text, " A red car."), (image, YES_NO, "No", "Yes")], [0, 1], rank=1
    )
    assert sorted(space.layers) == [0, 1]
    assert all(part.shape == (64, 1) for part in space.layers.values())
    tokens = model.visual_tokens(image, OPEN)
    pooled, length = compute._pooled(model, image, tokens, OPEN, text, [0], "answer_mean")
    ids = model.answer_ids(text)
    records = []
    handle = model.layers[0].register_forward_hook(lambda _m, _g, out: records.append(out))
    from_scratch(kind, "nf4", OPEN, "photo", [*ids, 0], seed=1)
    handle.remove()
    expected = (records[0][0] if isinstance(records[0], tuple) else records[0])[0, -length:].mean(0)
    torch.testing.assert_close(pooled[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@over_families
@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_all_panels_run_on_a_gpu(kind, quantization, tmp_path) -> None:
    model, _ = catalog.load(str(folder(kind)), quantization, "cuda", tmp_path)
    answers = run(model, model.encode_image(photo()), OPEN, _panels(), max_new_tokens=STEPS, ignore_end=True)
    assert all(len(answer.ids) == STEPS for answer in answers.values())
    tensors = model.native_inputs(photo(), OPEN)
    first = model.model.generate(**tensors, do_sample=False, max_new_tokens=1)[0, -1]
    assert answers["baseline"].ids[0] == int(first)
