"""halluapp.numerics: stable names, without the app around them."""

from __future__ import annotations

import subprocess
import sys

from halluapp import numerics

STABLE = (
    "contrast calibrate hallu_space project_out pool gaussian_kl similarity_entropy adaptive_weight sequence_logps "
    "sequential_kl changed_tokens diffuse chip_loss contrastive_loss object_mentions chair parse_answer pope_scores"
).split()


def test_stable_names_are_there_and_documented() -> None:
    assert set(STABLE) <= set(numerics.__all__)
    for name in numerics.__all__:
        assert getattr(numerics, name).__doc__, name
        assert f"`{name}`" in numerics.__doc__ or isinstance(getattr(numerics, name), type), name


def test_no_page_and_no_model_library_is_imported() -> None:
    code = "import sys; from halluapp.numerics import contrast; "
    code += "assert not {'gradio', 'transformers', 'bitsandbytes', 'peft'} & set(sys.modules), 'heavy imports'"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
