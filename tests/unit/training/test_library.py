"""What training leaves as panels: names, offers, adapters from elsewhere, zips. Real run folders, tiny real models."""

from __future__ import annotations

import json
import re
import shutil
import zipfile

import pytest
from tiny import OPEN, folder, photo, run
from training_runs import fresh, start

from halluapp.errors import InputError
from halluapp.methods.registry import Baseline, create
from halluapp.training import library, loop


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(root, model) with a finished run "mine"; tests copy the root."""
    home = tmp_path_factory.mktemp("shelf")
    loop.train(start(home, "chip", "mine", steps=2, rate=1e-2), fresh())
    return home / "runs"


@pytest.fixture
def root(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


BAD_NAMES = (
    "<img src=x onerror=alert(1)>",
    "../x",
    "a/b",
    ".hidden",
    "",
    "nullu+vdd",
    "a b",
    "x" * 61,
    "baseline",
    "mine",
)


def test_names_that_no_run_may_have(root):
    for name in BAD_NAMES:
        with pytest.raises(InputError) as caught:
            library.checked_name(root, name)
        assert re.fullmatch(r"[^\n]+\.", str(caught.value)), name


def test_free_names_are_counted(root):
    assert library.free_name(root, "chip") == "chip-1"
    (root / "chip-1").mkdir()
    assert library.free_name(root, "chip") == "chip-2"


def test_an_offered_run_is_a_panel_and_answers(root):
    model = fresh()
    assert library.panel_runs(root) == []
    name = library.add_panel(root, "mine", model)
    assert library.panel_runs(root) == [("Adapter mine", name)]
    assert name == "adapter:mine"
    answers = run(model, model.encode_image(photo()), OPEN, [Baseline(), create(name)], max_new_tokens=4)
    assert answers[name].ids
    library.remove_panel(root, "mine")
    assert library.panel_runs(root) == []


def test_a_new_server_loads_what_was_offered_and_forgets_what_is_broken(root):
    library.add_panel(root, "mine", fresh())
    model = fresh()
    method = create("adapter:mine")
    library.load_adapters(root, model, [method, Baseline()])
    assert "mine" in model.adapters
    present = model.adapters["mine"]
    library.load_adapters(root, model, [method])
    assert model.adapters["mine"] is present  # this version is loaded already
    (root / "mine" / "adapter" / "adapter_model.safetensors").write_bytes(b"broken")
    library.load_adapters(root, model, [method])
    assert "mine" not in model.adapters


def test_names_that_leave_the_folder_are_not_loaded(root):
    model = fresh()
    library.load_adapters(root / "mine", model, [create("adapter:../mine")])
    assert model.adapters.keys() <= {"chip", "hacl"}
    for name in ("../runs", "/etc", "nothing", "", None):
        with pytest.raises(InputError):
            library.find(root, name)


def test_a_run_without_an_adapter_is_not_offered(root):
    shutil.rmtree(root / "mine" / "adapter")
    with pytest.raises(InputError, match="has saved no adapter yet"):
        library.add_panel(root, "mine", fresh())


def test_an_adapter_from_elsewhere_becomes_a_panel_and_nothing_else_is_copied(root, tmp_path):
    peft_model = tmp_path / "theirs"
    shutil.copytree(folder("llava") / "adapters" / "chip", peft_model)
    (peft_model / "optimizer.pt").write_bytes(b"a pickle")
    (peft_model / "README.md").write_text("<script>")
    model = fresh()
    assert library.import_adapter(root, "", str(peft_model), model) == "imported-1"
    assert sorted(path.name for path in (root / "imported-1" / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors"
    ]  # fmt: skip
    assert ("Adapter imported-1", "adapter:imported-1") in library.panel_runs(root)
    assert "imported-1" in model.adapters
    files = [str(path) for path in peft_model.glob("adapter*")]
    assert library.import_adapter(root, "again", files, model) == "again"
    assert library.rename(root, "again", "third") == "third"
    library.delete(root, "third")
    assert not (root / "third").exists()


@pytest.mark.parametrize("files, sentence", [
    ({}, "There is no adapter"),
    ({"adapter_model.bin": b"x"}, "can run code"),
    ({"adapter_model.safetensors": b"x", "adapter_config.json": b"{}"}, "only LoRA|damaged"),
    ({"adapter_config.json": b"{}"}, "holds no adapter"),
])  # fmt: skip
def test_what_is_no_adapter_is_refused_and_leaves_nothing(root, tmp_path, files, sentence):
    peft_model = tmp_path / "theirs"
    peft_model.mkdir()
    for name, content in files.items():
        (peft_model / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        library.import_adapter(root, "theirs", str(peft_model), fresh())
    assert "\n" not in str(caught.value)
    assert not (root / "theirs").exists()


def test_an_adapter_of_another_model_is_refused(root):
    with pytest.raises(InputError, match=r"another model|damaged"):
        library.import_adapter(root, "theirs", str(folder("pocket") / "adapters" / "chip"), fresh())
    assert not (root / "theirs").exists()


def test_a_zip_holds_the_run_without_its_state(root, tmp_path):
    library.add_panel(root, "mine", fresh())
    path = library.pack(root, "mine", tmp_path)
    names = zipfile.ZipFile(path).namelist()
    assert {"mine/config.json", "mine/metrics.jsonl", "mine/adapter/adapter_model.safetensors"} <= set(names)
    assert not any(name.endswith((".pt", "panel", ".partial")) for name in names)


def test_a_run_in_training_is_neither_renamed_nor_deleted(root):
    status = root / "mine" / "status.json"
    about = json.loads(status.read_text())
    status.write_text(json.dumps({**about, "state": "running"}))  # of this very process, which lives
    for change in (lambda: library.delete(root, "mine"), lambda: library.rename(root, "mine", "other")):
        with pytest.raises(InputError, match="stop it first"):
            change()
    status.write_text(json.dumps(about))
    assert library.rename(root, "mine", "other") == "other"
    assert (root / "other" / "metrics.jsonl").exists()
