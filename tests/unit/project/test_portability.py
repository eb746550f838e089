"""The app starts where the modules of Unix do not exist."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys

import pytest
import psutil  # its own build for Linux imports resource
for name in ("fcntl", "resource"):
    sys.modules[name] = None  # importing it raises ImportError
import importlib, pkgutil, halluapp
names = [module.name for module in pkgutil.walk_packages(halluapp.__path__, "halluapp.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from halluapp.settings import Settings
from halluapp.ui import app
page = app.build(Settings(port=0))
from halluapp.training.memory import process as process_memory
assert process_memory.peak_resident() > 0
print(len(names), len(page.blocks))
"""


@pytest.mark.slow
def test_every_module_and_the_page_do_without_fcntl_and_resource():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    modules, blocks = map(int, done.stdout.split()[-2:])
    assert modules > 150
    assert blocks > 100
