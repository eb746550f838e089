"""Heat maps and what else is read from a finished answer: against transformers' own attention, and separate runs."""

from __future__ import annotations

from functools import cache

import pytest
import tiny
import tiny_families
import torch
from separate_rows import from_scratch
from tiny import OPEN, lvlm, photo, run, views

from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.inspection import attention, hallu_space, occlusion, prior, visual_words
from halluapp.lvlm import catalog
from halluapp.lvlm.families.grids import grid_boxes
from halluapp.methods.registry import PAI, VDD, Baseline, Nullu

KINDS = [*tiny.KINDS, *tiny_families.KINDS]
ANSWER = "A man and a dog walk"


def model_of(kind: str):
    return lvlm(kind) if kind in tiny.KINDS else tiny_families.lvlm(kind)


def photo_of(kind: str):
    return photo() if kind in tiny.KINDS else tiny_families.photo()


@cache
def eager_copy(kind: str):
    """The same checkpoint once more, as transformers runs it where attention weights are asked for."""
    folder = (tiny if kind in tiny.KINDS else tiny_families).folder(kind)
    model = catalog.load(str(folder), "none", "cpu", folder)[0].model
    model.set_attn_implementation("eager")
    return model


def answer_of(model) -> list[int]:
    return model.answer_ids(ANSWER)[:-1]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_attention_is_transformers_own_and_its_shares_sum_to_one(kind) -> None:
    model = model_of(kind)
    ids = answer_of(model)
    looked = attention.answer_attention(model, Views(model, photo_of(kind)), OPEN, Baseline(), ids)
    inputs = tiny.inputs(model, OPEN) if kind in tiny.KINDS else tiny_families.inputs(kind, "none", OPEN)
    length = inputs["input_ids"].shape[1]
    whole = torch.cat([inputs["input_ids"], torch.tensor([ids[:-1]])], dim=1)
    inputs |= {"input_ids": whole, "attention_mask": torch.ones_like(whole)}
    for key in ("mm_token_type_ids", "token_type_ids"):
        if key in inputs:
            inputs[key] = torch.nn.functional.pad(inputs[key], (0, len(ids) - 1))
    output = eager_copy(kind)(**inputs, output_attentions=True, use_cache=False)
    theirs = getattr(output, "language_model_outputs", output).attentions
    expected = torch.stack([layer[0].float().mean(0)[length - 1 :] for layer in theirs])
    torch.testing.assert_close(looked.weights, expected, atol=1e-4, rtol=1e-3)
    assert looked.image_mask.equal(whole[0] == model.image_token)
    for shares in (*looked.shares(), *looked.shares(0), *looked.shares_by_layer(), *looked.shares_by_layer(1, 2)):
        assert sum(shares) == pytest.approx(1, abs=1e-4)
        assert all(share >= 0 for share in shares)
    assert looked.kinds.count("answer") == len(ids) - 1
    assert model.attention_config._attn_implementation != "eager"


@pytest.mark.parametrize("kind", KINDS)
def test_patches_lie_in_the_photo_and_a_word_s_heat_sums_to_one(kind) -> None:
    model, picture = model_of(kind), photo_of(kind)
    seen, ids = Views(model, picture), answer_of(model)
    count = len(model.visual_tokens(seen.clean, OPEN))
    boxes = model.token_boxes(seen.clean, count, picture.size)
    assert len(boxes) == count
    for box in (box for box in boxes if box):
        assert 0 <= box[0] < box[2] <= 1 + 1e-9
        assert 0 <= box[1] < box[3] <= 1 + 1e-9
    looked = attention.answer_attention(model, seen, OPEN, Baseline(), ids)
    heat = attention.heat(model, seen, OPEN, looked, picture.size, 1, 2)
    assert sum(cell["value"] for cell in heat["cells"]) + heat["whole"] == pytest.approx(1, abs=1e-4)
    assert heat["photo"] == pytest.approx(looked.weights[:, 1:3].mean((0, 1))[looked.image_mask].sum().item())
    if kind in ("instructblip", "idefics2"):  # queries of a Q-Former or a perceiver are no patches
        assert not heat["cells"]
        assert heat["whole"] == pytest.approx(1, abs=1e-4)


def test_tokens_behind_the_grid_are_the_whole_photo() -> None:
    """A tower may add summaries behind its patches: the grid comes from the family, not from the number of tokens."""
    model, picture = lvlm("pocket"), photo()
    boxes = model.token_boxes(Views(model, picture).clean, 70, picture.size)
    assert len(boxes) == 70
    assert all(boxes[:64])
    assert boxes[64:] == [None] * 6


def test_raised_attention_is_what_the_map_shows() -> None:
    model, seen = lvlm("llava"), views("llava", "none")
    plain, raised = (
        attention.answer_attention(model, seen, OPEN, method, answer_of(model))
        for method in (Baseline(), PAI(alpha=2.0, gamma=1.0))
    )
    assert sum(row[0] for row in raised.shares()) > sum(row[0] for row in plain.shares())
    assert all(sum(row) == pytest.approx(1, abs=1e-4) for row in raised.shares())


@pytest.mark.parametrize("kind", ["llava", "pocket"])
def test_occlusion_equals_separate_runs(kind, monkeypatch) -> None:
    """Every cell by itself, by one forward of the whole text; in groups of rows and in one."""
    model, picture = lvlm(kind), photo(1)
    ids = run(model, views(kind, "none", 1), OPEN, [Baseline()], max_new_tokens=6, ignore_end=True)["baseline"].ids
    monkeypatch.setattr(occlusion, "COARSE", 4)
    monkeypatch.setattr(occlusion, "FINE", 1)
    result = occlusion.occlusion(model, picture, OPEN, VDD(), ids, 3, 4)
    assert 4 < len(result["cells"]) <= 7
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (cell["box"] for cell in result["cells"])) <= 1 + 1e-9
    monkeypatch.setattr("halluapp.decoding.forced.CHUNK_TOKENS", 1)
    one_by_one = occlusion.occlusion(model, picture, OPEN, VDD(), ids, 3, 4)

    def logp(seed_photo) -> float:
        monkeypatch.setattr(tiny, "photo", lambda *_: seed_photo)
        logits = from_scratch(model, OPEN, "photo", ids)
        return float(logits.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[3:5].sum())

    assert result["logp"] == pytest.approx(logp(picture), abs=2e-3)
    for cell, alone in zip(result["cells"], one_by_one["cells"], strict=True):
        expected = result["logp"] - logp(occlusion.cover(picture, cell["box"]))
        assert cell["value"] == pytest.approx(expected, abs=3e-3)
        assert alone["value"] == pytest.approx(cell["value"], abs=3e-3)


@pytest.mark.parametrize(("rows", "columns", "most", "count"), [(8, 8, 16, 16), (24, 24, 16, 16), (5, 7, 9, 6)])
def test_cells_are_whole_patches_and_cover_the_grid(rows, columns, most, count) -> None:
    grid = occlusion.PatchGrid.of(grid_boxes(rows, columns, (0.125, 0.0, 0.875, 1.0)))
    assert (grid.rows, grid.columns) == (rows, columns)
    cells = grid.cells(most)
    for parts in (cells, [part for cell in cells for part in cell.quarters()]):
        boxes = [grid.box(part) for part in parts]
        assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes) == pytest.approx(0.75)
    assert len(cells) == count
    assert occlusion.Cell(0, 0, 1, 1).quarters() == [occlusion.Cell(0, 0, 1, 1)]
    assert occlusion.PatchGrid.of([None] * 5) == occlusion.PatchGrid(8, 8)


def test_counterfactual_answers_the_covered_photo() -> None:
    model, picture = lvlm("pocket"), photo(1)
    sampling = Sampling(max_new_tokens=8)
    box = (0.0, 0.0, 0.5, 1.0)
    result = occlusion.counterfactual(model, picture, OPEN, Baseline(), sampling, "A man and a dog", box)
    covered = occlusion.cover(picture, box)
    assert covered.getpixel((0, 0)) != picture.getpixel((0, 0))
    assert covered.crop((20, 0, 40, 30)).tobytes() == picture.crop((20, 0, 40, 30)).tobytes()
    expected = run(model, Views(model, covered), OPEN, [Baseline()], max_new_tokens=8)["baseline"].text
    assert result["text"] == expected
    words = {word.lower() for word in occlusion.WORD.findall(expected)}
    assert result["words"] == [[word, word.lower() in words] for word in "A man and a dog".split()]


def test_prior_probe_reads_every_stand_in() -> None:
    model, picture = lvlm("llava"), photo()
    probe = prior.prior_probe(model, picture, OPEN)
    assert [line["view"] for line in probe] == list(prior.VIEWS)
    for line in probe:
        if line["view"] in ("none", "unk", "photo"):
            logits = from_scratch(model, OPEN, line["view"], [0])[0]
        else:
            stand_in = prior.stand_in(line["view"], picture.size)
            logits = run_first(model, Views(model, stand_in))
        best = logits.softmax(-1).topk(prior.ANSWERS)
        assert [p for _, p in line["top"]] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert line["top"][0][0] == model.piece(int(best.indices[0]))
    assert prior.stand_in("noise", (9, 7)).tobytes() == prior.stand_in("noise", (9, 7)).tobytes()


def run_first(model, seen: Views) -> torch.Tensor:
    recorded = tiny.RecordingMethod(Baseline())
    run(model, seen, OPEN, [recorded], max_new_tokens=1)
    return recorded.logits[0][0]


@torch.no_grad()
def test_energy_is_the_share_of_the_mlp_output_that_the_projection_removes() -> None:
    """From transformers' own forward; and after Nullu at full rank nothing of the written output is left there."""
    model, seen = lvlm("llava"), views("llava", "none")
    ids = answer_of(model)
    result = hallu_space.energy(model, seen, OPEN, Baseline(), ids)
    outputs: list[torch.Tensor] = []
    inputs = tiny.inputs(model, OPEN)
    length = inputs["input_ids"].shape[1]
    whole = torch.cat([inputs["input_ids"], torch.tensor([ids[:-1]])], dim=1)
    copy = eager_copy("llava")
    hooks = [
        layer.mlp.register_forward_hook(lambda _m, _i, output: outputs.append(output[0, length - 1 :]))
        for layer in copy.model.language_model.layers
    ]
    copy(input_ids=whole, pixel_values=inputs["pixel_values"], use_cache=False)
    for hook in hooks:
        hook.remove()
    for layer, shares in zip(result["layers"], result["energy"], strict=True):
        directions = model.space("default").layers[layer]
        expected = (outputs[layer] @ directions).norm(dim=-1) ** 2 / outputs[layer].norm(dim=-1) ** 2
        assert shares == pytest.approx(expected.tolist(), rel=1e-3)
    assert 0 < result["expected"] < 1
    removed = hallu_space.share(torch.randn(3, 64) @ torch.eye(64), torch.eye(64)[:, :5])
    assert all(0 < value < 1 for value in removed.tolist())
    assert hallu_space.energy(model, seen, OPEN, Nullu(rank=6), ids)["layers"] == result["layers"]
    words = hallu_space.direction_words(model, result["layers"][0])
    assert all(len(one["more"]) == len(one["less"]) == hallu_space.WORDS for one in words)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_visual_words_and_their_entropy(kind) -> None:
    model, picture = model_of(kind), photo_of(kind)
    seen = Views(model, picture)
    result = visual_words.visual_words(model, seen, OPEN, picture.size)
    tokens = model.visual_tokens(seen.clean, OPEN).float()
    p = (tokens @ model.decoder.get_input_embeddings().weight.float().T).softmax(-1)
    entropy = -(p * p.clamp(min=1e-30).log()).sum(-1)
    assert [one["entropy"] for one in result] == pytest.approx(entropy.tolist(), abs=1e-3)
    assert [one["words"][0][1] for one in result] == pytest.approx(p.max(-1).values.tolist(), rel=1e-3)
    assert [one["box"] is None for one in result] == [
        box is None for box in model.token_boxes(seen.clean, len(tokens), picture.size)
    ]
