"""`evaluate --verdicts`: a judge with planted probabilities on annotated photos, from photos to figures and plot."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from annotated_photos import CAR, DOG, write
from conformity import conforms

from halluapp.cli.main import main
from halluapp.errors import InputError
from halluapp.evaluation import harness, judging, verdict_plot, verdicts
from halluapp.evaluation.halves import reported


class Judge:
    """A calibrated detector that says the same of every photo."""

    name, labels = "planted judge", ("dog", "cat", "car", "person")

    def look(self, photo) -> dict:
        presence = {"dog": 0.98, "cat": 0.02, "car": 0.5, "person": 0.05}
        return {"detections": [], "presence": presence, "support": {}, "cuts": {"grounded": 0.9, "contradicted": 0.1}}


SESSION = SimpleNamespace(lvlm=None, detector=Judge())
TEXTS = {"baseline": "A dog, a cat and a man.", "vdd": "A dog and a car."}


@pytest.fixture
def data(tmp_path):
    return write(tmp_path, {f"{kind}{n}": record for kind, record in (("dog", DOG), ("car", CAR)) for n in range(3)})


def evaluated(data, **options) -> dict:
    answers = {sample.key: TEXTS for sample in harness.annotated_samples(data)}
    return judging.evaluate_verdicts(data, ["baseline", "vdd"], session=SESSION, answers=answers, **options)


def test_figures_are_those_of_the_planted_judge(data):
    result = evaluated(data)
    dogs = sum("dog" in verdicts.truth_of(s.record).present for s in harness.annotated_samples(data))
    whole = result["all"]
    assert result["photos"] == 6
    assert whole["grounded"]["mentions"] == 12
    assert whole["grounded"]["precision"] == pytest.approx(2 * dogs / 12)
    assert whole["contradicted"]["precision"] == 1.0
    assert result["persons"]["contradicted"]["mentions"] == 0
    conforms("evaluate-verdicts", result)
    silent = {sample.key: {"baseline": "Nothing.", "vdd": "Nothing."} for sample in harness.annotated_samples(data)}
    nothing = judging.evaluate_verdicts(data, ["baseline", "vdd"], session=SESSION, answers=silent)
    conforms("evaluate-verdicts", nothing)
    assert nothing["all"]["grounded"]["precision"] is None


def test_the_halves_share_the_photos_without_overlap(data):
    photos = [evaluated(data, half=half)["photos"] for half in ("reported", "calibrated")]
    assert sum(photos) == 6


def test_surer_verdicts_are_fewer(data):
    assert evaluated(data, sure=0.99)["all"]["decided"] <= evaluated(data, sure=0.6)["all"]["decided"]


def test_the_plot_is_a_drawing_of_both_curves(data):
    drawing = ElementTree.fromstring(verdict_plot.plot(evaluated(data)))
    assert drawing.tag.endswith("svg")
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}polyline"))) == 3


def test_a_wrong_half_and_an_empty_one_are_said(data):
    with pytest.raises(InputError, match="half must be"):
        evaluated(data, half="third")
    with pytest.raises(InputError, match="belongs to the"):
        key = harness.annotated_samples(data)[0].key
        other = "calibrated" if reported(key) else "reported"
        judging.evaluate_verdicts(harness.annotated_samples(data)[:1], session=SESSION, answers={}, half=other)


def test_the_command_says_where_data_lack(capsys):
    assert main(["evaluate", "no-such-folder", "--verdicts"]) == 2
    assert "No data at" in capsys.readouterr().err


def test_what_is_left_out_is_named_and_not_counted(data, tmp_path_factory):
    """Public kind: records that are left out in silence."""
    folder = shutil.copytree(data, tmp_path_factory.mktemp("copy") / "in")
    key = sorted(path.stem for path in folder.glob("*.json"))[0]
    (folder / f"{key}.jpg").write_bytes(b"no photo")
    (folder / "alone.json").write_text("{}")
    result = evaluated(folder)
    assert {item["key"] for item in result["left_out"]} == {key, "alone"}
    assert result["photos"] == 5
