"""On-policy pairs: the truest and the least true of a model's own answers, of about the same length."""

from __future__ import annotations

from functools import partial

import pytest
from tiny import folder, lvlm, photo

from halluapp.cli import main as cli
from halluapp.data.pairs import read_pairs
from halluapp.training.pairs import own_answers
from halluapp.training.pairs.own_answers import best_and_worst, score


def test_score_is_distinct_right_objects_minus_wrong_mentions():
    present = ["dog", "bench", "tree"]
    assert score("A dog on a bench. The dog sleeps.", present) == 2
    assert score("A dog, a cat and another cat.", present) == -1
    assert score("Something.", present) == 0
    assert score("A sign, a sign, a sign and a sign.", present, unsure=["sign"]) == -2, "a loop must not win"
    assert score("A puppy.", ["dog"]) == 1
    assert score("A dog and two cats.", ["dog"], unsure=["cat"]) == 1, "a detector saw a cat that nobody named"


def test_the_pair_differs_most_in_truth_and_little_in_length():
    present = ["dog", "bench"]
    best, worst, short = "A dog and a bench.", "A cat and a horse.", "A cow."
    assert best_and_worst([best, "A dog and a horse.", worst, short], present) == (best, worst)
    alike = "A dog and a horse are on the grass.", "A dog and a bench are on the grass."
    assert best_and_worst([*alike, "There is grass, then a horse, then nothing."], present) == alike[::-1]
    assert best_and_worst([best, short], present) is None, "a run would learn to say more"
    assert best_and_worst([best, best], present) is None
    assert best_and_worst(["A dog or a horse.", "A dog or a car."], present) is None, "equally true"


def test_answers_are_seeded_and_the_exact_description_is_chosen():
    model = lvlm("llava", "none")
    images = [(f"{number}.jpg", partial(photo, number), ["dog"], []) for number in range(3)]
    describe = partial(own_answers.generate_answers, model, [image for _, image, *_ in images], "Describe this image.")
    assert describe(temperature=2.0, seed=1) == describe(temperature=2.0, seed=1) != describe(temperature=2.0, seed=2)
    exact = {name: "The image shows a dog." for name, *_ in images}
    rows = own_answers.own_answer_rows(model, images, "Describe this image.", 2, exact=exact)
    greedy = describe()
    assert [row["image"] for row in rows] == [name for name, *_ in images if greedy[int(name[0])]]
    for row in rows:
        assert row["chosen"] == exact[row["image"]] != row["rejected"]
        assert row["kind"] == "own"
    assert rows == own_answers.own_answer_rows(model, images, "Describe this image.", 2, exact=exact)


def test_the_command_makes_own_pairs_and_says_what_it_lacks(tmp_path, capsys):
    options = ["--model", str(folder("llava")), "--quantization", "none", "--out", str(tmp_path / "pairs")]
    assert cli.main(["train", "pairs", "--scenes", "2", "--own", "2", "--kinds", "own,presence", *options]) == 0
    pairs = read_pairs(tmp_path / "pairs")
    own_rows = [pair for pair in pairs if pair.kind == "own"]
    assert own_rows
    assert {pair.kind for pair in pairs} == {"own", "presence"}
    assert all(pair.chosen.startswith("The image shows") and pair.objects for pair in own_rows)
    assert "answer 2 of 2 about 2 photos" in capsys.readouterr().err
    assert cli.main(["train", "pairs", "--out", str(tmp_path / "none")]) == 2
    assert "--scenes" in capsys.readouterr().err
    assert cli.main(["train", "pairs", "--scenes", "2", "--kinds", "own", "--out", str(tmp_path / "none")]) == 2
    assert "No pair is of the kind own" in capsys.readouterr().err


@pytest.mark.parametrize("inner", ["", "adapter"])
def test_an_adapter_folder_is_a_method_of_the_command_line(inner, tmp_path, capsys):
    from tiny_adapters import trained_adapter

    run = tmp_path / "mine"
    trained_adapter("llava", "none", run / inner)
    photo(0).save(tmp_path / "photo.png")
    model = ["--model", str(folder("llava")), "--quantization", "none", "--max-new-tokens", "4"]
    arguments = ["compare", str(tmp_path / "photo.png"), "--prompt", "What is this?", *model]
    assert cli.main([*arguments, "--adapter", str(run), "--methods", "baseline,adapter:mine"]) == 0
    assert "adapter:mine" in capsys.readouterr().out
    assert cli.main([*arguments, "--adapter", str(tmp_path / "nowhere")]) == 2
    assert "holds no adapter" in capsys.readouterr().err
