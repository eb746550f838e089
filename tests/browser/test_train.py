"""The training tab as a person uses it: a real short run on the embedded model, in the processes the page starts."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
from served import app
from train_page import STATE, STEPS, TrainTab, few_pairs, finished_run

from halluapp.data import scenes
from halluapp.training import runs

EVIL = "<img src=x onerror=window.hacked=1>"
LINES = "() => [...document.querySelectorAll('#train-board .runs tbody tr')].map((one) => one.dataset.run)"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("training") / "runs"


@pytest.fixture(scope="module")
def served(browser, root):
    with app(runs=root) as url:
        yield url


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A folder with the shipped pairs of four photos."""
    return few_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture
def opened(browser, served):
    """Opens the tab: what lies in the folder of runs by then is on the page. Closes it after the test."""
    tabs = []

    def open_tab(**options) -> TrainTab:
        tabs.append(TrainTab(browser, served, **options))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.page.close()


@pytest.fixture
def tab(opened):
    return opened()


@pytest.mark.slow
@pytest.mark.browser
def test_a_run_is_watched_reloaded_killed_resumed_stopped_and_compared(tab, root, pairs, tmp_path):
    tab.use_pairs(pairs)
    for name, value in (("steps", 400), ("batch", 2)):
        tab.fill(f"chip-{name}", value)
    tab.open_section("More settings of the run")
    for name, value in (("save_every", 1), ("evaluate_every", 400), ("sample_every", 400)):
        tab.fill(f"chip-{name}", value)
    tab.fill("name", "mine")
    tab.page.click("#train-start")
    assert tab.wait_notice("mine") == "mine has started."
    tab.wait("(part) => document.querySelector('#train-board .now .facts').textContent.includes(part)", " s)")
    command = tab.page.input_value("#train-command textarea")  # of the next run
    assert command.startswith("python -m halluapp train chip")
    assert "mine" not in command
    tab.wait(STEPS, [2])
    assert tab.points() >= 2
    assert "left" in tab.page.inner_text("#train-board .now")
    assert tab.errors == []
    tab.page.reload()
    tab.open()
    tab.errors.clear()  # a page that is left ends what it was asking for, and says so
    tab.wait(STEPS, [3])
    assert tab.points() >= 3  # the whole curve, not what came since
    os.kill(runs.Run(root / "mine").status()["pid"], signal.SIGKILL)
    tab.wait(STATE, ["interrupted"])
    assert "ended at step" in tab.page.inner_text("#train-board .error")
    before = runs.Run(root / "mine").metrics()
    tab.page.click("#train-resume")
    tab.wait_notice("goes on")
    tab.page.click("#train-stop")  # at once, while its process starts
    tab.wait(STATE, ["stopped"])
    after = runs.Run(root / "mine").metrics()
    assert [row for row in after if row["step"] < before[-1]["step"]] == [
        row for row in before if row["step"] < before[-1]["step"]
    ]
    tab.page.click("#train-add")
    tab.wait_notice("is a panel of Compare")
    assert list((root / "mine" / "adapter").glob("*.safetensors"))
    assert not list((root / "mine" / "adapter").glob("*.bin"))
    _ask(tab, tmp_path)
    assert tab.errors == []
    assert tab.outside == []


def _ask(tab: TrainTab, tmp_path) -> None:
    """Compares with the panel of the run "mine"."""
    scenes.render("park")[0].save(tmp_path / "park.png")
    tab.page.get_by_role("tab", name="Compare").click()
    tab.upload(tmp_path / "park.png")
    tab.ask("Is there a dog in the image?")  # a short answer
    tab.run()
    panel = tab.page.locator('.panel[data-method="adapter:mine"]')
    assert panel.locator("h3").text_content().endswith("mine")
    assert panel.locator(".text").text_content()
    assert tab.states()[-1].startswith("done")
    assert len(tab.texts()) == 6


@pytest.mark.browser
def test_bad_pairs_are_one_sentence_that_names_the_line_and_nothing_typed_is_lost(tab, root, pairs, tmp_path):
    lines = (pairs / "pairs.jsonl").read_text().splitlines()
    bad = tmp_path / "bad"
    shutil.copytree(pairs, bad)
    (bad / "pairs.jsonl").write_text("\n".join([*lines[:2], '{"image": "x.jpg", "question": "?"}', *lines[3:]]))
    tab.use_pairs(bad)
    tab.fill("name", "never")
    tab.page.click("#train-check")
    sentence = tab.wait_notice("Line 3")
    assert sentence.endswith(".")
    assert "chosen and rejected" in sentence
    tab.fill("chip-steps", 7)
    tab.page.click("#train-start")
    tab.wait_notice("Line 3")
    assert not (root / "never").exists()
    assert tab.page.input_value("#train-name :is(input, textarea)") == "never"
    assert tab.page.input_value("#train-chip-steps input") == "7"
    tab.fill("chip-steps", 0)
    tab.page.click("#train-start")
    tab.wait_notice("steps must be a whole number")
    assert tab.errors == []


@pytest.mark.browser
def test_names_captions_and_logs_stay_text(opened, root, pairs):
    run = finished_run(root, pairs, EVIL, "failed", f"A {EVIL} photo.", f"The run ended: {EVIL}.")
    (run.folder / "log.txt").write_text(EVIL + "\n")
    try:
        tab = opened()
        tab.choose(EVIL)
        for part, selector in (("name", ".name"), ("error", ".error"), ("caption", ".samples"), ("log", ".log pre")):
            assert EVIL in tab.page.locator(f"#train-board {selector}").text_content(), part
        tab.page.click("#train-delete")
        tab.page.wait_for_selector("#train-delete-sure:visible")
        assert EVIL in tab.page.locator("#train-delete-sure").text_content()
        tab.page.click("#train-keep")
    finally:
        shutil.rmtree(run.folder)
    tab.fill("name", EVIL)
    tab.page.click("#train-start")
    assert EVIL in tab.wait_notice("cannot name a run")
    assert tab.page.evaluate("() => window.hacked") is None
    assert tab.page.locator("#train img[src=x]").count() == 0


@pytest.mark.browser
def test_runs_are_overlaid_renamed_and_deleted_after_a_question_that_names_them(opened, root, pairs):
    for name in ("first", "second"):
        finished_run(root, pairs, name)
    tab = opened()
    tab.choose("first")
    tab.page.get_by_label("Plot second too").check()
    tab.page.wait_for_selector(".curves .key >> text=second")
    lines = tab.page.locator("figure[data-key=loss] path.line")
    assert len({lines.nth(k).get_attribute("stroke") for k in range(lines.count())}) == 2
    tab.page.click("#train-rename")
    tab.page.wait_for_selector("#train-new-name:visible")
    tab.fill("new-name", "third")
    tab.choose("second")  # the question stays about the run that it names
    tab.page.click("#train-rename-sure")
    tab.wait_notice("first is third now.")
    assert {"third", "second"} <= set(tab.page.evaluate(LINES))
    assert (root / "third").is_dir()
    tab.page.click("#train-delete")
    tab.page.wait_for_selector("#train-delete-sure >> text=second")
    tab.choose("third")
    tab.page.click("#train-delete-sure")
    tab.wait_notice("second is deleted.")
    assert not (root / "second").exists()
    assert (root / "third").is_dir()
    tab.page.wait_for_selector("#train-add", state="hidden")  # it has no adapter
    assert tab.errors == []


@pytest.mark.browser
def test_a_measured_run_shows_its_table_and_its_map(opened, root, pairs):
    run = finished_run(root, pairs, "measured")
    cells = {"margin": [1.0, 0.5, 1.5], "distance": [0.8, 0.7, 0.9], "separability": [0.5, 0.4, 0.6]}
    points = {"photo": [[0, 0], [1, 1]], "truthful": [[0, 1], [1, 2]], "hallucinated": [[2, 0], [3, 1]]}
    (run.folder / "measured.json").write_text(json.dumps({
        "before": cells, "after": cells, "difference": {**cells, "margin": [0.2, 0.1, 0.3]},
        "map": {"before": points, "after": points},
    }))  # fmt: skip
    tab = opened()
    tab.choose("measured")
    tab.page.wait_for_selector("#train-board .map:visible")
    assert tab.page.locator("#train-board .map .pair .mark").count() == 12
    assert "0.800 → 0.800" in tab.page.inner_text("#train-board .numbers")
    table = tab.page.inner_text("#train-board .measured")
    assert "0.200 better" in table
    assert "0.500 to 1.500" in table
    assert "photos: 2" in tab.page.locator(".map .pair svg").first.get_attribute("aria-label")


@pytest.mark.browser
def test_the_step_of_the_panel_judged_captions_and_an_empty_range(opened, root, pairs):
    run = finished_run(root, pairs, "steps", text="A man and a cat.")
    run.append_row("metrics.jsonl", {"step": 2, "seconds": 4.0, "held": {"loss": 1.5}})
    for step in (2, 4):
        (run.folder / "checkpoints" / f"step-{step}").mkdir(parents=True)
        (run.folder / "checkpoints" / f"step-{step}" / "about.json").write_text(json.dumps({"step": step}))
    shutil.copytree(run.folder / "checkpoints" / "step-4", run.adapter)
    (run.folder / "sample.json").write_text(json.dumps({"objects": ["man"], "labels": ["cat", "man"]}))
    tab = opened()
    tab.choose("steps")
    assert "the best of 2 by held-out loss is step 2 (1.5)" in tab.page.inner_text("#train-board .choice")
    tab.page.click("#train-step")
    tab.page.wait_for_selector("#train-step-choice:visible")
    tab.page.locator("#train-step-choice").get_by_label("step 2").check()
    tab.page.click("#train-step-sure")
    tab.wait_notice("steps answers with step 2")
    assert json.loads((run.adapter / "about.json").read_text())["step"] == 2
    marks = tab.page.locator("#train-board .samples mark")
    assert [marks.nth(k).get_attribute("class") for k in range(2)] == ["grounded", "contradicted"]
    assert "2 things named, 1 not in the photo" in tab.page.inner_text("#train-board .samples")
    tab.page.fill("#train-board .from", "50")
    assert tab.page.inner_text("#train-board .range-note") == "No point from step 50; all steps are shown."
    tab.page.fill("#train-board .from", "2")
    assert tab.page.inner_text("#train-board .range-note") == ""
    tab.fill("name", "vdd")
    tab.page.click("#train-start")
    tab.wait_notice("name of a method")
    tab.page.click("#train-name :is(input, textarea)")
    tab.page.keyboard.type("-1")
    tab.page.wait_for_function("() => document.querySelector('#train-notice .notice').textContent === ''")
    tab.page.wait_for_function("() => document.querySelector('#train-memory').textContent.includes('an estimate')")
    assert tab.page.inner_text("#train-memory .memory").startswith("Start trains the embedded model in 4 bits (NF4).")
    assert tab.errors == []


@pytest.mark.browser
def test_presets_command_and_settings_files(tab, tmp_path):
    command = "() => document.querySelector('#train-command textarea').value"
    tab.open_section("Presets and ablations")
    tab.page.get_by_role("button", name="without photos", exact=True).click()
    tab.wait(f"() => ({command})().includes('--visual 0')", None)
    with tab.page.expect_download() as saved:
        tab.page.click("#train-save")
    saved.value.save_as(tmp_path / "settings.json")
    assert json.loads((tmp_path / "settings.json").read_text())["recipe"]["visual"] == 0
    tab.page.get_by_role("button", name="CHiP", exact=True).click()
    tab.wait(f"() => !({command})().includes('--visual')", None)
    with tab.page.expect_file_chooser() as chooser:
        tab.page.click("#train-load")
    chooser.value.set_files(tmp_path / "settings.json")
    tab.wait(f"() => ({command})().includes('--visual 0')", None)
    (tmp_path / "settings.json").write_text("{}")
    with tab.page.expect_file_chooser() as chooser:
        tab.page.click("#train-load")
    chooser.value.set_files(tmp_path / "settings.json")
    tab.wait_notice("holds no settings")
    tab.page.get_by_role("radio", name="AdaVIB").check()
    tab.wait(f"() => ({command})().includes('train adavib')", None)
    tab.page.wait_for_selector("#train-adavib-steps", state="visible")
    tab.page.wait_for_selector("#train-chip-steps", state="hidden")


@pytest.mark.browser
def test_phone_width_has_no_sideways_scrolling_and_notices_in_sight(opened, root, pairs):
    finished_run(root, pairs, "phone", text="A long caption " * 20)
    tab = opened(width=390, dark=True)
    tab.choose("phone")
    for title in ("More settings of the run", "Presets and ablations", "Load an adapter made elsewhere"):
        tab.open_section(title)
    assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    tab.page.click("#train-check")
    tab.wait_notice("in order")
    box = tab.page.locator("#train-notice .notice").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 900
