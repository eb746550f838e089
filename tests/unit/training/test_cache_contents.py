"""What runs share on disk is found by its content, and processes that share the folder do not disturb each other."""

from __future__ import annotations

import shutil
import subprocess
import sys

import torch
from tiny import photo
from training_runs import SHORT, fresh, pairs_in

from halluapp.data.pairs import jpeg, pairs_hash, read_pairs
from halluapp.lvlm.weights.fingerprint import fingerprint
from halluapp.training import recipes
from halluapp.training.batches import disk_cache
from halluapp.training.methods import registry


def objective(model, data, cache, kind="chip", **settings):
    recipe = recipes.create(kind, **{**SHORT, **settings})
    trained = registry.objective(kind)(model, recipe, read_pairs(data), cache, log=lambda line: None)
    trained.undo()
    return trained


def files(cache, part: str) -> set[str]:
    return {path.name for path in cache.glob(f"{part}-*.safetensors")}


def test_photos_replaced_under_the_same_names_are_looked_at_anew(tmp_path):
    """The kind: a cache keyed by names. Features and the reference of CHiP are those of a fresh folder."""
    data, cache, model = pairs_in(tmp_path / "pairs", 3), tmp_path / "cache", fresh()
    before = objective(model, data, cache)
    (data / "1.jpg").write_bytes(jpeg(photo(8)))
    after, anew = objective(model, data, cache), objective(model, data, tmp_path / "fresh")
    for part in ("features", "reference"):
        assert len(files(cache, part)) == 2, part
        assert files(tmp_path / "fresh", part) < files(cache, part), part
    assert not torch.equal(after.features.clean[1], before.features.clean[1])
    assert torch.equal(after.features.clean[1], anew.features.clean[1])
    assert all(torch.equal(one, other) for one, other in zip(after.reference, anew.reference, strict=True))
    assert not torch.equal(after.reference[2], before.reference[2])


def test_equal_contents_share_and_other_texts_weights_or_processors_do_not(tmp_path):
    """The kind: two data folders with equal relative names, one model name with other weights."""
    cache, model = tmp_path / "cache", fresh("none")
    data = pairs_in(tmp_path / "one", 2)
    shutil.copytree(data, tmp_path / "two")
    objective(model, data, cache)
    objective(model, tmp_path / "two", cache)
    assert (len(files(cache, "features")), len(files(cache, "reference"))) == (1, 1)
    lines = (data / "pairs.jsonl").read_text(encoding="utf-8").replace("A red car", "A green car")
    (tmp_path / "two" / "pairs.jsonl").write_text(lines, encoding="utf-8")
    objective(model, tmp_path / "two", cache)
    assert (len(files(cache, "features")), len(files(cache, "reference"))) == (1, 2)
    with torch.no_grad():
        list(model.model.parameters())[-1].view(-1)[-1] += 1  # one number of all weights
    objective(model, data, cache)
    assert (len(files(cache, "features")), len(files(cache, "reference"))) == (2, 3)


def test_the_fingerprint_is_of_all_that_a_model_computes_with():
    for quantization in ("none", "nf4"):
        model = fresh(quantization)
        hashes = [fingerprint(model)]
        assert fingerprint(fresh(quantization)) == hashes[0]
        model.image_processor.image_mean = [0.1, 0.2, 0.3]
        hashes.append(fingerprint(model))
        model.tokenizer.chat_template += " "
        hashes.append(fingerprint(model))
        weight = next(parameter for parameter in model.model.parameters() if parameter.numel() > 100)
        flat = weight.data.view(-1)
        number = flat[77].clone()  # neither at an end nor in the middle
        flat[77] += 1
        hashes.append(fingerprint(model))
        flat[77] = number
        assert fingerprint(model) == hashes[2]
        assert len(set(hashes)) == 4, quantization


def test_the_hash_of_pairs_is_of_their_contents(tmp_path):
    data = pairs_in(tmp_path / "one", 2)
    shutil.copytree(data, tmp_path / "two")
    whole = pairs_hash(read_pairs(data))
    assert pairs_hash(read_pairs(tmp_path / "two")) == whole
    (tmp_path / "two" / "0.jpg").write_bytes(jpeg(photo(9)))
    assert pairs_hash(read_pairs(tmp_path / "two")) != whole


MEETING = """
import sys, torch
from pathlib import Path
from halluapp.training.batches import disk_cache
disk_cache.MAX_BYTES = 9000
folder, name = Path(sys.argv[1]), sys.argv[2]
for number in range(60):
    shared, private = folder / "shared.safetensors", folder / f"{name}-{number}.safetensors"
    for path in (shared, private):
        disk_cache.write(path, {"clean": [torch.full((1000,), float(number % 7))], "corrupted": []})
        disk_cache.evict_oldest(path, 9000)
        stored = disk_cache.read(path, 1)
        assert stored is None or len(set(stored["clean"][0].tolist())) == 1, "half of each"
print("done")
"""


def test_two_processes_meet_in_a_full_cache(tmp_path):
    """The kind: processes of `accelerate launch` tidy one folder up; none fails, none reads half a file."""
    processes = [
        subprocess.Popen([sys.executable, "-c", MEETING, str(tmp_path), name], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]  # fmt: skip
    for process in processes:
        out, error = process.communicate(timeout=300)
        assert out.strip() == "done", error
    left = list(tmp_path.glob("*.safetensors"))
    assert sum(path.stat().st_size for path in left) <= 9000
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_vanishes_while_others_use_the_folder_is_computed_anew(tmp_path):
    path = tmp_path / "gone.safetensors"
    disk_cache.write(path, {"clean": [torch.zeros(3)], "corrupted": []})
    path.unlink()
    assert disk_cache.read(path, 1) is None
    disk_cache.evict_oldest(path, 0)
