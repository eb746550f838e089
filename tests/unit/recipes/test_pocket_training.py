"""Training on tiny real models: a resumed run equals an uninterrupted one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import find_mentions
from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.llava import Llava
from halluapp.methods.formulas.hallu_space import project_out
from halluapp.recipes.pocket import drawings, export, posterior, sets
from halluapp.recipes.pocket.features import FeatureStore
from halluapp.recipes.pocket.train import PocketRecipe, load_captions, setup, train
from halluapp.training.hallu_space import compute

RECIPE = PocketRecipe(steps=4, decay=2, warmup=2, photos=4, vocabulary=400, layers=2, dropout=0.1, seed=3)


def _store(folder, source: str) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    np.save(folder / "coarse.npy", rng.normal(size=(44, 1, 352, 8, 8)).astype(np.float16))
    np.save(folder / "fine.npy", rng.normal(size=(44, 1, 120, 16, 16)).astype(np.float16))
    np.save(folder / "crops.npy", np.tile(np.array([0, 0, 1, 1, 0], np.float32), (44, 1, 1)))
    names = [("dog", "ball"), ("cat", "car"), ("horse", "bus"), ("bird", "tree")]
    with open(folder / "records.jsonl", "w") as out:
        for index in range(44):
            a, b = names[index % 4]
            record = {
                "source": source,
                "captions": [f"A {a} next to a {b}."],
                "entities": [{"type": "other", "phrases": [f"a {a}"], "boxes": [[0.1, 0.1, 0.6, 0.6]]}],
                "detections": [["person", 0.9, 0.5, 0.5, 0.9, 0.9]],
            }
            if source == "imagenet-sample":
                record = {
                    "source": source,
                    "objects": [a],
                    "fine": a,
                    "animal": True,
                    "label_set": "one category per photo",
                }
            out.write(json.dumps({"key": f"in1k_{index}", "record": record}) + "\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    _store(folder / "features" / "flickr8k-train", "flickr8k")
    _store(folder / "features" / "visual7w", "visual7w")
    _store(folder / "features" / "imagenet-sample", "imagenet-sample")
    (folder / "captions.txt").write_text("A man rides a horse on the beach.\nTwo dogs play in the snow.\n" * 20)
    return folder


def _quiet(*_args, **_kwargs) -> None:
    pass


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(world):
    whole = train(world / "features", world / "captions.txt", world / "whole", RECIPE, _quiet)
    parts = world / "parts"
    shape = replace(RECIPE, steps=2)
    # The rate of a step depends on the planned end, so the first half is trained under the same plan and cut off.
    object.__setattr__(shape, "rate_at", RECIPE.rate_at)
    train(world / "features", world / "captions.txt", parts, shape, _quiet)
    train(world / "features", world / "captions.txt", parts, RECIPE, _quiet)
    first, second = (torch.load(f / "checkpoint.pt", weights_only=True)["pocket"] for f in (whole, parts))
    for name, value in first.items():
        assert torch.allclose(value, second[name], atol=1e-6), name


@pytest.mark.slow
def test_a_run_goes_on_from_exported_weights_and_gives_them_class_tokens(world, tmp_path):
    former, words, _ = setup(world / "features", world / "captions.txt", replace(RECIPE, class_regions=0))
    export.export(former, words, tmp_path / "former")
    pocket, same, batches = setup(world / "features", world / "captions.txt", RECIPE, start=tmp_path / "former")
    assert same.get_vocab() == words.get_vocab()
    assert batches.packer.image_tokens == pocket.lvlm.config.image_seq_length == 70
    assert pocket.head.labels == former.head.labels
    maps = [
        torch.from_numpy(array[:2, 0].astype("float32")) for array in (batches.stores[0].fine, batches.stores[0].coarse)
    ]
    with torch.no_grad():
        before, after = (one.eval().lvlm.model.vision_tower.neck(*maps)[-1] for one in (former, pocket))
    assert torch.allclose(before, after[:, :64], atol=5e-2)  # stored in float16
    # A class begins as the words for it: the projector makes the mean of their embeddings of it.
    number, category = next(iter(batches.classes.items()))
    token = pocket.lvlm.model.vision_tower.neck.class_tokens.classes.weight[:, number]
    (expected,) = posterior.name_targets(pocket.lvlm, words, {number: category})
    made = pocket.lvlm.model.multi_modal_projector(token)
    assert torch.nn.functional.cosine_similarity(made, expected, dim=0) > 0.9


def test_a_store_that_is_being_computed_has_the_photos_that_are_ready(tmp_path):
    _store(tmp_path / "visual7w", "visual7w")
    (tmp_path / "visual7w" / "progress.json").write_text("32")
    store = FeatureStore.open(tmp_path / "visual7w")
    assert len(store.coarse) == len(store.keys) == len(store.records) == 32


@pytest.fixture(scope="module")
def lvlm(world):
    pocket, words, batches = setup(world / "features", world / "captions.txt", RECIPE)
    model = Llava(pocket.lvlm, words, export.image_processor(), "tiny")
    return model, batches


def test_hallu_space_of_a_model_is_orthonormal_and_sees_the_swapped_word(lvlm):
    model, _ = lvlm
    pairs = [
        (
            ImageFeatures(torch.randn(64, 320)),
            "Describe this image.",
            f"A {a} next to a ball.",
            f"A {b} next to a ball.",
        )
        for a, b in [("dog", "cat"), ("cat", "dog"), ("bus", "car")] * 3
    ]
    space = compute.compute_hallu_space(model, iter(pairs), [1], rank=2)
    directions = space.layers[1]
    assert torch.allclose(directions.T @ directions, torch.eye(2), atol=1e-5)
    assert space.about["pairs"] == 9
    assert space.about["spectrum"][1][0] > 0
    x = torch.randn(3, 320)
    assert (project_out(x, directions) @ directions).abs().max() < 1e-5


def test_captions_are_cleaned(world):
    assert load_captions(world / "captions.txt")[0] == "A man rides a horse on the beach."


def test_feature_store_opens(world):
    store = FeatureStore.open(world / "features" / "visual7w")
    assert store.coarse.shape[0] == len(store.keys) == len(store.records) == 44


def test_a_scene_is_a_training_photo_whose_captions_name_what_is_drawn():
    for number in range(12):
        sample = drawings.sample(number)
        photo = sets.read_photo(sample.record)
        assert sample.record["captions"]
        for caption in sample.record["captions"]:
            named = {mention.object for mention in find_mentions(caption)}
            assert named
            assert named <= photo.present
        assert photo.certain
        assert not photo.certain & (photo.present | drawings.UNLISTED)
        assert not any(vocabulary.same_or_kind(name, other) for name in photo.certain for other in photo.present)


def test_a_drawing_says_what_it_shows_and_leaves_backgrounds_open():
    picture, annotated = drawings.draw(7)
    again, same = drawings.draw(7)
    assert picture.tobytes() == again.tobytes()
    assert annotated == same
    assert annotated.present == {name for name, _ in annotated.boxes}
    assert annotated.present
    assert not annotated.present & annotated.possible
    assert {"street", "sky"} <= annotated.possible | annotated.present


def test_drawings_teach_the_head_only(world):
    pocket, _, batches = setup(world / "features", world / "captions.txt", RECIPE)
    before = {name: value.clone() for name, value in pocket.state_dict().items()}
    scene_views = drawings.scene_features(4, _quiet)
    assert scene_views[0].shape == (8, 120, 16, 16)
    assert scene_views[1].shape == (8, 352, 8, 8)
    assert len(scene_views[2]) == 8
    log_lines = []
    drawings.teach(pocket, batches, scene_views, 3, log_lines.append)
    changed = {name for name, value in pocket.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)
    assert "step 3" in log_lines[-1]
    assert not pocket.head.training
