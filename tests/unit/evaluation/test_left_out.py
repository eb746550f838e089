"""Nothing is lost and nothing silently wrong: what is left out is named, answers that nobody understood are shown."""

from __future__ import annotations

import json

import pytest
from annotated_photos import CAR, DOG, write
from conformity import conforms

from halluapp.cli import main as cli
from halluapp.data import records
from halluapp.errors import InputError
from halluapp.evaluation import chair, harness, questions, search
from halluapp.evaluation.harness import Answers
from halluapp.evaluation.scores import tables


def _says(text: str):
    def answer(photo, prompts, most) -> Answers:
        return Answers([{"baseline": text} for _ in prompts])

    return answer


def test_records_in_are_records_used_and_left_out(tmp_path) -> None:
    """Public kind: records that are left out in silence."""
    data, lines = write(tmp_path, {"a": DOG, "b": CAR, "c": {"qa": []}, "d": {"objects": ["unicorn"]}}), []
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    (tmp_path / "e.json").write_text("{}")
    result = harness.evaluate(data, ["chair"], ["baseline"], answer=_says("A dog."), log=lines.append)
    conforms("evaluate", result)
    assert result["photos"] == 1
    assert {item["key"] for item in result["left_out"]} == set("bcde")
    for key in "bcde":
        assert any(line.startswith(f"{key} is left out: ") for line in lines)
    assert "4 left out" in tables.table(result)


def test_every_photo_left_out_is_refused_with_the_first_reason(tmp_path) -> None:
    data = write(tmp_path, {"a": {"objects": ["unicorn"]}})
    with pytest.raises(InputError, match=r"a is left out: its object 'unicorn' is no name that we know"):
        harness.evaluate(data, ["chair"], ["baseline"], answer=_says("A dog."))


def test_search_names_what_it_leaves_out_before_it_chooses(tmp_path) -> None:
    data = write(tmp_path, {"a": DOG, "b": CAR, "c": {"qa": []}, "d": CAR})
    (tmp_path / "d.jpg").write_bytes(b"no photo")
    samples, left_out = search._decodable(*search.read_samples(data))
    assert ([sample.key for sample in samples], [item.key for item in left_out]) == (["a", "b"], ["c", "d"])
    assert records.described(left_out, 1)[0].startswith("c is left out: its record has no")


@pytest.mark.parametrize("text, unparsed", [("**No**", 6), ("", 6), ("NO", 6), ("I cannot tell.", 6), ("No.", 0)])
def test_answers_that_nobody_understood_are_shown(tmp_path, text, unparsed) -> None:
    """Public kind: answers that are neither yes nor no count as yes, and the table hides it."""
    result = harness.evaluate(write(tmp_path, {"a": CAR}), ["pope"], ["baseline"], answer=_says(text))
    assert result["methods"][0]["pope"]["unparsed"] == unparsed
    table = tables.table(result)
    assert f"{unparsed}/6" in table
    assert ("counts them as yes" in table) == bool(unparsed)


def test_kinds_count_as_their_category() -> None:
    record = {"objects": ["man", "dog", "tree"]}
    assert chair.truth_of(record, "coco") == {"person", "dog"}
    truth = questions.object_truths([record], "coco")[0]
    assert truth.present == {"person", "dog"}
    assert not truth.present & truth.absent
    assert chair.truth_of(record, "wide") == {"man", "person", "dog", "tree"}


def test_pairs_of_photos_say_what_they_leave_out(tmp_path, capsys) -> None:
    (tmp_path / "in").mkdir()
    data = write(tmp_path / "in", {"a": {"captions": "A dog runs beside a bench."}, "b": {"objects": ["dog"]}})
    (data / "c.jpg").write_bytes(b"no photo")
    (data / "c.json").write_text(json.dumps({"captions": ["A cat and a dog."]}))
    assert cli.main(["train", "pairs", "--photos", str(data), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "b is left out: its record has no captions or detections" in said
    assert "c is left out: This file is not a photo we can read" in said
