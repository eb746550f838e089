"""Answers that are kept as they come: nothing is decoded twice, the result is that of one evaluation, and the file is
scored again without a model."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from annotated_photos import CAR, DOG, write
from run_processes import begin
from tiny import folder
from tiny import lvlm as tiny_lvlm

from halluapp.cli import main as cli
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.evaluation import harness, search
from halluapp.evaluation.answers import lines as answer_lines
from halluapp.evaluation.answers import saved as saved_answers
from halluapp.evaluation.answers.store import AnswersStore
from halluapp.evaluation.answers.work import Answers
from halluapp.methods.registry import create


class Script:
    """An `answer` that counts what it is asked, and breaks off after some calls."""

    def __init__(self, breaks_after: int = 1000):
        self.prompts: list[str] = []
        self.calls, self.breaks_after = 0, breaks_after

    def __call__(self, photo, prompts, most) -> Answers:
        if self.calls == self.breaks_after:
            raise KeyboardInterrupt
        self.calls += 1
        self.prompts += prompts
        methods = ("baseline", "vdd")
        texts = [{name: "A dog and a cat." if most > 8 else "Yes." for name in methods} for _ in prompts]
        return Answers(texts, {}, dict.fromkeys(methods, 0.25))


def evaluate(data, script, store=None, methods=("baseline", "vdd"), **more) -> dict:
    return harness.evaluate(data, methods=list(methods), answer=script, store=store, **more)


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return write(tmp_path / "data", {"a": DOG, "b": CAR, "c": DOG})


def test_an_evaluation_that_broke_off_goes_on_with_the_same_result(tmp_path, data):
    """The kind: the work of hours is lost with the process; every cut leaves the same file and the same scores."""
    whole = Script()
    expected = evaluate(data, whole, AnswersStore(tmp_path / "whole.jsonl"))
    assert expected == evaluate(data, Script())
    for cut in range(whole.calls):
        path = tmp_path / f"{cut}.jsonl"
        first, second = Script(cut), Script()
        with pytest.raises(KeyboardInterrupt):
            evaluate(data, first, AnswersStore(path))
        if cut:
            with path.open("a", encoding="utf-8") as file:
                file.write('{"photo": "half a li')
        assert evaluate(data, second, AnswersStore(path)) == expected, cut
        assert first.prompts + second.prompts == whole.prompts, cut
        assert path.read_text(encoding="utf-8") == (tmp_path / "whole.jsonl").read_text(encoding="utf-8"), cut
    again = Script()
    assert evaluate(data, again, AnswersStore(path)) == expected
    assert again.calls == 0


def test_what_an_answer_depends_on_is_decoded_anew_and_nothing_else(tmp_path, data):
    """The kind: a cache that names its input. Photos, parameters, sampling; a further method alone."""
    path = tmp_path / "answers.jsonl"
    evaluate(data, Script(), AnswersStore(path), methods=["baseline"])
    further = Script()
    evaluate(data, further, AnswersStore(path))
    assert further.calls == 6  # the same prompts, for vdd alone
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 * len(further.prompts)
    strong = Script()
    evaluate(data, strong, AnswersStore(path), methods=["baseline", create("vdd", alpha=0.25)])
    assert strong.prompts == further.prompts
    (data / "a.jpg").write_bytes((data / "b.jpg").read_bytes())  # another photo under the same name
    anew = Script()
    evaluate(data, anew, AnswersStore(path))
    captions = [prompt for prompt in anew.prompts if prompt == harness.CAPTION_PROMPT]
    assert not captions  # b's description is known; its other questions are not
    assert 0 < len(anew.prompts) < len(further.prompts)


def test_a_model_with_other_weights_or_another_hallu_space_answers_anew(tmp_path, data):
    model = tiny_lvlm("llava", "none")
    store, methods = AnswersStore(tmp_path / "answers.jsonl"), [create("baseline"), create("nullu")]
    lines = []
    for change in ("nothing", "space", "weight"):
        if change == "space":
            for directions in model.spaces["default"].layers.values():
                directions.neg_()
        if change == "weight":
            weight = next(iter(model.model.parameters())).data.view(-1)
            number = weight[5].clone()
            weight[5] += 1
        store.use(None)
        store.use(model)
        lines.append([store._line("photo", "?", method, Sampling())["model"] for method in methods])
    baseline, nullu = zip(*lines, strict=True)
    assert baseline[0] == baseline[1] != baseline[2]
    assert len(set(nullu)) == 3
    weight[5] = number
    for directions in model.spaces["default"].layers.values():
        directions.neg_()


def test_a_search_goes_on_with_the_same_result(tmp_path, data):
    from types import SimpleNamespace

    session, calls = SimpleNamespace(lvlm=tiny_lvlm("llava", "none")), []
    grid = {"alpha": [0.5, 1.5]}
    expected = search.search(data, "vdd", grid, session=session)
    path = tmp_path / "answers.jsonl"

    def log(line: str) -> None:
        calls.append(line)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.search(data, "vdd", grid, session=session, store=AnswersStore(path), log=log)
    half = len(path.read_text(encoding="utf-8").splitlines())
    results = [search.search(data, "vdd", grid, session=session, store=AnswersStore(path)) for _ in range(2)]
    assert half < len(path.read_text(encoding="utf-8").splitlines())
    for result in (expected, *results):
        for row in result["test"]:
            row.pop("seconds")
    assert results == [expected, expected]


def test_saved_answers_are_scored_as_when_they_were_decoded(tmp_path, data):
    path = tmp_path / "answers.jsonl"
    expected = evaluate(data, Script(), AnswersStore(path))
    saved = answer_lines.read(path)
    result, complete = saved_answers.score(saved, data)
    assert complete
    assert result.pop("answers") == {"file": "answers.jsonl", "read": 36, "used": 36, "left_out": []}
    assert result == expected
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]), encoding="utf-8")
    assert not saved_answers.score(answer_lines.read(path), data)[1]


FOREIGN = (
    [{"image": "a.jpg", "caption": "A dog."}, {"image": "photos/b.jpg", "caption": "A dog."}],
    [{"image_id": "a", "answer": "A dog."}, {"image_id": "b", "answer": "A dog."}],
    [{"key": "a", "text": "A dog.", "model_id": "x"}, {"key": "b", "text": "A dog.", "model_id": "x"}],
    [{"image_path": "C:\\photos\\a.JPG", "response": "A dog."}, {"image_path": "b", "response": "A dog."}],
)


def test_answers_of_other_programs_are_scored_and_photos_without_one_are_named(tmp_path, data):
    for number, rows in enumerate(FOREIGN):
        for text in ("\n".join(map(json.dumps, rows)), "\ufeff" + json.dumps(rows)):
            path = tmp_path / "others.jsonl"
            path.write_text(text, encoding="utf-8")
            result, _ = saved_answers.score(answer_lines.read(path), data)
            assert result["photos"] == 2, number
            assert result["methods"][0]["chair"]["chair_i"] == 0.5, number
            assert [item["key"] for item in result["left_out"]] == ["c"], number
    records = {"COCO_val2014_000000000042": DOG}
    (tmp_path / "coco").mkdir()
    coco = write(tmp_path / "coco", records)
    path.write_text('[{"image_id": 42, "caption": "A dog."}, {"image_id": 7, "caption": "A cat."}]', encoding="utf-8")
    result, _ = saved_answers.score(answer_lines.read(path), coco)
    assert result["methods"][0]["chair"]["chair_i"] == 0.0
    assert any("1 photos (7) of others.jsonl are about no photo" in note for note in result["notes"])


def test_answers_that_are_none_are_refused_in_one_sentence(tmp_path, data):
    path = tmp_path / "answers.jsonl"
    for text in ("", "[]", "null", "[1]", '{"image": "a"}', '{"text": "A dog."}', "{", "\n{}\n", '{"image": true}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            saved_answers.score(answer_lines.read(path), data)
        assert "\n" not in str(caught.value), text
    path.write_text('{"image": "a", "text": "A dog."}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"Line 1 of .* is no answer that an evaluation kept"):
        AnswersStore(path)


def test_the_command_keeps_goes_on_and_scores_again(tmp_path, data, capsys):
    result, answers = tmp_path / "new" / "result.json", tmp_path / "new" / "result.answers.jsonl"
    words = ["evaluate", str(data), "--metrics", "CHAIR", "--methods", "Baseline"]
    model = ["--model", str(folder("llava")), "--quantization", "none"]
    assert cli.main([*words, *model, "--json", str(result)]) == 0
    first, kept = json.loads(result.read_text(encoding="utf-8")), answers.read_text(encoding="utf-8")
    assert len(kept.splitlines()) == 3
    assert cli.main([*words, *model, "--json", str(result)]) == 0
    assert answers.read_text(encoding="utf-8") == kept
    second = json.loads(result.read_text(encoding="utf-8"))
    capsys.readouterr()
    assert cli.main([*words[:4], "--answers", str(answers), "--json", str(tmp_path / "third.json")]) == 0
    assert "no model was loaded" in capsys.readouterr().err
    third = json.loads((tmp_path / "third.json").read_text(encoding="utf-8"))
    assert first == second
    assert third.pop("answers")["used"] == 3
    assert {**third, "quantization": "none"} == {**first, "model": third["model"]}
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text('{"image": "a.jpg", "text": "A dog."}\n', encoding="utf-8")
    assert cli.main([*words, "--answers", str(foreign)]) == 2
    assert "leave --methods out" in capsys.readouterr().err
    assert foreign.read_text(encoding="utf-8").count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "search"])
def test_a_command_that_was_killed_goes_on_with_the_same_file(tmp_path, command):
    """The kind: the work of hours is lost with the process. kill -9, then the same command again."""
    (tmp_path / "data").mkdir()
    photos = write(tmp_path / "data", {f"{number}": (DOG, CAR)[number % 2] for number in range(12)})
    more = {"evaluate": ["--methods", "baseline,vdd"], "search": ["--method", "vdd", "--grid", "alpha=0.5,1.5"]}
    words = [command, str(photos), "--model", str(folder("llava")), "--quantization", "none", *more[command]]
    log, whole, killed = tmp_path / "log", tmp_path / "whole.json", tmp_path / "killed.json"
    process = begin(log, *words, "--json", str(whole))
    process.join(300)
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
    answers = tmp_path / "killed.answers.jsonl"
    process = begin(log, *words, "--json", str(killed))
    while process.is_alive() and not (answers.exists() and answers.read_text(encoding="utf-8").count("\n") > 3):
        time.sleep(0.005)
    process.kill()
    process.join(60)
    assert not killed.exists()
    early = shutil.copy(answers, tmp_path / "early.jsonl")
    process = begin(log, *words, "--json", str(killed))
    process.join(300)
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
    lines = answers.read_text(encoding="utf-8").splitlines()
    complete = Path(early).read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines[:3] == [line.strip() for line in complete[:3]]
    assert len(lines) == len((tmp_path / "whole.answers.jsonl").read_text(encoding="utf-8").splitlines())
    one, other = (_without_seconds(json.loads(path.read_text(encoding="utf-8"))) for path in (whole, killed))
    assert one == other


def _without_seconds(value):
    if isinstance(value, dict):
        return {key: _without_seconds(part) for key, part in value.items() if key != "seconds"}
    return [_without_seconds(part) for part in value] if isinstance(value, list) else value
