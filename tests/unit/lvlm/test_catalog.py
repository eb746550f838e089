"""What the catalog recommends, what it says when a model cannot be had, and checkpoints that are quantized already."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny
import torch
from tiny import OPEN, run
from tiny_families import KINDS, folder, lvlm, photo

from halluapp.errors import InputError
from halluapp.lvlm import catalog, quantize
from halluapp.lvlm.families import FAMILIES
from halluapp.lvlm.weights import memory
from halluapp.methods.registry import Baseline


def _error(model: str, quantization: str = "none") -> str:
    with pytest.raises(InputError) as caught:
        catalog.load(model, quantization, "cpu", Path("nowhere"))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


def test_every_known_model_is_of_a_family_that_can_be_loaded() -> None:
    assert {model.family for model in catalog.CATALOG} == set(FAMILIES)
    assert len({model.id for model in catalog.CATALOG}) == len(catalog.CATALOG)
    for model in catalog.CATALOG:
        assert model.licence
        assert 0 < model.quantized < model.weights
        assert model.bytes("nf4") < model.bytes("int8") < model.bytes("none")


def test_estimates_are_the_weights_and_room_to_work() -> None:
    """LLaVA-1.5-7B: 6.476 billion weights in 4 bits, 0.587 billion in 16 bits."""
    entry = {model.id: model for model in catalog.CATALOG}["llava-hf/llava-1.5-7b-hf"]
    assert entry.bytes("nf4") - memory.WORKING_BYTES == pytest.approx(4.52e9, rel=0.01)
    assert entry.bytes("none") - memory.WORKING_BYTES == pytest.approx(14.13e9, rel=0.01)


@pytest.mark.parametrize(
    ("gigabytes", "quantization", "wanted"),
    [
        (0, "nf4", "pocket"), (4, "nf4", "pocket"), (5, "nf4", "HuggingFaceTB/SmolVLM-Instruct"),
        (6, "nf4", "Qwen/Qwen3-VL-4B-Instruct"),
        (8, "nf4", "llava-hf/llava-1.5-7b-hf"), (16, "nf4", "llava-hf/llava-1.5-7b-hf"),
        (8, "none", "HuggingFaceTB/SmolVLM-Instruct"), (16, "none", "Qwen/Qwen3-VL-4B-Instruct"),
        (24, "none", "llava-hf/llava-1.5-7b-hf"),
    ],
)  # fmt: skip
def test_what_fits_the_memory_is_recommended(gigabytes, quantization, wanted) -> None:
    assert catalog.recommend(gigabytes * catalog.GIGABYTE, quantization) == wanted


def test_auto_on_a_cpu_is_the_embedded_model() -> None:
    assert "embedded model is missing from assets/pocket" in _error("auto")


def test_a_missing_network_is_one_sentence_with_a_way_out(monkeypatch) -> None:
    import transformers

    def unreachable(*_args, **_options):
        raise OSError("We couldn't connect to 'the hub' to load the files, and\ncouldn't find them. See https://x/y")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unreachable)
    sentence = _error("llava-hf/llava-1.5-7b-hf", "nf4")
    assert "cannot be reached" in sentence
    assert sentence.endswith("--model pocket")
    assert "http" not in sentence


def test_a_name_that_is_none_is_said() -> None:
    assert "neither a folder nor a name" in _error("/nowhere/at/all")


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "instructblip", "text_config": {"model_type": "t5", "is_encoder_decoder": True}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "encoder-decoder" in _error(str(tmp_path))


def test_a_checkpoint_without_a_chat_template_is_refused_or_speaks_as_its_family(tmp_path: Path) -> None:
    for kind in ("llava_next", "smolvlm"):
        checkpoint = Path(shutil.copytree(folder(kind), tmp_path / kind))
        (checkpoint / "chat_template.jinja").unlink()
        assert "no chat template" in _error(str(checkpoint))
    checkpoint = Path(shutil.copytree(tiny.folder("llava"), tmp_path / "llava"))
    (checkpoint / "chat_template.jinja").unlink()
    model = catalog.load(str(checkpoint), "none", "cpu", tmp_path)[0]
    assert model.chat("Is it?") == "USER: <image>\nIs it? ASSISTANT:"
    (checkpoint / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages[0].content.strip() }}"}))
    assert "no place for a photo" in _error(str(checkpoint))
    (checkpoint / "chat_template.json").write_text(json.dumps({"chat_template": "<image> {{ messages[0].role }}"}))
    assert catalog.load(str(checkpoint), "none", "cpu", tmp_path)[0].chat("x") == "<image> user"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_checkpoint_that_is_quantized_already_stays_as_it_is(kind, quantization, tmp_path: Path) -> None:
    model, notice = catalog.load(str(folder(kind)), quantization, "cpu", tmp_path)
    assert model.quantization == quantization
    assert notice == ""
    checkpoint = Path(shutil.copytree(folder(kind), tmp_path / "made"))
    (checkpoint / "model.safetensors").unlink()
    model.model.save_pretrained(checkpoint)
    again, notice = catalog.load(str(checkpoint), "nf4", "cpu", tmp_path)
    assert again.quantization == quantization
    assert ("quantized already (int8)" in notice) == (quantization == "int8")
    answers = [
        run(m, m.encode_image(photo()), OPEN, [Baseline()], max_new_tokens=6)["baseline"].ids for m in (model, again)
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 6


def test_a_checkpoint_with_a_coarse_tower_says_so(tmp_path: Path, monkeypatch) -> None:
    kind = "llava_next"
    with monkeypatch.context() as patch:
        patch.setattr(type(lvlm(kind)), "dense_modules", ("lm_head",))
        model, _ = catalog.load(str(folder(kind)), "nf4", "cpu", tmp_path)
        assert any("vision_tower" in name for name in quantize.quantized_linears(model.model))
    checkpoint = Path(shutil.copytree(folder(kind), tmp_path / "made"))
    (checkpoint / "model.safetensors").unlink()
    model.model.save_pretrained(checkpoint)
    coarse, notice = catalog.load(str(checkpoint), "nf4", "cpu", tmp_path)
    assert "quantized layers outside the decoder" in notice
    dense = lvlm(kind).projector("adavib").state_dict()  # another projector stays dense beside a quantized one
    assert all(torch.equal(value, dense[key]) for key, value in coarse.projector("adavib").state_dict().items())


def test_spaces_of_hub_models_lie_in_assets(tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(tiny.folder("llava"), tmp_path / "model"))
    assets = tmp_path / "assets" / str(checkpoint).replace("/", "--")
    assets.mkdir(parents=True)
    shutil.move(checkpoint / "hallu_space.safetensors", assets)
    shutil.move(checkpoint / "projector-adavib.safetensors", assets)
    model = catalog.load(str(checkpoint), "none", "cpu", tmp_path / "assets")[0]
    assert list(model.spaces) == ["default"]
    assert list(model.projectors) == ["adavib"]


def test_every_other_type_of_transformers_is_refused_with_a_way_out() -> None:
    """The kind: a person is told what cannot be loaded, and not what can."""
    from types import SimpleNamespace

    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as TYPES

    from halluapp.lvlm.loading import family_of

    others = [kind for kind in TYPES if kind not in FAMILIES]
    assert len(others) > 50
    for kind in others:
        with pytest.raises(InputError, match=rf"a {kind} model, .* \(.+\); use for example [\w-]+/[\w.-]+ ") as caught:
            family_of(SimpleNamespace(model_type=kind), "a checkpoint")
        assert str(caught.value).count(". ") == 0


def test_a_pixtral_in_the_llava_class_is_its_own_family(tmp_path) -> None:
    """The kind: a checkpoint whose prompts need more than the family puts there is answered as if they did not."""
    from transformers import AutoConfig, LlavaConfig, MistralConfig, PixtralVisionConfig

    from halluapp.lvlm.families.pixtral import Pixtral
    from halluapp.lvlm.loading import family_of

    LlavaConfig(
        vision_config=PixtralVisionConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2),
        text_config=MistralConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2),
    ).save_pretrained(tmp_path)
    assert family_of(AutoConfig.from_pretrained(tmp_path), "a checkpoint").lvlm_class() is Pixtral
