"""What a report says to do about missing weights is done, word by word, on a published checkpoint's skeleton."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
import skeletons
import tiny

from halluapp.cli import main as cli
from halluapp.session import unload_all

PAIRS = 8
SHORT = ["--steps", "1", "--batch", "2", "--held-out", "0.2", "--sample-every", "500", "--evaluate-every", "500"]


def panels(photo, checkpoint, out) -> dict:
    unload_all()  # as in a process of its own
    words = ["compare", str(photo), "--prompt", "Is there a dog?", "--model", str(checkpoint), "--quantization", "none"]
    assert cli.main([*words, "--methods", "nullu,adavib", "--max-new-tokens", "2", "--json", str(out)]) == 0
    return {panel["method"]: panel for panel in json.loads(out.read_text(encoding="utf-8"))["panels"]}


@pytest.mark.slow
def test_directions_lead_to_panels(tmp_path, monkeypatch):
    """The kind: a sentence whose command writes a file that is never looked for."""
    checkpoint, pairs, photo = tmp_path / "LLaVA 1.5", tmp_path / "pairs", tmp_path / "photo.png"
    shutil.copytree(skeletons.skeleton("llava-hf--llava-1.5-7b-hf"), checkpoint)
    for path in checkpoint.glob("*.safetensors"):
        if path.name.startswith(("hallu_space", "projector-")):
            path.unlink()
    monkeypatch.setenv("HALLUAPP_RUNS", str(tmp_path / "runs"))
    pairs.mkdir()
    rows = []
    for number in range(PAIRS):
        tiny.photo(number).save(pairs / f"{number}.png")
        rows.append({"image": f"{number}.png", "question": "What is here?", "chosen": f"A dog and {number} trees.",
                     "rejected": f"A cat and {number} cars, and a horse."})  # fmt: skip
    (pairs / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    tiny.photo().save(photo)
    before = panels(photo, checkpoint, tmp_path / "before.json")
    more = {"nullu": ["--rank", "4"], "adavib": SHORT}
    for name, panel in before.items():
        assert not panel["text"]
        sentence = panel["error"]
        command = sentence[sentence.index("halluapp ") :].rstrip(".").replace("PAIRS", str(pairs))
        words = shlex.split(command)[1:]
        assert "--out" not in words, sentence
        assert cli.main([*words, "--quantization", "none", *more[name]]) == 0, sentence
    after = panels(photo, checkpoint, tmp_path / "after.json")
    assert [panel["error"] for panel in after.values()] == [None, None]
    assert all(panel["tokens"] for panel in after.values())
    assert {path.name for path in checkpoint.iterdir()} >= {"hallu_space.safetensors", "projector-adavib.safetensors"}
    unload_all()
