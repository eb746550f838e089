"""Random command lines: every one ends with exit code 0 or 2 and at most one sentence, and a flag is never dropped."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
from pathlib import Path

import pytest
from annotated_photos import CAR, DOG, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import OPEN, folder, photo

from halluapp.cli import main as cli

ELSEWHERE = ("serve", "doctor")  # one would serve until it is stopped, the other looks at the machine: own tests
MODEL = ["--model", str(folder("llava")), "--quantization", "none"]
JUNK = st.one_of(
    st.sampled_from(["", " ", "-", "--", "-1", "0", "1", "2", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 30, "0x10",
                     "true", "None", "a=b", "vdd.alpha=1", "vdd.alpha=nan", "vdd", "VDD,baseline", "nullu+vdd", ",",
                     "+", "adapter:", "chair", "own,presence", "0-1", "alpha=0,1", "pairs", "data", "photo.png", "run",
                     "no/such", "a\0b", "ab" * 3000, "*", "~", "/", ".", "..", "/dev/null", "ünï", "\ud800", "a\nb",
                     "nf4", "none", "random:nope", "nobody/nothing", "http://a/b.jpg"]),
    st.text(max_size=8), st.integers().map(str), st.floats().map(str),
)  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A working folder with a photo, annotated photos and pairs; no model that would be loaded by default."""
    root = tmp_path_factory.mktemp("here")
    photo().save(root / "photo.png")
    (root / "data").mkdir()
    write(root / "data", {"a": DOG, "b": CAR})
    (root / "pairs").mkdir()
    rows = []
    for number, word in enumerate(("dog", "cat", "car", "horse")):
        photo(number).save(root / f"pairs/{number}.png")
        rows.append(
            {"image": f"{number}.png", "question": OPEN, "chosen": f"A {word}.", "rejected": f"Two {word} men."}
        )
    (root / "pairs/pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    before, old = Path.cwd(), dict(os.environ)
    os.chdir(root)
    os.environ.update(HALLUAPP_MODEL=str(root / "no-model"), HALLUAPP_THREADS="1", HALLUAPP_RUNS=str(root / "runs"))
    yield root
    os.chdir(before)
    os.environ.clear()
    os.environ.update(old)


def commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], list]]:
    """(words of the command, its arguments) of every command that has no further ones."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        return [(path, parser._actions)]
    return [
        found for name, sub in groups[0].choices.items() if name not in ELSEWHERE
        for found in commands(sub, (*path, name))
    ]  # fmt: skip


COMMANDS = dict(commands(cli.parser()))
VALUES = {
    "photo": "photo.png", "data": "data", "pairs": "pairs", "prompt": OPEN, "run_folder": "run", "folder_of_runs": ".",
    "methods": "baseline,vdd", "method": "vdd", "metrics": "chair", "grid": "alpha=0.5", "layers": "0-1",
    "assignments": "vdd.alpha=0.5", "kinds": "presence", "photos": "data", "objective": "recall", "stop": "x",
    "adapter": "no-adapter",
}  # fmt: skip
# Commands that may really run, on a tiny model, and what keeps them short and its folder as it is.
LOADED = {("compare",): ["--max-new-tokens", "2"], ("halluspace",): ["--out", "space.safetensors"]}
TYPED = {
    int: st.sampled_from(["0", "1", "2", "3", "-1", "9" * 30, "1_0", "4.0"]),
    float: st.sampled_from(["0", "0.5", "1", "-1", "2.5", "nan", "inf", "1e-400", "1e308", "x"]),
    Path: st.sampled_from(["out/a.json", "photo.png", "data", "pairs", "", ".", "/dev/null", "a\0b", "x" * 300, "-"]),
}  # fmt: skip


@st.composite
def command_lines(draw) -> list[str]:
    path = draw(st.sampled_from(sorted(COMMANDS)))
    words = list(path)
    for action in COMMANDS[path]:
        needed = not action.option_strings or action.required
        if isinstance(action, argparse._HelpAction) or not (needed or draw(st.integers(0, 5)) == 0):
            continue
        if draw(st.integers(0, 11)) == 0:
            value = draw(JUNK)
        elif action.choices:
            value = draw(st.sampled_from(sorted(action.choices)))
        elif action.dest in VALUES:
            value = VALUES[action.dest]
        else:
            value = draw(TYPED.get(action.type, JUNK))
        values = [] if action.nargs == 0 else [value]
        words += [*action.option_strings[-1:], *values]
    if path in LOADED and draw(st.booleans()):
        words += [*MODEL, *LOADED[path]]
    return words


def ended(words: list[str]) -> tuple[int, str]:
    """(exit code, standard error) of a command in this process."""
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = cli.main(words)
        except SystemExit as left:  # of argparse
            code = left.code or 0
    return code, error.getvalue()


@pytest.mark.slow
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=command_lines())
def test_any_command_line_ends_well(here, words):
    """Public kind: refused with a traceback. Random flags and values of every command."""
    code, error = ended(words)
    assert code in (0, 2), (words, error)
    assert "Traceback" not in error
    if code:
        last = error.rstrip("\n").splitlines()[-1]
        assert last.startswith(("halluapp: ", "halluapp ")), (words, error)


class _Recorder(argparse.Namespace):
    """Options that remember which of them were read."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            object.__getattribute__(self, "__dict__").setdefault("_read", set()).add(name)
        return super().__getattribute__(name)


EVERYTHING = {
    "compare": ["photo.png", "--prompt", OPEN, "--methods", "vdd", "--set", "vdd.alpha=0.5", "--max-new-tokens", "2",
                "--temperature", "1", "--top-p", "0.9", "--top-k", "5", "--seed", "3", "--repetition-penalty", "1.1",
                "--stop", "x", "--html", "o.html", "--markdown", "o.md", "--json", "o.json", *MODEL],
    "halluspace": ["pairs", "--out", "o.safetensors", "--rank", "2", "--layers", "0-1", "--pooling", "all",
                   "--limit", "3", "--json", "o4.json", *MODEL],
    "train pairs": ["--scenes", "2", "--photos", "data", "--limit", "1", "--kinds", "presence,own", "--seed", "2",
                    "--own", "2", "--out", "made", "--json", "o5.json", *MODEL],
    "train list": ["."],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYTHING)
def test_every_flag_that_is_given_is_read(here, name):
    """The kind: a flag is ignored beside another one, exit code 0."""
    words = [*name.split(), *EVERYTHING[name]]
    options = cli.parser().parse_args(words, namespace=_Recorder())
    given = {
        action.dest for action in COMMANDS[tuple(name.split())]
        if action.dest != "help" and (not action.option_strings or set(action.option_strings) & set(words))
    }  # fmt: skip
    options.__dict__["_read"] = set()
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.main(words) == 0
        assert options.run(options) == 0
    assert given <= options.__dict__["_read"], "given, and read by nobody"
