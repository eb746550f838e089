"""A server in a process of its own, as `python app.py` starts it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 240


class Server:
    """Starts `python app.py` at a free port and waits for its page. folder: for its temporary files and its runs.

    seconds_to_page: from the start to the page. Leaving the block kills what still runs.
    """

    def __init__(self, folder: Path, **environment: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"
        settings = {"GRADIO_SERVER_PORT": str(port), "HALLUAPP_RUNS": str(folder / "runs"), "TMPDIR": str(folder),
                    "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}  # fmt: skip
        self.log = (folder / "server.log").open("ab")
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **settings, **environment},
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.process.kill()
            raise
        self.seconds_to_page = time.monotonic() - self.start

    def _wait(self) -> None:
        while time.monotonic() < self.start + MOST_SECONDS:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}")
            try:
                with urllib.request.urlopen(self.address, timeout=30) as page:
                    page.read()
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server has no page")

    def health(self) -> dict:
        """What /healthz says."""
        with urllib.request.urlopen(f"{self.address}healthz", timeout=60) as response:
            return json.loads(response.read())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
