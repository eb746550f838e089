"""How many weights a checkpoint has, from its config.json alone: the model is built of shapes, nothing is loaded.

To build a model, though of shapes alone, transformers changes the default type of numbers of the whole process, and a
model that another thread of a server loads meanwhile would be of two types: `count_apart` asks a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from halluapp.errors import InputError

UNCOUNTABLE = "The weights of {name} could not be counted ({reason}); check its config.json."


def count(config: Any, name: str) -> tuple[int, int]:
    """(parameters in all, those that NF4 reaches) of a configuration. Raises InputError for a foreign family."""
    import torch

    from halluapp.lvlm import quantize
    from halluapp.lvlm.loading import family_of

    family = family_of(config, name)
    with torch.device("meta"):
        model = family.architecture_class()._from_config(config, dtype=torch.float32)
    model.tie_weights()
    dense, uneven = family.lvlm_class().dense_modules, quantize.uneven_layers(config.get_text_config())
    quantized = sum(
        module.weight.numel()
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and not any(path == part or path.startswith(f"{part}.") for part in dense)
        and path.rpartition(".")[2] not in uneven
    )
    return sum(parameter.numel() for parameter in model.parameters()), quantized


def count_apart(source: str) -> tuple[int, int]:
    """`count` of a folder or hub id by a process of its own, once for the same files. Raises InputError."""
    config = Path(source) / "config.json"
    success, line = _answer(source, config.stat().st_mtime_ns if config.is_file() else 0)
    if not success:
        raise InputError(line)
    weights, quantized = json.loads(line)
    return weights, quantized


@lru_cache(maxsize=64)
def _answer(source: str, version: int) -> tuple[bool, str]:
    result = subprocess.run(
        [sys.executable, "-m", "halluapp.lvlm.weights.counting", source], capture_output=True, text=True,
        encoding="utf-8", stdin=subprocess.DEVNULL, cwd=Path(__file__).resolve().parents[3],
    )  # fmt: skip
    lines = (result.stdout if result.returncode == 0 else result.stderr).strip().splitlines()
    reason = UNCOUNTABLE.format(name=source, reason="no answer")
    return result.returncode == 0, lines[-1] if lines else reason


def main(source: str) -> int:
    """Prints the two counts as JSON -> exit code."""
    from halluapp.lvlm import loading
    from halluapp.lvlm.families import pocket

    pocket.register()
    try:
        print(json.dumps(count(loading.configuration(source), source)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:  # of transformers' own classes
        print(UNCOUNTABLE.format(name=source, reason=" ".join(str(error).split())[:120]), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
