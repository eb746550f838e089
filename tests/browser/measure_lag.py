"""How long after the server's last event the page shows the last token: five panels of N tokens each.

    python tests/browser/measure_lag.py [--tokens 200] [--rounds 5]

Launches the app on the embedded model with end tokens switched off, drives Chromium, prints JSON. A figure to read, not
a test: it depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
from page import Visit  # noqa: E402
from served import app, launch_chromium  # noqa: E402

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
    with launch_chromium() as browser, app(max_new_tokens=options.tokens) as address:
        visit = Visit(browser, address)
        visit.upload(photo)
        visit.ask("Describe this image in detail.")
        lags, durations = [], []
        for _ in range(options.rounds):
            visit.page.evaluate(WATCH)
            visit.run()
            visit.page.wait_for_timeout(1500)
            lags.append(visit.page.evaluate("() => window.lastChange") / 1000 - last["token"])
            durations.append(last["token"] - last["first"])
        print(json.dumps({
            "panels": len(visit.texts()), "tokens": options.tokens, "characters": visit.page.evaluate(LENGTHS),
            "lag_seconds": [round(lag, 3) for lag in lags],
            "decode_seconds": [round(seconds, 2) for seconds in durations],
        }))  # fmt: skip


def _record_last_event() -> dict[str, float]:
    times: dict[str, float] = {}
    stream = comparison.stream

    def recording(*arguments):
        times.pop("first", None)
        for event in stream(*arguments):
            if isinstance(event, Decoded):
                times["token"] = time.time()
                times.setdefault("first", times["token"])
            yield event

    comparison.stream = recording
    return times


if __name__ == "__main__":
    main()
