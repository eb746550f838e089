"""Pictures of every state of the page, to look at: 1400, 1100 and 390 pixels wide, light and dark.

    python tests/browser/screenshots.py FOLDER [--only compare-result,...] [--widths 1400,390]
    python tests/browser/screenshots.py --docs        (the README's pictures, of real runs, to assets/docs)

Launches the app on the embedded model and drives Chromium. A script, not a test: a person looks at what it writes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
from page import Visit  # noqa: E402
from PIL import Image  # noqa: E402
from served import app, launch_chromium  # noqa: E402
from train_page import STATE, TrainTab, few_pairs, finished_run  # noqa: E402

from halluapp.data import scenes  # noqa: E402
from halluapp.lvlm.base import LVLM  # noqa: E402

WIDTHS = (1400, 1100, 390)
DOCS = ROOT / "assets" / "docs"
LONGEST = 400  # tokens of an answer that nobody stops
MOST_BYTES = 400_000  # of a picture of the README
SETTINGS = ".toggle-settings"
MANY = ("VCD", "ICD", "M3ID", "PAI", "DoLa", "DeCo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("screenshots"))
    parser.add_argument("--docs", action="store_true", help="the pictures of the README only")
    parser.add_argument("--only", default="", help="names of states, separated by commas (default: all)")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)), help="of the page in pixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, launch_chromium() as browser:
        if options.docs:
            document(browser, Path(temporary))
        else:
            only, widths = set(filter(None, options.only.split(","))), map(int, options.widths.split(","))
            photograph(browser, Path(temporary), options.folder, only, list(widths))


def photograph(browser, temporary: Path, folder: Path, only: set[str], widths: list[int]) -> None:
    """Writes STATE-WIDTH-THEME.png of every state."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = scene(temporary, "park")
    root, pairs = temporary / "runs", temporary / "pairs"
    pairs.mkdir()
    fill_runs(root, few_pairs(pairs))
    views = [(width, dark) for width in widths for dark in (False, True)]
    wants = [kind for kind in ("compare", "train") if not only or any(name.startswith(kind) for name in only)]
    lengthy = {"max_new_tokens": LONGEST}  # an answer without an end must last until somebody stops it
    with app(runs=root, **lengthy) as address, app(runs=temporary / "none") as empty_address:
        for width, dark in views:
            visits = [(Visit, address, compare_states, photo)] if "compare" in wants else []
            if "train" in wants:
                visits += [(TrainTab, empty_address, empty_states, None), (TrainTab, address, train_states, pairs)]
            for kind, url, states, argument in visits:
                visit = kind(browser, url, width=width, dark=dark)
                for name in states(visit, argument):
                    if not only or name in only:
                        shoot(visit, folder / f"{name}-{width}-{'dark' if dark else 'light'}.png")
                check(visit)
                visit.page.close()


def scene(folder: Path, name: str) -> Path:
    """A drawn example scene as a file."""
    path = folder / f"{name}.png"
    scenes.render(name)[0].save(path)
    return path


def shoot(visit: Visit, path: Path) -> None:
    visit.page.wait_for_timeout(400)  # transitions of gradio
    visit.page.screenshot(path=path, full_page=True, animations="disabled")
    print(path, flush=True)


def check(visit: Visit) -> None:
    """Says what a picture does not show."""
    width = visit.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    if visit.errors or visit.outside or width[0] > width[1]:
        print("errors", visit.errors, "requests elsewhere", visit.outside, "width", width, flush=True)


def compare_states(visit: Visit, photo: Path) -> Iterator[str]:
    """Brings the compare tab from state to state -> the name of each."""
    page = visit.page
    yield "compare-open"
    page.locator(".things .thing").first.hover()
    yield "compare-box"
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    yield "compare-request"
    visit.run()
    yield "compare-result"
    page.locator(".panel .seg.m").first.click()
    yield "compare-evidence"
    page.keyboard.press("Escape")
    page.click(SETTINGS)
    yield "compare-settings"
    page.click(SETTINGS)
    page.locator(".history summary").click()
    yield "compare-history"
    page.locator(".history summary").click()
    visit.ask("Is there a dog in the image?")
    visit.run()
    yield "compare-labels"
    yield from long_states(visit)
    yield from many_panels(visit)
    visit.ask(" ")
    page.click("#run")
    page.wait_for_selector("#panels .error:not([hidden])", timeout=60_000)
    yield "compare-error"


def long_states(visit: Visit) -> Iterator[str]:
    """A comparison while it decodes, and after a stop; end tokens are switched off, or it would be over at once."""
    ends, LVLM.end_tokens = LVLM.end_tokens, frozenset()
    try:
        visit.ask("Describe this image in detail.")
        visit.run(wait=False)
        visit.page.wait_for_function("() => document.querySelector('.panel .text')?.textContent.length > 20")
        yield "compare-running"
        visit.page.wait_for_function("() => document.querySelector('#stop').disabled === false")
        visit.page.evaluate("() => document.querySelector('#stop').click()")
        visit.wait_done()
        yield "compare-stopped"
    finally:
        LVLM.end_tokens = ends


def many_panels(visit: Visit) -> Iterator[str]:
    """Twelve panels, a stacked one among them."""
    page = visit.page
    page.click(SETTINGS)
    for name in MANY:
        page.locator("#methods").get_by_label(name, exact=True).check()
    page.locator("#stacked input").click()
    page.get_by_role("option", name="Nullu + VDD", exact=True).click()
    page.keyboard.press("Escape")
    page.click(SETTINGS)
    visit.run()
    yield "compare-twelve"


def empty_states(tab: TrainTab, _argument: None) -> Iterator[str]:
    """The training tab before any run."""
    yield "train-empty"


def train_states(tab: TrainTab, pairs: Path) -> Iterator[str]:
    """Brings the training tab from state to state -> the name of each."""
    page = tab.page
    tab.choose("first")
    page.get_by_label("Plot second too").check()
    page.wait_for_selector(".curves .key >> text=second")
    yield "train-overlay"
    tab.choose("measured")
    page.wait_for_selector("#train-board .map:visible")
    yield "train-measured"
    tab.choose("broken")
    page.locator("#train-board .log summary").click()
    yield "train-failed"
    page.click("#train-rename")
    page.wait_for_selector("#train-new-name:visible")
    yield "train-rename"
    page.click("#train-delete")
    page.wait_for_selector("#train-delete-sure:visible")
    yield "train-delete"
    page.click("#train-keep")
    for title in ("Settings of", "More settings of the run", "Presets and ablations", "Load an adapter made elsewhere"):
        tab.open_section(title)
    tab.use_pairs(pairs / "nowhere")
    page.click("#train-check")
    tab.wait_notice("nowhere")
    yield "train-form"


def fill_runs(root: Path, pairs: Path) -> None:
    """Folders of runs that are over: two to plot, one measured, one that failed."""
    for name in ("first", "second"):
        finished_run(root, pairs, name, text="A man and a dog walk in the park.")
    measured = finished_run(root, pairs, "measured")
    numbers = {"margin": [1.0, 0.5, 1.5], "distance": [0.8, 0.7, 0.9], "separability": [0.5, 0.4, 0.6]}
    points = {"photo": [[0, 0], [1, 1]], "truthful": [[0, 1], [1, 2]], "hallucinated": [[2, 0], [3, 1]]}
    (measured.folder / "measured.json").write_text(json.dumps({
        "before": numbers, "after": numbers, "difference": {**numbers, "margin": [0.2, 0.1, 0.3]},
        "map": {"before": points, "after": points},
    }))  # fmt: skip
    broken = finished_run(root, pairs, "broken", "failed", error="Memory ran out at step 4; lower batch (now 2).")
    (broken.folder / "log.txt").write_text("looked at 4 of 4 photos\nMemory ran out at step 4; lower batch (now 2).\n")


def document(browser, temporary: Path) -> None:
    """Writes the README's pictures: the example that the page opens with, and a real training run.

    Of the long training tab the picture shows the form, the first curves, the numbers and the captions.
    """
    DOCS.mkdir(exist_ok=True)
    root = temporary / "runs"
    train("chip", root / "chip-1", 60)
    with app(runs=root) as address:
        visit = Visit(browser, address, height=1000)
        visit.page.wait_for_selector(".panel .own")
        publish(visit, "compare.png")
        tab = TrainTab(browser, address)
        tab.wait(STATE, ["finished"])
        tab.page.add_style_tag(content=".curves figure:nth-child(n+5), #train-board .map { display: none !important; }")
        publish(tab, "train.png")


def train(kind: str, folder: Path, steps: int) -> None:
    """A real short run on the shipped pairs, measured, by the commands that a person would type."""
    settings = ["--steps", str(steps), "--batch", "2", "--evaluate-every", "20"]
    for arguments in (
        [kind, "--data", str(ROOT / "assets" / "pairs"), *settings, "--out", str(folder)],
        ["measure", str(folder), "--photos", "24"],
    ):
        subprocess.run([sys.executable, "-m", "halluapp", "train", *arguments], check=True, cwd=ROOT)


def publish(visit: Visit, name: str) -> None:
    """A screenshot of 256 colours, small enough for the README."""
    path = DOCS / name
    shoot(visit, path)
    picture = Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, f"{name} has {path.stat().st_size} bytes"


if __name__ == "__main__":
    main()
