"""Training questions with one answer: counts, colours, animals, refusals; and what must not be said again."""

from __future__ import annotations

import random
import re

import pytest
import torch
from test_pocket_sets import BOXER, COCO, LION, OPEN

from halluapp.recipes.pocket import corpus, probe, prompts, questions, sets, tokenizer
from halluapp.recipes.pocket.repetition import function_tokens, repetition_loss

WHOLE = [0.0, 0.0, 1.0, 1.0, 0.0]


def _pairs(record: dict, seeds: int = 60, seen=None) -> list[tuple[str, str]]:
    photo = sets.read_photo(record)
    of_photos = corpus.Corpus([photo] * 30 + [sets.read_photo({"captions": [f"A {n}."]}) for n in ["car"] * 30])
    return [
        pair for seed in range(seeds) for pair in of_photos.pairs(record, photo, WHOLE, random.Random(seed), seen)
    ]  # fmt: skip


def test_counts_are_those_of_the_boxes_and_none_is_certain():
    photo = sets.read_photo(COCO)
    answers = {answer for seed in range(80) for _, answer in questions.counts(photo, WHOLE, random.Random(seed))}
    assert {"There is one dog.", "There are no people.", "There are no horses."} <= answers
    two = sets.read_photo({**COCO, "boxes": [*COCO["boxes"], ["dog", 0.6, 0.1, 0.9, 0.3]]})
    answers = {answer for seed in range(80) for _, answer in questions.counts(two, WHOLE, random.Random(seed))}
    assert "There are two dogs." in answers
    half = [0.0, 0.0, 0.5, 1.0, 0.0]  # the cat is outside, half of the couch is left
    answers = {answer for seed in range(80) for _, answer in questions.counts(photo, half, random.Random(seed))}
    assert "There is one couch." in answers
    assert not any("cat" in answer for answer in answers)


def test_a_colour_is_asked_where_the_captions_agree():
    rng = random.Random(0)
    assert questions.colours(["A man throws a red ball."], rng)[0][1] == "The sports ball is red."
    assert not questions.colours(["A red ball.", "A blue ball."], rng)
    assert not questions.colours(["A black and white dog."], rng)
    assert not questions.colours(["A white man."], rng)
    assert not questions.colours(["Two brown dogs."], rng)


@pytest.mark.parametrize(
    ("record", "answer"), [(LION, "A lion."), (BOXER, "A dog."), (COCO, "A cat and a dog."), (OPEN, None)]
)
def test_the_animal_is_the_one_of_the_record(record, answer):
    answers = {a for q, a in _pairs(record) if "animal" in q.lower() and "s are" not in q}
    assert answers == ({answer} if answer else set())


def test_what_the_classifier_is_sure_of_is_said_where_nobody_named_an_animal():
    seen = sets.Category("dog", "boxer", True)
    empty = {"source": "flickr8k", "captions": ["Something runs on the grass."]}
    assert {a for q, a in _pairs(empty, seen=seen) if "animal" in q.lower()} == {"A dog."}
    assert "A dog, maybe a boxer." in {a for _, a in _pairs(empty, seen=seen)}


def test_a_category_is_described_asked_and_never_denied():
    pairs = _pairs(LION)
    said = {a for q, a in pairs if q in prompts.SHORT}
    assert said == {text.format(noun="a lion").capitalize() + "." for text in questions.TEMPLATES}
    assert not {q for q, _ in pairs} & {*prompts.DETAIL, *prompts.LIST}  # one noun describes nothing in detail
    assert not any("lion" in q and a == "No." for q, a in pairs)
    denied = {q for q, a in pairs if a == "No."}
    assert not any(re.search(r"person|cat\b|dog", question) for question in denied)


def test_yes_and_no_are_balanced_where_absence_is_certain_and_left_out_elsewhere():
    answers = [a for _, a in _pairs(COCO, 200) if a in ("Yes.", "No.")]
    assert 0.45 < answers.count("Yes.") / len(answers) < 0.55
    assert not [a for _, a in _pairs(OPEN) if a in ("Yes.", "No.")]


def test_no_training_answer_names_an_object_three_times():
    record = {**COCO, "captions": ["A dog, a dog and a dog.", "A dog sees a dog near a cat.", "A cat and a dog sit."]}
    for question, answer in _pairs(record):
        if question in prompts.SHORT + prompts.DETAIL:
            assert questions.most_named(answer) <= 2, answer


def test_a_place_holds_what_lies_there_and_an_empty_one_is_not_asked_about():
    photo = sets.read_photo({**COCO, "boxes": [["dog", 0.0, 0.1, 0.3, 0.9], ["cat", 0.0, 0.5, 0.2, 0.9]]})
    rng = random.Random(0)
    for _ in range(10):
        ((question, answer),) = questions.places(photo, WHOLE, rng)
        assert "on the left" in question.lower()
        assert answer == "A dog and a cat."
    assert questions.places(photo, [0.5, 0.0, 1.0, 1.0, 0.0], rng) == []


def test_about_one_pair_in_fifty_is_refused():
    refusals = {answer for answer, _ in prompts.REFUSALS}
    pairs = _pairs(COCO, 200)
    assert 0.01 < sum(answer in refusals for _, answer in pairs) / len(pairs) < 0.04
    assert all(answer.strip() for _, answer in pairs)


def _plain(question: str) -> str:
    return question.lower().strip(" ?.!")


def test_the_questions_that_measure_are_not_asked_in_training():
    trained = {_plain(question) for _, group in prompts.REFUSALS for question in group}
    trained |= {_plain(q) for group in (prompts.SHORT, prompts.DETAIL, prompts.LIST, prompts.WHAT) for q in group}
    trained |= {_plain(q.format(place=f"on the {side}")) for q in prompts.PLACE for side in ("left", "right")}
    measured = [_plain(question) for question in (*probe.UNANSWERABLE, *probe.ANSWERABLE)]
    assert not trained & set(measured)
    assert len(set(measured)) == len(measured)


def test_every_refusal_is_recognised_and_no_caption_is():
    assert all(probe.REFUSED.search(answer) for answer, _ in prompts.REFUSALS)
    assert not probe.REFUSED.search("A man can't reach the ball.")
    assert probe.names("Two lions.", "lion")
    assert probe.names("A puppy.", "dog")
    assert not probe.names("A sea lion.", "dog")


def test_only_a_word_said_before_in_the_same_answer_is_unlikely():
    words = tokenizer.train(["A dog, a cat and a bird. The horse."] * 30, 400)
    exempt = function_tokens(words)
    ids = [torch.tensor(words(text, add_special_tokens=False)["input_ids"]) for text in (" A dog, a cat", " A dog")]
    labels, answer = torch.cat(ids), torch.tensor([1] * len(ids[0]) + [2] * len(ids[1]))
    dog = ids[1][-1]
    logits = torch.zeros(len(labels), len(words), requires_grad=True)
    repetition_loss(logits, labels, answer, exempt).backward()
    # Past "dog", each position of the first answer is pushed from it; the second answer may say it.
    position = (labels == dog).nonzero()[0].item()
    assert not logits.grad[: position + 1].any()
    assert (logits.grad[position + 1 : len(ids[0]), dog] > 0).all()
    assert not logits.grad[len(ids[0]) :].any()


def test_the_loss_of_repetition_counts_each_earlier_word_once():
    """Welleck et al. 2020, equation 5, by hand: labels 1 2 1 3, where 1 stands twice before 3."""
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(-1) * (1 - 1e-3)
    earlier = {1: {1}, 2: {2}, 3: {1, 2}}
    expected = -sum(torch.log1p(-p[row, word]) for row, words in earlier.items() for word in words) / 4
    labels, none = torch.tensor([1, 2, 1, 3]), torch.tensor([], dtype=torch.long)
    assert repetition_loss(logits, labels, torch.ones(4, dtype=torch.long), none) == pytest.approx(float(expected))
    sure = torch.full((2, 6), -50.0).index_fill_(1, torch.tensor([1]), 50.0).requires_grad_()
    repetition_loss(sure, torch.tensor([1, 2]), torch.ones(2, dtype=torch.long), none).backward()
    assert torch.isfinite(sure.grad).all()
