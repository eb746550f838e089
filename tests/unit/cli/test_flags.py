"""A flag is obeyed or refused, never dropped: adapters of any folder name, names in capitals, flags that contradict."""

from __future__ import annotations

from pathlib import Path

import pytest

from halluapp.cli import common
from halluapp.cli import main as cli
from halluapp.cli.support.adapter_names import safe_names
from halluapp.errors import InputError
from halluapp.evaluation import search
from halluapp.methods.registry import create


def methods(*arguments: str) -> list:
    return common.methods_of(cli.parser().parse_args(["compare", "x.jpg", "--prompt", "p", *arguments]))


def names(*arguments: str) -> list[str]:
    return [method.name for method in methods(*arguments)]


ORDINARY = (
    "my run",
    "a+b",
    "a,b",
    "run.v2",
    "Straße 3",
    "vdd",
    "chip",
    "x=y",
    "a:b",
    " ",
    "100%",
    "-a",
    "ночь",
    "a  b",
)


def test_a_folder_of_any_name_can_be_chosen_and_set(tmp_path):
    """The kind: an adapter cannot be named on the command line when its folder has an ordinary name."""
    for name in ORDINARY:
        folder = ["--adapter", str(tmp_path / name)]
        chosen = methods(*folder, "--methods", f"baseline,adapter:{name}", "--set", f"adapter:{name}.strength=0.5")
        assert chosen[0].name == "baseline", name
        assert len(chosen) == 2, name
        assert chosen[1].name.startswith("adapter:"), name
        assert not set(chosen[1].adapter) & set(" ,+:="), name
        assert chosen[1].strength == 0.5, name
        assert names(*folder)[-1] == chosen[1].name, name
        assert create(chosen[1].name).name == chosen[1].name, name
        stacked = names(*folder, "--methods", f"adapter:{name}+vdd")
        assert stacked == [f"{chosen[1].name}+vdd"], name


def test_an_adapter_beside_methods_is_obeyed(tmp_path):
    """The kind: --adapter is ignored beside --methods."""
    assert names("--adapter", str(tmp_path / "mine"), "--methods", "baseline") == ["baseline", "adapter:mine"]
    assert names("--adapter", str(tmp_path / "mine"), "--methods", "adapter:mine,vdd") == ["adapter:mine", "vdd"]
    assert names("--adapter", str(tmp_path / "mine" / "adapter"), "--methods", "vdd") == ["vdd", "adapter:mine"]


def test_two_folders_of_one_name_are_two_adapters(tmp_path):
    folders = ["--adapter", str(tmp_path / "one" / "same"), "--adapter", str(tmp_path / "two" / "same")]
    assert names(*folders, "--methods", "baseline") == ["baseline", "adapter:same-1", "adapter:same-2"]
    assert names(*folders, "--methods", "adapter:same-2,vdd") == ["adapter:same-2", "vdd", "adapter:same-1"]
    for words in (["--methods", "adapter:same"], ["--set", "adapter:same.strength=0.5"]):
        with pytest.raises(InputError, match=r"adapter:same-1 .*one.* and adapter:same-2 .*two"):
            methods(*folders, *words)
    for group in (["a", "a", "a-1"], ["a-1", "a", "a"], ["a b", "a-b", "a+b"], ["vdd", "vdd"], [" ", "+", ","]):
        result = safe_names([Path(f"{number}") / name for number, name in enumerate(group)])
        assert len(set(result)) == len(group), (group, result)


def test_capitals_are_understood():
    """The kind: grid keys and method names in capitals are refused."""
    assert names("--methods", "VDD, Baseline,AdaVIB,Nullu+VDD") == ["vdd", "baseline", "adavib", "nullu+vdd"]
    vdd, stack = methods("--methods", "VDD,Nullu+VDD", "--set", "Vdd.Alpha=0.5", "--set", "NULLU+vdd.Nullu.Rank=2")
    assert vdd.alpha == 0.5
    assert stack.parameters()["nullu.rank"] == 2
    assert search.parse_grid(["ALPHA=0.5,1", "Top-P=0.9"]) == {"alpha": [0.5, 1], "top_p": [0.9]}
    with pytest.raises(InputError, match="twice"):
        search.parse_grid(["alpha=0.5", "ALPHA=1"])
    with pytest.raises(InputError, match="given twice"):
        methods("--methods", "vdd", "--set", "vdd.alpha=1", "--set", "vdd.ALPHA=2")
    with pytest.raises(InputError, match="given twice"):
        methods("--methods", "vdd", "--set", "vdd.alpha=1", "--set", "vdd.alpha=2")
    with pytest.raises(InputError, match="in small letters"):
        create("Baseline")


REFUSED = (
    ["train", "pairs", "--scenes", "4", "--limit", "2", "--out", "OUT"],
    ["train", "pairs", "--scenes", "4", "--model", "pocket", "--out", "OUT"],
    ["evaluate", "DATA", "--verdicts", "--markdown", "OUT"],
    ["evaluate", "DATA", "--plot", "OUT"],
    ["evaluate", "DATA", "--verdicts", "--answers", "OUT"],
    ["compare", "DATA/a.jpg", "--prompt", "p", "--top-p", "0.5"],
    ["compare", "DATA/a.jpg", "--prompt", "p", "--top-k", "5"],
)


def test_flags_without_an_effect_are_refused(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    for number, words in enumerate(REFUSED):
        out, data = str(tmp_path / f"out-{number}"), str(tmp_path / "data")
        arguments = [word.replace("OUT", out).replace("DATA", data) for word in words]
        assert cli.main(arguments) == 2, words
        error = capsys.readouterr().err
        assert error.startswith("halluapp: "), words
        assert error.count("\n") == 1, words
        assert "leave" in error or "--temperature" in error or "lower --scenes" in error, error
