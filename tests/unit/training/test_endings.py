"""Runs in processes of their own that are ended from outside: each says why, and goes on with the same curve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from run_processes import begin_run, resume_run
from training_runs import losses, start

from halluapp.data.files import RESERVED, write_reserved
from halluapp.training import runs
from halluapp.training.endings.failures import explain_failure
from halluapp.training.endings.termination import Terminated, termination
from halluapp.training.recipes import RECIPES

LONG = ["--steps", "400", "--batch", "2", "--evaluate-every", "400", "--sample-every", "400"]


def wait_for_steps(run: runs.Run, count: int, process) -> None:
    for _ in range(2400):
        if len(losses(run)) >= count or not process.is_alive():
            break
        time.sleep(0.02)
    assert process.is_alive(), log_of(run)


def log_of(run: runs.Run) -> str:
    return run.folder.with_suffix(".log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_signal_ends_a_run_with_one_sentence_and_it_goes_on(tmp_path):
    """The kind: a run that SIGTERM ends is listed as interrupted, without a reason."""
    run = runs.Run(tmp_path / "run")
    process = begin_run(run.folder, *LONG)
    wait_for_steps(run, 12, process)
    process.terminate()
    process.join(120)
    assert process.exitcode == 128 + signal.SIGTERM, log_of(run)
    assert "Traceback" not in log_of(run)
    status = run.status()
    assert status["state"] == "stopped"
    assert "by SIGTERM" in status["error"]
    assert status["error"] in log_of(run)
    before, steps = losses(run), status["step"] + 2
    saved = status["step"] // 10 * 10
    process = resume_run(run.folder, "--steps", str(steps))
    process.join(300)
    assert process.exitcode == 0, log_of(run)
    assert (run.status()["state"], run.status()["error"]) == ("finished", "")
    assert losses(run)[:saved] == before[:saved]
    assert [step for step, _ in losses(run)] == list(range(1, steps + 1))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_ends_a_run_with_one_sentence_and_it_goes_on(tmp_path):
    """The kind: status.json is not written when there is no room. No file of the process may be larger than 20 kB."""
    run = runs.Run(tmp_path / "run")
    process = begin_run(run.folder, "--steps", "3", "--batch", "2", "--save-every", "1", largest_file=20_000)
    process.join(300)
    assert process.exitcode == 2, log_of(run)
    assert log_of(run).splitlines()[-1].startswith("halluapp: The disk is full at step")
    assert "Traceback" not in log_of(run)
    assert run.status()["state"] == "failed"
    assert "free some space" in run.status()["error"]
    assert not list(run.folder.rglob("*.partial"))
    process = resume_run(run.folder)
    process.join(300)
    assert process.exitcode == 0, log_of(run)
    assert [step for step, _ in losses(run)] == [1, 2, 3]


@pytest.mark.slow
def test_five_kills_leave_the_curve_of_one_run(tmp_path):
    settings = ["--steps", "14", "--batch", "2", "--save-every", "1", "--sample-every", "14", "--evaluate-every", "7"]
    whole, killed = runs.Run(tmp_path / "whole"), runs.Run(tmp_path / "killed")
    process = begin_run(whole.folder, *settings)
    process.join(300)
    assert whole.status()["state"] == "finished", log_of(whole)
    process = begin_run(killed.folder, *settings)
    for kill in range(5):
        wait_for_steps(killed, 2 * kill + 1, process)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert killed.status()["state"] == "interrupted"
        process = resume_run(killed.folder)
    process.join(300)
    assert process.exitcode == 0, log_of(killed)
    assert killed.status()["state"] == "finished"
    assert [step for step, _ in losses(killed)] == list(range(1, 15))
    # Steps done again in another process differ in the last digits.
    assert [loss for _, loss in losses(killed)] == pytest.approx([loss for _, loss in losses(whole)], abs=1e-3)
    held = [[row["held"]["loss"] for row in run.metrics() if "held" in row] for run in (whole, killed)]
    assert held[0] == pytest.approx(held[1], abs=1e-3)
    assert len(held[0]) == 3


def test_a_status_is_written_where_the_disk_has_no_room(tmp_path):
    """A real file system of 64 kB, filled to its last block."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    ) if sys.platform == "linux" and os.geteuid() == 0 else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        path = tmp_path / "status.json"
        write_reserved(path, json.dumps({"state": "running"}))
        with open(tmp_path / "filler", "wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"0" * 512)
        write_reserved(path, json.dumps({"state": "failed", "error": "x" * 600}))
        assert json.loads(path.read_text(encoding="utf-8"))["state"] == "failed"
        write_reserved(path, json.dumps({"state": "stopped"}))
        assert json.loads(path.read_text(encoding="utf-8")) == {"state": "stopped"}
        assert path.stat().st_size == RESERVED
        assert {entry.name for entry in tmp_path.iterdir()} == {"status.json", "filler"}
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_ctrl_c_and_signals_are_an_end_and_no_failure(tmp_path):
    for number, name in ((signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")):
        run = start(tmp_path, "adavib", name)
        run.write_status("running", 3)
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(Terminated) as ended, termination(run):
            signal.raise_signal(number)
        assert ended.value.code == 128 + number
        assert run.status()["state"] == "stopped"
        assert f"at step 3 by {name}" in run.status()["error"]
        assert signal.getsignal(signal.SIGTERM) is before
    run.write_status("finished", 4)
    with pytest.raises(Terminated), termination(run):
        signal.raise_signal(signal.SIGTERM)
    assert run.status()["state"] == "finished"


def test_every_way_of_saying_that_the_disk_is_full_is_understood():
    recipe = RECIPES["adavib"]()
    errors = (
        OSError(28, "No space left on device"), OSError(27, "File too large"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    )  # fmt: skip
    for error in errors:
        assert "disk is full at step 7" in explain_failure(error, recipe, 7), error
    wrapped = RuntimeError("the adapter cannot be written")
    wrapped.__cause__ = errors[0]
    assert "disk is full" in explain_failure(wrapped, recipe, 7)
    assert "disk" not in explain_failure(OSError(2, "No such file"), recipe, 7)
