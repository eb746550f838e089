"""`calibrate`: poolings, and a report that shows what a HalluSpace is made of."""

from __future__ import annotations

import io
import json

import pytest
import torch
from conformity import conforms
from tiny import KINDS, LAYERS, OPEN, folder, hooks, lvlm, photo, visual

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.lvlm import catalog
from halluapp.training.hallu_space import compute, directions

CHOSEN, REJECTED = "A man and a dog walk on the street.", "A man and a cat walk on the street."
ANSWERS = [
    ("A man and a dog.", "A man and a cat."), ("A red car on the street.", "A red horse on the street."),
    ("Two people watch.", "Two dogs watch."), ("The fox jumps over the dog.", "The fox jumps over the car."),
]  # fmt: skip


def _png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    photo(seed).save(buffer, "PNG")
    return buffer.getvalue()


def _texts(**change) -> dict:
    return {"question": OPEN, "chosen": CHOSEN, "rejected": REJECTED, **change}


def _lines(path, rows: list):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


def _pairs(kind: str) -> list[tuple]:
    return [(visual(kind, "none", seed), OPEN, *answers) for seed, answers in enumerate(ANSWERS)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_plain_json_and_in_the_file(kind, tmp_path) -> None:
    model = lvlm(kind)
    space = compute.compute_hallu_space(model, _pairs(kind), list(range(LAYERS)), rank=3)
    catalog.save_space(space, tmp_path / "space.safetensors")
    about = catalog.load_space(tmp_path / "space.safetensors").about
    conforms("halluspace", about)
    assert about == json.loads(json.dumps(space.about, allow_nan=False))
    assert set(about["directions"]) == {"0", "1"}
    for one in about["directions"].values():
        assert one["singular"] == sorted(one["singular"], reverse=True)
        assert 0 < one["share"] <= 1
        assert -1 <= one["length_correlation"] <= 1
        assert len(one["words"]) == 3
        assert all(0 < len(pieces) <= directions.WORDS_PER_END for ends in one["words"] for pieces in ends.values())
    text = directions.table(about)
    assert "layer 1" in text
    assert "hallucinated" in text
    assert hooks(model) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_directions_point_to_the_hallucinated_answers_and_name_their_words(kind) -> None:
    """A planted direction: states that differ by what the LM head reads as one token."""
    model = lvlm(kind)
    token = model.tokenizer(" dog", add_special_tokens=False)["input_ids"][-1]
    head = model.model.get_output_embeddings().weight[token].detach().float()
    planted = head / model.final_norm.weight.detach().float()
    planted = planted / planted.norm()
    torch.manual_seed(0)
    truth = torch.randn(12, len(planted))
    hallucinated = truth + torch.rand(12, 1) * 6 * planted + 0.01 * torch.randn(12, len(planted))
    for a, b, end in ((truth, hallucinated, "hallucinated"), (hallucinated, truth, "truthful")):
        space = directions.orient(compute.hallu_space(a, b, 2), a, b)
        assert (1 if end == "hallucinated" else -1) * float(space[:, 0] @ planted) > 0.99
        named = directions.direction_words(model, space[:, 0])
        word = model.piece(token).strip()
        assert [name for name, pieces in named.items() if word in pieces] == [end]


def test_a_direction_of_length_is_told() -> None:
    """With "all", pairs of different length put the length into the first direction; answer_mean does not have to."""
    model = lvlm()
    torch.manual_seed(0)
    shifts = torch.arange(8).float()
    truth = torch.randn(8, 64)
    hallucinated = truth + shifts[:, None] * torch.nn.functional.normalize(torch.randn(64), dim=0)
    space = directions.orient(compute.hallu_space(truth, hallucinated, 1), truth, hallucinated)
    report = directions.layer_report(model, space, compute.spectrum(truth, hallucinated), truth, hallucinated, shifts)
    assert report["length_correlation"] == pytest.approx(1, abs=1e-3)
    assert report["share"] > 0.99
    same = directions.layer_report(
        model, space, compute.spectrum(truth, hallucinated), truth, hallucinated, torch.zeros(8)
    )
    assert same["length_correlation"] is None
    assert "–" in directions.table(
        {"pairs": 8, "pooling": "all", "rank": 1, "model": "m", "mean_length_difference": 0.0, "directions": {0: same}}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_authors_take_the_last_layer_after_the_norm(kind, monkeypatch) -> None:
    """Its MLP writes before that norm: theirs is the space of other vectors, except where no layer is the last."""
    model = lvlm(kind)
    weight = model.final_norm.weight
    monkeypatch.setattr(weight, "data", torch.linspace(0.2, 3, len(weight)))
    ours, authors = (
        compute.compute_hallu_space(model, _pairs(kind), [0, LAYERS - 1], 2, how) for how in ("all", "authors")
    )
    torch.testing.assert_close(ours.layers[0], authors.layers[0])
    overlap = torch.linalg.svdvals(ours.layers[LAYERS - 1].T @ authors.layers[LAYERS - 1])
    assert float(overlap.min()) < 0.99
    with pytest.raises(InputError, match="Pooling"):
        compute.compute_hallu_space(model, _pairs(kind), [0], 2, "median")


@pytest.mark.parametrize("pooling", compute.POOLINGS)
def test_the_command(pooling, tmp_path, capsys) -> None:
    rows = []
    for seed, (chosen, rejected) in enumerate(ANSWERS):
        (tmp_path / f"{seed}.png").write_bytes(_png(seed))
        rows.append({"image": f"{seed}.png", "question": OPEN, "chosen": chosen, "rejected": rejected})
    path, out, output = _lines(tmp_path / "p.jsonl", rows), tmp_path / "space.safetensors", tmp_path / "about.json"
    arguments = ["calibrate", str(path), "--out", str(out), "--rank", "2", "--pooling", pooling, "--layers", "0-1"]
    model = ["--model", str(folder("llava")), "--quantization", "none", "--json", str(output), "--limit", "3"]
    assert cli.main([*arguments, *model]) == 0
    about = json.loads(output.read_text())
    assert about == catalog.load_space(out).about
    assert about["pooling"] == pooling
    assert about["pairs"] == 3
    printed = capsys.readouterr().out
    assert "layer 0" in printed
    assert "spectrum" in printed
    assert "truthful" in printed


def test_a_hallu_space_lands_where_the_model_looks_for_it(tmp_path, capsys) -> None:
    """Kind: a sentence whose command writes a file that is never looked for."""
    import shutil

    from halluapp.errors import MissingWeights
    from halluapp.lvlm import sidecar_files
    from halluapp.session import unload_all

    checkpoint = tmp_path / "my model"
    shutil.copytree(folder("llava"), checkpoint)
    (checkpoint / "hallu_space.safetensors").unlink()
    model = catalog.load(str(checkpoint), "none", "cpu", tmp_path / "assets")[0]
    with pytest.raises(MissingWeights) as caught:
        model.space("default")
    words = str(caught.value)
    assert f"halluspace PAIRS --model '{checkpoint}'" in words
    photo().save(tmp_path / "a.png")
    pairs = _lines(tmp_path / "pairs.jsonl", [_texts(image="a.png"), _texts(image="a.png", rejected="A cat.")])
    command = ["halluspace", str(pairs), "--model", str(checkpoint), "--quantization", "none", "--rank", "1"]
    assert cli.main(command) == 0
    assert f"wrote {checkpoint / 'hallu_space.safetensors'}" in capsys.readouterr().out
    assert catalog.load(str(checkpoint), "none", "cpu", tmp_path / "assets")[0].space("default").about["pairs"] == 2
    # A checkpoint of the hub has no folder of its own, and a folder may be read-only: then it is a folder in assets.
    model.name = "somebody/some-model"
    assert sidecar_files.writable_folder(model, tmp_path / "assets") == tmp_path / "assets" / "somebody--some-model"
    with pytest.raises(InputError, match="--out"):
        sidecar_files.writable_folder(model, tmp_path / "a.png")
    model.name = "random:llava-tiny"
    with pytest.raises(InputError, match="--out"):
        sidecar_files.writable_folder(model, tmp_path)
    unload_all()
