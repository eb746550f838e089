"""Runs in processes of their own: the queue, a stop at any moment, ends without a word, process numbers used again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from training_runs import losses, start

from halluapp.cli import train as command
from halluapp.errors import InputError
from halluapp.training import loop, runs


def wait(condition) -> None:
    """Until a process has come so far; what is checked afterwards does not depend on how long that took."""
    for _ in range(480):
        if condition():
            return
        time.sleep(0.25)


def new_run(tmp_path, name: str, kind: str = "adavib", **settings) -> tuple:
    """(folder, config) of a run that `launch` is to make."""
    training_run = start(tmp_path, kind, name, **settings)
    config = training_run.config()
    training_run.write_status("stopped")
    training_run.delete()
    return training_run.folder, config


def status_of(training_run: runs.Run, **changes) -> None:
    path = training_run.folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_queue_is_first_come_first_served(tmp_path):
    late, early = start(tmp_path, "chip", "a"), start(tmp_path, "chip", "b")
    status_of(late, since=20.0)
    status_of(early, since=10.0)
    assert [name for _, name in runs.queue(tmp_path / "runs")] == ["b", "a"]
    assert runs._is_next(early)
    assert not runs._is_next(late)
    early.write_status("preparing")
    assert runs._is_next(late)


def test_a_run_that_waits_can_be_stopped(tmp_path):
    first, second = start(tmp_path, "chip", "first"), start(tmp_path, "chip", "second")
    first.write_status("running", 1)
    second.stop()
    with (
        runs.training_lock(first),
        pytest.raises(InputError, match="before its turn"),
        runs.training_lock(second, wait=True),
    ):
        pass
    assert second.status()["state"] == "stopped"


def test_a_number_that_another_process_has_now_is_no_live_run(tmp_path):
    training_run = start(tmp_path, "chip")
    assert training_run.status()["state"] == "waiting"
    status_of(training_run, born="1")  # as after a restart of the machine: this process has the number, and is another
    status = training_run.status()
    assert status["state"] == "interrupted"
    assert "lower batch" in status["error"]
    status_of(training_run, pid=0, born="")
    assert training_run.status()["state"] == "interrupted"


def test_a_model_that_cannot_be_loaded_ends_the_run_with_the_reason(tmp_path, monkeypatch):
    from halluapp.cli import main as cli

    def fail(settings):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    training_run = start(tmp_path, "chip")
    monkeypatch.setattr(command, "_load", fail)
    assert cli.main(["train", "chip", "--out", str(training_run.folder), "--resume"]) == 2
    assert training_run.status()["state"] == "failed"
    assert "lower batch (now 2)" in training_run.status()["error"]


def test_a_resumed_run_keeps_its_progress_while_it_prepares(tmp_path, monkeypatch):
    training_run = start(tmp_path, "chip")
    training_run.write_status("stopped", 3)
    monkeypatch.setattr(loop, "read_pairs", lambda *_: sys.exit("kill -9"))
    with pytest.raises(SystemExit):
        loop.train(training_run, None)
    assert training_run.status() | {"state": "preparing", "step": 3} == training_run.status()


@pytest.mark.slow
def test_a_stop_while_the_process_starts_is_not_lost(tmp_path):
    folder, config = new_run(tmp_path, "run", steps=500)
    training_run = runs.launch(folder, config)
    training_run.stop()
    wait(lambda: training_run.status()["state"] not in runs.LIVE)
    assert training_run.status()["state"] == "stopped", training_run.log()
    assert training_run.status()["step"] <= 1, training_run.log()


LAUNCH = """
import json, os, signal, sys
from halluapp.training import recipes, runs
about = json.loads(sys.argv[2])
about["recipe"] = recipes.create(about["kind"], **about["recipe"])
runs.launch(sys.argv[1], runs.Config(**about))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_run_outlives_its_killed_server_and_a_kill_of_its_own_leaves_the_same_curve(tmp_path):
    """Every number of every row, apart from seconds and memory, and every caption.

    Two processes add in another order, hence the last digits; a step done twice or left out moves them by tenths.
    """
    whole, config = start(tmp_path, "chip", "whole", steps=6, dropout=0.1), None
    config = json.loads((whole.folder / "config.json").read_text())
    from training_runs import fresh

    loop.train(whole, fresh())
    folder = tmp_path / "other" / "killed"
    server = subprocess.run([sys.executable, "-c", LAUNCH, str(folder), json.dumps(config)], check=False)
    assert server.returncode == -signal.SIGKILL
    training_run = runs.Run(folder)
    wait(lambda: training_run.status()["step"] >= 1 or training_run.status()["state"] not in runs.LIVE)
    if training_run.status()["state"] in runs.LIVE:  # else it was quicker than we: then there is nothing to resume
        os.kill(training_run.status()["pid"], signal.SIGKILL)
        wait(lambda: training_run.status()["state"] not in runs.LIVE)
        assert training_run.status()["state"] == "interrupted", training_run.log()
        runs.launch(folder, training_run.config(), resume=True)
    wait(lambda: training_run.status()["state"] not in runs.LIVE)
    assert training_run.status()["state"] == "finished", training_run.log()

    def numbers(run):
        rows = [{**row, **row.get("held", {}), "held": "held" in row} for row in run.metrics()]
        return [{k: v for k, v in row.items() if k not in ("seconds", "memory_mb", "memory")} for row in rows]

    ours, uninterrupted = numbers(training_run), numbers(whole)
    assert len(losses(training_run)) == 6
    assert [list(row) for row in ours] == [list(row) for row in uninterrupted]
    for one, other in zip(ours, uninterrupted, strict=True):
        if abs(other["reward_margin"]) < 1e-3:  # of step 0, where policy = reference: the side of 0 is rounding
            one, other = ({k: v for k, v in row.items() if k != "preferred"} for row in (one, other))
        assert one == pytest.approx(other, abs=1e-3)
    assert training_run.samples() == whole.samples()


HOLD = """
import sys
from halluapp.training import runs
with runs.training_lock(runs.Run(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    first, second = start(tmp_path, "chip", "first"), start(tmp_path, "chip", "second")
    command_line = [sys.executable, "-c", HOLD, str(first.folder)]
    with subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="The run first is training"), runs.training_lock(second):
            pass
        holder.kill()
        holder.wait()
    with runs.training_lock(second):
        assert (tmp_path / "runs" / ".running").read_text(encoding="utf-8") == "second"
