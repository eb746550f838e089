"""Short real training runs on the tiny models."""

from __future__ import annotations

from pathlib import Path

from tiny import folder, photo

from halluapp.data.pairs import jpeg, read_pairs, write_pairs
from halluapp.lvlm import catalog
from halluapp.training import recipes, runs
from halluapp.training.methods import registry


def fresh(quantization: str = "nf4"):
    return catalog.load(str(folder("llava")), quantization, "cpu", Path("/nowhere"))[0]


def objective(tmp_path: Path, kind: str, model=None, **settings):
    pairs = read_pairs(pairs_in(tmp_path / "pairs"))
    recipe = recipes.create(kind, **{**SHORT, **settings})
    return registry.objective(kind)(model or fresh(), recipe, pairs, log=lambda line: None)


def start(tmp_path: Path, kind: str, name: str = "run", **settings) -> runs.Run:
    data = pairs_in(tmp_path / "pairs")
    recipe = recipes.create(kind, **{**SHORT, **settings})
    return runs.create(tmp_path / "runs" / name, runs.Config(kind, recipe, str(data), str(folder("llava"))))


def losses(finished: runs.Run) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in finished.metrics() if "loss" in row]


KINDS = ("chip", "dpo", "hacl", "adavib")

TEXTS = (("A man and a dog walk on the street.", "A man and a cat walk on the street."),
         ("A red car beside a man in the park.", "A blue car beside a man in the park."))  # fmt: skip

SHORT = {"steps": 4, "batch": 2, "evaluate_every": 2, "sample_every": 4, "save_every": 2, "rate": 1e-3}


def pairs_in(path: Path, photos: int = 5) -> Path:
    rows = [
        {"image": f"{n}.jpg", "question": "Describe the photo.", "chosen": good, "rejected": bad, "objects": ["dog"]}
        for n in range(photos)
        for good, bad in TEXTS
    ]
    write_pairs(path, {f"{n}.jpg": jpeg(photo(n)) for n in range(photos)}, rows)
    return path
