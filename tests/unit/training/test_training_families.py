"""CHiP, HACL and AdaVIB on every family that can be trained: three steps, and the adapter as a panel."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import tiny
import tiny_families
import torch
from tiny import OPEN, RecordingMethod, hooks, run
from training_runs import SHORT, pairs_in

from halluapp.data.pairs import jpeg, read_pairs, write_pairs
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.lvlm import adapters, catalog
from halluapp.methods.adapter import NamedAdapter
from halluapp.methods.registry import Baseline
from halluapp.training import recipes
from halluapp.training.batches.packed_forward import PackedRow, lm_logits, packed_forward
from halluapp.training.methods import registry

KINDS = ("llava", *(kind for kind in tiny_families.KINDS if tiny_families.is_trainable(kind)))
METHODS = ("chip", "hacl", "adavib")
# One family of each way to visual tokens is tried at every run of the tests; the others are slow.
QUICK = ("llava_next", "qwen2_5_vl", "qwen3_vl", "smolvlm", "internvl", "llava/pixtral")
CASES = [
    pytest.param("qwen3_vl", "dpo"),
    *(
        pytest.param(kind, method, marks=() if kind in QUICK else pytest.mark.slow)
        for kind in KINDS
        for method in METHODS
    ),
]


def _folder(kind: str) -> Path:
    return tiny.folder(kind) if kind == "llava" else tiny_families.folder(kind)


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_three_steps_change_the_adapter_and_it_lands_as_a_panel(kind: str, method: str, tmp_path: Path) -> None:
    model = catalog.load(str(_folder(kind)), "nf4", "cpu", tmp_path)[0]
    pairs = read_pairs(pairs_in(tmp_path / "pairs", photos=3))
    recipe = recipes.create(method, **{**SHORT, "rate": 1e-2})
    trained = registry.objective(method)(model, recipe, pairs, log=lambda line: None)
    parameters = [parameter for group in trained.parameter_groups() for parameter in group["params"]]
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(trained.parameter_groups(), lr=1e-2)
    for step in range(3):
        loss, _ = trained.losses([2 * step % 6, (2 * step + 3) % 6], step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        trained.after_step()
        assert loss.isfinite()
    changed = [not torch.equal(new, old) for new, old in zip(parameters, before, strict=True)]
    assert sum(changed) > 0.5 * len(changed)
    trained.save(tmp_path / "mine", {})
    trained.undo()
    model.adapters["mine"] = adapters.load(model, tmp_path / "mine")
    panel, plain = RecordingMethod(NamedAdapter(adapter="mine")), RecordingMethod(Baseline())
    image = Views(model, pairs[0].open())
    answers = run(model, image, OPEN, [plain, panel], max_new_tokens=3, ignore_end=True)
    assert all(len(answer.ids) == 3 for answer in answers.values()), answers
    assert (panel.logits[0] - plain.logits[0]).abs().max() > 1e-3
    assert hooks(model) == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llava"])
def test_packed_answers_are_those_of_transformers_own_forward(kind: str) -> None:
    """Two answers behind one photo and question, in one row: tiles, M-RoPE and DeepStack included."""
    model, image = tiny_families.lvlm(kind), tiny_families.visual(kind, "none", 1)
    prompt = model.embed_prompt(model.prompt_ids(OPEN, "photo"), image, model.visual_tokens(image, OPEN))
    texts = [model.answer_ids(text) for text in ("A dog and a man walk.", "No, a red car.")]
    with torch.no_grad():
        states = packed_forward(model, [PackedRow(prompt, texts)])
        packed = lm_logits(model, states.hidden)
    for index, ids in enumerate(texts):
        expected = tiny_families.from_scratch(kind, "none", OPEN, "photo", ids, seed=1)
        torch.testing.assert_close(packed[index, : len(ids)], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["instructblip", "gemma3"])
def test_a_family_that_cannot_be_trained_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    pairs = read_pairs(pairs_in(tmp_path / "pairs", photos=2))
    model = copy.copy(tiny_families.lvlm(kind))
    with pytest.raises(InputError, match=r"Training does not know the family .* docs/families.md"):
        registry.objective("chip")(model, recipes.create("chip", **SHORT), pairs, log=lambda line: None)


def test_adavib_of_photos_of_other_sizes_is_a_mean_over_tokens_and_pairs(tmp_path: Path) -> None:
    """The cross entropy over answer tokens, the divergence over pairs, as for photos of one size."""
    model = catalog.load(str(_folder("qwen2_5_vl")), "none", "cpu", tmp_path)[0]
    images = {"0.jpg": tiny.photo(0), "1.jpg": tiny.photo(1).resize((112, 56))}
    rows = [
        {"image": "0.jpg", "question": "What?", "chosen": "A dog.", "rejected": "A cat.", "objects": ["dog"]},
        {"image": "1.jpg", "question": "What?", "chosen": "A red car beside a man in the park.", "rejected": "A car."},
    ]
    write_pairs(tmp_path / "pairs", {name: jpeg(image) for name, image in images.items()}, rows)
    recipe = recipes.create("adavib", **SHORT)
    trained = registry.objective("adavib")(model, recipe, read_pairs(tmp_path / "pairs"), log=lambda line: None)
    with torch.no_grad():
        one, two, both = (trained.losses(part, 0) for part in ([0], [1], [0, 1]))
    tokens = [len(example.chosen) for example in trained.examples]
    assert tokens[0] < tokens[1]
    generation = sum(n * part[1]["generation"] for n, part in zip(tokens, (one, two), strict=True)) / sum(tokens)
    kl = (one[1]["kl"] + two[1]["kl"]) / 2
    assert both[1]["generation"] == pytest.approx(generation, rel=1e-4)
    assert float(both[0]) == pytest.approx(generation + kl, rel=1e-4)
    trained.undo()
