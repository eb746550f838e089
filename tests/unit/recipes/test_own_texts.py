"""Learning from the model's own descriptions: what is marked in them, and that the marks are learned."""

from __future__ import annotations

import pytest
import torch
from training_runs import fresh

from halluapp.recipes.pocket import own_texts, sets
from halluapp.recipes.pocket.own_texts import Mark

WHOLE = [0.0, 0.0, 1.0, 1.0, 0.0]
COCO = sets.read_photo(
    {
        "label_set": "COCO-80", "captions": ["A dog on a couch in a room."], "objects": ["dog", "couch"],
        "boxes": [["dog", 0.1, 0.1, 0.4, 0.4], ["couch", 0.0, 0.2, 1.0, 1.0]],
        "complete_labels": ["dog", "couch", "cat", "chair", "person", "vase"],
    }
)  # fmt: skip


def _marks(text: str, photo=COCO, crop=WHOLE) -> list[tuple[str, bool]]:
    words = text.split(" ")
    tokens = [words[0], *(" " + word for word in words[1:])]
    tokens = [piece for token in tokens for piece in ((token[:-1], token[-1]) if token[-1] in ",." else (token,))]
    return [(tokens[mark.position].strip(), mark.good) for mark in own_texts.marks_of(tokens, photo, crop)]


def test_what_is_there_is_good_and_wrong_once_it_was_said_enough():
    assert _marks("A dog on a couch.") == [("dog", True), ("couch", True)]
    assert _marks("A dog, a dog and a dog.")[1:] == [("dog", False), (",", False), ("dog", False), ("and", False)]
    assert _marks("A dog. The dog. One dog.") == [("dog", True), ("dog", False)]  # twice is enough
    assert _marks("A dog. There is also a dog.") == [("dog", True), ("dog", False)]


def test_a_person_is_no_reward_and_a_man_is_a_person():
    people = sets.read_photo({"captions": ["A man with a dog."], "entities": []})
    assert _marks("A man with a dog.", people) == [("dog", True)]
    assert _marks("A man. There is also a person.", people) == [("person", False)]


def test_what_is_certainly_not_there_is_wrong_with_its_separator():
    assert _marks("A dog, a cat and a vase.") == [
        ("dog", True), ("cat", False), (",", False), ("vase", False), ("and", False)
    ]  # fmt: skip
    assert _marks("A woman.") == [("woman", False)]  # no person is there


def test_what_the_labels_leave_open_is_not_marked():
    assert _marks("A wall and a lamp.") == []
    people = sets.read_photo({"captions": ["A person."], "entities": []})
    assert _marks("A woman.", people) == []
    away = [0.5, 0.0, 1.0, 1.0, 0.0]  # the dog lies outside of this view
    assert _marks("A dog on a couch.", crop=away) == [("couch", True)]


@pytest.fixture(scope="module")
def lvlm():
    return fresh("none")


def test_decoding_with_a_past_equals_decoding_without(lvlm):
    """The same greedy tokens as one whole forward pass a token."""
    model = lvlm.model
    prompt = lvlm.prompt_ids("Describe this image.", "photo")
    prompt = prompt if isinstance(prompt, list) else list(prompt)
    count = prompt.count(model.config.image_token_id)
    visual = torch.randn(2, count, model.config.text_config.hidden_size, generator=torch.manual_seed(0))
    answers = own_texts.decode(model, visual, prompt, end=-1, tokens=6)
    ids = torch.tensor([prompt] * 2)
    for step in range(6):
        x = own_texts.embedded(model, visual, ids)
        with torch.no_grad():
            hidden = model.model.language_model(inputs_embeds=x, use_cache=False).last_hidden_state
        chosen = model.lm_head(hidden[:, -1]).float().argmax(-1)
        assert chosen.tolist() == answers[:, step].tolist()
        ids = torch.cat([ids, chosen[:, None]], 1)


def test_the_loss_is_the_formula_and_falls_as_it_should(lvlm):
    model = lvlm.model
    prompt = list(lvlm.prompt_ids("Describe this image.", "photo"))
    count = prompt.count(model.config.image_token_id)
    visual = torch.randn(1, count, model.config.text_config.hidden_size, generator=torch.manual_seed(1))
    answers = own_texts.decode(model, visual, prompt, end=-1, tokens=4)
    ids = torch.cat([torch.tensor([prompt]), answers], 1)
    with torch.no_grad():
        x = own_texts.embedded(model, visual, ids)
        hidden = model.model.language_model(inputs_embeds=x, use_cache=False).last_hidden_state
        p = model.lm_head(hidden).float().softmax(-1)[0]
    at = [float(p[len(prompt) - 1 + place, answers[0, place]]) for place in range(4)]
    marks = [[Mark(1, False, 1.0), Mark(2, True, 0.5)]]
    expected = -torch.tensor(1 - at[1] * (1 - 1e-3)).log() - 0.5 * torch.tensor(at[2]).log()
    loss = own_texts.loss(model, visual, prompt, answers, marks)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    assert float(own_texts.loss(model, visual, prompt, answers, [[]])) == 0.0
    nothing = own_texts.loss(model, visual, prompt, answers, [[]])
    assert nothing.requires_grad  # a step whose texts hold no mark still has a gradient of zeros
