"""`halluapp inspect` on the tiny checkpoint: prints and writes what a word rests on, refuses in one sentence."""

from __future__ import annotations

import json

import pytest
from tiny import OPEN, folder, photo

from halluapp.cli.main import main


@pytest.fixture
def arguments(tmp_path) -> list[str]:
    photo().save(tmp_path / "photo.png")
    return ["inspect", str(tmp_path / "photo.png"), OPEN, "--model", str(folder("pocket")), "--max-new-tokens", "6"]


def test_a_word_is_looked_into_and_written(arguments, tmp_path, capsys):
    out, views = tmp_path / "out.json", "evidence,reliance,attention,counterfactual,space,visual"
    assert main([*arguments, "--method", "VDD", "--views", views, "--json", str(out)]) == 0
    printed, result = capsys.readouterr().out, json.loads(out.read_text())
    assert "VDD" in printed
    assert list(result["views"]) == views.split(",")
    assert result["method"] == "vdd"
    lines = result["views"]["evidence"]["methods"]
    assert [line["method"] for line in lines] == ["baseline", "nullu", "adavib", "vdd", "calibration"]
    assert printed.count("nats") == 2


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--word", "999"], "words; name one"),
        (["--word", "zebra"], "does not hold the word"),
        (["--views", "soul"], "known are evidence"),
        (["--box", "0,0,2,1"], "is no box"),
        (["--method", "magic"], "There is no method"),
    ],
)
def test_bad_input_is_one_sentence(arguments, more, reason, capsys):
    assert main([*arguments, *more]) == 2
    assert reason in capsys.readouterr().err
