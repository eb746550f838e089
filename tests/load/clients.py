"""Many clients at one server for some minutes: nobody lost, everybody gets the answer of one, memory stays level.

    python tests/load/clients.py --clients 40 --minutes 10 --json out.json

Starts the server itself, as `python app.py` does, and stops it with SIGTERM. Exit code 1 where something was lost, an
answer differed, or memory grew.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
from routes import by_call, by_queue, by_run  # noqa: E402
from server_process import Server  # noqa: E402
from uploading import connect, uploaded_photo  # noqa: E402

TOKENS = 16
LEVEL = 1.05  # mean memory of the last quarter over that of the second


class Load:
    """Clients that ask again and again until the time is over; every answer and every failure is counted."""

    def __init__(self, server: Server, photo: dict, alone: str, end: float):
        self.server, self.photo, self.alone, self.end = server, photo, alone, end
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.seconds: list[float] = []

    def client(self, number: int) -> None:
        """One client; call, run and queue in turn."""
        ways = (by_call, by_run, by_queue)
        while time.monotonic() < self.end:
            start, way = time.monotonic(), ways[number % 3]
            number += 1
            try:
                text = way(self.server.address, request(self.photo))
            except (OSError, ValueError, LookupError, AssertionError) as error:
                self.counts["lost"] += 1
                self.failures.append(f"{way.__name__}: {type(error).__name__} {error}"[:200])
                continue
            self.counts["answers"] += 1
            self.counts["different"] += text != self.alone
            self.seconds.append(time.monotonic() - start)


def request(photo: dict, tokens: int = TOKENS, methods: str = "baseline,vdd") -> list:
    """The arguments of a comparison."""
    return [photo, "Describe this image.", methods, tokens, 0, 0]


def seconds_to_stop(server: Server, photo: dict, times: int = 5) -> list[float]:
    """How long the lane stays taken after the caller of a long comparison has closed the connection."""
    seconds = []
    for _ in range(times):
        connection = connect(server.address)
        body = json.dumps({"data": request(photo, 512, "baseline,nullu,vdd,calibration")})
        connection.request("POST", "/gradio_api/run/compare", body, {"Content-Type": "application/json"})
        while not server.health()["queue"]["running"]:
            time.sleep(0.005)
        time.sleep(0.2)
        start = time.monotonic()
        connection.sock.close()
        while server.health()["queue"]["running"]:
            time.sleep(0.005)
        seconds.append(round(time.monotonic() - start, 3))
    return seconds


def quarters(samples: list[float]) -> list[float]:
    """The mean of each quarter of the samples."""
    size = max(len(samples) // 4, 1)
    return [round(statistics.fmean(samples[k * size : (k + 1) * size] or samples[-1:]), 1) for k in range(4)]


def measure(clients: int, minutes: float) -> dict:
    """Starts a server, loads it, stops it -> figures."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), HALLUAPP_QUEUE=str(clients)) as server:
        figures = {"clients": clients, "minutes": minutes, "seconds_to_page": round(server.seconds_to_page, 1)}
        photo = uploaded_photo(server.address, Path(folder))
        alone = by_run(server.address, request(photo))
        figures["seconds_to_first_answer"] = round(time.monotonic() - server.start, 1)
        load = Load(server, photo, alone, time.monotonic() + minutes * 60)
        threads = [threading.Thread(target=load.client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        memory, process = [], psutil.Process(server.process.pid)
        while any(thread.is_alive() for thread in threads):
            memory.append(process.memory_info().rss / 1e6)
            time.sleep(2)
        means = quarters(memory)
        figures |= {
            "answers": load.counts["answers"], "different": load.counts["different"], "lost": load.counts["lost"],
            "failures": load.failures[:5], "answers_per_second": round(load.counts["answers"] / minutes / 60, 2),
            "median_seconds": round(statistics.median(load.seconds or [0.0]), 2), "memory_mb_by_quarter": means,
            "last_quarter_over_second": round(means[3] / means[1], 3),
            "seconds_to_stop": seconds_to_stop(server, photo),
        }  # fmt: skip
        server.process.send_signal(signal.SIGTERM)
        figures["exit_code"] = server.process.wait(60)
        figures["temporary_folders_left"] = len(list(Path(folder).glob("halluapp-server-*")))
    return figures


def main() -> int:
    """Prints the figures -> exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(options.clients, options.minutes)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    fine = not figures["lost"] and not figures["different"] and figures["last_quarter_over_second"] <= LEVEL
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
