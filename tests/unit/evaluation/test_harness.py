"""The evaluation: scripted answers with known scores, and a tiny real model from photos to JSON."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from annotated_photos import CAR, DOG, write
from conformity import conforms

from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.evaluation import harness
from halluapp.evaluation.answers import work
from halluapp.evaluation.answers.store import AnswersStore
from halluapp.evaluation.harness import Answers, evaluate
from halluapp.evaluation.scores import scoring, tables


def _script(captions: dict[str, str], says: dict[str, str], log: list | None = None, errors: dict | None = None):
    """An `answer`: every photo gets the same caption and the same yes or no by method name."""

    def answer(photo, prompts, most) -> Answers:
        if log is not None:
            log.append(list(prompts))
        texts = captions if list(prompts) == [harness.CAPTION_PROMPT] else says
        return Answers([dict(texts) for _ in prompts], dict(errors or {}), dict.fromkeys(texts, 0.5))

    return answer


CAPTIONS = {"baseline": "A dog, a cat and a cat.", "vdd": "A dog."}
SAYS = {"baseline": "Yes.", "vdd": "No, there is none."}


def _by_name(result: dict) -> dict[str, dict]:
    return {row["method"]: row for row in result["methods"]}


def test_scores_of_scripted_answers(tmp_path) -> None:
    lines: list[str] = []
    data = write(tmp_path, {"a": DOG, "b": CAR})
    result = evaluate(data, methods=["baseline", "vdd"], log=lines.append, answer=_script(CAPTIONS, SAYS))
    conforms("evaluate", result)
    assert (result["schema"], result["photos"], result["vocabulary"]) == (1, 2, "coco")
    base, vdd = _by_name(result)["baseline"], _by_name(result)["vdd"]
    assert base["chair"]["chair_i"] == 5 / 6
    assert base["chair"]["chair_s"] == 1.0
    assert base["chair"]["recall"] == 1 / 3
    assert vdd["chair"]["chair_i"] == 1 / 2
    assert vdd["chair"]["length"] == 2.0
    assert (base["pope"]["yes_ratio"], base["pope"]["accuracy"], base["pope"]["recall"]) == (1.0, 0.5, 1.0)
    assert (vdd["pope"]["yes_ratio"], vdd["pope"]["recall"], vdd["pope"]["unparsed"]) == (0.0, 0.0, 0)
    assert set(base["pope"]["splits"]) == {"random", "popular", "adversarial"}
    assert base["pope"]["splits"]["popular"]["count"] == 6
    difference = vdd["differences"]["chair"]["chair_i"]
    assert difference["value"] == pytest.approx(1 / 2 - 5 / 6)
    assert difference["low"] <= difference["value"]
    assert "differences" not in base
    assert base["seconds"] == 2.0
    assert base["worst"][0] == {
        "photo": "b", "text": CAPTIONS["baseline"], "hallucinated": ["dog", "cat", "cat"], "truth": ["car"],
    }  # fmt: skip
    assert lines
    assert "2 of 2" in lines[-1]
    text = tables.table(result)
    assert "baseline" in text
    assert "0.833" in text


def test_intervals_hold_their_score(tmp_path) -> None:
    data = write(tmp_path, {f"p{n}": (DOG, CAR)[n % 2] for n in range(12)})
    rows = _by_name(evaluate(data, methods=["baseline", "vdd"], answer=_script(CAPTIONS, SAYS)))
    for row in rows.values():
        for metric in ("chair", "pope"):
            for key, (low, high) in row["intervals"][metric].items():
                assert low is None or low - 1e-9 <= row[metric][key] <= high + 1e-9


def test_equal_questions_are_asked_once_and_the_seed_decides(tmp_path) -> None:
    data = write(tmp_path, {f"p{n}": (DOG, CAR)[n % 2] for n in range(6)})
    first, again, other = [], [], []
    for log, seed in ((first, 1), (again, 1), (other, 2)):
        evaluate(data, methods=["baseline"], seed=seed, answer=_script(CAPTIONS, SAYS, log))
    assert first == again != other
    assert all(len(set(prompts)) == len(prompts) for prompts in first)


def test_a_method_without_weights_says_so_and_the_others_are_scored(tmp_path) -> None:
    data = write(tmp_path, {"a": DOG})
    script = _script(CAPTIONS, SAYS, errors={"nullu": "No HalluSpace is loaded."})
    result = evaluate(data, methods=["baseline", "nullu", "vdd"], answer=script)
    conforms("evaluate", result)
    rows = _by_name(result)
    assert rows["nullu"]["error"] == "No HalluSpace is loaded."
    assert "chair" not in rows["nullu"]
    assert rows["baseline"]["error"] is None
    assert "No HalluSpace" in tables.table(result)


def test_only_what_is_asked_for_is_measured(tmp_path) -> None:
    data = write(tmp_path, {"a": DOG, "b": CAR})
    result = evaluate(data, ["chair"], ["baseline"], limit=1, answer=_script(CAPTIONS, SAYS))
    assert result["photos"] == 1
    assert "pope" not in result["methods"][0]
    assert "differences" not in result["methods"][0]
    result = evaluate(data, ["pope"], ["baseline"], answer=_script(CAPTIONS, SAYS))
    assert "chair" not in result["methods"][0]
    assert "worst" not in result["methods"][0]
    assert tables.table(result)


def test_too_few_photos_for_questions_is_said_and_never_a_zero(tmp_path) -> None:
    data = write(tmp_path, {"a": {"captions": ["A dog"], "entities": []}})
    result = evaluate(data, methods=["baseline"], answer=_script(CAPTIONS, SAYS))
    assert result["vocabulary"] == "wide"
    assert "pope" not in result["methods"][0]
    assert "chair" in result["methods"][0]
    assert result["notes"][0] in tables.table(result)
    with pytest.raises(InputError, match="use more photos"):
        evaluate(data, ["pope"], ["baseline"], answer=_script(CAPTIONS, SAYS))


def test_a_damaged_photo_is_left_out_and_said(tmp_path) -> None:
    data, lines = write(tmp_path, {"a": DOG, "b": CAR}), []
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    result = evaluate(data, methods=["baseline"], log=lines.append, answer=_script(CAPTIONS, SAYS))
    assert result["photos"] == 1
    assert lines[0].startswith("a is left out")


@pytest.mark.parametrize(
    "change",
    [{"metrics": ["bleu"]}, {"metrics": []}, {"methods": ["magic"]}, {"methods": ["vdd", "vdd"]}, {"methods": []},
     {"limit": -1}, {"data": "nowhere"}, {"answer": None}],
)  # fmt: skip
def test_bad_input_is_one_sentence(tmp_path, change) -> None:
    data = write(tmp_path, {"a": DOG})
    arguments = {"data": data, "methods": ["baseline"], "answer": _script(CAPTIONS, SAYS), **change}
    with pytest.raises(InputError) as caught:
        evaluate(**arguments)
    assert "\n" not in str(caught.value)


def test_photos_without_annotations_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="no annotated photos"):
        evaluate(write(tmp_path, {"a": {"qa": []}}), answer=_script(CAPTIONS, SAYS))


def test_a_tiny_real_model_from_photos_to_json(tmp_path, monkeypatch) -> None:
    tiny = pytest.importorskip("tiny")
    monkeypatch.setattr(harness, "CAPTION_TOKENS", 9)
    monkeypatch.setattr(work, "AT_ONCE", 2)
    data = write(tmp_path, {"a": DOG, "b": CAR}, size=32)
    session = SimpleNamespace(lvlm=tiny.lvlm("llava"))
    result = evaluate(data, methods=["baseline", "vdd"], session=session, questions_per_photo=1)
    conforms("evaluate", result)
    for row in result["methods"]:
        assert row["error"] is None
        assert row["seconds"] > 0
        assert row["chair"]["length"] > 0
        assert row["pope"]["count"] == 12
    assert result["model"] == session.lvlm.name
    assert len(result["methods"][0]["worst"]) <= scoring.WORST


METHODS = ["baseline", "vdd", "calibration", "nullu", "icd"]


def test_full_batches_of_photos_and_methods_answer_as_one_photo_and_method_at_a_time(tmp_path, monkeypatch) -> None:
    """The kind: an answer depends on what is decoded beside it. Also sampled, and where a store has some of them."""
    tiny = pytest.importorskip("tiny")
    monkeypatch.setattr(harness, "CAPTION_TOKENS", 9)
    data = write(tmp_path, {f"p{n}": (DOG, CAR)[n % 2] for n in range(5)}, size=32)
    session = SimpleNamespace(lvlm=tiny.lvlm("llava"))
    sampling = {"vdd": Sampling(temperature=1.5, seed=3)}
    together, alone = (AnswersStore(tmp_path / f"{name}.jsonl") for name in ("together", "alone"))
    evaluate(data, methods=METHODS, session=session, sampling=sampling, store=together)
    with monkeypatch.context() as one_at_a_time:
        one_at_a_time.setattr(work, "AT_ONCE", 1)
        one_at_a_time.setattr(harness, "PHOTOS", 1)
        for method in METHODS:
            evaluate(data, methods=[method], session=session, sampling=sampling, store=alone)
    texts = [{key: line["text"] for key, line in store.lines.items()} for store in (together, alone)]
    assert texts[0] == texts[1]
    assert len({line["photo"] for line in together.lines.values()}) == 5
    lines = (tmp_path / "together.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "some.jsonl").write_text("".join(lines[::3]), encoding="utf-8")
    resumed = AnswersStore(tmp_path / "some.jsonl")
    evaluate(data, methods=METHODS, session=session, sampling=sampling, store=resumed)
    assert {key: line["text"] for key, line in resumed.lines.items()} == texts[0]
    assert len((tmp_path / "some.jsonl").read_text(encoding="utf-8").splitlines()) == len(lines)
