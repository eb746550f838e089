"""Drawn scenes: the same seed gives the same picture, and the truth is what can be seen."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from halluapp.data.scenes import SCENES, render, write
from halluapp.data.scenes.pen import Pen
from halluapp.errors import InputError
from halluapp.grounding.words import vocabulary
from halluapp.settings import ASSETS

SMALL = (128, 96)


@pytest.mark.parametrize("name", SCENES)
def test_truth_is_well_formed_and_in_the_vocabulary(name):
    image, objects = render(name, SMALL)
    assert image.size == SMALL
    assert image.mode == "RGB"
    assert len(objects) >= 5
    for item in objects:
        assert item["label"] in vocabulary.objects()
        x0, y0, x1, y1 = item["box"]
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1


def test_same_seed_same_picture_in_another_process():
    code = "import hashlib; from halluapp.data.scenes import render; "
    code += "print(hashlib.sha256(render('park', (128, 96), 3)[0].tobytes()).hexdigest())"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout


def test_seeds_vary_the_picture_and_numbers_name_scenes():
    first, second = render("street", SMALL, 0)[0], render("street", SMALL, 1)[0]
    assert np.asarray(first).tolist() != np.asarray(second).tolist()
    assert render(len(SCENES), SMALL)[0].tobytes() == render("street", SMALL, 1)[0].tobytes()


def test_boxes_do_not_depend_on_the_size():
    for small, large in zip(render("beach", SMALL)[1], render("beach", (512, 512))[1], strict=True):
        assert small["label"] == large["label"]
        assert np.allclose(small["box"], large["box"], atol=1 / 96)


def test_a_box_encloses_what_is_visible():
    pen = _empty()
    with pen.thing("under"):
        pen.box(100, 90, 300, 210, "#ff0000")
    with pen.thing("over"):
        pen.box(200, 0, 400, 300, "#0000ff")
    boxes = {label: mask.getbbox() for label, mask in pen.things}
    assert np.allclose(boxes["under"], (300, 270, 600, 631), atol=2)  # its right half is hidden
    assert np.allclose(boxes["over"], (600, 0, 1200, 900), atol=2)
    red = np.asarray(pen.image)[:, :, 2] == 0
    ys, xs = red.nonzero()
    assert np.allclose((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), boxes["under"], atol=2)


def test_a_hidden_thing_and_a_shadow_are_no_objects():
    pen = _empty()
    with pen.thing("hidden"):
        pen.oval(200, 150, 20, 20, "#ff0000")
    pen.shadow(60)
    with pen.thing("cover"):
        pen.box(0, 0, 400, 300, "#0000ff")
    assert [mask.getbbox() is None for _, mask in pen.things] == [True, False]


def test_nested_places_and_flips():
    pen = _empty()
    with pen.thing("square"), pen.at(200, 150, 2), pen.at(10, 0, 1, flip=True):
        pen.box(0, 0, 10, 10, "#000000")
    assert np.allclose(pen.things[0][1].getbbox(), (600, 450, 661, 511), atol=2)


def _empty() -> Pen:
    from random import Random

    return Pen((400, 300), Random(0))


@pytest.mark.parametrize(("scene", "size"), [("moon", SMALL), ("park", (4, 100)), ("park", (5000, 100))])
def test_bad_requests_are_refused_in_words(scene, size):
    with pytest.raises(InputError):
        render(scene, size)


def test_shipped_examples_are_current_and_small(tmp_path):
    """If this fails after a change of the drawing: python -m halluapp.data.scenes assets/examples"""
    shipped = ASSETS / "examples"
    for path in write(tmp_path):
        assert path.stat().st_size < 150_000
        if path.suffix == ".json":
            assert json.loads(path.read_text()) == json.loads((shipped / path.name).read_text())
        else:  # other builds of Pillow may round an edge pixel differently
            pictures = [np.asarray(Image.open(folder / path.name), dtype=int) for folder in (tmp_path, shipped)]
            assert np.abs(pictures[0] - pictures[1]).mean() < 0.5
