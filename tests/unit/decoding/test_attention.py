"""PAI's attention on tiny real models: against a whole-text forward with eager attention written out, row by row."""

from __future__ import annotations

import pytest
import torch
from separate_rows import second_copy
from sliding import sliding_model
from tiny import LAYERS, MODELS, OPEN, RecordingMethod, hooks, inputs, lvlm, photo, run, views

from halluapp.decoding.hooks import attention
from halluapp.decoding.hooks.attention import amplify_attention, amplify_scores
from halluapp.methods.base import Intervention
from halluapp.methods.registry import ICD, PAI, VDD, Baseline, Nullu

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
STEPS = 6


@torch.no_grad()
def from_scratch(kind: str, quantization: str, answer: list[int], strength: float) -> torch.Tensor:
    """Logits [T, V] before each answer token: every position that was once the last one looks harder at the photo."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    model, tensors = second_copy(kind, quantization), inputs(lvlm(kind, quantization), OPEN)
    photo = (tensors["input_ids"] == model.config.image_token_id)[0]
    start = len(photo) - 1
    photo = torch.cat([photo, torch.zeros(len(answer) - 1, dtype=torch.bool)])

    def eager(module, query, key, value, attention_mask, scaling, **options):
        shared = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        scores = query @ key.transpose(2, 3) * scaling
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~causal, -torch.inf)
        scores[:, :, start:] = amplify_scores(scores[:, :, start:], photo, strength)
        return (scores.softmax(-1) @ value).transpose(1, 2), None

    AttentionInterface.register("written_out", eager)
    ALL_MASK_ATTENTION_FUNCTIONS.register("written_out", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    config, before = model.config.text_config, model.config.text_config._attn_implementation
    config._attn_implementation_internal = "written_out"
    try:
        whole = torch.cat([tensors["input_ids"], torch.tensor([answer[:-1]], dtype=torch.long)], dim=1)
        return model(input_ids=whole, pixel_values=tensors["pixel_values"], use_cache=False).logits[0, start:].float()
    finally:
        config._attn_implementation_internal = before


@over_models
@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_every_step_equals_attention_written_out(kind, quantization, strength) -> None:
    """Beside rows of other lengths, so that this one is padded; with its causal mask, in prefill and in decoding."""
    model, method, plain = lvlm(kind, quantization), RecordingMethod(PAI(alpha=strength)), RecordingMethod(Baseline())
    longer = RecordingMethod(VDD(reference="both"))
    ids = run(model, views(kind, quantization), OPEN, [plain, method, longer], max_new_tokens=STEPS, ignore_end=True)
    rows = torch.stack([logits[0] for logits in method.logits])
    torch.testing.assert_close(rows, from_scratch(kind, quantization, ids["pai"].ids, strength), atol=1e-4, rtol=1e-4)
    base = torch.stack([logits[0] for logits in plain.logits])
    expected = from_scratch(kind, quantization, ids["baseline"].ids, 0.0)
    torch.testing.assert_close(base, expected, atol=1e-4, rtol=1e-4)  # rows beside it are left alone
    assert (rows[0] - base[0]).abs().max() > 0.01


@over_models
def test_padding_does_not_matter(kind, quantization) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    alone, beside = RecordingMethod(PAI(gamma=1.0)), RecordingMethod(PAI(gamma=1.0))
    run(model, image, OPEN, [alone], max_new_tokens=STEPS, ignore_end=True)  # no padding: no mask is made at all
    run(model, image, OPEN, [beside, ICD()], max_new_tokens=STEPS, ignore_end=True)
    for one, other in zip(alone.logits, beside.logits, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_guidance_alone_and_attention_alone() -> None:
    assert len(PAI(gamma=1.0).rows(OPEN)) == 1
    assert PAI(alpha=0.0).rows(OPEN)[0].intervention is None
    assert PAI(alpha=0.0, gamma=1.0).rows(OPEN) == Baseline().rows(OPEN)


def test_nothing_is_left_behind() -> None:
    model = lvlm()
    config = model.layers[0].self_attn.config
    before = config._attn_implementation
    run(model, views("llava", "none"), OPEN, [PAI(), Nullu()], max_new_tokens=3)
    assert config._attn_implementation == before
    assert hooks(model) == 0
    image_mask, inside = torch.zeros(1, 4, dtype=torch.bool), []
    with pytest.raises(MemoryError), amplify_attention(model, [Intervention(attention_strength=0.5)], image_mask):
        inside.append(config._attn_implementation)
        raise MemoryError
    assert config._attn_implementation == before != inside[0]
    assert attention._active.get(None) is None
    with amplify_attention(model, [None, Intervention(space="default")], image_mask):
        assert config._attn_implementation == before  # nobody asks


def test_the_first_layers_are_left_alone(monkeypatch) -> None:
    """As the authors begin at layer 2 of 32, so here in proportion; with all layers left alone nothing changes."""
    model, image = lvlm(), views("llava", "none")
    plain, off = RecordingMethod(Baseline()), RecordingMethod(PAI(alpha=1.0, gamma=1.0))
    monkeypatch.setattr(attention, "FIRST_LAYER", 1.0)
    run(model, image, OPEN, [plain, off], max_new_tokens=2)
    torch.testing.assert_close(plain.logits[0], off.logits[0])
    assert [round(2 / 32 * layers) for layers in (LAYERS, 32, 80)] == [0, 2, 5]


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("mistral", [False, True])
def test_a_photo_behind_a_sliding_window_stays_out_of_sight(mistral, implementation) -> None:
    """The kind: -inf + strength * inf of a masked key is NaN. What the mask hides must not become visible either."""
    model = sliding_model(implementation, mistral)
    image = model.encode_image(photo(1))
    long = "A man and a dog walk on the street beside a red car. " * 4
    plain, method = RecordingMethod(Baseline()), RecordingMethod(PAI(alpha=1.0, gamma=1.0))
    answers = run(model, image, long, [plain, method], max_new_tokens=STEPS, ignore_end=True)
    assert answers["pai"].ids == answers["baseline"].ids
    for one, other in zip(plain.logits, method.logits, strict=True):
        assert other.isfinite().all()
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)  # the whole photo is behind the window
    near = RecordingMethod(PAI(alpha=1.0, gamma=1.0))
    run(model, image, "Dog?", [near, RecordingMethod(Baseline()), ICD()], max_new_tokens=STEPS, ignore_end=True)
    assert all(logits.isfinite().all() for logits in near.logits)  # a part of it is


@pytest.mark.parametrize("minimum", [-torch.inf, torch.finfo(torch.float32).min])
def test_masked_image_keys_have_no_weight(minimum) -> None:
    query, key, value = torch.randn(2, 4), torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    image_keys = torch.tensor([True, True, True, False, False, False])
    visible = torch.tensor([[False, True, True, True, True, True]])
    additive = torch.zeros(1, 6).masked_fill(~visible, minimum)
    weights = attention.last_position_weights(query, key[:, 1:], None, image_keys[1:], 0.7, 0.5)
    expected = attention.weighted_values(weights, value[:, 1:])
    for mask in (visible, additive):
        weights = attention.last_position_weights(query, key, mask, image_keys, 0.7, 0.5)
        output = attention.weighted_values(weights, value)
        torch.testing.assert_close(output, expected)
