"""What a look inside may cost: a bound on rows and tokens, and an end between batches once nobody waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import OPEN, lvlm, photo

from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.inspection import occlusion
from halluapp.inspection.photo_features import MOST, views_of
from halluapp.inspection.question import Question, inspect
from halluapp.methods.registry import VDD, Baseline

ANSWER = "A man and a dog walk"


def question(view: str) -> Question:
    ids = tuple(lvlm("llava").answer_ids(ANSWER)[:-1])
    return Question(view, photo(), OPEN, (Baseline(), VDD()), "vdd", ids, 2, Sampling(6))


def test_a_map_in_small_batches_is_the_map_in_one(monkeypatch):
    whole = inspect(lvlm("llava"), question("occlusion"))
    monkeypatch.setattr(occlusion, "BATCH", 3)
    parts = inspect(lvlm("llava"), question("occlusion"))
    assert [cell["box"] for cell in parts["cells"]] == [cell["box"] for cell in whole["cells"]]
    values = [[cell["value"] for cell in one["cells"]] for one in (parts, whole)]
    assert values[0] == pytest.approx(values[1], abs=1e-4)


def test_more_tokens_than_may_be_read_are_refused_with_the_rows_before_any_is_read(monkeypatch):
    monkeypatch.setattr(occlusion, "MOST_TOKENS", 100)
    monkeypatch.setattr(occlusion, "_word_logps", lambda *_: pytest.fail("rows were read"))
    with pytest.raises(InputError, match=r"takes up to \d+ rows of \d+ tokens, and one question may read 100; use a"):
        inspect(lvlm("llava"), question("occlusion"))


@pytest.mark.parametrize("view", ["occlusion", "counterfactual"])
@pytest.mark.parametrize("passes", [0, 1, 2])
def test_nothing_is_read_for_whoever_has_left(view, passes):
    """So many turns later the caller has left: no further batch, no further token."""
    asked = []

    def stop() -> bool:
        asked.append(view)
        return len(asked) > passes

    with pytest.raises(InputError, match="left before"):
        inspect(lvlm("llava"), question(view), stop)
    assert len(asked) == passes + 1


def test_the_next_question_about_a_photo_runs_no_vision_tower(monkeypatch):
    """Nor does it for another word; another photo is looked at, and answers are those of a first question."""
    model, calls = lvlm("llava"), []
    encode = model.encode_image
    monkeypatch.setattr(model, "encode_image", lambda *arguments: calls.append(1) or encode(*arguments))
    one, two = (replace(question("evidence"), photo=photo(seed)) for seed in (41, 42))
    first = inspect(model, one)
    inspect(model, replace(one, word=3))
    assert len(calls) == 1
    second = inspect(model, two)
    assert second != first
    assert inspect(model, two) == second
    assert len(calls) == 2
    assert inspect(model, one) == first
    assert len(calls) == 3


def test_questions_about_one_photo_hold_a_bounded_number_of_views():
    """Each seed of the noise is one more view, and a stranger may ask for any number of them."""
    model, picture = lvlm("llava"), photo(43)
    most = 0
    for seed in range(3 * MOST):
        views = views_of(model, picture, seed)
        views.at(500)
        most = max(most, views.count)
    assert MOST < most <= MOST + 2
