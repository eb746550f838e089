"""CHAIR at equal recall and length: planted texts whose right values are known, and what must hold for any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from annotated_photos import CAR, DOG, write

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.evaluation import harness
from halluapp.evaluation.halves import reported
from halluapp.evaluation.harness import Answers, evaluate
from halluapp.evaluation.scores import confidence, tables
from halluapp.evaluation.scores.matched import HALLUCINATED, MENTIONS, RECALLED, STEPS, WORDS, match, prefix_counts

TRUTH = {"dog", "cat", "car", "bus"}
LONG = "dog, cat, car, bird, horse, bus"  # six words: three right, two wrong, one right
SHORT = "dog, cat, car"
PHOTOS = 40


def _counts(text: str, photos: int = PHOTOS) -> np.ndarray:
    return prefix_counts([text] * photos, [TRUTH] * photos, "coco")


def test_counts_grow_with_the_share_and_a_mention_counts_when_its_last_word_is_kept() -> None:
    counts = _counts("A fire hydrant, two dogs and a cow.", 1)[0]
    assert list(counts[0, [HALLUCINATED, MENTIONS, RECALLED, WORDS]]) == [0, 0, 0, 0]
    assert list(counts[-1, [HALLUCINATED, MENTIONS, RECALLED, WORDS]]) == [2, 3, 1, 8]
    assert counts[25, MENTIONS] == 0, "two of eight words: the hydrant is cut in two"
    assert counts[37, WORDS] == 3
    assert counts[38, MENTIONS] == 1
    assert (np.diff(counts[:, [HALLUCINATED, MENTIONS, RECALLED, WORDS]], axis=0) >= 0).all()


def test_a_method_that_only_says_less_gains_nothing_at_equal_recall() -> None:
    whole, less = _counts(LONG), _counts(SHORT)
    assert whole[0, -1, HALLUCINATED] / whole[0, -1, MENTIONS] == 2 / 6
    at_recall = match(whole, less, "recall")
    assert at_recall.level == 3 / 4
    assert at_recall.recall == (3 / 4, 3 / 4)
    assert at_recall.shares[1] == 1.0
    assert at_recall.chair_i[1] == 0.0
    assert at_recall.chair_i[0] == 2 / 5, "before the fourth right object is reached, both wrong ones are kept"
    assert match(whole, _counts("dog, cat, car, bird, horse"), "recall").differences["chair_i"].value == 0.0


def test_the_planted_difference_is_found_with_its_share() -> None:
    """Baseline: right, wrong, right, wrong ..; method: the same right ones without the wrong ones, half of them."""
    base, method = _counts("dog, bird, cat, horse, car, cow, bus, bear"), _counts("dog, cat")
    found = match(base, method, "recall")
    assert found.level == 0.5
    assert found.chair_i == (0.5, 0.0), "four words are kept: two right and two wrong"
    assert found.differences["chair_i"].value == -0.5
    assert found.shares[0] == pytest.approx(0.56, abs=0.011), "the largest share below the fifth word"
    assert (found.differences["chair_i"].low, found.differences["chair_i"].high) == (-0.5, -0.5), "all photos are alike"
    by_length = match(base, method, "length")
    assert by_length.level == 2.0
    assert by_length.length == (2.0, 2.0)
    assert by_length.chair_i[1] == 0.0
    assert by_length.recall == (pytest.approx(0.25, abs=0.07), 0.5)


def test_recall_agrees_exactly_on_texts_of_all_lengths_and_the_roles_can_be_swapped() -> None:
    rng = np.random.default_rng(0)
    names = ["dog", "cat", "car", "bus", "bird", "horse", "cow", "bear"]
    texts = [[", ".join(rng.choice(names, rng.integers(1, most))) for _ in range(60)] for most in (12, 7)]
    one, two = (prefix_counts(group, [TRUTH] * 60, "coco") for group in texts)
    for by in ("recall", "length"):
        found, back = match(one, two, by), match(two, one, by)
        assert getattr(found, by)[0] == pytest.approx(getattr(found, by)[1])
        assert found.differences["chair_i"].value == pytest.approx(-back.differences["chair_i"].value)
        assert found.differences["chair_i"].low <= found.differences["chair_i"].value
        assert found.differences["chair_i"].value <= found.differences["chair_i"].high
    same = match(one, one, "recall")
    assert (same.shares, same.differences["chair_i"].value) == ((1.0, 1.0), 0.0)
    assert (same.differences["chair_i"].low, same.differences["chair_i"].high) == (0.0, 0.0)


def test_silence_is_undefined_and_bad_input_is_refused() -> None:
    found = match(_counts(LONG, 3), _counts("", 3), "recall", draws=5)
    assert math.isnan(found.chair_i[1])
    assert math.isnan(found.differences["chair_i"].low)
    with pytest.raises(ValueError, match="different photos"):
        match(_counts(LONG, 3), _counts(LONG, 2), "recall")
    with pytest.raises(ValueError, match="not by 'words'"):
        match(_counts(LONG, 3), _counts(LONG, 3), "words")
    assert len(_counts(LONG, 1)[0]) == STEPS + 1


def test_calibration_error_of_yes_and_no() -> None:
    assert confidence.p_yes([("Yes", 0.5), (" yes", 0.1), ("No", 0.2), ("A", 0.1)]) == pytest.approx(0.75)
    assert confidence.p_yes([("A", 0.9)]) is None
    rows = [confidence.gap_row([0.75, 0.25, None], ["yes", "yes", "no"]), confidence.gap_row([1.0], ["yes"])]
    sums = [sum(column) for column in zip(*rows, strict=True)]
    assert sums[-1] == 3
    assert confidence.ece_of(sums) == pytest.approx(abs(0.75 - 1 + 0.75) / 3), "two of .75, one right; one of 1, right"
    assert confidence.ece_of([0.0] * len(sums)) is None


CAPTIONS = {"baseline": "A dog, a cat, a cat and a cat.", "vdd": "A dog."}


def _answer(photo, prompts, most) -> Answers:
    if list(prompts) == [harness.CAPTION_PROMPT]:
        return Answers([dict(CAPTIONS)])
    says = {"baseline": "Yes.", "vdd": "No."}
    return Answers([dict(says) for _ in prompts], p_yes=[{"baseline": 0.9, "vdd": 0.4} for _ in prompts])


def test_the_comparison_comes_out_of_one_evaluation(tmp_path) -> None:
    result = evaluate(write(tmp_path, {"a": DOG, "b": CAR}), methods=["baseline", "vdd"], answer=_answer)
    base, vdd = result["methods"]
    assert "matched" not in base
    assert base["chair"]["repetition"] == 1.0
    assert (base["chair"]["false_objects_per_caption"], base["chair"]["correct_objects_per_caption"]) == (1.5, 0.5)
    assert vdd["matched"]["recall"]["shares"] == [1.0, 1.0]
    assert vdd["matched"]["length"]["chair_i"] == [0.5, 0.5], "two words: the dog alone"
    assert vdd["differences"]["chair"]["repetition"]["value"] == -1.0
    assert base["pope"]["ece"] == pytest.approx(abs(0.9 - 0.5))
    assert vdd["pope"]["ece"] == pytest.approx(abs(0.6 - 0.5))
    assert base["pope"]["with_probability"] == base["pope"]["count"]
    text, markdown = tables.table(result), tables.markdown(result)
    assert "absent at equal recall" in text
    assert markdown.count("\n| ") == 3
    assert "0.50 / 1.50" in markdown
    assert "+0.000 [0.000 0.000]" in markdown, "at equal length"


def test_one_half_is_measured_and_the_other_left_alone(tmp_path) -> None:
    data = write(tmp_path, {f"p{n}": DOG for n in range(8)})
    keys = {}
    for half in ("reported", "calibrated", "all"):
        samples, _ = harness.read_half(data, half)
        keys[half] = {sample.key for sample in samples}
        result = evaluate(data, ["chair"], ["baseline"], answer=_answer, half=half)
        assert (result["half"], result["photos"]) == (half, len(samples))
    assert keys["reported"] | keys["calibrated"] == keys["all"]
    assert not keys["reported"] & keys["calibrated"]
    assert {key for key in keys["all"] if reported(key)} == keys["reported"]
    assert len(harness.read_half(data, "reported", limit=1)[0]) == 1
    with pytest.raises(InputError, match="must be one of"):
        harness.read_half(data, "better")


def test_the_command_writes_the_table_from_saved_answers(tmp_path, capsys) -> None:
    (tmp_path / "data").mkdir()
    data = write(tmp_path / "data", {"a": DOG, "b": CAR})
    lines = [
        f'{{"image": "{key}", "model": "{name}", "caption": "{text}"}}'
        for key in ("a", "b")
        for name, text in CAPTIONS.items()
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    table = tmp_path / "table.md"
    options = ["evaluate", str(data), "--answers", str(tmp_path / "answers.jsonl"), "--metrics", "chair"]
    assert cli.main([*options, "--markdown", str(table)]) == 0
    assert "| vdd | 0.500 (-0.375) |" in table.read_text(encoding="utf-8")
    assert f"wrote {table}" in capsys.readouterr().out
