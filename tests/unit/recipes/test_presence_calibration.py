"""The presence recipe's calibration: witnesses, curves, cuts, names beyond the labels, and the figures of the card."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch

from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence import beyond, calibrate, heads, measure, mentions, pooled
from halluapp.recipes.presence.calibrate import Calibration, Case
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.labels import LABELS

pytestmark = pytest.mark.usefixtures("one_thread")


def _cases(seed: int = 0, count: int = 3000) -> list[Case]:
    rng, cases = random.Random(seed), []
    for number in range(count):
        label = rng.choice(["dog", "cup", "person"])
        score = rng.uniform(-6, 6)
        slope = {"dog": 1.5, "cup": 0.02, "person": 1.0}[label]
        cases.append(Case(str(number), label, score, rng.random() < 1 / (1 + np.exp(-slope * score)), 1.0))
    return cases


def test_cuts_reach_their_aim_and_a_label_that_does_not_stays_unsure() -> None:
    aims = {"grounded": 0.94, "contradicted": 0.94}
    made = calibrate.calibrate(_cases(), ("dog", "cup", "person", "kite"), aims)
    assert made.support["dog"] == (True, True)
    assert made.support["cup"] == (False, False), "its score says nothing"
    assert made.support["person"] == (True, False), "nobody is said to be absent"
    assert made.support["kite"] == (False, False), "nothing was shown"
    fresh = [c for c in _cases(1) if c.label == "dog"]
    p = np.array([made.curves[c.label].probability(c.score) for c in fresh])
    true = np.array([c.present for c in fresh])
    assert true[p >= made.cuts["grounded"]].mean() > 0.9
    assert true[p <= made.cuts["contradicted"]].mean() < 0.1
    assert made.cuts["grounded"] < 0.9, "where the aim allows it, more than the surest is decided"


def test_held_out_pairs_weigh_as_likely_as_they_would_be_named() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=(60, 2)) * 3
    present = (score + rng.normal(size=score.shape) > 0).astype(float)
    named = (rng.random(score.shape) < np.where(score > 0, 0.8, 0.1)).astype(float)
    cases = [Case(str(i), "dog", 0.0, True, 1.0) for i in range(30)]
    held = calibrate.held_cases(
        cases, {"score": score, "present": present, "named": named}, ([str(i) for i in range(60)], score, present),
        ("dog", "cup"),
    )  # fmt: skip
    assert sum(case.weight for case in held) == pytest.approx(calibrate.HELD_SHARE * 30, rel=0.02)
    high = np.mean([case.weight for case in held if case.score > 1])
    assert high > 2 * np.mean([case.weight for case in held if case.score < -1])


def test_the_witness_that_is_right_counts_more_and_scores_follow() -> None:
    rng = np.random.default_rng(0)
    rows = {str(i): rng.normal(size=(2, 2)) * 2 for i in range(600)}
    right = {key: rng.random() < 1 / (1 + np.exp(-0.2 * row[0, 0] - 1.5 * row[1, 0])) for key, row in rows.items()}
    cases = [Case(key, "dog", 0.0, right[key], 1.0) for key in rows]
    look, cells = pooled.witness_weights(cases, rows, ("dog", "cup"))
    assert 0.05 < look < 0.4
    assert 1.2 < cells < 1.8

    torch.manual_seed(0)
    head, store = PresenceHead(list(LABELS), hidden=8).eval(), _store()
    torch.nn.init.normal_(head.pooled.weight, std=0.01)
    widen = OwnTrunk().eval()
    before = pooled.parts(head, widen, store)
    assert np.allclose(before.sum(1), heads.presence_logits(head, widen, store), atol=1e-4)
    after = pooled.parts(pooled.weigh(head, look, cells), widen, store)
    assert np.allclose(after, before * np.array([look, cells])[None, :, None], atol=1e-4)


def _store() -> Store:
    rng = np.random.default_rng(1)
    coarse, fine = rng.normal(size=(3, 320, 2, 2)), rng.normal(size=(3, 112, 4, 4))
    store = Store(coarse.astype("f2"), fine.astype("f2"), np.zeros((3, 5)), ["a", "b", "c"], [{}, {"n": 1}, {}])
    some = store.take([1])
    assert (some.keys, some.records, some.coarse.shape) == (["b"], [{"n": 1}], (1, 320, 2, 2))
    return store


def _view(shown: str, share: float, number: int, own: float = 0.2) -> beyond.View:
    posterior = torch.full((1000,), (1 - share) / 999)
    posterior[number] = share
    return beyond.View(posterior, {"dog": own, "cup": 0.1}, {shown})


def test_names_beyond_the_labels_are_calibrated_where_no_label_is_grounded() -> None:
    photos = [_view("lion", 0.9, 291) for _ in range(60)] + [_view("tiger", 0.3, 291) for _ in range(60)]
    photos += [_view("dog", 0.9, 291, own=0.95) for _ in range(40)] + [_view("dog", 0.5, 200) for _ in range(60)]
    fitted = beyond.fit(photos, grounded=0.8)
    assert fitted.probability(0.9) > beyond.LEAST > 0.5 > fitted.probability(0.3)
    assert fitted.exclusion == pytest.approx((1 / 102) / (61 / 122), abs=1e-3), "no dog passed for a lion"
    figures = beyond.figures(fitted, photos, grounded=0.8)
    assert (figures["shown"], figures["found"], figures["confirmed"], figures["right"]) == (120, 60, 60, 60)
    assert (figures["foreign"], figures["lowered"]) == (60, 60), "the dog that was not sure is ruled out"
    assert beyond.calibrated({"none": []}, 0.8) is None


def test_photos_of_one_thing_speak_our_names() -> None:
    assert {"guitar", "acoustic guitar"} <= beyond.truth({"fine": "acoustic guitar", "objects": ["acoustic guitar"]})
    assert "monkey" in beyond.truth({"fine": "macaque", "objects": ["monkey"]})
    assert "mountain" in beyond.truth({"fine": "alp", "objects": ["alp"]})
    assert "shoe" in beyond.truth({"fine": "cowboy boot", "objects": ["cowboy boot"]})


def test_verdicts_follow_cuts_and_support() -> None:
    cuts = {"grounded": 0.85, "contradicted": 0.1}
    assert measure.verdict(0.85, (True, True), cuts) == "grounded"
    assert measure.verdict(0.10, (True, True), cuts) == "contradicted"
    assert {
        measure.verdict(p, may, cuts) for p, may in ((0.5, (True, True)), (0.99, (False, True)), (0, (True, False)))
    } == {"not sure"}


def test_average_precision_of_known_orders() -> None:
    truth = np.array([1, 0, 1, 0])
    assert measure.average_precision(np.array([4, 3, 2, 1]), truth) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(measure.average_precision(np.array([1.0]), np.array([0])))


def test_named_labels_count_their_methods_and_leave_out_what_is_uncertain(tmp_path) -> None:
    file = tmp_path / "answers.jsonl"
    texts = {"a": "A man and a dog on a couch.", "b": "A woman."}
    file.write_text(json.dumps({"data": "coco-dev", "key": "1", "texts": texts}) + "\n")
    record = {"objects": ["person"], "captions": ["A couch."], "boxes": []}
    found = {one.label: one for one in mentions.named(file, lambda data, key: record)}
    assert found["person"].methods == ("a", "b")
    assert found["person"].present
    assert not found["dog"].present
    assert "couch" not in found
    assert mentions.named(file, lambda data, key: None) == []


def test_figures_are_of_the_reported_half_only() -> None:
    named = [mentions.Named("coco-dev", f"d{i}", "dog", True, ("a",)) for i in range(40)]
    scores = {one.photo: {"dog": 3.0} for one in named}
    made = Calibration(
        {"dog": calibrate.Curve(1.0, 0.0)}, {"grounded": 0.9, "contradicted": 0.1}, {"dog": (True, True)}
    )
    kept = {row.photo for row in measure.rows(named, scores, made, "coco-dev")}
    assert kept == {one.photo for one in named if calibrate.reported(one.photo)}
    assert 10 < len(kept) < 30
