"""The page docs/add-a-method.md keeps its promise: its file, registered, is a method everywhere."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from tiny import OPEN, folder, lvlm, photo, run, views

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.methods.base import Intervention, Row
from halluapp.methods.registry import METHODS, create, defaults, stacks
from halluapp.request import make_request
from halluapp.settings import Settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "add-a-method.md"


@pytest.fixture
def blindfold(tmp_path, monkeypatch):
    """The page's file as a module of its own, and the page's line."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    path = tmp_path / "met_blindfold.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("met_blindfold", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "met_blindfold", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setitem(METHODS, "blindfold", module.Blindfold)
    return module.Blindfold


def test_python(blindfold) -> None:
    assert create("blindfold", alpha=2).alpha == 2
    assert "blindfold" not in defaults()
    assert {"nullu+blindfold", "adavib+blindfold"} <= set(stacks())
    with pytest.raises(InputError, match="alpha"):
        create("blindfold", alpha=99)
    request = make_request(photo(), OPEN, ["baseline", "blindfold", "nullu+blindfold"])
    methods = [*request.methods, create("vcd")]
    answers = run(lvlm(), views("llava", "none"), OPEN, methods, max_new_tokens=6)
    assert answers["blindfold"].end.forward_passes == 12
    assert answers["blindfold"].events[0].token.p_reference is not None
    assert len({tuple(answers[name].ids) for name in ("baseline", "blindfold", "nullu+blindfold")}) == 3
    idle = run(lvlm(), views("llava", "none"), OPEN, [blindfold(alpha=0.0)], max_new_tokens=6)
    assert idle["blindfold"].ids == answers["baseline"].ids


def test_command_line(blindfold, tmp_path, capsys) -> None:
    path, out = tmp_path / "photo.png", tmp_path / "out.json"
    photo().save(path)
    arguments = ["--methods", "baseline,blindfold", "--set", "blindfold.alpha=0.5", "--max-new-tokens", "3"]
    model = ["--model", str(folder("llava")), "--quantization", "none", "--json", str(out)]
    assert cli.main(["compare", str(path), "--prompt", OPEN, *arguments, *model]) == 0
    panel = json.loads(out.read_text())["panels"][1]
    assert panel["method"] == "blindfold"
    assert panel["parameters"] == {"alpha": 0.5, "beta": 0.1}
    assert panel["tokens"]
    assert "blindfold" in capsys.readouterr().out


def test_page_and_api(blindfold) -> None:
    from halluapp.ui import app

    page = app.build(Settings(port=0))
    named = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    assert ("Blindfold", "blindfold") in named["methods"].choices
    assert "blindfold" not in named["methods"].value
    assert {"blindfold-alpha", "blindfold-beta"} <= set(named)
    assert named["blindfold-alpha"].maximum == 3.0
    assert ("Nullu + Blindfold", "nullu+blindfold") in named["stacked"].choices
    schema = page.get_api_info()["named_endpoints"]["/compare"]
    assert "blindfold" in json.dumps(schema)


def test_the_page_lists_every_field_of_a_row_and_of_an_intervention() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) == {item.name for kind in (Row, Intervention) for item in fields(kind)}
