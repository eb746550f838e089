"""kill -9, again and again, in the middle of comparisons, of a training run and of an evaluation.

    python tests/load/kills.py --times 20

After each kill the same command starts again and goes on. In the end a run has the curve of one that was never killed,
an evaluation the same scores, and a server the same answer; no file is half written. Exit code 1 where that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers"), str(ROOT / "tests" / "load")]
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

from annotated_photos import CAR, DOG, write  # noqa: E402
from clients import request  # noqa: E402
from routes import by_run  # noqa: E402
from run_processes import begin, begin_run, resume_run  # noqa: E402
from server_process import Server  # noqa: E402
from tiny import folder  # noqa: E402
from uploading import uploaded_photo  # noqa: E402

from halluapp.training import runs  # noqa: E402

random.seed(7)


def compare(work: Path, times: int) -> dict:
    """Servers that are killed while they decode."""
    texts, parent = set(), work / "servers"
    parent.mkdir()
    for number in range(times + 1):
        with Server(parent) as server:
            photo = uploaded_photo(server.address, work)
            texts.add(by_run(server.address, request(photo)))
            left = len(list(parent.glob("halluapp-server-*")))
            if number < times:
                threading.Thread(
                    target=quietly, args=(by_run, server.address, request(photo, 512)), daemon=True
                ).start()
                while not server.health()["queue"]["running"]:
                    time.sleep(0.005)
                time.sleep(random.uniform(0, 0.3))
    return {"kills": times, "same_answer": len(texts) == 1, "folders_of_dead_servers": left - 1}


def quietly(function, *values) -> None:
    """A request whose server is killed."""
    try:
        function(*values)
    except (OSError, ValueError):
        return


def train(work: Path, times: int) -> dict:
    """One run that is killed and resumed."""
    settings = ["--steps", str(2 * times + 4), "--batch", "2", "--save-every", "1", "--sample-every", "99"]
    whole, killed = runs.Run(work / "whole"), runs.Run(work / "killed")
    begin_run(whole.folder, *settings).join()
    process, states = begin_run(killed.folder, *settings), set()
    for number in range(times):
        while process.is_alive() and len(losses(killed)) < 2 * number + 1:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.join()
        states.add(killed.status()["state"])
        for path in killed.folder.rglob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
        process = resume_run(killed.folder)
    process.join()
    one, other = losses(whole), losses(killed)
    same = [step for step, _ in one] == [step for step, _ in other]
    worst = max((abs(a - b) for (_, a), (_, b) in zip(one, other, strict=False)), default=1.0)
    return {"kills": times, "exit_code": process.exitcode, "states": sorted(states), "same_steps": same,
            "largest_difference_of_losses": worst}  # fmt: skip


def losses(run: runs.Run) -> list[tuple[int, float]]:
    """(step, loss) of the curve."""
    return [(row["step"], row["loss"]) for row in run.metrics() if "loss" in row]


def evaluate(work: Path, times: int) -> dict:
    """One evaluation that is killed and started again."""
    data = work / "data"
    data.mkdir()
    photos = write(data, {f"{number}": (DOG, CAR)[number % 2] for number in range(3 * times + 6)})
    words = ["evaluate", str(photos), "--model", str(folder("llava")), "--quantization", "none"]
    words += ["--methods", "baseline,vdd"]
    begin(work / "log", *words, "--json", str(work / "one.json")).join()
    answers = work / "other.answers.jsonl"
    process = begin(work / "log", *words, "--json", str(work / "other.json"))
    for number in range(times):
        while process.is_alive() and not (answers.exists() and answers.read_bytes().count(b"\n") > 3 * number + 2):
            time.sleep(0.005)
        process.kill()
        process.join()
        process = begin(work / "log", *words, "--json", str(work / "other.json"))
    process.join()
    one, other = (without_seconds(json.loads((work / name).read_text())) for name in ("one.json", "other.json"))
    return {"kills": times, "exit_code": process.exitcode, "same_scores": one == other}


def without_seconds(value):
    """A result without what differs from run to run."""
    if isinstance(value, dict):
        return {key: without_seconds(part) for key, part in value.items() if key != "seconds"}
    return [without_seconds(part) for part in value] if isinstance(value, list) else value


def main() -> int:
    """Prints the figures -> exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", choices=("compare", "train", "evaluate"))
    options = parser.parse_args()
    figures, fine = {}, True
    for part in (train, evaluate, compare):
        if options.only in (None, part.__name__):
            with tempfile.TemporaryDirectory() as work:
                figures[part.__name__] = part(Path(work), options.times)
            print(json.dumps({part.__name__: figures[part.__name__]}), flush=True)
    for values in figures.values():
        fine &= all(value for key, value in values.items() if key.startswith("same")) and not values.get("exit_code")
        fine &= values.get("largest_difference_of_losses", 0) < 1e-3
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
