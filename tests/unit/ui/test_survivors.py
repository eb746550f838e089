"""The counterfactual of the fold: which things and words of an answer are said again, articles left out."""

from __future__ import annotations

from halluapp.ui.inside.survivors import survivors


def test_things_come_first_and_joining_words_count_for_nothing():
    before, after = "A dog and two cats are on the red sofa. There is no lamp.", "A brown dog is on the grass. No cat."
    said = {word.lower() for word in after.rstrip(".").replace(".", "").split()}
    words = [[word, word.lower() in said] for word in before.replace(".", "").split()]
    result = survivors(before, after, words)
    assert result["things"] == [["dog", True], ["cat", False], ["couch", False]]  # what is denied is not named
    kinds = dict(result["words"])
    assert {word for word, kind in kinds.items() if kind is None} >= {"A", "and", "two", "are", "on", "the", "is", "no"}
    assert (kinds["dog"], kinds["sofa"]) == (True, False)
