"""How much the page's own work costs, in a driven browser on the embedded model: a table to read.

    python tests/browser/measure_page.py [--tokens 200] [--rounds 5] [--panels 12]

- lag: from the server's last token to the page showing it, all panels running to the length limit;
- judge again: from moving the sureness slider to the new verdicts, and what the server's own judging takes;
- evidence, attention, occlusion: from the click in "Look inside" to the picture, and the model's own part of it.

A script, not a test: its figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
from page import DONE, Visit  # noqa: E402
from served import app, launch_chromium  # noqa: E402

from halluapp import comparison  # noqa: E402
from halluapp.data import scenes  # noqa: E402
from halluapp.decoding.events import Decoded  # noqa: E402
from halluapp.lvlm.base import LVLM  # noqa: E402
from halluapp.serving.models import Models  # noqa: E402
from halluapp.ui.compare import state  # noqa: E402

MORE = ("VCD", "ICD", "M3ID", "PAI", "DoLa", "DeCo")  # with the five that are on: eleven
LOOKS = ("evidence", "attention", "occlusion")
# Changes of the parts of the page that a selector names are noted with their times and the characters of all answers
# then; a drawing is one change.
WATCH = """(selector) => {
  window.changes = [];
  window.watcher?.disconnect();
  window.watcher = new MutationObserver((records) => {
    if (records.some(({ target }) => target.parentElement?.closest(selector) || target.matches?.(selector))) {
      const texts = [...document.querySelectorAll(".panel .text")].map((node) => node.textContent.length);
      window.changes.push([Date.now(), texts.reduce((sum, length) => sum + length, 0)]);
    }
  });
  window.watcher.observe(document.body, {childList: true, subtree: true, attributes: true, attributeFilter: ["class"]});
}"""
QUIET = 1500  # milliseconds


class Clock:
    """Times of what the server does: the last token of a comparison, and seconds within named functions."""

    def __init__(self) -> None:
        self.token = 0.0
        self.seconds: dict[str, float] = {}

    def watch_tokens(self) -> None:
        stream = comparison.stream

        def watched(*arguments: Any) -> Iterator[Any]:
            for event in stream(*arguments):
                if isinstance(event, Decoded):
                    self.token = time.time()
                yield event

        comparison.stream = watched

    def watch(self, owner: Any, name: str) -> None:
        """Every call of owner.name is timed."""
        call = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds[name] = time.perf_counter() - start

        setattr(owner, name, watched)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--panels", type=int, choices=(5, 12), default=12)
    options = parser.parse_args()
    LVLM.end_tokens = frozenset()  # every panel runs to the length limit
    clock = Clock()
    clock.watch_tokens()
    clock.watch(state, "judge_again")
    clock.watch(Models, "inspect")
    with opened(options.tokens, options.panels) as visit:
        rows = [lag(visit, clock, options.rounds), judging(visit, clock, options.rounds)]
        rows += [look(visit, clock, view, options.rounds) for view in LOOKS]
        lengths = visit.page.eval_on_selector_all(".panel .text", "nodes => nodes.map((n) => n.textContent.length)")
    print_table(f"{len(lengths)} panels of {options.tokens} tokens ({sum(lengths)} characters)", rows)


@contextmanager
def opened(tokens: int, panels: int) -> Iterator[Visit]:
    """The page with a photo and a prompt, and as many methods as were asked for."""
    with tempfile.TemporaryDirectory() as folder, launch_chromium() as browser, app(max_new_tokens=tokens) as address:
        photo = Path(folder) / "park.png"
        scenes.render("park")[0].save(photo)
        visit = Visit(browser, address)
        visit.upload(photo)
        visit.ask("Describe this image in detail.")
        visit.page.click(".toggle-settings")
        if panels > 5:
            for name in MORE:
                visit.page.locator("#methods").get_by_label(name, exact=True).check()
            visit.page.locator("#stacked input").click()
            visit.page.get_by_role("option", name="Nullu + VDD", exact=True).click()
            visit.page.keyboard.press("Escape")  # closes the list, and the settings column with it
            visit.page.click(".toggle-settings")
        yield visit


def changed(visit: Visit, selector: str, act: Callable[[], None]) -> tuple[float, list[tuple[float, int]]]:
    """Acts -> the time before, and the changes of what the selector names: (time, characters of all answers)."""
    visit.page.evaluate(WATCH, selector)
    start = time.time()
    act()
    visit.page.wait_for_function("() => window.changes.length > 0", timeout=60_000)
    visit.page.wait_for_timeout(QUIET)
    return start, [(time / 1000, characters) for time, characters in visit.page.evaluate("() => window.changes")]


def lag(visit: Visit, clock: Clock, rounds: int) -> tuple[str, list[float], list[float]]:
    """The page's last token after the server's."""
    whole = []
    for _ in range(rounds):
        _, changes = changed(visit, ".panel .text", lambda: run(visit))
        shorter = [index for index, (_, characters) in enumerate(changes) if characters != changes[-1][1]]
        whole.append(changes[shorter[-1] + 1][0] - clock.token)
    return "lag of the last token", whole, []


def run(visit: Visit) -> None:
    """However long it takes: on a busy machine minutes."""
    visit.run(wait=False)
    visit.page.wait_for_function(DONE, timeout=600_000)


def judging(visit: Visit, clock: Clock, rounds: int) -> tuple[str, list[float], list[float]]:
    """The sureness slider is moved and let go of: the page's own verdicts, which the server's follow."""
    slider, whole, server = visit.page.locator("#sure input[type=range]"), [], []
    for turn in range(rounds):
        key = "End" if turn % 2 == 0 else "Home"

        def move(key: str = key) -> None:
            slider.press(key)
            slider.dispatch_event("pointerup")

        start, changes = changed(visit, ".panel .text", move)
        whole.append(changes[0][0] - start)
        server.append(clock.seconds["judge_again"])
    return "judging again", whole, server


def look(visit: Visit, clock: Clock, view: str, rounds: int) -> tuple[str, list[float], list[float]]:
    """One word after another is looked into, in the middle of the first answer."""
    page, whole, server = visit.page, [], []
    page.evaluate("() => { document.querySelector('#inside details').open = true; }")
    page.click(f"#inside .tabs button[data-view={view}]")
    page.wait_for_timeout(2 * QUIET)
    words = page.locator("#inside .word")
    for turn in range(rounds):
        word = words.nth(words.count() // 2 + LOOKS.index(view) * (rounds + 1) + turn + 1)  # none that was asked about
        start, changes = changed(visit, "#inside .view", lambda word=word: answered(visit, word, view))
        whole.append(changes[-1][0] - start)
        server.append(clock.seconds["inspect"])
    return view, whole, server


def answered(visit: Visit, word: Any, view: str) -> None:
    word.click()
    visit.page.wait_for_function(
        "(view) => [...document.querySelectorAll('#inside [data-view]')].some((node) => node.dataset.word"
        " && (node.dataset.view || '').startsWith(view + '/'))", arg=view, timeout=120_000,
    )  # fmt: skip


def print_table(title: str, rows: list[tuple[str, list[float], list[float]]]) -> None:
    """Medians with all rounds beside them, as markdown and as JSON."""
    print(f"\n{title}\n\n| seconds | median | all | server's own part, median |\n|---|---|---|---|")
    for name, whole, server in rows:
        own = f"{statistics.median(server):.3f}" if server else "–"
        print(f"| {name} | {statistics.median(whole):.3f} | {', '.join(f'{one:.3f}' for one in whole)} | {own} |")
    print("\n" + json.dumps({name: [[round(one, 3) for one in part] for part in parts] for name, *parts in rows}))


if __name__ == "__main__":
    main()
