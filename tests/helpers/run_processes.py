"""Commands in processes of their own that start at once: forked from a server that has imported what they need."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from tiny import folder
from training_runs import pairs_in

PRELOAD = ["torch", "transformers", "peft", "accelerate", "halluapp.cli.main", "halluapp.training.loop"]


def run_command(arguments: list[str], log: str, largest_file: int) -> None:
    """Runs a command to its end, with what it prints in a file. largest_file: bytes, 0: no limit."""
    with open(log, "a", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    if largest_file:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    from halluapp.cli import main

    sys.exit(main.main(arguments))


def begin(log: Path, *arguments: str, largest_file: int = 0) -> BaseProcess:
    """Starts a command; its `exitcode` is negative after a signal that it does not catch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=run_command, args=(list(arguments), str(log), largest_file))
    process.start()
    return process


def begin_run(out: Path, *arguments: str, **options) -> BaseProcess:
    """Starts an AdaVIB run of the tiny model; its log is OUT.log."""
    model = ["--model", str(folder("llava")), "--data", str(pairs_in(out.parent / "pairs"))]
    return begin(out.with_suffix(".log"), "train", "adavib", "--out", str(out), *model, *arguments, **options)


def resume_run(out: Path, *arguments: str) -> BaseProcess:
    """Goes on with it."""
    return begin(out.with_suffix(".log"), "train", "adavib", "--out", str(out), "--resume", *arguments)
