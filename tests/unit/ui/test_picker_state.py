"""The model line: its list, what a page may ask for, the note under the prompt, the list for programs."""

from __future__ import annotations

import json

import pytest
from tiny import folder

from halluapp.errors import InputError
from halluapp.lvlm import catalog
from halluapp.recipes.pocket import prompts
from halluapp.serving.models import Models
from halluapp.serving.models.switch import Progress
from halluapp.settings import QUANTIZATIONS, Settings
from halluapp.ui import model_picker
from halluapp.ui.model_picker import limits, listing, state, texts


def server(**changes) -> Models:
    return Models(Settings(device="cpu", **changes))


def test_the_list_says_of_every_model_what_it_needs_and_whether_it_can_be_loaded():
    shown = state.of(server())
    assert shown["any"]
    assert not shown["fixed"]
    assert [row["title"] for row in shown["choices"]] == ["halluapp-pocket", *(one.id for one in catalog.CATALOG)]
    for row in shown["choices"]:
        assert all(row["needs"][name].startswith("about ") for name in QUANTIZATIONS), row
        assert row["family"] in row["title"] or row["family"]
        assert (row["page"] == f"https://huggingface.co/{row['title']}") is (row["title"] != "halluapp-pocket")
        assert bool(row["problems"]["nf4"]) is (row["title"] != "halluapp-pocket"), row  # the tests are offline
    assert json.loads(json.dumps(shown)) == shown


def test_a_public_server_lists_what_it_allows_and_shows_no_folder():
    path = str(folder("llava"))
    fixed = state.of(server(exposed=True, model=path))
    assert fixed["fixed"] == texts.FIXED
    assert [row["title"] for row in fixed["choices"]] == ["llava"]
    listed = server(exposed=True, models=(path, "some/model"))
    shown = state.of(listed)
    assert (shown["any"], shown["fixed"]) == (False, "")
    assert [row["title"] for row in shown["choices"]] == ["halluapp-pocket", "llava", "some/model"]
    assert str(folder("llava").parent) not in json.dumps([shown, listing.models(listed)])


WRONG = (
    None, [], "pocket", {}, {"number": 0}, {"number": True, "quantization": "nf4"},
    {"number": -1, "quantization": "nf4"},
    {"number": 10**6, "quantization": "nf4"}, {"number": "0", "quantization": "nf4"}, {"number": 0, "quantization": 3},
    {"text": "", "quantization": "nf4"}, {"text": ["pocket"], "quantization": "nf4"},
)  # fmt: skip


def test_what_a_page_cannot_send_is_refused():
    models = server()
    for data in WRONG:
        with pytest.raises(InputError, match="no choice"):
            state.asked_model(models, data)
    assert state.asked_model(models, {"number": 0, "quantization": "nf4"}) == ("pocket", "nf4")
    assert state.asked_model(models, {"text": " a/b ", "quantization": "none"}) == ("a/b", "none")
    with pytest.raises(InputError):  # nobody types a path into a public server
        state.asked_model(server(exposed=True, models=("a/b",)), {"text": "a/b", "quantization": "nf4"})
    *_, shown = model_picker.choose(server(exposed=True), {"number": 0, "quantization": "none"})
    assert "HALLUAPP_MODELS" in shown["error"]


def test_progress_is_a_line_with_what_is_done():
    lines = [state.progress_line(Progress("m", *values)) for values in (
        ("files",), ("files", 5 * 10**9, 14 * 10**9), ("turn",), ("weights",), ("weights", 3, 64), ("warm-up",),
    )]  # fmt: skip
    assert all(line.startswith("m: ") and line.endswith("…") for line in lines)
    assert "5.0 of 14.0 GB" in lines[1]
    assert "3 of 64 tensors" in lines[4]


def test_the_embedded_model_says_what_it_was_not_trained_for():
    kinds = {
        "How many dogs are there?": "count", "count the cars": "count", "Wie viele Hunde sind hier?": "",
        "这张照片里有什么?": "language", "Что на фото?": "language", "Is there a café in the image?": "",
        "What is written on the shirt?": "reading", "Read the text in this photo.": "reading",
        "Who is this person?": "person", "What is her name?": "person", "What will happen next?": "time",
        "Why is he running?": "time", "Tell me a story about the picture.": "task", "What is 12 * 7?": "task",
        "What is the man reading?": "", "Is there a book in the image?": "", "": "",
    }  # fmt: skip
    assert {prompt: limits.kind_of(prompt) for prompt in kinds} == kinds
    for prompt in (*prompts.SHORT, *prompts.DETAIL, *prompts.LIST, *prompts.WHAT, *prompts.ANIMAL):
        assert limits.note("pocket", prompt) == texts.TRAINED, prompt
    assert all(limits.kind_of(prompt.format(xs="dogs")) == "count" for prompt in prompts.COUNT)
    assert set(limits.KINDS) | {"language"} == set(texts.LIMITS)
    assert limits.note("a/b", "How many dogs are there?") == texts.GENERAL.format(model="a/b")
    assert "random" in limits.note("random:llava-tiny", "")


def test_programs_get_the_same_list():
    first, *others = listing.models(server())
    assert (first["name"], first["loaded"], first["problem"]) == ("halluapp-pocket", True, "")
    assert not any(one["loaded"] for one in others)
    assert all(one["memory"]["nf4"] < one["memory"]["none"] for one in (first, *others))
