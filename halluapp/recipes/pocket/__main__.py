"""`python -m halluapp.recipes.pocket train|finish|adapters|measure|probe --data DIR`: makes the embedded model anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from halluapp.evaluation.halves import HALVES
from halluapp.recipes.endings import exit_code
from halluapp.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Runs the recipe -> exit code: 0, or 2 with one clear line."""
    parser = argparse.ArgumentParser(prog="python -m halluapp.recipes.pocket", description="rebuild the embedded model")
    parser.add_argument(
        "action",
        choices=("train", "finish", "adapters", "measure", "probe"),
        help="finish: from the last checkpoint; adapters: AdaVIB, CHiP and HACL anew; measure: numbers only; "
        "probe: animals, refusals and repetition",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the photo shards")
    parser.add_argument(
        "--captions", type=Path, help="text file, a caption a line (default: ../text/captions.txt of DATA)"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/pocket"), help="features and checkpoints")
    parser.add_argument("--fresh", action="store_true", help="train from nothing, not on from the shipped weights")
    parser.add_argument("--half", choices=HALVES, default="calibrated", help="of the photos that probe takes")
    parser.add_argument("--limit", type=int, default=0, help="photos of a set that probe takes (0: all)")
    options = parser.parse_args(arguments)
    from halluapp.recipes.pocket import recipe

    return exit_code(lambda: recipe.run(
        options.action, options.data, options.captions, options.work, Settings.from_environment().assets,
        fresh=options.fresh, half=options.half, limit=options.limit,
    ))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
