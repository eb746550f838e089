"""Checkpoints as people have them: none of their code runs, and what cannot be loaded is said before it is built."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from pathlib import Path

import pytest
import tiny
import tiny_families
import torch
from tiny import OPEN

import halluapp
from halluapp.errors import InputError
from halluapp.lvlm import catalog, loading
from halluapp.lvlm.families import FAMILIES, foreign

TEXT_ONLY = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def sentence(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        catalog.load(str(folder), "nf4", "cpu", folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def checkpoint(folder: Path, **values) -> Path:
    """A folder with a config.json and code of its own that would tell on itself."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    for name in ("configuration_x", "modeling_x", "tokenization_x"):
        (folder / f"{name}.py").write_text("import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n")
    return folder


AUTO = {"AutoConfig": "configuration_x.XConfig", "AutoModelForCausalLM": "modeling_x.X"}
REFUSED = [
    ({"model_type": "qwen", "architectures": ["QWenLMHeadModel"], "auto_map": AUTO}, "QWenLMHeadModel", "Qwen2.5-VL"),
    ({"model_type": "minicpmv", "architectures": ["MiniCPMV"], "auto_map": AUTO}, "MiniCPMV", "Qwen3-VL"),
    (
        {"model_type": "internvl_chat", "architectures": ["InternVLChatModel"], "auto_map": AUTO},
        "InternVLChat",
        "Qwen3",
    ),
    ({"model_type": "internvl_chat", "auto_map": AUTO}, "InternVLChatModel", "Qwen3"),
    ({"model_type": "somebodys", "architectures": ["SomebodysVL"], "auto_map": AUTO}, "SomebodysVL", "never run"),
    ({"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"]}, "LlavaLlama", "llava-1.5-7b-hf"),
    ({"model_type": "llava_llama"}, "LlavaLlamaForCausalLM", "llava-1.5-7b-hf"),
    ({"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "hidden_size": 4096}, "LlavaLlama", "-hf"),
    ({"model_type": "llava_mistral", "mm_vision_tower": "clip"}, "LlavaMistral", "llava-v1.6-mistral-7b-hf"),
    ({"model_type": "llava", "architectures": ["MyLlava"], "mm_vision_tower": "clip"}, "LlavaLlama", "-hf"),
    ({"model_type": "llava", "hidden_size": 4096, "num_hidden_layers": 32}, "neither tower nor decoder", "Qwen3-VL"),
    ({"model_type": "bert"}, "bert", "families"),
]


@pytest.mark.parametrize(("values", "name", "way_out"), REFUSED)
def test_foreign_checkpoints_are_named_and_none_of_their_code_runs(
    values, name, way_out, tmp_path, monkeypatch
) -> None:
    """Kind: "run the custom code? [y/N]" at a terminal, and a 7B default that is built before it is refused."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question at the terminal"))
    folder = checkpoint(tmp_path / "model", **values)
    said = sentence(folder)
    assert name in said
    assert way_out in said
    assert not list(folder.glob("*.ran"))
    assert not [module for module in sys.modules if "modeling_x" in module]
    if values["model_type"] != "bert":  # whose configuration alone can be read
        with pytest.raises(InputError, match=name):
            loading.configuration(folder)


def test_code_of_a_tokenizer_and_a_detector_does_not_run_either(tmp_path, monkeypatch) -> None:
    from halluapp.grounding.detectors.transformers import TransformersDetector

    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question at the terminal"))
    folder = Path(shutil.copytree(tiny.folder("llava"), tmp_path / "model"))
    checkpoint(folder, **json.loads((folder / "config.json").read_text()), auto_map=AUTO)
    values = json.loads((folder / "tokenizer_config.json").read_text())
    values["auto_map"] = {"AutoTokenizer": ["tokenization_x.X", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(values))
    assert catalog.load(str(folder), "none", "cpu", tmp_path)[0].prompt_ids(OPEN, "photo")
    assert not list(folder.glob("*.ran"))
    auto_map = {"AutoConfig": "configuration_x.X", "AutoModelForObjectDetection": "modeling_x.X"}
    folder = checkpoint(tmp_path / "detector", model_type="boxes", architectures=["Boxes"], auto_map=auto_map)
    with pytest.raises(InputError, match="detector"):
        TransformersDetector(folder)
    assert not list(folder.glob("*.ran"))


def test_remote_code_is_forbidden_wherever_something_is_loaded() -> None:
    """Every `from_pretrained` of an Auto class or of a model; image processors are classes of transformers."""
    for path in Path(halluapp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "from_pretrained":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                renamed = ast.unparse(node.func).startswith("getattr(transformers, ")  # a class of its own, by name
                assert renamed or options.get("trust_remote_code") == "False", f"{path}: {ast.unparse(node)}"


def test_every_foreign_class_has_a_way_out_that_can_be_loaded() -> None:
    known = {model.id for model in catalog.CATALOG}
    assert {other for _, other in foreign.FOREIGN.values()} | {foreign.ANY, *foreign.NEAREST.values()} <= known
    assert set(foreign.CLASSES.values()) <= set(foreign.FOREIGN)
    assert not {*foreign.CLASSES, *foreign.NEAREST, *foreign.CAUSES} & set(FAMILIES)


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl"])
def test_a_template_for_text_alone_does_not_hide_the_processors(kind, tmp_path) -> None:
    """Kind: exports whose tokenizer has the language model's template and whose processor has the right one."""
    family = tiny if kind == "llava" else tiny_families
    folder = Path(shutil.copytree(family.folder(kind), tmp_path / kind))
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    values = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**values, "chat_template": TEXT_ONLY}))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    lvlm = catalog.load(str(folder), "none", "cpu", tmp_path)[0]
    assert lvlm.prompt_ids(OPEN, "photo") == family.lvlm(kind).prompt_ids(OPEN, "photo")
    # The other way round: the processor's is for text alone, the tokenizer's is not.
    (folder / "tokenizer_config.json").write_text(json.dumps({**values, "chat_template": template}))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEXT_ONLY}))
    lvlm = catalog.load(str(folder), "none", "cpu", tmp_path)[0]
    assert lvlm.prompt_ids(OPEN, "photo") == family.lvlm(kind).prompt_ids(OPEN, "photo")


def test_the_network_is_blamed_only_where_the_hub_was_asked(tmp_path) -> None:
    folder = Path(shutil.copytree(tiny.folder("llava"), tmp_path / "model"))
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    said = sentence(folder)
    assert "the network" not in said
    assert "check the files in that folder" in said
    with pytest.raises(InputError, match="check the name or folder"):
        loading.configuration("/nowhere/at/all")


def test_early_preprocessor_files_of_qwen_are_read(tmp_path) -> None:
    """Kind: a class of image processors that was renamed after the first checkpoints."""
    folder = Path(shutil.copytree(tiny_families.folder("qwen2_5_vl"), tmp_path / "model"))
    values = json.loads((folder / "preprocessor_config.json").read_text())
    size = values.pop("size")
    values |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    for kind in ("Qwen2_5_VLImageProcessor", "Qwen2_5_VLImageProcessorFast"):
        (folder / "preprocessor_config.json").write_text(json.dumps({**values, "image_processor_type": kind}))
        lvlm = catalog.load(str(folder), "none", "cpu", tmp_path)[0]
        pixels = tiny_families.lvlm("qwen2_5_vl").pixels(tiny_families.photo())
        assert torch.equal(lvlm.pixels(tiny_families.photo())["pixel_values"], pixels["pixel_values"])


def test_a_checkpoints_own_penalty_is_mentioned_and_not_applied(tmp_path) -> None:
    folder = Path(shutil.copytree(tiny.folder("llava"), tmp_path / "model"))
    values = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**values, "repetition_penalty": 1.05}))
    lvlm, notice = catalog.load(str(folder), "none", "cpu", tmp_path)
    assert "repetition penalty of 1.05" in notice
    methods = [tiny_baseline()]
    answers = [tiny.run(m, m.encode_image(tiny.photo()), OPEN, methods, max_new_tokens=6) for m in (lvlm, tiny.lvlm())]
    assert answers[0]["baseline"].ids == answers[1]["baseline"].ids


def tiny_baseline():
    from halluapp.methods.registry import Baseline

    return Baseline()


def test_instructblip_of_2023_is_loaded_and_its_unk_is_unk(tmp_path) -> None:
    """Kind: a configuration without image_token_index; a tokenizer that calls </s> its unknown token."""
    folder = Path(shutil.copytree(tiny_families.folder("instructblip"), tmp_path / "model"))
    values = json.loads((folder / "config.json").read_text())
    values.pop("image_token_index")
    (folder / "config.json").write_text(json.dumps(values))
    lvlm, newer = catalog.load(str(folder), "none", "cpu", tmp_path)[0], tiny_families.lvlm("instructblip")
    seen = [model.encode_image(tiny_families.photo()) for model in (lvlm, newer)]
    answers = [tiny.run(m, image, OPEN, [tiny_baseline()], max_new_tokens=6)["baseline"].ids
               for m, image in zip((lvlm, newer), seen, strict=True)]  # fmt: skip
    assert answers[0] == answers[1]
    lvlm.tokenizer.unk_token = lvlm.tokenizer.eos_token
    lvlm.tokenizer.add_tokens(["<unk>"])
    assert lvlm.unknown_token == lvlm.tokenizer.get_vocab()["<unk>"] != lvlm.tokenizer.eos_token_id
    assert lvlm.unknown_note == ""
