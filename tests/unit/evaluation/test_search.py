"""The search of a decoding configuration: what is searched, on which photos it is chosen, and where it is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from annotated_photos import CAR, DOG, write
from conformity import conforms
from tiny import lvlm

from halluapp.cli import main as cli
from halluapp.data.shards import Sample
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.evaluation import harness, search
from halluapp.methods.registry import VDD, Baseline, create


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "CAPTION_TOKENS", 8)
    folder = tmp_path / "photos"
    folder.mkdir()
    return write(folder, {f"p{n}": (DOG, CAR)[n % 2] for n in range(8)}, size=32)


def test_a_grid_is_parsed() -> None:
    grid = search.parse_grid(["alpha=0.5,1", "reference=none, unk", "top_k=5"])
    assert grid == {"alpha": [0.5, 1], "reference": ["none", "unk"], "top_k": [5]}
    for wrong in (["alpha"], ["alpha="], ["=1"], ["alpha=1,,2"], ["alpha=1", "alpha=2"]):
        with pytest.raises(InputError, match="--grid"):
            search.parse_grid(wrong)


def test_the_configurations_of_a_grid() -> None:
    grid = {"alpha": [0.5, 1.0], "beta": [0.1, 0.2], "temperature": [0.7]}
    whole = search.configurations("vdd", grid, False, seed=3)
    assert len(whole) == 5
    assert whole[0].settings == ()
    assert whole[0].sampling == Sampling(seed=3)
    assert whole[-1].method == VDD(alpha=1.0, beta=0.2)
    assert whole[-1].sampling == Sampling(seed=3, temperature=0.7)
    single = search.configurations("vdd", grid, True, seed=3)
    assert [dict(one.settings) for one in single] == [{}, {"alpha": 0.5}, {"beta": 0.2}, {"temperature": 0.7}]
    assert search.configurations("vdd", {"top_p": [0.5]}, False, 0)[1].sampling == Sampling(temperature=1.0, top_p=0.5)
    stack = search.configurations("nullu+vdd", {"nullu.rank": [1, 2]}, False, 0)
    assert [one.method.parameters()["nullu.rank"] for one in stack] == [4, 1, 2]


@pytest.mark.parametrize(
    ("method", "grid"),
    [("vdd", {}), ("magic", {"alpha": [1]}), ("vdd", {"gamma": [1]}), ("vdd", {"alpha": [9]}), ("vdd", {"top_p": [0]}),
     ("vdd", {"top_k": [1.5]}), ("vdd", {"temperature": ["warm"]}), ("vdd", {"alpha": [n / 200 for n in range(300)]})],
)  # fmt: skip
def test_what_cannot_be_searched_is_said(method, grid) -> None:
    with pytest.raises(InputError) as caught:
        search.configurations(method, grid, False, 0)
    assert "\n" not in str(caught.value)


def test_photos_are_split_by_the_seed_and_none_is_in_both() -> None:
    samples = [Sample(f"{number:02d}", bytes([number]), {}) for number in range(40)]
    tuning, test = search.split(samples, 0.25, 0)
    assert len(tuning) == 10
    assert sorted(tuning + test, key=lambda sample: sample.key) == samples
    assert tuning == sorted(tuning, key=lambda sample: sample.key)
    assert search.split(samples, 0.25, 0) == (tuning, test) != search.split(samples, 0.25, 1)
    for share in (0, 1, -1):
        with pytest.raises(InputError, match="share"):
            search.split(samples, share, 0)


def test_one_photo_under_two_names_is_on_one_side() -> None:
    """Public kind: the same picture is chosen on and scored."""
    samples = [Sample(f"{number:02d}", bytes([number // 2]), {}) for number in range(40)]
    for seed in range(5):
        tuning, test = search.split(samples, 0.5, seed)
        assert not {sample.jpeg for sample in tuning} & {sample.jpeg for sample in test}
        assert len(tuning) == len(test) == 20
    with pytest.raises(InputError, match="two"):
        search.split([Sample("a", b"1", {}), Sample("b", b"1", {})], 0.5, 0)


def test_ties_and_directions() -> None:
    rows = [{"score": s} for s in (0.3, 0.1, None, 0.1, 0.3)]
    assert search._best(rows, "chair_i") == 1
    assert search._best(rows, "f1") == 0
    with pytest.raises(InputError, match="undefined"):
        search._best([{"score": None}], "chair_i")


def test_what_is_chosen_on_tuning_photos_is_told_on_the_others(data) -> None:
    session, lines = SimpleNamespace(lvlm=lvlm("llava")), []
    grid = {"alpha": [0.0, 2.0], "temperature": [1.2]}
    result = search.search(data, "vdd", grid, "recall", 0.5, one_at_a_time=True, session=session, log=lines.append)
    conforms("search", result)
    assert result["photos"] == {"tuning": 4, "test": 4}
    assert [row["settings"] for row in result["tuning"]] == [{}, {"alpha": 0.0}, {"alpha": 2.0}, {"temperature": 1.2}]
    assert result["best"] == result["tuning"][search._best(result["tuning"], "recall")]["settings"]
    assert [row["method"] for row in result["test"]][:3] == ["baseline", "defaults", "best"]
    text = search.table(result)
    assert "tuning, 4 photos" in text
    assert "best minus defaults" in text
    assert "4 configurations" in lines[0]
    tuning, test = search.split(harness.annotated_samples(data), 0.5, 0)
    alone = harness.evaluate(test, ["chair"], [Baseline(), VDD()], session=session)
    assert result["test"][0]["chair"] == alone["methods"][0]["chair"]
    assert result["test"][1]["chair"] == alone["methods"][1]["chair"]
    assert result["test"][1]["differences"] == alone["methods"][1]["differences"]
    assert not {sample.key for sample in tuning} & {sample.key for sample in test}


def test_methods_of_different_sampling_are_scored_together(data) -> None:
    """The tuned sampler changes the baseline too; both are scored on the same photos."""
    session = SimpleNamespace(lvlm=lvlm("llava"))
    warm = search.NamedMethod(Baseline(), "warm")
    result = harness.evaluate(
        data, ["chair"], [Baseline(), warm, search.NamedMethod(create("dola"), "dola+")], session=session,
        sampling={"warm": Sampling(temperature=1.5, seed=4)},
    )  # fmt: skip
    assert [row["method"] for row in result["methods"]] == ["baseline", "warm", "dola+"]
    assert all(row["error"] is None and row["seconds"] > 0 for row in result["methods"])


def test_a_method_without_weights_ends_the_search(data, monkeypatch) -> None:
    model = lvlm("llava")
    monkeypatch.delitem(model.spaces, "default")
    with pytest.raises(InputError, match="HalluSpace"):
        search.search(data, "nullu", {"rank": [1, 2]}, session=SimpleNamespace(lvlm=model), objective="recall")


@pytest.mark.parametrize(
    "arguments",
    [["nowhere", "--method", "vdd", "--grid", "alpha=1"], [".", "--method", "vdd"],
     [".", "--method", "vdd", "--grid", "gamma=1"], [".", "--method", "magic", "--grid", "alpha=1"]],
)  # fmt: skip
def test_bad_input_is_one_line(arguments, capsys) -> None:
    assert cli.main(["search", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unknown_objective() -> None:
    with pytest.raises(InputError, match="objective"):
        search.search("x", "vdd", {"alpha": [1]}, "bleu")
