"""The page's second language: every text of ours has its Chinese, with the same {names}, and nothing else is there."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import page_texts
import pytest

from halluapp.methods.registry import METHODS
from halluapp.training import recipes
from halluapp.ui import language, texts

# Names, formulas and units that are the same in both languages; prompts are what the model reads.
NAMES = frozenset(
    """halluapp Nullu AdaVIB CHiP HACL VDD VCD ICD M3ID PAI DoLa DeCo DPO IPO Alpha Beta Dropout Top-p HalluSpace MB EN
    @children HTML ZIP JSON A-D unk mlp yes/no""".split()
)
# Shown as numbers or wholly made of other texts, which are translated by themselves.
ASSEMBLED = frozenset(
    {
        "{label}: {before} → {after}",
        "{verdict}: {reason}",
        "{name} · {precision} · {dtype} · {detector}{notice}",
        "warm-up",
        "step {step} · {number} {value}",
    }
)
CODE = frozenset({"box lit", "line raw", "noopener noreferrer"})  # classes and attributes
TABLE = language.table()
HAN = re.compile(r"[\u4e00-\u9fff]")


def page() -> dict[str, str]:
    """Text -> where it stands, of everything that needs a translation."""
    sources = {name: list(page_texts.of_module(name)) for name in page_texts.MODULES}
    sources |= {
        "methods and recipes": list(page_texts.of_methods()),
        "template.html": list(page_texts.of_templates()),
        "texts.js": list(page_texts.of_scripts()),
    }
    found = {}
    for source, values in sources.items():
        for text in map(page_texts.normal, values):
            if page_texts.SENTENCE.search(text) and text not in NAMES | ASSEMBLED and text not in texts.PROMPTS:
                found.setdefault(text, source)
    return found


def test_every_text_of_the_page_has_its_chinese():
    missing = [f"{source}: {json.dumps(text)}" for text, source in page().items() if text not in TABLE]
    assert not missing, "add to halluapp/ui/language/zh-CN:\n" + "\n".join(missing)


def test_every_choice_of_a_setting_has_its_chinese():
    kinds = [*METHODS.values(), *recipes.RECIPES.values()]
    choices = {one for kind in kinds for item in fields(kind) for one in item.metadata.get("choices") or ()}
    assert sorted(choices - set(TABLE) - NAMES) == []


def test_every_sentence_in_a_script_is_part_of_a_text_that_has_its_chinese():
    keys = "\n".join(TABLE)
    missing = [
        f"{script}: {text}" for script, text in page_texts.of_literals() if text not in keys and text not in CODE
    ]
    assert not missing, "add what they belong to:\n" + "\n".join(missing)


def test_both_languages_name_the_same_things():
    for english, chinese in TABLE.items():
        assert page_texts.placeholders(english) == page_texts.placeholders(chinese), english
        assert english == page_texts.normal(english), f"{english!r} is no key: one space, {{names}} without formats"


def test_translations_are_chinese():
    for english, chinese in TABLE.items():
        words = re.sub(r"\{\w+\}", "", english)
        assert HAN.search(chinese) or not re.search(r"[A-Za-z]{3}", words), english


def test_no_text_stands_in_two_files():
    keys = [key for file in language.CHINESE.glob("*.json") for key, _ in pairs(file.read_text(encoding="utf-8"))]
    twice = {key for key in keys if keys.count(key) > 1}
    assert not twice


def pairs(source: str) -> list[tuple[str, str]]:
    """(English, Chinese) of a file, equal keys twice."""
    return json.loads(source, object_pairs_hook=list)


def test_the_script_of_the_head_cannot_be_left(monkeypatch):
    monkeypatch.setattr(language, "table", lambda: {"</script><b>": "</SCRIPT>"})
    head = language.head()
    assert head.count("</") == 1
    assert head.endswith("</script>")


@pytest.mark.parametrize("name", ["pure.js", "head.js"])
def test_scripts_name_the_table_once(name):
    source = (language.FOLDER / name).read_text(encoding="utf-8")
    assert source.count("CHINESE_TABLE") == (name == "head.js")
