"""`train pairs` after a kill, and what it says about what it left out."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
from annotated_photos import CAR, DOG, write
from conformity import conforms
from run_processes import begin
from tiny import folder

from halluapp.cli import main as cli
from halluapp.data.pairs import read_pairs
from halluapp.data.records import read_records
from halluapp.training.pairs import own_answers
from halluapp.training.pairs.kept_answers import NAME

MODEL = ["--model", str(folder("llava")), "--quantization", "none"]


KINDS = (["--own", "3"], ["--repaired", "3"], ["--own", "2", "--repaired", "3"])


def command(out: Path, *more: str) -> list[str]:
    return ["train", "pairs", "--scenes", "16", *MODEL, "--out", str(out), *more]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("answers_of", KINDS[:2])
def test_a_killed_command_goes_on_to_the_same_file(answers_of, tmp_path):
    """Public kind: the result is lost at the end of the work. kill -9, then the same command again."""
    log, whole, killed = tmp_path / "log", tmp_path / "whole", tmp_path / "killed"
    process = begin(log, *command(whole, *answers_of))
    process.join(300)
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
    answers = killed / NAME
    process = begin(log, *command(killed, *answers_of))
    while process.is_alive() and not (answers.exists() and len(lines_of(answers)) > 1):
        time.sleep(0.002)
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not (killed / "pairs.jsonl").exists()
    early = lines_of(answers)[:2]
    process = begin(log, *command(killed, *answers_of))
    process.join(300)
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
    assert lines_of(answers)[:2] == early
    assert lines_of(answers) == lines_of(whole / NAME), "a batch was decoded twice"
    assert (killed / "pairs.jsonl").read_bytes() == (whole / "pairs.jsonl").read_bytes()


@pytest.mark.parametrize("answers_of", KINDS)
def test_half_a_line_is_decoded_again_and_whole_ones_are_not(answers_of, tmp_path, monkeypatch, capsys):
    """Of own and of repaired answers; with both, the rounds that are alike are decoded once."""
    monkeypatch.setattr(own_answers, "MAX_TOKENS", 6)
    small = ["--scenes", "10", *answers_of]
    assert cli.main(command(tmp_path / "whole", *small)) == 0
    answers = tmp_path / "cut" / NAME
    answers.parent.mkdir()
    content = (tmp_path / "whole" / NAME).read_bytes()
    lines = content.splitlines(keepends=True)
    assert len(lines) == 6
    answers.write_bytes(b"".join([*lines[:2], b'not ours\n{"key": 3}\n', lines[2][: len(lines[2]) // 2]]))
    assert cli.main(command(tmp_path / "cut", *small)) == 0
    assert f"\n10 of {answers_of[1]}0 answers were there already\n" in capsys.readouterr().err
    assert answers.read_bytes() == b"".join([*lines[:2], b'not ours\n{"key": 3}\n', *lines[2:]])
    assert (tmp_path / "cut/pairs.jsonl").read_bytes() == (tmp_path / "whole/pairs.jsonl").read_bytes()
    assert cli.main(command(tmp_path / "cut", *small, "--seed", "5")) == 0
    assert "\n10 of" not in capsys.readouterr().err, "answers of another seed and other scenes"


def test_the_json_names_everything_that_was_left_out(tmp_path, capsys):
    """Public kind: photos and records that are left out in silence: records in = records used + records named."""
    (tmp_path / "data").mkdir()
    data = write(tmp_path / "data", {"a": DOG, "b": CAR, "c": {"captions": ["Nothing to see here."]}, "d": DOG})
    key = sorted(data.glob("*.json"))[0].stem
    (data / "no-photo.json").write_text("{}")
    (data / "broken.jpg").write_bytes(b"no photo")
    shutil.copy(data / f"{key}.json", data / "broken.json")
    (data / "other.jpg").write_bytes((data / f"{key}.jpg").read_bytes())
    (data / "other.json").write_text('{"objects": ["flibbertigibbet"]}')
    out = tmp_path / "out.json"
    words = ["train", "pairs", "--photos", str(data), "--out", str(tmp_path / "pairs"), "--json", str(out)]
    assert cli.main(words) == 0
    about = json.loads(out.read_text(encoding="utf-8"))
    conforms("train-pairs", about)
    pairs = read_pairs(tmp_path / "pairs")
    assert about["pairs"] == len(pairs) == sum(about["kinds"].values())
    used = {pair.name.removesuffix(".jpg") for pair in pairs}
    named = {item["key"] for item in about["left_out"]}
    assert about["photos"] == len(used)
    assert not used & named
    assert used | named == {path.stem for path in data.iterdir()}
    assert {"no-photo", "broken", "other"} <= named
    assert all(item["reason"] for item in about["left_out"])
    assert f"{len(named)} photos or records left out" in capsys.readouterr().out
    assert len(read_records(data, lambda name: name, ())[0]) + 1 >= len(used)
    assert cli.main([*words, "--kinds", "presence"]) == 0
    assert {item["key"] for item in json.loads(out.read_text(encoding="utf-8"))["left_out"]} >= named


@pytest.mark.parametrize("flag, number", [("--own", "-1"), ("--own", "65"), ("--own", "1"),
                                          ("--repaired", "-1"), ("--repaired", "65")])  # fmt: skip
def test_answers_that_make_no_pair_are_refused_at_once(flag, number, tmp_path, capsys):
    words = ["train", "pairs", "--photos", str(tmp_path), flag, number, "--out", str(tmp_path / "pairs")]
    assert cli.main(words) == 2
    assert f"{flag} must be" in capsys.readouterr().err
