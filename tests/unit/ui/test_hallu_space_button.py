"""The page's one click for Nullu: progress, a file where the model looks for it, and the panel that follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny import OPEN, folder, photo

from halluapp.lvlm import catalog
from halluapp.request import make_request
from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.ui import app
from halluapp.ui.compare import hallu_space_button


@pytest.fixture
def models(tmp_path) -> Models:
    """A checkpoint without a HalluSpace, and shipped pairs."""
    checkpoint, assets = tmp_path / "my model", tmp_path / "assets"
    shutil.copytree(folder("llava"), checkpoint)
    (checkpoint / "hallu_space.safetensors").unlink()
    (assets / "pairs").mkdir(parents=True)
    for name in ("pocket", "presence"):
        (assets / name).symlink_to(Settings.assets / name)
    rows = []
    for number, word in enumerate(("dog", "cat", "car", "horse", "fox", "man", "bench", "street", "letter", "animal")):
        photo(number).save(assets / f"pairs/{number}.png")
        wrong = f"Two people and a {word} and a red car."
        rows.append({"image": f"{number}.png", "question": OPEN, "chosen": f"A {word}.", "rejected": wrong})
    (assets / "pairs/pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Models(Settings(model=str(checkpoint), quantization="none", assets=assets, detector="pocket", threads=1))


def panels(models: Models) -> dict:
    *_, done = models.stream(make_request(photo(), OPEN, ["baseline", "nullu"], max_new_tokens=3))
    return {panel["method"]: panel for panel in done.report["panels"]}


def test_a_click_makes_what_nullu_lacked(models):
    assert "halluspace" in panels(models)["nullu"]["error"]
    shown = list(hallu_space_button.compute(models, " "))
    lines = [line["value"] for _, line in shown if line.get("value")]
    assert lines[1] == "Pair 1 of 10…"
    assert lines[-2] == "Pair 10 of 10…"
    assert shown[0][0]["interactive"] is False
    assert shown[-1][0]["interactive"] is True
    file = Path(models.settings.model) / "hallu_space.safetensors"
    assert lines[-1].startswith(f"Done: {file}.")
    assert catalog.load_space(file).about["pairs"] == 10
    assert panels(models)["nullu"]["error"] is None
    again = [line["value"] for _, line in hallu_space_button.compute(models, "") if line.get("value")]
    assert "already, of 10 pairs" in again[-1]


def test_bad_pairs_are_one_sentence_and_the_button_works_again(models, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    for path, words in (("no/such/folder", "There are no pairs"), (f" {empty} ", "empty.jsonl holds no pairs")):
        button, line = list(hallu_space_button.compute(models, path))[-1]
        assert button["interactive"] is True
        assert line["value"].startswith(words)
        assert "\n" not in line["value"]


def test_the_button_is_not_on_a_public_server():
    ids = [
        {block.elem_id for block in app.build(Settings(exposed=exposed, training="off")).blocks.values()}
        for exposed in (False, True)
    ]
    assert ["hallu-space" in found for found in ids] == [True, False]
