"""Every family in the one batch: transformers' own ids and tokens, rows as if alone, references as if from scratch."""

from __future__ import annotations

import copy
from itertools import zip_longest

import pytest
import tiny
import tiny_families
import torch
from smuggled_tokens import SMUGGLED
from tiny import CHOICE, OPEN, PROMPTS, YES_NO, Answer, RecordingMethod, hooks, run, run_many
from tiny_families import (
    KINDS,
    LAYERS,
    MODELS,
    QWEN,
    SMOL,
    folder,
    from_scratch,
    inputs,
    lvlm,
    photo,
    tokenizer,
    visual,
)

from halluapp.decoding import engine
from halluapp.decoding.engine import Job
from halluapp.decoding.plan import Sampling
from halluapp.lvlm import catalog, quantize
from halluapp.methods.registry import VDD, AdaVIB, Baseline, Calibration, Nullu
from halluapp.training.hallu_space import compute

over_families = pytest.mark.parametrize("kind", KINDS)
over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
STEPS = 8


def _panels() -> list:
    """The first five panels; the three references of VDD are run by name."""
    return [Baseline(), Nullu(rank=4), AdaVIB(), VDD(reference="both"), Calibration(strength=1.0)]


@over_families
@pytest.mark.parametrize("prompt", [*PROMPTS, "été – 日本 🐕", "two\nlines"])
def test_the_photo_view_is_what_transformers_makes(kind, prompt) -> None:
    model = lvlm(kind)
    for seed in range(3):
        given, seen = inputs(kind, "none", prompt, seed), visual(kind, "none", seed)
        tokens = model.visual_tokens(seen, prompt)
        ids = model.expand_image_token(model.prompt_ids(prompt, "photo"), seen, len(tokens))
        assert ids == given["input_ids"][0].tolist()
        assert model.image_length(seen, prompt) == len(ids) - len(model.prompt_ids(prompt, "photo")) + 1
        read = model.embed_prompt(model.prompt_ids(prompt, "photo"), seen, tokens)
        assert torch.equal(read.embeds[read.image_mask], tokens)
        assert len(read.embeds) == len(ids)


@over_models
def test_visual_tokens_are_transformers_image_features(kind, quantization) -> None:
    model = lvlm(kind, quantization)
    for seed, prompt in ((0, OPEN), (1, CHOICE), (2, YES_NO)):
        given = inputs(kind, quantization, prompt, seed)
        wanted = ("pixel_values", "image_sizes", "image_grid_thw", "pixel_attention_mask", "qformer_input_ids")
        with torch.no_grad():
            part = model.model if kind == "instructblip" else model.model.model
            made = part.get_image_features(**{key: given[key] for key in wanted if key in given}, return_dict=True)
            tokens = model.visual_tokens(visual(kind, quantization, seed), prompt)
        torch.testing.assert_close(tokens, made.pooler_output[0], atol=1e-5, rtol=1e-5)


@over_families
@pytest.mark.parametrize("prompt", [*PROMPTS, *SMUGGLED, "<|image_pad|> <|im_end|>", "<row_1_col_1><end_of_utterance>"])
def test_views_differ_at_the_photo_only_and_prompts_smuggle_nothing_in(kind, prompt) -> None:
    model = lvlm(kind)
    seen, none, unk = (model.prompt_ids(prompt, view) for view in ("photo", "none", "unk"))
    assert seen.count(model.image_token) == 1
    assert model.image_token not in [*none, *unk]
    spot = next(i for i, (a, b) in enumerate(zip_longest(none, unk)) if a != b)
    assert unk == [*none[:spot], model.unknown_token, *none[spot:]]
    taken = len(seen) - len(none)  # Qwen's start and end of a photo go with it
    assert taken == (3 if kind in QWEN else 1)
    assert seen == none[:spot] + seen[spot : spot + taken] + none[spot:]
    plain = model.prompt_ids("x", "photo")
    special = set(model.tokenizer.all_special_ids)
    assert [i for i in seen if i in special] == [i for i in plain if i in special]


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
    model, given = lvlm(kind, quantization), inputs(kind, quantization, prompt, seed)
    made = model.model.generate(**given, do_sample=False, max_new_tokens=length)
    answer = run(model, visual(kind, quantization, seed), prompt, [Baseline()], max_new_tokens=length)["baseline"]
    assert answer.ids == made[0, given["input_ids"].shape[1] :].tolist()


@over_families
def test_native_inputs_are_those_of_transformers(kind) -> None:
    for seed, prompt in ((0, OPEN), (1, CHOICE)):
        mine, given = lvlm(kind).native_inputs(photo(seed), prompt), inputs(kind, "none", prompt, seed)
        assert mine.keys() == given.keys()
        assert all(torch.equal(mine[key], given[key]) for key in mine)


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
            seen = visual(kind, quantization, seed)
            alone = run(model, seen, prompt, [single], max_new_tokens=STEPS, ignore_end=True)
            assert together[index, method.name].ids == alone[method.name].ids, method.name
            for a, b in zip(method.logits, single.logits, strict=True):
                torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    assert hooks(model) == 0


@over_models
@pytest.mark.parametrize("reference", ["none", "unk"])
def test_vdd_alone_equals_vdd_beside_the_other_reference(kind, quantization, reference) -> None:
    model, seen = lvlm(kind, quantization), visual(kind, quantization)
    alone, beside = (RecordingMethod(VDD(reference=reference)) for _ in range(2))
    run(model, seen, OPEN, [alone], max_new_tokens=STEPS, ignore_end=True)
    run(model, seen, OPEN, [Baseline(), beside, Calibration(prior="both")], max_new_tokens=STEPS, ignore_end=True)
    for a, b in zip(alone.logits, beside.logits, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@over_models
def test_every_row_equals_a_full_forward_of_its_own_text(kind, quantization) -> None:
    model, method = lvlm(kind, quantization), RecordingMethod(VDD(reference="both", beta=0.0))
    made = run(model, visual(kind, quantization, 1), YES_NO, [Baseline(), method, Nullu(rank=4)], max_new_tokens=STEPS,
               ignore_end=True)  # fmt: skip
    rows = torch.stack(method.logits, dim=1)  # [3, T, V]
    for row, view in zip(rows, ("photo", "none", "unk"), strict=True):
        expected = from_scratch(kind, quantization, YES_NO, view, made["vdd"].ids, seed=1)
        assert expected.shape == row.shape
        assert len(row) == STEPS
        torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-4)
    assert (rows[0] - rows[1]).abs().max() > 0.1
    assert (rows[1] - rows[2]).abs().max() > 0.1


@over_families
def test_adavib_is_the_model_with_its_projector_exchanged(kind) -> None:
    model, method = lvlm(kind), RecordingMethod(AdaVIB())
    made = run(model, visual(kind, "none"), OPEN, [Baseline(), method], max_new_tokens=STEPS, ignore_end=True)
    own, other = model.base_projector, model.projector("adavib")
    plain = from_scratch(kind, "none", OPEN, "photo", made["adavib"].ids)
    weights = copy.deepcopy(own.state_dict())
    try:
        own.load_state_dict(other.state_dict())
        expected = from_scratch(kind, "none", OPEN, "photo", made["adavib"].ids)
    finally:
        own.load_state_dict(weights)
    torch.testing.assert_close(torch.cat(method.logits), expected, atol=1e-4, rtol=1e-4)
    assert (plain - expected).abs().max() > 0.01


@over_models
@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.9, "top_p": 0.95}], ids=["greedy", "warm"])
def test_strength_zero_is_the_baseline(kind, quantization, sampling) -> None:
    idle = [Nullu(strength=0.0), AdaVIB(strength=0.0), VDD(alpha=0.0, reference="both"),
            Calibration(label_strength=0.0, strength=0.0)]  # fmt: skip
    seen = visual(kind, quantization, 2)
    made = run(lvlm(kind, quantization), seen, YES_NO, [Baseline(), *idle], max_new_tokens=10, seed=3, **sampling)
    assert all(made[method.name].ids == made["baseline"].ids for method in idle)


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
def test_the_decoders_linear_layers_are_quantized_and_nothing_else(kind) -> None:
    model = lvlm(kind, "nf4")
    names = list(quantize.quantized_linears(model.model))
    decoder = {id(module) for module in model.layers.modules()}
    assert len(names) == 7 * LAYERS  # q, k, v, o, gate, up, down
    assert all(id(model.model.get_submodule(name)) in decoder for name in names)
    dense = [part for part in (model.tower, model.base_projector, model.head) for part in part.modules()]
    dense += list(model.model.qformer.modules()) if kind == "instructblip" else []
    assert len([part for part in dense if isinstance(part, torch.nn.Linear)]) > 10
    quantized = {id(part) for part in quantize.quantized_linears(model.model).values()}
    assert not any(id(part) in quantized for part in dense)
    assert quantize.quantized_linears(lvlm(kind, "none").model) == {}


@over_families
def test_noise_is_diffusion_of_the_normalised_pixels(kind) -> None:
    model = lvlm(kind)
    clean, same, noised, again, other = (
        model.encode_image(photo(1), step, seed).features
        for step, seed in ((0, 0), (0, 9), (500, 1), (500, 1), (500, 2))
    )
    assert torch.equal(clean, same)
    assert torch.equal(clean, visual(kind, "none", 1).features)
    assert torch.equal(noised, again)
    assert not torch.equal(noised, other)
    assert not torch.equal(noised, clean)
    pixels = model.pixels(photo(1))["pixel_values"]
    added = model._add_noise(pixels, 500, 1) - 0.8629 * pixels
    assert abs(float(added.std()) - 0.505) < 0.03
    assert abs(float(added.mean())) < 0.03
    with pytest.raises(ValueError, match="0 to 999"):
        model.encode_image(photo(1), 1000)
    if kind in QWEN:  # a still photo is given twice, as two moments: the noise is the same in both
        first, second = model._add_noise(pixels, 500, 1).unflatten(1, (3, 2, -1)).unbind(2)
        assert torch.equal(first, second)


@over_families
def test_a_hallu_space_can_be_calibrated(kind) -> None:
    """The layer outputs that it pools are those of transformers' own forward, M-RoPE and DeepStack included."""
    model, said = lvlm(kind, "nf4"), " A dog on the street."
    seen = visual(kind, "nf4", 1)
    space = compute.compute_hallu_space(
        model, [(seen, OPEN, said, " A red car."), (seen, YES_NO, "No", "Yes")], [0, 1], rank=1
    )
    assert sorted(space.layers) == [0, 1]
    assert all(part.shape == (64, 1) for part in space.layers.values())
    tokens = model.visual_tokens(seen, OPEN)
    pooled, length = compute._pooled(model, seen, tokens, OPEN, said, [0], "answer_mean")
    ids = model.tokenizer(" " + said, add_special_tokens=False)["input_ids"] + [model.tokenizer.eos_token_id]
    found = []
    handle = model.layers[0].register_forward_hook(lambda _m, _g, out: found.append(out))
    from_scratch(kind, "nf4", OPEN, "photo", [*ids, 0], seed=1)
    handle.remove()
    expected = (found[0][0] if isinstance(found[0], tuple) else found[0])[0, -length:].mean(0)
    torch.testing.assert_close(pooled[0], expected, atol=1e-4, rtol=1e-4)


def test_photos_of_other_shapes_have_other_layouts() -> None:
    for kind in KINDS:
        layouts = {visual(kind, "none", seed).layout for seed in range(3)}
        assert len(layouts) == {"instructblip": 1, "smolvlm": 2, "idefics3": 2}.get(kind, 3), kind
    assert all(len(visual(kind, "none", 0).deepstack) == (2 if kind == "qwen3_vl" else 0) for kind in KINDS)


@over_families
@pytest.mark.parametrize("size", [(1, 1), (3, 150), (150, 3), (1, 50), (333, 777)], ids=str)
def test_photos_of_any_shape_can_be_seen(kind, size, monkeypatch) -> None:
    model, odd = lvlm(kind), tiny.photo(1, size)
    monkeypatch.setattr(tiny_families, "photo", lambda _seed: odd)
    seen = model.encode_image(odd)
    tokens = model.visual_tokens(seen, OPEN)
    ids = model.expand_image_token(model.prompt_ids(OPEN, "photo"), seen, len(tokens))
    assert ids == inputs(kind, "none", OPEN)["input_ids"][0].tolist()
    assert tokens.isfinite().all()
    assert len(run(model, seen, OPEN, [Baseline(), VDD()], max_new_tokens=2, ignore_end=True)["vdd"].ids) == 2


@pytest.mark.parametrize("kind", SMOL)
def test_a_photo_without_tiles_is_one_image(kind, monkeypatch) -> None:
    model = lvlm(kind)
    monkeypatch.setattr(model.image_processor, "do_image_splitting", False)
    seen = model.encode_image(photo(0))
    given = inputs(kind, "none", OPEN, 0)
    ids = model.expand_image_token(model.prompt_ids(OPEN, "photo"), seen, len(model.visual_tokens(seen, OPEN)))
    assert seen.layout == (0, 0)
    assert ids == given["input_ids"][0].tolist()


@pytest.mark.parametrize("kind", QWEN)
def test_large_photos_are_scaled_down(kind) -> None:
    from transformers import Qwen2VLImageProcessorPil

    from halluapp.lvlm.families.qwen_vl import MAX_VISUAL_TOKENS, Qwen25VL

    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 256, "longest_edge": 10**9}, patch_size=4, merge_size=2)
    model = Qwen25VL(lvlm(kind).model, tokenizer(kind), processor, "large")
    rows, columns = (model.pixels(photo(0).resize((900, 500)))["image_grid_thw"][0, 1:] // 2).tolist()
    assert 0.9 * MAX_VISUAL_TOKENS < rows * columns <= MAX_VISUAL_TOKENS


@over_families
def test_gradients_reach_a_projector_that_is_trained(kind) -> None:
    model = lvlm(kind)
    projector = copy.deepcopy(model.base_projector).requires_grad_(True)
    model.visual_tokens(visual(kind, "none"), OPEN, projector).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in projector.parameters())


def test_instructblip_queries_depend_on_the_prompt() -> None:
    model, seen = lvlm("instructblip"), visual("instructblip", "none")
    one, same, other = (model.visual_tokens(seen, prompt) for prompt in (OPEN, OPEN, YES_NO))
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 0.01
    assert len(model.visual_tokens(seen, "long " * 2000)) == len(one)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@over_families
@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_all_panels_run_on_a_gpu(kind, quantization, tmp_path) -> None:
    model, _ = catalog.load(str(folder(kind)), quantization, "cuda", tmp_path)
    made = run(model, model.encode_image(photo()), OPEN, _panels(), max_new_tokens=STEPS, ignore_end=True)
    assert all(len(answer.ids) == STEPS for answer in made.values())
    given = model.native_inputs(photo(), OPEN)
    first = model.model.generate(**given, do_sample=False, max_new_tokens=1)[0, -1]
    assert made["baseline"].ids[0] == int(first)
