"""`python -m halluapp.recipes.presence features|train|calibrate|measure|all --data DIR`: makes the detector anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from halluapp.recipes.endings import exit_code
from halluapp.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Runs stages of the recipe -> exit code: 0, or 2 with one clear line."""
    from halluapp.recipes.presence import recipe, sources

    parser = argparse.ArgumentParser(
        prog="python -m halluapp.recipes.presence", description="rebuild the presence detector; every stage resumes"
    )
    parser.add_argument("stage", choices=(*recipe.STAGES, "all"))
    parser.add_argument("--data", type=Path, required=True, help="folder of the photo shards")
    parser.add_argument("--work", type=Path, default=Path("runs/presence"), help="maps, answers and heads in between")
    parser.add_argument("--out", type=Path, help="folder to write (default: presence in the assets)")
    parser.add_argument("--limit", type=int, default=0, help="first N photos of each set only (0: all), to try it out")
    parser.add_argument("--epochs", type=float, default=sources.EPOCHS)
    options = parser.parse_args(arguments)
    out = options.out or Settings.from_environment().assets / "presence"
    stages = recipe.STAGES if options.stage == "all" else (options.stage,)
    folders = sources.Folders(options.data, options.work, out, options.limit, options.epochs)
    return exit_code(lambda: recipe.run(stages, folders))


if __name__ == "__main__":
    sys.exit(main())
