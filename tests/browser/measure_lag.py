"""How long after the server's last event the page shows the last token: five panels of N tokens each.

    python tests/browser/measure_lag.py [--tokens 200] [--rounds 5]

Launches the app on the embedded model with end tokens switched off, drives Chromium, prints JSON. A figure to read, not
a test: it depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[depth]) for depth in (0, 1, 2)]
from conftest import FLAGS  # noqa: E402
from page import Visit  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from served import app  # noqa: E402

from halluapp import comparison  # noqa: E402
from halluapp.data import scenes  # noqa: E402
from halluapp.decoding.events import Decoded  # noqa: E402
from halluapp.lvlm.base import LVLM  # noqa: E402

WATCH = """() => {
  window.lastChange = 0;
  new MutationObserver(() => { window.lastChange = Date.now(); })
    .observe(document.querySelector('#panels .grid'), {childList: true, subtree: true, characterData: true});
}"""
LENGTHS = "() => [...document.querySelectorAll('.panel .text')].map((n) => n.textContent.length)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    LVLM.end_tokens = frozenset()  # every panel runs to the length limit
    last = _record_last_event()
    photo = Path(tempfile.mkdtemp()) / "park.png"
    scenes.render("park")[0].save(photo)
    with sync_playwright() as running, app(max_new_tokens=options.tokens) as address:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        visit = Visit(browser, address)
        visit.upload(photo)
        visit.ask("Describe this image in detail.")
        lags, whole = [], []
        for _ in range(options.rounds):
            visit.page.evaluate(WATCH)
            visit.run()
            visit.page.wait_for_timeout(1500)
            lags.append(visit.page.evaluate("() => window.lastChange") / 1000 - last["token"])
            whole.append(last["token"] - last["first"])
        print(json.dumps({
            "panels": len(visit.texts()), "tokens": options.tokens, "characters": visit.page.evaluate(LENGTHS),
            "lag_seconds": [round(lag, 3) for lag in lags], "decode_seconds": [round(w, 2) for w in whole],
        }))  # fmt: skip
        browser.close()


def _record_last_event() -> dict[str, float]:
    seen: dict[str, float] = {}
    stream = comparison.stream

    def recording(*arguments):
        seen.pop("first", None)
        for event in stream(*arguments):
            if isinstance(event, Decoded):
                seen["token"] = time.time()
                seen.setdefault("first", seen["token"])
            yield event

    comparison.stream = recording
    return seen


if __name__ == "__main__":
    main()
