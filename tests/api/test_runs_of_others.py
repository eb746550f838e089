"""A public server over the network, its private handlers run by index: a run is its owner's, and the operator's."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path

import psutil
import pytest
from served import app
from stranger import Stranger
from train_page import few_pairs, finished_run

from halluapp.serving import visitors
from halluapp.training import runs
from halluapp.ui.train import texts

TOKEN = "a-token-of-the-operator"
GONE = "There is no run theirs any more."


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("public") / "runs"


@pytest.fixture(scope="module")
def public(root):
    with app(runs=root, exposed=True, training="on", operator_token=TOKEN) as address:
        yield address


@pytest.fixture
def first(public):
    return Stranger(public)


@pytest.fixture
def theirs(first, public, root, tmp_path) -> runs.Run:
    """A finished run of the first visitor, with an adapter's folder."""
    run = finished_run(root, few_pairs(tmp_path), "theirs", text="A private caption.")
    run.adapter.mkdir()
    cookie = next(handler for handler in first.opener.handlers if hasattr(handler, "cookiejar")).cookiejar
    value = next(item.value for item in cookie if item.name == visitors.COOKIE)
    visitors.set_owner(run, visitors.Visitor(value.partition(".")[0]))
    yield run
    for folder in ("theirs", "renamed"):
        if (root / folder).exists():
            runs.Run(root / folder).write_status("stopped", 4)
            runs.Run(root / folder).delete()


def state_of(run: runs.Run) -> tuple:
    """What nobody else may change: the files and their contents, without the board's own."""
    return sorted((path.name, path.read_bytes()) for path in run.folder.rglob("*") if path.is_file())


def notice(outputs: list) -> str:
    return outputs[0]["text"]


BUTTONS = ("train-add", "train-remove", "train-resume", "train-measure")
QUESTIONS = ("train-rename", "train-delete", "train-download", "train-use")


def test_a_stranger_can_do_nothing_with_a_run_of_another(public, theirs, root):
    """The kind: a fresh visitor stops, renames, deletes, downloads, measures a run by the index of private handlers."""
    before = state_of(theirs)
    second = Stranger(public)
    assert "theirs" not in json.dumps(second.config)
    for forged in (
        None,
        {"Cookie": f"{visitors.COOKIE}={visitors.owner(theirs)}"},
        {visitors.OPERATOR_HEADER: "wrong"},
    ):
        visitor = Stranger(public, forged, cookies=forged is None) if forged else second
        assert visitor.choose("theirs") == [], forged
        for name in (*BUTTONS, *QUESTIONS):
            assert "theirs" not in json.dumps(visitor.fire(name)), (name, forged)
        for name in ("train-rename-sure", "train-delete-sure"):
            assert "Choose a run" in notice(visitor.fire(name)), (name, forged)
        assert state_of(theirs) == before, forged
    theirs.write_status("running", 2)
    assert notice(second.fire("train-stop")) == texts.NOTHING_TO_STOP
    assert not (theirs.folder / "stop").exists()
    assert theirs.folder.is_dir()


def test_a_selection_that_the_session_holds_is_checked_again(public, first, theirs, root):
    """A run may change hands between a click and the next; the handler asks, not the list."""
    before = visitors.Visitor(visitors.owner(theirs))
    for name in (*BUTTONS, *QUESTIONS, "train-delete-sure", "train-rename-sure"):
        visitors.set_owner(theirs, before)
        assert first.choose("theirs") == ["theirs"], name
        first.fire("train-delete")  # asks, and holds what the question is about
        visitors.set_owner(theirs, visitors.Visitor("f" * 32))
        assert GONE in json.dumps(first.fire(name)), name
    assert theirs.folder.is_dir()


def test_the_owner_can_after_a_reload_and_in_another_session(first, theirs, root):
    first.reload()
    assert first.choose("theirs") == ["theirs"]
    assert "A private caption." in json.dumps(
        first.fire("train-board", "select", event_data={"name": "theirs", "what": "choose"})
    )
    assert ".zip" in json.dumps(first.fire("train-download"))
    first.fire("train-rename")
    assert "renamed" in notice(first.fire("train-rename-sure", changes={"train-new-name": "renamed"}))
    assert visitors.owner(runs.Run(root / "renamed"))
    runs.Run(root / "renamed").write_status("running", 2)
    assert "renamed ends" in notice(first.fire("train-stop"))
    assert (root / "renamed" / "stop").exists()
    runs.Run(root / "renamed").write_status("stopped", 2)
    first.choose("renamed")
    first.fire("train-delete")
    assert "deleted" in notice(first.fire("train-delete-sure"))
    assert not (root / "renamed").exists()


def test_the_operator_sees_and_may_do_everything(public, theirs):
    by_header = Stranger(public, {visitors.OPERATOR_HEADER: TOKEN})
    assert by_header.choose("theirs") == ["theirs"]
    by_page = Stranger(public)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        by_page.open_operator_page("wrong")
    assert by_page.choose("theirs") == []
    by_page.open_operator_page(TOKEN)
    assert by_page.choose("theirs") == ["theirs"]
    by_page.fire("train-delete")
    assert "deleted" in notice(by_page.fire("train-delete-sure"))
    assert not theirs.folder.exists()


def test_a_run_that_is_started_is_its_browser_s(public, first, root):
    without = Stranger(public, cookies=False)
    assert notice(without.fire("train-start")) == visitors.NO_COOKIE
    assert "has started" in notice(first.fire("train-start", changes={"train-name": "new", "train-chip-steps": 1}))
    run = runs.Run(root / "new")
    try:
        assert visitors.owner(run)
        second = Stranger(public)
        assert second.choose("new") == []
        assert notice(second.fire("train-stop")) == texts.NOTHING_TO_STOP
        assert not (run.folder / "stop").exists()
        assert "new ends" in notice(first.fire("train-stop"))
    finally:
        process = psutil.Process(json.loads((run.folder / "status.json").read_text())["pid"])
        process.kill()
        process.wait(30)


def test_no_handler_of_a_public_server_reads_a_typed_path(public, first, tmp_path):
    """The kind: hidden inputs that still take a path of the server, whatever the page shows."""
    few_pairs(tmp_path)
    typed = {"train-source": texts.UPLOADED_PAIRS, "train-path": str(tmp_path / "pairs.jsonl")}
    for name in ("train-check", "train-start"):
        assert "uploaded" in notice(first.fire(name, changes=typed)), name
    answer = json.dumps(first.fire("train-check", changes={**typed, "train-source": texts.PAIRS_PATH}))
    assert "in order" not in answer
    imported = first.fire("train-import-button", changes={"train-import-folder": str(tmp_path)})
    assert notice(imported) == texts.NOTHING_TO_IMPORT


def test_the_check_of_uploads_holds_after_the_page_has_changed_the_component(first, root):
    """gradio makes a component anew when an event changes how it looks, and forgets what was laid around it."""
    first.fire("train-source", "change", changes={"train-source": texts.UPLOADED_PAIRS})
    stolen = {"path": str(root / visitors.SECRET_FILE), "meta": {"_type": "gradio.FileData"}}
    answer = json.dumps(first.fire("train-upload", "upload", changes={"train-upload": [stolen]}))
    assert "was not uploaded here" in answer


def test_training_is_off_on_a_public_server_unless_it_is_switched_on(root):
    with app(runs=root, exposed=True) as address:
        visitor = Stranger(address)
        names = {part["props"].get("elem_id") for part in visitor.config["components"]}
        assert "train-off" in names
        assert not {"train-start", "train-stop", "train-delete-sure", "train-import-button"} & names


def test_one_person_s_server_needs_no_cookie(root, tmp_path):
    finished_run(root, few_pairs(tmp_path), "local")
    with app(runs=root) as address:
        visitor = Stranger(address, cookies=False)
        assert "local" in visitor.choose("local")
        visitor.fire("train-delete")
        assert "deleted" in notice(visitor.fire("train-delete-sure"))
