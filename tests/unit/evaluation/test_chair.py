"""CHAIR: the original script's scores, hand-made captions, and what must hold for any captions."""

from __future__ import annotations

import pytest
from golden_cases import Case, cases
from hypothesis import given
from hypothesis import strategies as st

from halluapp.evaluation.bootstrap import bootstrap
from halluapp.evaluation.chair import (
    STATISTICS,
    asserted_mentions,
    chair_row,
    chair_rows,
    count_words,
    truth_of,
    vocabulary_of,
)
from halluapp.grounding.words import vocabulary
from halluapp.numerics import chair, object_mentions

COCO = vocabulary.coco_names()


@pytest.mark.parametrize("case", cases("chair", "scores/"), ids=repr)
def test_scores_of_the_original(case: Case) -> None:
    keys = list(case.inputs["captions"])
    mentions = [case.outputs["mentioned"][key] for key in keys]
    truth = [set(case.outputs["truth"][key]) for key in keys]
    score, overall = chair(mentions, truth), case.outputs["overall"]
    assert score.chair_i == pytest.approx(overall["CHAIRi"], rel=1e-12)
    assert score.chair_s == pytest.approx(overall["CHAIRs"], rel=1e-12)
    if "Recall" in overall:
        assert score.recall == pytest.approx(overall["Recall"], rel=1e-12)
    for names, objects, key in zip(mentions, truth, keys, strict=True):
        assert chair_row(names, objects).hallucinated == len(case.outputs["hallucinated"][key])


@pytest.mark.parametrize("case", cases("chair", "scores/"), ids=repr)
def test_truth_of_the_original_up_to_known_differences(case: Case) -> None:
    # Ours: a jet ski is a boat, an archer's bow no tie, a notebook a book, a shepherd or chef a person, benching no
    # bench, a duck sandwich no bird, geese are birds.
    ours_only = {"boat", "book", "person", "bird"}
    theirs_only = {"airplane", "skis", "tie", "laptop", "bench", "bird"}
    for key, annotated in case.inputs["annotated"].items():
        ours = truth_of({"objects": annotated, "captions": case.inputs["references"][key]})
        theirs = set(case.outputs["truth"][key])
        assert ours - theirs <= ours_only, key
        assert theirs - ours <= theirs_only, key


def test_mentions_map_to_coco_or_stay_wide() -> None:
    caption = "A puppy and a woman under a tree"
    assert object_mentions(caption) == ["dog", "person"]
    assert object_mentions(caption, "wide") == ["dog", "woman", "tree"]
    assert object_mentions("A quiet afternoon.") == []


def test_a_hallucination_named_twice_counts_twice_in_i_and_once_in_s() -> None:
    score = chair([["dog", "cat", "cat"], []], [{"dog"}, {"car"}], lengths=[10, 4])
    assert (score.chair_i, score.chair_s, score.recall) == (2 / 3, 1 / 2, 1 / 2)
    assert (score.length, score.correct_objects_per_caption) == (7.0, 0.5)


def test_what_a_caption_denies_counts_in_the_original_figure_alone() -> None:
    captions = ["A dog, but no cat.", "A horse instead of a cow."]
    said, stated = [object_mentions(c) for c in captions], [asserted_mentions(c) for c in captions]
    assert said == [["dog", "cat"], ["horse", "cow"]]
    assert stated == [["dog"], ["horse"]]
    score = chair(said, [{"dog"}, {"dog"}], asserted=stated)
    assert (score.chair_i, score.chair_s) == (3 / 4, 1.0)
    assert (score.chair_i_asserted, score.chair_s_asserted) == (1 / 2, 1 / 2)
    assert asserted_mentions("A puppy and no tree.", "wide") == ["dog"]


def test_nothing_said_and_nothing_there_is_zero() -> None:
    assert set(vars(chair([], [])).values()) == {0.0}
    assert chair([[]], [set()]).chair_i == 0.0


def test_different_numbers_are_refused() -> None:
    with pytest.raises(ValueError):
        chair([["dog"]], [])


def test_wide_accepts_kinds_and_only_kinds() -> None:
    assert chair([["man"]], [{"person"}], vocabulary="wide").chair_i == 0
    assert chair([["man"]], [{"woman"}], vocabulary="wide").chair_i == 1
    assert chair([["person"]], [{"woman"}], vocabulary="wide").recall == 1


def test_truth_unites_annotations_and_what_people_wrote() -> None:
    record = {"objects": ["car"], "captions": ["A man with a puppy on grass"]}
    assert truth_of(record) == {"car", "person", "dog"}
    flickr = {
        "captions": ["A man runs"],
        "entities": [{"type": "animals", "phrases": ["a brown dog"], "boxes": []}],
        "detections": [["horse", 0.9, 0, 0, 1, 1]],
    }
    assert truth_of(flickr, "wide") == {"man", "person", "dog"}
    assert vocabulary_of([record]) == "coco"
    assert vocabulary_of([record, flickr]) == "wide"


def test_words_are_counted_without_punctuation() -> None:
    assert count_words("A dog , and a t-shirt .") == 5


_CAPTIONS = st.lists(st.lists(st.sampled_from(COCO[:12]), max_size=6), min_size=1, max_size=6)


@given(_CAPTIONS, st.data())
def test_scores_are_bounded_and_add_up(captions: list, data: st.DataObject) -> None:
    truth = [set(data.draw(st.lists(st.sampled_from(COCO[:12]), max_size=5))) for _ in captions]
    score, rows = chair(captions, truth), chair_rows(captions, truth)
    assert 0 <= score.chair_i <= 1
    assert 0 <= score.chair_s <= 1
    assert 0 <= score.recall <= 1
    assert (score.chair_i > 0) == (score.chair_s > 0)
    assert (score.chair_i_asserted, score.chair_s_asserted) == (score.chair_i, score.chair_s)
    wide = chair(captions, truth, vocabulary="wide")
    assert wide == score  # no kinds among these names
    doubled = chair(captions * 2, truth * 2)
    assert vars(doubled) == pytest.approx(vars(score))
    low, high = bootstrap([row.sums() for row in rows], STATISTICS["chair_s"], draws=50)
    assert 0 <= low <= high <= 1


@given(_CAPTIONS)
def test_saying_only_what_is_there_is_perfect(captions: list) -> None:
    score = chair(captions, [set(mentions) for mentions in captions])
    assert score.chair_i == 0
    assert score.chair_s == 0
    assert score.recall in (0.0, 1.0)
