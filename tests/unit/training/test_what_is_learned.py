"""What a model is given to learn: no special tokens out of texts, no pair that it cannot read, no photo twice."""

from __future__ import annotations

import json

import pytest
from smuggled_tokens import SMUGGLED
from tiny import KINDS, folder, lvlm, photo, visual
from training_runs import TEXTS, pairs_in

from halluapp.cli import main as cli
from halluapp.data.pairs import jpeg, read_pairs, write_pairs
from halluapp.errors import InputError
from halluapp.training.batches import examples
from halluapp.training.batches.packed_forward import answer_ids
from halluapp.training.hallu_space import compute
from halluapp.training.pairs.lengths import check_lengths


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_an_answer_are_text(kind) -> None:
    """Public kind: a second end token in answers; a placeholder without a photo."""
    model = lvlm(kind)
    special = {*model.tokenizer.all_special_ids, model.image_token} - {model.tokenizer.unk_token_id}
    for text in (*SMUGGLED, "A dog.</s>", "Look: <image>", "".join(model.tokenizer.all_special_tokens)):
        ids = answer_ids(model, text)
        assert ids[-1] == model.tokenizer.eos_token_id
        assert not special & set(ids[:-1]), text
    plain = "A man and a dog walk on the street."
    assert answer_ids(model, plain)[:-1] == model.tokenizer(" " + plain, add_special_tokens=False)["input_ids"]


def _long(tmp_path, tokens: int):
    pairs_in(tmp_path)
    row = {"image": "0.jpg", "question": "Describe the photo.", "chosen": "A dog.", "rejected": "é" * tokens}
    write_pairs(tmp_path, {}, [*map(json.loads, (tmp_path / "pairs.jsonl").read_text().splitlines()), row])
    return read_pairs(tmp_path)


def test_a_pair_longer_than_the_context_is_named(tmp_path) -> None:
    """Public kind: sequences longer than the model reads are trained on without a word."""
    model = lvlm("llava")
    assert len(examples.tokenize(model, pairs_in_memory := read_pairs(pairs_in(tmp_path)))) == len(pairs_in_memory)
    pairs = _long(tmp_path, model.context_length)
    with pytest.raises(InputError, match=rf"Line {len(pairs)} of pairs\.jsonl: photo, question and answer are "):
        examples.tokenize(model, pairs)
    check_lengths(pairs[:-1], str(folder("llava")), tmp_path)
    with pytest.raises(InputError, match=rf"Line {len(pairs)} of pairs\.jsonl: .* or more, but"):
        check_lengths(pairs, str(folder("llava")), tmp_path)
    for answers in (("A dog.", "é" * model.context_length), ("é" * model.context_length, "A cat.")):
        with pytest.raises(InputError, match="leave the pair out"):
            compute.compute_hallu_space(model, [(visual("llava", "none", 0), "What?", *answers)], [0], rank=1)


def test_nothing_is_made_for_a_pair_that_is_too_long(tmp_path, capsys) -> None:
    _long(tmp_path / "pairs", lvlm("llava").context_length)
    arguments = ["train", "adavib", "--data", str(tmp_path / "pairs"), "--out", str(tmp_path / "run")]
    assert cli.main([*arguments, "--model", str(folder("llava")), "--steps", "1"]) == 2
    assert "Line 11 of pairs.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_copy_under_another_name_is_not_held_out(tmp_path) -> None:
    """Public kind: the same picture on both sides of a split."""
    rows = [
        {"image": f"{n}.jpg", "question": "What?", "chosen": TEXTS[0][0], "rejected": TEXTS[0][1]} for n in range(4)
    ]
    write_pairs(tmp_path, {f"{n}.jpg": jpeg(photo(n // 2)) for n in range(4)}, rows)
    pairs = read_pairs(tmp_path)
    assert [pair.photo for pair in pairs[::2]] == [pair.photo for pair in pairs[1::2]]
    assert [example.photo for example in examples.tokenize(lvlm("llava"), pairs)] == [0, 0, 1, 1]
