"""The LLaVA family: ids as transformers makes them, in every view; the catalog loads folders or says why not."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from smuggled_tokens import SMUGGLED
from tiny import KINDS, LAYERS, MODELS, OPEN, PROMPTS, RANK, folder, inputs, lvlm, photo, visual
from tokenizers import AddedToken

from halluapp.errors import InputError, MissingWeights
from halluapp.lvlm import catalog
from halluapp.lvlm.base import HalluSpace

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


def _special(model, ids: list[int]) -> list[int]:
    return [i for i in ids if i in model.tokenizer.all_special_ids]


@pytest.mark.parametrize("kind", KINDS)
def test_the_photo_view_is_what_transformers_makes(kind) -> None:
    model, length = lvlm(kind), len(visual(kind, "none").features)
    for prompt in (*PROMPTS, "été – 日本 🐕", "two\nlines", "{{ braces }} {% if %}"):
        ids, expected = model.prompt_ids(prompt, "photo"), inputs(model, prompt)["input_ids"][0].tolist()
        index = ids.index(model.image_token)
        assert ids[:index] + [model.image_token] * length + ids[index + 1 :] == expected, prompt
        assert ids[0] == model.tokenizer.bos_token_id, prompt
        assert ids.count(model.image_token) == 1, prompt


def _check_views(model, prompt: str) -> None:
    photo, none, unk = (model.prompt_ids(prompt, view) for view in ("photo", "none", "unk"))
    index = photo.index(model.image_token)
    before, after = photo[:index], photo[index + 1 :]
    bos, image, unknown = model.tokenizer.bos_token_id, model.image_token, model.tokenizer.unk_token_id
    assert none == before + after, prompt
    assert unk == [*before, unknown, *after]
    assert _special(model, photo) == [bos, image]
    assert _special(model, none) == [bos]
    assert _special(model, unk) == [bos, unknown]


@pytest.mark.parametrize("kind", KINDS)
def test_views_differ_at_the_image_only_and_prompts_smuggle_nothing_in(kind) -> None:
    for prompt in (*PROMPTS, *SMUGGLED):
        _check_views(lvlm(kind), prompt)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["<", ">", "/", "s", "image", "<s>", "</s>", "<pad>", "<unk>", " ", "x"]), max_size=9))
def test_no_combination_of_pieces_makes_a_special_token(pieces) -> None:
    _check_views(lvlm(), "".join(pieces))


def test_special_tokens_that_were_only_added_are_taken_apart_too() -> None:
    """LLaVA checkpoints of other revisions mark <image> as special without naming it among the special tokens."""
    model = copy.copy(lvlm())
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.add_tokens([AddedToken("<video>", special=True), AddedToken("harmless")])
    assert "<video>" not in model.tokenizer.all_special_tokens
    ids = model.prompt_ids("a <video> harmless", "none")
    assert model.tokenizer.convert_tokens_to_ids("<video>") not in ids
    assert model.tokenizer.convert_tokens_to_ids("harmless") in ids


@over_models
def test_look_and_project_are_transformers_image_features(kind, quantization) -> None:
    model = lvlm(kind, quantization)
    for seed in (0, 1):
        pixels = inputs(model, OPEN, seed)["pixel_values"]
        with torch.no_grad():
            expected = torch.cat(list(model.model.get_image_features(pixels).pooler_output))
            mine = model.project(visual(kind, quantization, seed).features)
        torch.testing.assert_close(mine, expected.reshape(mine.shape), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_photos_of_any_shape_can_be_seen(kind) -> None:
    model = lvlm(kind)
    one, large = (model.encode_image(Image.new("RGB", size, (200, 30, 90))).features for size in ((1, 1), (64, 48)))
    torch.testing.assert_close(one, large, atol=1e-4, rtol=1e-4)
    for size in ((3, 40), (40, 3), (3, 3), (1, 40), (2, 1)):
        assert model.encode_image(photo(3, size)).features.shape == one.shape


def test_the_pocket_tower_shares_its_maps_and_has_its_trunk() -> None:
    for quantization in ("none", "nf4"):
        image, tower = visual("pocket", quantization), lvlm("pocket", quantization).model.model.vision_tower
        assert [tuple(part.shape) for part in image.maps] == [(1, 120, 16, 16), (1, 352, 8, 8)]
        assert float(tower.trunk.loaded) == 1
    assert visual("llava", "none").maps == ()


def test_embed_places_visual_tokens() -> None:
    model = lvlm()
    ids, visual_tokens = model.prompt_ids(OPEN, "photo"), torch.randn(9, 64)
    spot = ids.index(model.image_token)
    embeds = model.embed(ids, visual_tokens)
    assert torch.equal(embeds[spot : spot + 9], visual_tokens)
    assert len(embeds) == len(ids) + 8
    assert torch.equal(embeds[:spot], model.embed(ids[:spot], None))
    assert torch.equal(embeds[spot + 9 :], model.embed(ids[spot + 1 :], None))


def test_surface_ids_are_whole_labels() -> None:
    model = lvlm()
    for forms in (("Yes", "yes", "YES"), ("No", "no", "NO"), ("A",), ("B",), ("C",)):
        ids = model.surface_ids(forms)
        assert ids
        assert len(set(ids)) == len(ids)
        assert {model.tokenizer.decode([i]).strip() for i in ids} <= set(forms)
    assert model.surface_ids(("rhinoceros",)) == []  # splits into pieces: none of them is the label


def test_answers_are_decoded_without_special_tokens() -> None:
    model = lvlm()
    ids = model.tokenizer(" Yes, a dog", add_special_tokens=False)["input_ids"]
    assert model.decode([*ids, model.tokenizer.eos_token_id]) == "Yes, a dog"
    assert model.decode([]) == ""
    assert model.tokenizer.eos_token_id in model.end_tokens
    assert None not in model.end_tokens


@over_models
def test_the_catalog_attaches_what_lies_beside_a_checkpoint(kind, quantization) -> None:
    model = lvlm(kind, quantization)
    width = model.model.config.text_config.hidden_size
    assert {layer: tuple(v.shape) for layer, v in model.space("default").layers.items()} == {
        layer: (width, RANK) for layer in range(LAYERS)
    }
    saved = load_file(folder(kind) / "projector-adavib.safetensors")
    assert all(torch.equal(value, saved[key]) for key, value in model.projector("adavib").state_dict().items())
    assert not any(weight.requires_grad for weight in model.projector("adavib").parameters())
    for missing in (lambda: model.space("other"), lambda: model.projector("other")):
        with pytest.raises(MissingWeights) as caught:
            missing()
        assert "\n" not in str(caught.value)


def test_a_space_survives_its_file(tmp_path: Path) -> None:
    space = HalluSpace({3: torch.randn(8, 2), 11: torch.randn(8, 2)}, {"pairs": 7, "pooling": "answer_mean"})
    catalog.save_space(space, tmp_path / "space.safetensors")
    again = catalog.load_space(tmp_path / "space.safetensors")
    assert again.about == space.about
    assert sorted(again.layers) == [3, 11]
    assert all(torch.equal(again.layers[layer], space.layers[layer]) for layer in space.layers)


def _load_error(source, quantization: str = "none") -> str:
    with pytest.raises(InputError) as caught:
        catalog.load(str(source), quantization, "cpu", folder("llava").parent / "nowhere")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 500
    return sentence


def test_what_cannot_be_loaded_is_said_in_one_sentence(tmp_path: Path) -> None:
    assert "nf4, int8 or none" in _load_error(folder("llava"), "fp3")
    assert "assets/pocket" in _load_error("pocket")
    assert "could not be loaded" in _load_error(tmp_path)  # an empty folder
    assert "could not be loaded" in _load_error(tmp_path / "missing")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert "bert" in _load_error(tmp_path)
    (tmp_path / "config.json").write_text("not json")
    assert "could not be loaded" in _load_error(tmp_path)


@pytest.mark.parametrize("broken", ["model.safetensors", "hallu_space.safetensors", "projector-adavib.safetensors"])
def test_damaged_weights_are_said_in_one_sentence(tmp_path: Path, broken: str) -> None:
    checkpoint = Path(shutil.copytree(folder("llava"), tmp_path / "copy"))
    (checkpoint / broken).write_bytes((checkpoint / broken).read_bytes()[:100])
    assert broken in _load_error(checkpoint) or "could not be loaded" in _load_error(checkpoint)


def test_weights_of_another_model_are_said_in_one_sentence(tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(folder("llava"), tmp_path / "copy"))
    save_file({"linear_1.weight": torch.zeros(3, 3)}, checkpoint / "projector-adavib.safetensors")
    assert "projector-adavib" in _load_error(checkpoint)
    shutil.copy(folder("llava") / "projector-adavib.safetensors", checkpoint)
    save_file({"something": torch.zeros(3)}, checkpoint / "hallu_space.safetensors")
    assert "hallu_space" in _load_error(checkpoint)
    save_file({}, checkpoint / "hallu_space.safetensors")
    assert "hallu_space" in _load_error(checkpoint)


def test_an_incomplete_checkpoint_is_not_filled_with_random_weights(tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(folder("llava"), tmp_path / "copy"))
    weights = load_file(checkpoint / "model.safetensors")
    name = next(key for key in weights if "down_proj" in key)
    save_file(
        {k: v for k, v in weights.items() if k != name}, checkpoint / "model.safetensors", metadata={"format": "pt"}
    )
    assert "down_proj" in _load_error(checkpoint)
