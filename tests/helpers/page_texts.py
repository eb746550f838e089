"""Every text of ours that the page can show, as the tests of its second language read them out of the sources."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from halluapp.methods.registry import METHODS
from halluapp.training import recipes

PACKAGE = Path(__file__).resolve().parents[2] / "halluapp"
MODULES = (
    *(
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in sorted((PACKAGE / "ui").rglob("texts.py"))
    ),
    "halluapp.ui.compare.hallu_space_button", "halluapp.serving.lane", "halluapp.serving.uploads",
    "halluapp.serving.models.choices", "halluapp.serving.models.switch",
)  # fmt: skip
ATTRIBUTES = ("aria-label", "title", "placeholder", "alt")
WORDS = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
SENTENCE = re.compile(r"[A-Za-z]{2}")
SELECTOR = re.compile(r"[.#\[]|use strict$|\w+(?: [+>]? ?\w+)* \+ |\w+: \w+\($")
JS_STRING = re.compile(r'"((?:\\.|[^"\\\n])*)"')


def normal(text: str) -> str:
    """The text as it is a key of the table: {names} without formats, one space where the source had many."""
    return re.sub(r"\{(\w*)[^{}]*\}", r"{\1}", " ".join(text.split()))


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def of_value(value: Any) -> Iterator[str]:
    """Texts in a constant: a text, a tuple, or the values of a dictionary."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from of_value(item)
    elif isinstance(value, dict):
        yield from of_value(list(value.values()))


def of_module(name: str) -> Iterator[str]:
    """Texts of the constants that a module itself defines."""
    module = importlib.import_module(name)
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    for constant, value in vars(module).items():
        if constant.isupper() and re.search(rf"\b{constant}\b.*=", source):
            # Elsewhere constants are codes as well: there a text has two words.
            yield from (text for text in of_value(value) if name.startswith("halluapp.ui.") or WORDS.search(text))


def of_methods() -> Iterator[str]:
    """What is said of methods, recipes and their parameters."""
    for method in METHODS.values():
        yield from (method.title, method.summary, method.reference_description)
        for item in fields(method):
            yield from (item.metadata["label"], item.metadata["help"])
    for kind, recipe in recipes.RECIPES.items():
        yield from (recipe.title, recipe.__doc__ or "", *recipes.PRESETS[kind])
        for item in fields(recipe):
            if item.metadata:
                yield from (item.metadata["label"], item.metadata["help"])


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value or "" for name, value in attrs if name in ATTRIBUTES]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def of_templates() -> Iterator[str]:
    """Texts and names in the components' markup."""
    for path in sorted((PACKAGE / "ui").rglob("template.html")):
        markup = _Markup()
        markup.feed(path.read_text(encoding="utf-8"))
        yield from markup.texts


def of_scripts() -> Iterator[str]:
    """The components' tables of texts: every string of a texts.js."""
    for path in sorted((PACKAGE / "ui").rglob("texts.js")):
        code = re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        code = re.sub(r'"\s*\+\s*"', "", code)  # a text over two lines
        yield from (match.replace('\\"', '"') for match in JS_STRING.findall(code))


def of_literals() -> Iterator[tuple[str, str]]:
    """(script, piece of a sentence) of every string with two words in the components' scripts; texts.js apart."""
    for path in sorted((PACKAGE / "ui").rglob("*.js")):
        if path.name == "texts.js" or path.parent.name in ("language", "theme_switch"):
            continue
        code = re.sub(r"//.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for literal in map(str.strip, JS_STRING.findall(code)):
            if WORDS.search(literal) and not SELECTOR.match(literal):
                yield path.relative_to(PACKAGE).as_posix(), literal.replace('\\"', '"')
