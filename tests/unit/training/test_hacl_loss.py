"""HACL's contrast: golden vectors of the authors' code, and hard negatives that are never dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_cases import Case, cases, for_each
from torch.nn.functional import cross_entropy, normalize

from halluapp.numerics import FeatureQueue, contrastive_loss
from halluapp.training.batches.packed_forward import end_representations, last_attended
from halluapp.training.methods.hacl_loss import ProjectionHeads, contrastive_terms

WITHOUT_HARD = [case for case in cases("hacl", "plain/") + cases("hacl", "queue/") if not case.authors_only]


def tensors(case: Case) -> dict[str, torch.Tensor]:
    tensors_of_case = {name: torch.from_numpy(np.array(value)) for name, value in case.inputs.items()}
    tensors_of_case = {
        name: value.requires_grad_(value.dtype.is_floating_point) for name, value in tensors_of_case.items()
    }
    if case.id == "hard/equal-captions":  # one tensor in the authors' run too, so that its gradients add up
        tensors_of_case["hidden_hallucinated"] = tensors_of_case["hidden_caption"]
    return tensors_of_case


def heads_of(tensors_of_case: dict[str, torch.Tensor]) -> ProjectionHeads:
    width, features = tensors_of_case["photo_head_weight"].shape[1], len(tensors_of_case["photo_head_weight"])
    heads = ProjectionHeads(width, features).double()
    for name in ("photo", "text"):
        for part in ("weight", "bias"):
            setattr(getattr(heads, name), part, torch.nn.Parameter(tensors_of_case[f"{name}_head_{part}"].detach()))
    return heads


def features_of(case: Case, tensors_of_case: dict[str, torch.Tensor], heads: ProjectionHeads) -> list[torch.Tensor]:
    """Photos, captions and, where there are any, hallucinated captions, from hidden states to unit vectors."""
    features = [heads.embed_photos(tensors_of_case["hidden_photo"][:, -1])]
    for name in ("caption", "hallucinated"):
        if f"hidden_{name}" in tensors_of_case:
            mask = tensors_of_case[f"{name}_ids"] != case.parameters["pad_id"]
            features.append(heads.embed_texts(end_representations(tensors_of_case[f"hidden_{name}"], mask)))
    return features


def queue_of(tensors_of_case: dict[str, torch.Tensor]) -> FeatureQueue | None:
    if "image_queue" not in tensors_of_case:
        return None
    queue = FeatureQueue(tensors_of_case["image_queue"].shape[1], tensors_of_case["image_queue"].shape[0]).double()
    queue.push(tensors_of_case["image_queue"].T, tensors_of_case["text_queue"].T)
    for name in ("photos", "texts"):
        getattr(queue, f"{name}_place").copy_(tensors_of_case["queue_ptr"][0])
    return queue


@for_each(WITHOUT_HARD + cases("hacl", "hard/"))
def test_golden(case: Case) -> None:
    tensors_of_case, outputs = tensors(case), case.outputs
    heads, queue = heads_of(tensors_of_case), queue_of(tensors_of_case)
    features = features_of(case, tensors_of_case, heads)
    temperature = torch.tensor(case.parameters["temperature"], dtype=torch.float64, requires_grad=True)
    result = contrastive_terms(*features, *[None] * (3 - len(features)), temperature, "all", queue)
    result.loss.backward()
    terms = {
        "photo_features": features[0],
        "caption_features": features[1],
        "photo_to_text": result.logits[0],
        "text_to_photo": result.logits[1],
        "loss_i2t": result.photo_to_text,
        "loss_t2i": result.text_to_photo,
        "loss": result.loss,
        "grad_hidden_photo": tensors_of_case["hidden_photo"].grad,
        "grad_hidden_caption": tensors_of_case["hidden_caption"].grad,
        "grad_photo_head_weight": heads.photo.weight.grad,
        "grad_text_head_weight": heads.text.weight.grad,
    }
    if 0.001 <= case.parameters["temperature"] <= 0.5:  # the authors clamp in place, we keep the value as given
        terms["grad_temperature"] = temperature.grad
    if "grad_hidden_hallucinated" in outputs:
        terms["grad_hidden_hallucinated"] = tensors_of_case["hidden_hallucinated"].grad
    for name, ours in terms.items():
        np.testing.assert_allclose(ours.detach().numpy(), outputs[name], rtol=1e-6, atol=1e-9)
    if queue:
        queue.push(features[0], features[1])
        np.testing.assert_allclose(queue.photos.T.numpy(), outputs["image_queue_after"], rtol=1e-9)
        np.testing.assert_allclose(queue.texts.T.numpy(), outputs["text_queue_after"], rtol=1e-9)


def unit(rows: int, seed: int) -> torch.Tensor:
    values = torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(values, dim=-1)


def test_without_hard_negatives_it_is_symmetric_infonce() -> None:
    image, text = unit(5, 0), unit(5, 1)
    logits, target = image @ text.T / 0.07, torch.arange(5)
    expected = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
    assert float(contrastive_loss(image, text)) == pytest.approx(float(expected), abs=1e-9)


def test_hard_negatives_only_raise_the_photos_side() -> None:
    image, text, hard = unit(5, 0), unit(5, 1), unit(5, 2)
    plain = contrastive_terms(image, text)
    own_only, every = (contrastive_terms(image, text, hard, hard_negatives=kind) for kind in ("own", "all"))
    assert plain.photo_to_text < own_only.photo_to_text < every.photo_to_text
    assert plain.text_to_photo == own_only.text_to_photo == every.text_to_photo


def test_own_and_all_agree_for_one_photo_and_equal_captions_give_ln_2() -> None:
    image, text = unit(1, 0), unit(1, 1)
    for kind in ("own", "all"):
        result = contrastive_terms(image, text, text, hard_negatives=kind)
        assert float(result.photo_to_text) == pytest.approx(math.log(2))
        assert float(result.text_to_photo) == 0.0


def test_the_queue_keeps_hard_negatives_and_forgets_the_oldest() -> None:
    queue = FeatureQueue(4, 8).double()
    assert float(contrastive_loss(unit(2, 0), unit(2, 1), queue=queue)) == float(
        contrastive_loss(unit(2, 0), unit(2, 1))
    )
    for step in range(3):
        queue.push(unit(2, 10 + step), unit(2, 20 + step), unit(2, 30 + step))
    expected = torch.cat([unit(2, 32), unit(2, 31)])
    assert torch.equal(queue.features("hard"), expected)
    image = unit(2, 0).requires_grad_()
    result = contrastive_terms(image, unit(2, 1), unit(2, 2), queue=queue)
    assert result.logits[0].shape == (2, 2 + 1 + 4 + 4)
    assert result.logits[1].shape == (2, 2 + 4)
    assert not queue.features("texts").requires_grad


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_end_is_found_whatever_the_padding_and_its_id(side: str) -> None:
    hidden = torch.randn(2, 5, 3)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0] if side == "right" else [0, 0, 1, 1, 1]])
    assert last_attended(mask).tolist() == [4, 2 if side == "right" else 4]
    assert torch.equal(end_representations(hidden, mask)[1], hidden[1, 2 if side == "right" else 4])


def test_unit_length_and_rotation_invariance() -> None:
    heads = ProjectionHeads(12).double()
    image = heads.embed_photos(torch.randn(4, 12, dtype=torch.float64))
    assert torch.allclose(image.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    text = heads.embed_texts(torch.randn(4, 12, dtype=torch.float64))
    assert float(contrastive_loss(image @ turn, text @ turn).detach()) == pytest.approx(
        float(contrastive_loss(image, text).detach())
    )


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="hard_negatives"):
        contrastive_loss(unit(2, 0), unit(2, 1), hard_negatives="none")
    with pytest.raises(ValueError, match="do not match"):
        contrastive_loss(unit(2, 0), unit(3, 1))
