"""Answers of other programs: each is scored where its meaning is certain, or named; in = used + left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotated_photos import CAR, DOG, write
from conformity import conforms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halluapp.cli import main as cli
from halluapp.data import shards
from halluapp.errors import InputError
from halluapp.evaluation import harness
from halluapp.evaluation.answers import lines, saved

METRICS = ["chair", "pope"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return write(folder, {"a": DOG, "b": CAR, "COCO_val2014_000000000042": DOG})


def questions_of(data: Path) -> dict[str, tuple[str, str]]:
    """A question and its label about each photo."""
    photos, _ = harness.annotated_photos(list(shards.read(data)), METRICS, 0)
    return {photo.key: (photo.questions[0].text, photo.questions[0].label) for photo, _ in photos}


def scores(path: Path, rows: list, data: Path, metrics=METRICS, **more) -> dict:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    result, _ = saved.score(lines.read(path), data, metrics, **more)
    conforms("evaluate", result)
    answers = result["answers"]
    assert answers["read"] == len(rows) == answers["used"] + len(answers["left_out"])
    return result


def reasons(result: dict) -> dict[int, str]:
    return {int(item["key"].split()[-1]): item["reason"] for item in result["answers"]["left_out"]}


CAPTIONS = [{"image": "a", "text": "A dog."}, {"image": "b.jpg", "text": "A dog."}, {"image": 42, "text": "A dog."}]


@pytest.mark.parametrize("line, reason", [
    ({"image": "a", "question": "Is the sky blue?", "text": "Yes."}, "do not ask 'Is the sky blue?'"),
    ({"image": "a", "prompt": "Write a poem.", "text": "A cat."}, "'Write a poem.' asks for no description"),
    ({"image": "a", "text": " yes. "}, "a yes or no without its question"),
    ({"image": "a", "text": "A cat."}, "has answered that before; the first answer counts"),
    ({"image": "photos/a.jpg", "prompt": "Describe the photo.", "text": "A cat."}, "has answered that before"),
    ({"image": "nowhere.jpg", "text": "A cat."}, "about no photo that is scored here"),
    ({"image": 42.0, "text": "A cat."}, "its photo is a number"), ({"text": "A cat."}, "it names no photo"),
    ({"image": "a", "text": 3}, "its text is a number"), ({"image": "a", "text": None}, "it has no text"),
    ({"image": "a", "text": ["A cat.", "A dog."]}, "its text is a list"),
    ({"image": "a", "text": {"value": "A cat."}}, "its text is an object"),
    ({"image": "a", "text": True}, "its text is true or false"),
    ({"image": "a", "text": "A cat.", "prompt": 3}, "its prompt is a number"),
    ({"image": "a", "text": "A cat.", "model": "other"}, "its method answered about few photos"),
    ({"image": "a", "text": "A cat.", "model": {}}, "its method is an object"),
    (["a", "A cat."], "it is no object"), (None, "it is no object"), ('{"image": "a"', "it is not JSON"),
])  # fmt: skip
def test_what_is_not_certain_is_left_out_with_its_reason(tmp_path, data, line, reason):
    """The kind: a yes to an unknown question was scored as a description without hallucinations."""
    named = isinstance(line, dict) and "model" in line
    rows = [{**row, "model": "ours"} if named else row for row in CAPTIONS]
    result = scores(tmp_path / "others.jsonl", [*rows, line], data)
    assert result["photos"] == 3
    assert [round(row["chair"]["chair_i"], 3) for row in result["methods"]] == [0.333]
    found = reasons(result)
    assert list(found) == [4]
    assert reason in found[4]


@pytest.mark.parametrize("form", [
    "{}", "{} Answer the question using a single word or phrase.", "<image>\n{}", "{}\nPlease answer yes or no.",
])  # fmt: skip
@pytest.mark.parametrize("changed", [str, str.upper, "  {}  ".format])
def test_known_questions_are_known_in_every_form(tmp_path, data, form, changed):
    rows = [
        {"question_id": number, "image": key, "prompt": changed(form.format(text)), "text": label.capitalize() + "."}
        for number, (key, (text, label)) in enumerate(questions_of(data).items())
    ]
    result = scores(tmp_path / "pope.jsonl", rows, data)
    assert result["methods"][0]["pope"]["accuracy"] == 1.0
    assert result["photos"] == 3
    assert "chair" not in result["methods"][0]
    assert "None of the answers is a description, so they are not scored by CHAIR." in result["notes"]


def test_true_and_lists_of_one_and_popes_own_names_are_read(tmp_path, data):
    rows = []
    for key, (text, label) in questions_of(data).items():
        value = {"a": label == "yes", "b": [f"{label}, there is."]}.get(key, label)
        rows.append({"image": key, "text": text, "answer": value})
    result = scores(tmp_path / "pope.jsonl", rows, data)
    assert result["methods"][0]["pope"]["accuracy"] == 1.0
    assert result["methods"][0]["pope"]["unparsed"] == 0


def test_a_coco_file_of_results_is_read_and_photos_of_one_name_are_no_one_photo(tmp_path):
    (tmp_path / "x").mkdir()
    write(tmp_path / "x", {"COCO_val2014_000000000007": DOG, "COCO_train2014_000000000007": CAR, "b": CAR})
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"info": {}, "annotations": [
        {"id": 1, "image_id": 7, "caption": "A dog."}, {"image_id": "b", "caption": "A car."},
        {"image_id": "COCO_val2014_000000000007.jpg", "caption": "A dog."},
    ]}, indent=1), encoding="utf-8")  # fmt: skip
    result, _ = saved.score(lines.read(path), tmp_path / "x", ["chair"])
    assert (result["photos"], result["answers"]["used"]) == (2, 2)
    assert reasons(result) == {1: "'7' may be any of 2 photos; write their whole keys"}


def test_a_limit_and_a_half_name_what_they_leave_out(tmp_path, data):
    result = scores(tmp_path / "others.jsonl", CAPTIONS, data, ["chair"], limit=1)
    assert (result["photos"], len(reasons(result))) == (1, 2)


def test_the_command_says_how_many_answers_it_left_out(tmp_path, data, capsys):
    path = tmp_path / "others.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [*CAPTIONS, {"image": "x", "text": "A cat."}]))
    assert cli.main(["evaluate", str(data), "--answers", str(path), "--json", str(tmp_path / "out.json")]) == 0
    out = capsys.readouterr()
    assert "1 of 4 answers are left out" in out.out
    assert "answer 4 is left out: it is about no photo that is scored here." in out.err
    assert json.loads((tmp_path / "out.json").read_text())["answers"]["used"] == 3


VALUES = st.one_of(
    st.sampled_from(["a", "b.jpg", "x/a.PNG", "", "/", "\0", "\ud800", "COCO_val2014_000000000042", "42", "Yes.",
                     "A dog.", "Is there a dog in the image?", "Describe this image in detail.", "baseline", "?"]),
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6),
    st.lists(st.text(max_size=3), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(10**400), st.just({"alpha": [1]}),
)  # fmt: skip
NAMES = (*lines.PHOTO_NAMES[:4], *lines.TEXT_NAMES[:3], *lines.PROMPT_NAMES[:2], *lines.METHOD_NAMES)
OURS = ("photo", "prompt", "method", "parameters", "sampling", "model", "text", "seconds", "p_yes", "name")
FOREIGN = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
PLAIN = st.fixed_dictionaries({"image": st.sampled_from(["a", "b", "42", "c"]), "text": st.just("A dog.")},
                              optional={"prompt": VALUES, "method": VALUES})  # fmt: skip
KEPT = st.fixed_dictionaries(
    {name: VALUES for name in OURS[4:7]} | {name: st.text(max_size=3) for name in OURS[:3]}
    | {"parameters": st.just({}), "sampling": st.one_of(st.just({"seed": 0}), VALUES), "text": st.just("A dog.")},
    optional={name: VALUES for name in OURS[7:]},
)  # fmt: skip
LINE = st.one_of(PLAIN, FOREIGN, KEPT, VALUES, st.sampled_from(["{", "[1]", "[" * 5000, "nul", '"', "\u2028"]))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(LINE, max_size=6), whole=st.booleans())
def test_no_line_is_lost_and_none_is_a_traceback(tmp_path, data, rows, whole):
    """Public kind: what is left out in silence. Any lines: one sentence, or read = used + left out."""
    path = tmp_path / "any.jsonl"
    texts = [row if isinstance(row, str) and row[:1] in '{[n"' else json.dumps(row) for row in rows]
    text = "[" + ",".join(map(json.dumps, rows)) + "]" if whole else "\n".join(texts)
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        result, _ = saved.score(lines.read(path), data, METRICS)
    except InputError as error:
        assert "\n" not in str(error)
        return
    conforms("evaluate", result)
    answers = result["answers"]
    assert answers["read"] == answers["used"] + len(answers["left_out"])
    if whole:
        assert answers["read"] == len(rows)
    assert all(item["reason"] for item in answers["left_out"])
    json.dumps(result, allow_nan=False)
