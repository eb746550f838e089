"""The page is there before the model: building it imports nothing that only a model needs."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("transformers", "bitsandbytes", "peft", "accelerate", "skimage")
PROGRAM = """
import json, sys
from halluapp.settings import Settings
from halluapp.ui import app
app.build(Settings(port=0))
print(json.dumps(sorted(sys.modules)))
"""


def test_the_page_is_built_without_the_libraries_that_only_a_model_needs():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    modules = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in HEAVY if name in modules] == []
    assert "gradio" in modules
