"""The page docs/add-a-model-family.md keeps its promise: its file and its line load and decode a ViP-LLaVA."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import tiny
import torch
import transformers
from tiny import OPEN, YES_NO, hooks, photo, run

from halluapp.decoding.views import Views
from halluapp.lvlm import catalog, families
from halluapp.lvlm.base import LVLM, HalluSpace
from halluapp.lvlm.families.vip_llava import VipLlava
from halluapp.lvlm.quantize import quantized_linears
from halluapp.methods.registry import create

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "add-a-model-family.md").read_text(encoding="utf-8")
PANELS = ("baseline", "nullu", "vdd", "calibration", "vcd", "dola", "deco", "pai")


def test_the_page_shows_the_family_as_it_is() -> None:
    written = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    assert written == Path(sys.modules[VipLlava.__module__].__file__).read_text(encoding="utf-8")
    kind, names = re.search(r'^ +"(\w+)": Family\((.*)\),$', PAGE, re.MULTILINE).groups()
    assert families.FAMILIES[kind] == families.Family(*re.findall(r'"(\w+)"', names))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkpoint of a tiny ViP-LLaVA, without a chat template of its own; its projector reads two layers."""
    folder, tokenizer = tmp_path_factory.mktemp("vip") / "tiny", tiny.tokenizer()
    ids = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    torch.manual_seed(0)
    model = transformers.VipLlavaForConditionalGeneration(transformers.VipLlavaConfig(
        vision_config=transformers.CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=24,
            patch_size=8,
        ),
        text_config=transformers.LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, **ids,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=(-2, -3),
    ))  # fmt: skip
    with torch.no_grad():  # weights so large that logits differ clearly
        for weight in (weight for weight in model.parameters() if weight.dim() > 1):
            weight.normal_(0, 1.5 / weight[0].numel() ** 0.5)
        model.get_input_embeddings().weight.normal_(0, 1.0)
        model.get_output_embeddings().weight.normal_(0, 0.4)
    for key, value in ids.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
    plain = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, **tokenizer.special_tokens_map)
    plain.save_pretrained(folder)
    transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}
    ).save_pretrained(folder)
    space = {layer: torch.linalg.qr(torch.randn(64, 6))[0] for layer in range(2)}
    catalog.save_space(HalluSpace(space, {"pairs": 0}), folder / "hallu_space.safetensors")
    return folder


@pytest.fixture(scope="module", params=["none", "nf4"])
def lvlm(request, folder) -> LVLM:
    model = catalog.load(str(folder), request.param, "cpu", Path("nowhere"))[0]
    assert isinstance(model, VipLlava)
    assert model.quantization == request.param
    return model


def test_the_baseline_is_what_transformers_generates(lvlm) -> None:
    processor = transformers.LlavaProcessor(
        lvlm.image_processor, lvlm.tokenizer, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )  # fmt: skip
    for seed, prompt in enumerate((OPEN, YES_NO)):
        text = f"###Human: <image>\n{prompt}###Assistant:"
        inputs = dict(processor(text=text, images=photo(seed), return_tensors="pt"))
        output = lvlm.model.generate(**inputs, do_sample=False, max_new_tokens=12)
        answer = run(lvlm, Views(lvlm, photo(seed)), prompt, [create("baseline")], max_new_tokens=12)["baseline"]
        assert answer.ids == output[0, inputs["input_ids"].shape[1] :].tolist()


def test_one_batch_equals_each_method_alone(lvlm) -> None:
    methods, views = [create(name) for name in PANELS], Views(lvlm, photo())
    together = run(lvlm, views, OPEN, methods, max_new_tokens=10)
    for method in methods:
        alone = run(lvlm, views, OPEN, [method], max_new_tokens=10)[method.name]
        assert alone.ids == together[method.name].ids, method.name
    assert len({tuple(answer.ids) for answer in together.values()}) > 3
    assert hooks(lvlm) == 0


def test_only_the_decoder_is_quantized_and_the_views_without_the_photo_hold_none_of_it(lvlm) -> None:
    names = quantized_linears(lvlm.model)
    assert len(names) == (14 if lvlm.quantization == "nf4" else 0)
    assert all(name.startswith("model.language_model.") for name in names)
    image, none, unk = (lvlm.prompt_ids(OPEN, view) for view in ("photo", "none", "unk"))
    assert image.count(lvlm.image_token) == 1
    assert lvlm.image_token not in none + unk
    assert len(none) + 1 == len(unk) == len(image)
    assert lvlm.image_length(lvlm.encode_image(photo()), OPEN) == 9


def test_the_page_names_members_that_exist() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)", row) if name != "member"]
    assert len(names) > 15
    for name in names:
        assert hasattr(LVLM, name), name
