"""`pip install .` carries everything that the app reads: a wheel is built offline and looked into."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def tracked(folder: str) -> set[str]:
    listing = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode or not listing.stdout:
        pytest.skip("not a git checkout")
    return {name for name in listing.stdout.splitlines() if (ROOT / name).is_file()}


@pytest.mark.slow
def test_a_wheel_carries_the_package_and_the_assets(tmp_path):
    setuptools = metadata.version("setuptools") if "setuptools" in metadata.packages_distributions() else "0"
    if int(setuptools.split(".")[0]) < 77:
        pytest.skip("building a wheel offline needs setuptools 77")
    tree = tmp_path / "tree"
    for name in tracked("."):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "out"]
    command = [sys.executable, "-m", "pip", "wheel", ".", *options]
    build = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    (wheel,) = (tree / "out").glob("halluapp-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"halluapp/{name}" for name in tracked("assets")} <= names
    assert tracked("halluapp") <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_versions_agree():
    version = re.search(r'^__version__ = "(.+)"$', (ROOT / "halluapp/__init__.py").read_text(), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert version
    assert citation["version"] == version[1]
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert citation["license"] == "Apache-2.0"
