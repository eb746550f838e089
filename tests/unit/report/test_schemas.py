"""The published JSON Schemas: they are what the models say, and outputs of every command fit them."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest
from conformity import FOLDER, conforms, undescribed
from pydantic import ValidationError

from halluapp.report import outputs, schemas

ROOT = FOLDER.parents[1]


def test_the_committed_schemas_are_what_the_command_writes(tmp_path, capsys):
    assert schemas.main(["--write", str(tmp_path)]) == 0
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert committed == fresh, "run: python -m halluapp.report"
    assert len(capsys.readouterr().out.splitlines()) == len(fresh)


def test_the_command_is_a_module():
    command = [sys.executable, "-m", "halluapp.report", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout
    assert "JSON Schemas" in shown


def test_every_schema_is_one_and_the_page_names_it():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, text in schemas.documents().items():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))
        assert f"]({name})" in page, name


def test_keys_of_a_newer_version_are_kept_and_found():
    gain = outputs.SearchGain.model_validate({"tuning": 0.5, "test": None, "third": {"a": 1}})
    assert gain.model_dump() == {"tuning": 0.5, "test": None, "third": {"a": 1}}
    assert undescribed([gain]) == ["[0].third"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tuning": "0.5", "test": None},
        {"tuning": True, "test": None},
        {"tuning": float("nan"), "test": None},
        {"test": None},
    ],
)
def test_values_are_strict(wrong):
    with pytest.raises(ValidationError):
        outputs.SearchGain.model_validate(wrong)


def test_the_shipped_halluspace_fits():
    """An earlier version wrote it."""
    shipped = json.loads((ROOT / "assets/pocket/hallu_space.json").read_text(encoding="utf-8"))
    conforms("halluspace", shipped["about"])
