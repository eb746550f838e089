"""A session around a loaded model gives the tokens of `compare --model`; the notebook of the documents runs."""

from __future__ import annotations

import ast
import base64
import json
import sys
from pathlib import Path

import pytest
import tiny
import tiny_families
import torch
import transformers
from tiny import OPEN
from tiny_adapters import trained_adapter
from tiny_sessions import DogDetector

import halluapp
from halluapp.cli import main
from halluapp.errors import InputError
from halluapp.lvlm.quantize import quantized_linears
from halluapp.session import Session as BaseSession

ROOT = Path(__file__).resolve().parents[3]


def loaded(kind: str, quantization: str):
    """A model of transformers and its processor, loaded without halluapp."""
    family = tiny if kind in tiny.KINDS else tiny_families
    folder = family.folder(kind)
    options = {}
    if quantization == "nf4":
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32, llm_int8_skip_modules=list(family.lvlm(kind).dense_modules),
        )  # fmt: skip
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, **options)
    own = family.lvlm(kind)
    processor = tiny.processor(own) if family is tiny else tiny_families.processor(kind, own)
    processor.chat_template = own.tokenizer.chat_template
    return model, processor, folder


@pytest.mark.parametrize(
    ("kind", "quantization"), [("llava", "none"), ("llava", "nf4"), ("qwen2_5_vl", "none"), ("instructblip", "none")]
)
def test_a_loaded_model_gives_the_tokens_of_the_command_line(kind, quantization, tmp_path, capsys) -> None:
    model, processor, folder = loaded(kind, quantization)
    session = halluapp.Session(model, processor, DogDetector())
    assert isinstance(session, BaseSession)
    assert session.lvlm.quantization == quantization
    assert bool(quantized_linears(model)) == (quantization == "nf4")
    assert session.lvlm.tokenizer is not processor.tokenizer
    photo = tmp_path / "photo.png"
    tiny_families.photo().save(photo)
    report = session.compare(photo, OPEN, max_new_tokens=5)
    words = ["compare", str(photo), "--prompt", OPEN, "--model", str(folder), "--quantization", quantization]
    assert main.main([*words, "--max-new-tokens", "5", "--json", str(tmp_path / "theirs.json")]) == 0
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    assert [panel["text"] for panel in theirs["panels"]] == list(report.texts.values())
    for mine, other in zip(report.values["panels"], theirs["panels"], strict=True):
        assert [token["id"] for token in mine["tokens"]] == [token["id"] for token in other["tokens"]]
        assert mine["tokens"]
    assert session.generate(photo, OPEN, method="vdd", max_new_tokens=5) == report.texts["vdd"]


def session_of_tiny() -> halluapp.Session:
    return halluapp.Session(*loaded("llava", "none")[:2], DogDetector())


def test_a_report_shows_itself_and_comes_back_from_its_file(tmp_path) -> None:
    report = session_of_tiny().compare(tiny.photo(), OPEN, methods=["baseline", "vdd"], max_new_tokens=4)
    assert list(report.texts) == ["baseline", "vdd"]
    page = report._repr_html_()
    assert page.startswith("<iframe sandbox")
    assert base64.b64encode(report.photo).decode() in page
    assert "<script" not in page
    again = halluapp.Report.load(report.save(tmp_path / "new" / "report.json"))
    assert again.values == report.values
    assert again.photo == report.photo
    assert again._repr_html_() == page
    assert "data:image/jpeg" in report.save(tmp_path / "report.html").read_text()
    with pytest.raises(InputError):
        halluapp.Report.load(tmp_path / "report.html")
    table = report.to_pandas()
    assert list(table["method"]) == ["baseline", "vdd"]
    assert list(table["tokens"]) == [4, 4]
    assert dict(zip(table["method"], table["text"], strict=True)) == report.texts


def test_a_table_without_pandas_is_one_sentence(monkeypatch) -> None:
    report = halluapp.Report({"panels": []})
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pandas"):
        report.to_pandas()


def test_what_cannot_be_a_session_is_said() -> None:
    model, processor, _ = loaded("llava", "none")
    bert = transformers.BertModel(transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9))  # fmt: skip
    cases = (
        ((object(),), "loaded model of transformers"), ((bert, processor), "bert"),
        ((model,), "processor too"), ((model, processor.tokenizer), "processor too"),
        ((model.model, processor), "load it as LlavaForConditionalGeneration"),
        (("pocket", processor), "brings its own"),
    )  # fmt: skip
    for arguments, expected in cases:
        with pytest.raises(InputError, match=expected):
            halluapp.Session(*arguments, detector=DogDetector())
    with pytest.raises(InputError, match="HalluSpace"):
        session = session_of_tiny()
        session.lvlm.spaces.clear()
        session.generate(tiny.photo(), OPEN, method="nullu")


def test_an_adapter_becomes_a_method(tmp_path) -> None:
    import peft

    trained_adapter("llava", "none", tmp_path / "mine" / "adapter", rank=4)
    session = session_of_tiny()
    method = session.add_adapter(tmp_path / "mine")
    assert method == "adapter:mine"
    texts = session.compare(tiny.photo(), OPEN, methods=["baseline", method], max_new_tokens=6).texts
    assert texts[method] != texts["baseline"]
    wrapped = peft.get_peft_model(session.lvlm.model, peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(InputError, match="adapters of peft"):
        halluapp.Session(wrapped, loaded("llava", "none")[1])


@pytest.mark.slow
def test_the_notebook_of_the_documents_runs() -> None:
    """Every code cell, in order, in one namespace; what a cell shows last must be able to show itself."""
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "notebook", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "notebook", "eval"), names))
        assert not cell["outputs"]
    session, report, texts, table, equal, text, own = shown
    assert report._repr_html_()
    assert list(texts) == list(table["method"]) == ["baseline", "nullu", "vdd"]
    assert equal
    assert text
    assert isinstance(session, halluapp.Session)
    assert own["baseline"]
