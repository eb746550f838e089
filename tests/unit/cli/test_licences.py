"""Every package that the app brings has a licence that lets it be shipped under Apache-2.0."""

from __future__ import annotations

import json
import re

from halluapp.cli import main as cli
from halluapp.cli.support import licences

PERMISSIVE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python|MPL|Mozilla|HPND|Unlicense|zlib|CC0", re.IGNORECASE)
COPYLEFT = re.compile(r"\bA?GPL|\bLGPL|Affero|GNU (Affero |Lesser )?General", re.IGNORECASE)


def test_every_package_says_its_licence_and_none_is_copyleft():
    packages = licences.packages()
    names = {name for name, _, _ in packages}
    assert {"torch", "transformers", "gradio", "mcp", "peft", "bitsandbytes", "pillow"} <= names
    assert len(packages) > 50, "also what is needed indirectly"
    for name, version, licence in packages:
        if name.startswith(("nvidia-", "cuda-", "triton")):  # NVIDIA's own terms, where pip brought torch with CUDA
            continue
        assert version
        assert PERMISSIVE.search(licence), (name, licence)
        assert not COPYLEFT.search(licence), (name, licence)


def test_the_command_lists_them(capsys):
    assert cli.main(["doctor", "--licences", "--json"]) == 0
    assert [name for name, *_ in json.loads(capsys.readouterr().out) if name == "gradio"] == ["gradio"]
    assert cli.main(["doctor", "--licences"]) == 0
    assert re.search(r"^gradio [\d.]+: .*Apache", capsys.readouterr().out, re.MULTILINE)
