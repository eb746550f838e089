"""The training tab as a person uses it, and run folders as finished runs leave them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from page import Visit

from halluapp.settings import ASSETS
from halluapp.training import recipes, runs

STEPS = "([steps]) => +document.querySelector('#train-board [data-steps]')?.dataset.steps >= steps"
STATE = """(states) => { const node = document.querySelector('#train-board [data-state]');
  return node && states.includes(node.dataset.state); }"""
NOTICE = "(text) => document.querySelector('#train-notice').textContent.includes(text)"


class TrainTab(Visit):
    """A page with the training tab open."""

    def __init__(self, browser, address: str, **options):
        super().__init__(browser, address, **options)
        self.open()

    def open(self) -> None:
        self.page.get_by_role("tab", name="Train").click()
        self.page.wait_for_selector("#train-start:visible")
        self.page.wait_for_function("() => document.querySelector('#train-command textarea').value !== ''")

    def wait_notice(self, text: str) -> str:
        """Waits until the notice says so -> all of it."""
        self.page.wait_for_function(NOTICE, arg=text, timeout=60_000)
        return self.page.locator("#train-notice .notice").text_content()

    def fill(self, name: str, text) -> None:
        self.page.fill(f"#train-{name} :is(input, textarea)", str(text))
        self.page.keyboard.press("Tab")

    def use_pairs(self, folder) -> None:
        self.page.get_by_role("radio", name="A folder, a file or a data set").check()
        self.page.wait_for_selector("#train-path:visible")
        self.fill("path", folder)

    def choose(self, name: str) -> None:
        self.page.locator(".pick", has_text=name).click()
        self.page.wait_for_function(
            "(name) => document.querySelector('tr.chosen')?.dataset.run === name", arg=name, timeout=30_000
        )

    def points(self) -> int:
        """Points of the training curve of the loss."""
        return self.page.locator("figure[data-key=loss] path.line.train").get_attribute("d").count(" ")

    def wait(self, condition: str, argument) -> None:
        self.page.wait_for_function(condition, arg=argument, timeout=120_000)


def few_pairs(folder: Path) -> Path:
    """Copies the shipped pairs of four photos to the folder."""
    lines = (ASSETS / "pairs" / "pairs.jsonl").read_text().splitlines()[:16]
    for name in {json.loads(line)["image"] for line in lines}:
        shutil.copy(ASSETS / "pairs" / name, folder)
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    return folder


def finished_run(
    root: Path, pairs: Path, name: str, state: str = "finished", text: str = "A photo.", error: str = ""
) -> runs.Run:
    """A run's folder as a run of four steps leaves it, without an adapter."""
    run = runs.create(root / name, runs.Config("chip", recipes.create("chip", steps=4), str(pairs)))
    for step in range(1, 5):
        run.append_row("metrics.jsonl", {"step": step, "loss": 3.0 - step / 4, "response": 0.7, "seconds": 2.0 * step})
    run.append_row("metrics.jsonl", {"step": 4, "seconds": 8.0, "held": {"loss": 2.5, "response": 0.6}})
    run.append_row("samples.jsonl", {"step": 4, "text": text})
    run.write_status(state, 4, error)
    return run
