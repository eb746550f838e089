"""`halluspace` after a kill: nothing is computed twice, and the file is that of one run."""

from __future__ import annotations

import json
import signal
import time

import pytest
import torch
from run_processes import begin
from tiny import folder, lvlm, photo

from halluapp.data.pairs import read_pairs
from halluapp.lvlm import catalog
from halluapp.training.hallu_space import command
from halluapp.training.hallu_space.command import Computed, Progress, compute_for
from halluapp.training.hallu_space.kept_states import SUFFIX

WORDS = ("dog", "cat", "car", "horse", "tree", "house")


def pairs_in(folder, count: int):
    folder.mkdir()
    rows = []
    for number in range(count):
        photo(number % 5).save(folder / f"{number % 5}.png")
        one, other = WORDS[number % 6], WORDS[(number + 1 + number // 6 % 4) % 6]
        rows.append({"image": f"{number % 5}.png", "question": "What is here?", "chosen": f"A {one} {number}.",
                     "rejected": f"A {other} and a {WORDS[number % 5]} {number}."})  # fmt: skip
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "pairs.jsonl"


def forwards_of(model, work) -> tuple[int, list]:
    """(forwards of the first layer, events) of an iterator."""
    calls = []
    probe = model.layers[0].register_forward_hook(lambda *_: calls.append(1))
    events = list(work)
    probe.remove()
    return len(calls), events


@pytest.mark.slow
def test_a_killed_process_leaves_what_it_has_computed(tmp_path):
    """Public kind: the result is lost at the end of the work. kill -9 in the middle, then the same command."""
    pairs, out, whole = pairs_in(tmp_path / "pairs", 120), tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    words = ["halluspace", str(pairs), "--model", str(folder("llava")), "--quantization", "none", "--rank", "3"]
    log, states = tmp_path / "log.txt", out.with_name(out.name + SUFFIX)
    process = begin(log, *words, "--out", str(out))
    for _ in range(3000):
        if (states.exists() and states.stat().st_size > 20_000) or not process.is_alive():
            break
        time.sleep(0.005)
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, log.read_text()
    assert not out.exists()
    with states.open("ab") as file:
        file.write(b"half a record")
    model = catalog.load(str(folder("llava")), "none", "cpu", tmp_path)[0]
    rows = read_pairs(pairs)
    forwards, events = forwards_of(model, compute_for(model, rows, out, tmp_path, 3))
    kept = events[-2].reused
    assert 0 < kept < len(rows)
    assert forwards == 2 * (len(rows) - kept), "a pair that was computed is computed again"
    assert not states.exists()
    forwards, again = forwards_of(model, compute_for(model, rows, whole, tmp_path, 3))
    assert (forwards, again[-2].reused) == (2 * len(rows), 0)
    one, other = (catalog.load_space(path) for path in (out, whole))
    assert one.about.keys() == other.about.keys()
    for layer, directions in one.layers.items():  # another process adds floats in another order
        torch.testing.assert_close(directions, other.layers[layer], atol=1e-3, rtol=1e-3)


def test_an_ended_iterator_goes_on_to_the_same_bytes(tmp_path):
    model, rows = lvlm("llava", "none"), read_pairs(pairs_in(tmp_path / "pairs", 8))
    whole = list(compute_for(model, rows, tmp_path / "whole", tmp_path, 2))
    assert [event.done for event in whole[:-1]] == list(range(1, 9))
    assert isinstance(whole[-1], Computed)
    for cut in (1, 4, 8):
        out = tmp_path / f"cut-{cut}"
        events = compute_for(model, rows, out, tmp_path, 2)
        assert [next(events) for _ in range(cut)][-1] == Progress(cut, 8, 0)
        events.close()
        forwards, rest = forwards_of(model, compute_for(model, rows, out, tmp_path, 2))
        assert forwards == 2 * (8 - cut)
        assert rest[-2] == Progress(8, 8, cut)
        assert out.read_bytes() == (tmp_path / "whole").read_bytes()


def test_states_of_something_else_are_not_taken(tmp_path):
    """The kind: a cache's key names its input instead of holding it."""
    model, path = lvlm("llava", "none"), pairs_in(tmp_path / "pairs", 6)
    rows, out = read_pairs(path), tmp_path / "out"

    def leave(**options) -> None:
        events = compute_for(model, rows, out, tmp_path, 2, **options)
        for _ in rows:
            next(events)
        events.close()

    def computed(pairs=rows, **options) -> int:
        forwards = forwards_of(model, compute_for(model, pairs, out, tmp_path, 2, **options))[0]
        leave()
        return forwards

    leave()
    assert computed() == 0
    assert computed(layers="0-0") == 12
    assert computed(pooling="all") == 12
    photo(77).save(tmp_path / "pairs/0.png")
    assert computed(read_pairs(path)) == 4, "two pairs show the photo that was replaced"
    text = path.read_text().replace("A dog 0.", "A bear 0.")
    path.write_text(text)
    assert computed(read_pairs(path)) == 2
    out.with_name(out.name + SUFFIX).write_bytes(b"not ours at all")
    assert computed() == 12


@pytest.mark.parametrize("words", [["--rank", "0"], ["--rank", "7"], ["--limit", "-1"], ["--layers", "²-3"]])
def test_what_cannot_be_is_refused_before_the_work(words, tmp_path, capsys):
    from halluapp.cli import main as cli

    command_line = ["halluspace", str(pairs_in(tmp_path / "pairs", 6)), "--out", str(tmp_path / "out"), *words]
    assert cli.main([*command_line, "--model", str(folder("llava")), "--quantization", "none"]) == 2
    assert capsys.readouterr().err.startswith("halluapp: ")
    assert not (tmp_path / "out").exists()
    assert command.parse_layers("0-1", 2) == [0, 1]
