"""Preference pairs: what is refused and how, what is wrong in a rejected answer, scenes with and without things."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from random import Random

import datasets
import pyarrow.parquet
import pytest

from halluapp.data import scenes
from halluapp.data.pairs import Pair, iter_pairs, jpeg, one_photo_notice, read_pairs, split, write_pairs
from halluapp.errors import InputError
from halluapp.evaluation.chair import object_mentions
from halluapp.training.pairs import pair_sets
from halluapp.training.pairs.hallucinate import KINDS, Companions, hallucinate

GOOD = {"image": "a.jpg", "question": "Describe this image.", "chosen": "A dog.", "rejected": "A cat."}


def photo(seed: int = 0) -> bytes:
    return jpeg(scenes.render("park", (64, 48), seed)[0])


def folder(path: Path, *lines: str | dict) -> Path:
    path.mkdir(exist_ok=True)
    (path / "a.jpg").write_bytes(photo())
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (path / "pairs.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return path


def test_pairs_are_read_from_a_folder_or_its_file(tmp_path):
    pairs_read = read_pairs(folder(tmp_path, GOOD, "", {**GOOD, "kind": "co-occurrence", "objects": ["dog"]}))
    assert [pair.chosen for pair in pairs_read] == ["A dog."] * 2
    assert pairs_read[1].objects == ("dog",)
    assert pairs_read == read_pairs(tmp_path / "pairs.jsonl")
    assert pairs_read[0].open().size == (64, 48)


@pytest.mark.parametrize("line, message", [
    ("{", "Line 2 of pairs.jsonl is not JSON"),
    ("[1]", "Line 2 of pairs.jsonl is not an object"),
    ({**GOOD, "chosen": ""}, "Line 2 of pairs.jsonl lacks chosen."),
    ({"image": "a.jpg"}, "Line 2 of pairs.jsonl lacks question and chosen and rejected."),
    ({**GOOD, "image": None}, "Line 2 of pairs.jsonl lacks an image"),
    ({**GOOD, "image": "b.jpg"}, "Line 2 of pairs.jsonl: the photo b.jpg cannot be opened"),
    ({**GOOD, "rejected": "A dog."}, "Line 2 of pairs.jsonl: the chosen and the rejected answer are the same"),
    ({**GOOD, "chosen": "a" * 4001}, "Line 2 of pairs.jsonl has a text of more than 4,000"),
    ({"image": "a.jpg", "text": "not json"}, "Line 2 of pairs.jsonl: its text is not JSON"),
    ({"image": "a.jpg", "text": "[]"}, "Line 2 of pairs.jsonl: its text is not the JSON of an RLHF-V pair"),
    ({"image": "a.jpg", "text": "{}"}, "Line 2 of pairs.jsonl lacks question"),
    ({**GOOD, "image": {"bytes": "§"}}, "Line 2 of pairs.jsonl: the bytes of its image are not base64."),
    ({**GOOD, "image": {"bytes": "YQ=="}}, "Line 2 of pairs.jsonl: "),
    ({**GOOD, "image": 5}, "Line 2 of pairs.jsonl lacks an image"),
    ({**GOOD, "chosen": 3}, "Line 2 of pairs.jsonl lacks chosen."),
])  # fmt: skip
def test_the_bad_line_is_named_in_one_sentence(tmp_path, line, message):
    with pytest.raises(InputError) as caught:
        read_pairs(folder(tmp_path, GOOD, line))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


RLHF_V = {"question": "<image>\nWhat is it?", "chosen": "A dog.", "rejected": "A cat.", "idx": 1}


def test_rlhf_v_rows_are_read_in_every_form(tmp_path):
    """text: JSON, or what it says; the image: a path, bytes, or a path beside bytes that were left out."""
    text, content = json.dumps(RLHF_V), base64.b64encode(photo()).decode()
    rows = [
        {"image": {"path": "a.jpg"}, "text": text}, {"image": {"bytes": content, "path": "b.jpg"}, "text": RLHF_V},
        {"image": {"bytes": None, "path": "a.jpg"}, "text": text}, {"image": None, "image_path": "a.jpg", "text": text},
    ]  # fmt: skip
    pairs_read = read_pairs(folder(tmp_path, *rows))
    assert [(pair.question, pair.chosen, pair.rejected) for pair in pairs_read] == [
        ("What is it?", "A dog.", "A cat.")
    ] * 4
    assert [pair.image for pair in pairs_read] == [tmp_path / "a.jpg", photo(), tmp_path / "a.jpg", tmp_path / "a.jpg"]
    assert pairs_read[1].open().size == (64, 48)
    assert len({pair.photo for pair in pairs_read}) == 1, "bytes in the row are those of the file beside it"
    assert [pair.image for pair in iter_pairs(tmp_path, limit=2)] == [tmp_path / "a.jpg", photo()]


def parquet_of(path: Path, count: int) -> Path:
    """As RLHF-V has it: bytes beside a path, text as JSON, and columns of its own."""
    rows = [
        {"ds_name": "RLHF-V", "image": {"bytes": photo(n), "path": f"{n}.jpg"},
         "text": json.dumps({**RLHF_V, "chosen": f"{n} dogs."})} for n in range(count)
    ]  # fmt: skip
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.slow
def test_parquet_is_read_a_few_photos_at_a_time(tmp_path):
    path = parquet_of(tmp_path / "set.parquet", 40)
    pairs_read = read_pairs(path)
    assert [(pair.image, pair.chosen) for pair in pairs_read] == [(photo(n), f"{n} dogs.") for n in range(40)]
    assert [pair.chosen for pair in iter_pairs(path, limit=17)] == [f"{n} dogs." for n in range(17)]
    pyarrow.parquet.write_table(pyarrow.table({"image": ["a.jpg"], "chosen": ["A dog."]}), tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=r"Row 1 of bad\.parquet lacks question and rejected"):
        read_pairs(tmp_path / "bad.parquet")


def test_a_data_set_in_a_folder_is_read_as_one_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / "owner" / "name" / "data").mkdir(parents=True)
    parquet_of(tmp_path / "owner" / "name" / "data" / "train-00000-of-00001.parquet", 3)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    pairs_read = read_pairs(tmp_path / "owner" / "name")
    assert [(pair.image, pair.chosen) for pair in pairs_read] == [(photo(n), f"{n} dogs.") for n in range(3)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty could not be read"):
        read_pairs(tmp_path / "empty")


def test_files_without_pairs_are_refused(tmp_path):
    for name, content in (("empty.jsonl", b"\n"), ("photo.jsonl", photo()), ("fake.parquet", b"no parquet")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_pairs(tmp_path / name)


@pytest.mark.parametrize("source, sentence", [
    ("nowhere.jsonl", "There are no pairs at nowhere.jsonl"), ("no/such/file", "There are no pairs at"),
    ("nobody/nothing", "The data set nobody/nothing could not be read"),
])  # fmt: skip
def test_missing_data_is_said_in_one_sentence(source, sentence, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=sentence) as caught:
        read_pairs(source)
    assert "\n" not in str(caught.value)


def test_held_out_pairs_show_other_photos():
    pairs = [Pair(b"", f"photo {row % 10}", "q", "a", "b") for row in range(40)]
    train, held_out = split(pairs, 0.2, seed=3)
    assert len(train) == 32
    assert len(held_out) == 8
    assert not {pairs[row].photo for row in train} & {pairs[row].photo for row in held_out}
    assert (train, held_out) == split(pairs, 0.2, seed=3) != split(pairs, 0.2, seed=4)
    with pytest.raises(InputError, match="hold 1 out"):
        split(pairs[:1], 0.2)
    assert split(pairs[:1], 0.0) == ([0], [])


def test_texts_are_held_out_where_all_pairs_show_one_photo():
    """Public kind: photos replaced under the same names. One black picture in all places, which is how people test
    whether a run learns from texts alone, trains, and the run says what its held-out numbers are of."""
    texts = [("q", f"answer {number}", "wrong") for number in range(5)]
    pairs = [Pair(b"", "black", *text, name=f"{row}.jpg") for row, text in enumerate([*texts, *texts])]
    train, held_out = split(pairs, 0.2, seed=3)
    assert len(train) == 8
    assert len(held_out) == 2
    assert not {pairs[row].chosen for row in train} & {pairs[row].chosen for row in held_out}, "no text on both sides"
    assert (train, held_out) == split(pairs, 0.2, seed=3)
    assert "All 10 pairs show one and the same photo" in one_photo_notice(pairs)
    assert one_photo_notice([*pairs, Pair(b"", "other", *texts[0])]) == ""
    assert one_photo_notice(pairs[:1]) == ""
    with pytest.raises(InputError, match="one photo with 2 texts"):
        split(pairs[:2], 0.9)


COMPANIONS = Companions([{"dog", "frisbee", "tree"}, {"dog", "bench", "tree"}, {"fork", "knife"}])


@pytest.mark.parametrize("kind, text", [
    ("co-occurrence", "A dog runs under a tree."),
    ("attribute", "A man in a red shirt sits on a bench."),
    ("count", "Two dogs play with a ball."),
    ("count", "A boy holds a ball."),
    ("place", "The dog is on the left of the bench."),
])  # fmt: skip
def test_every_kind_makes_a_sentence_false(kind, text):
    pairs_read = {hallucinate(text, Random(seed), COMPANIONS, kinds=[kind]) for seed in range(12)}
    for wrong in pairs_read:
        assert wrong.kind == kind
        assert wrong.text != text
        assert wrong.after in wrong.text.lower()
        assert wrong.text.endswith(".")
        assert "  " not in wrong.text


def test_added_objects_usually_accompany_what_is_there_and_are_absent():
    for seed in range(30):
        pairs_read = hallucinate("A dog.", Random(seed), COMPANIONS, present=["bench"], kinds=["co-occurrence"])
        new = set(object_mentions(pairs_read.text)) - {"dog"}
        assert new <= {"frisbee"}
        assert pairs_read.after.removeprefix("a ") in ("tree", "frisbee")
    assert COMPANIONS.absent(["fork"], Random(0)) == "knife"


def test_nothing_is_made_up_where_no_kind_applies():
    assert hallucinate("Hello.", Random(0), Companions([]), kinds=KINDS) is None


def test_scene_pairs_are_deterministic_and_true(tmp_path):
    pair_set = pair_sets.scene_pairs(6, seed=1)
    count = pair_set.write(tmp_path / "one")
    pair_sets.scene_pairs(6, seed=1).write(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    pairs = read_pairs(tmp_path / "one")
    assert count == len(pairs) >= 18
    about = pair_sets.result(tmp_path / "one", pair_set, 1, None)
    assert "24 pairs of 6 photos" in pair_sets.summary(about)
    for pair in pairs:
        if pair.kind == "co-occurrence":
            assert set(object_mentions(pair.chosen)) <= set(pair.objects)
        assert set(object_mentions(pair.rejected)) <= set(pair.objects) or pair.kind == "co-occurrence"
    with pytest.raises(InputError, match="number of scenes"):
        pair_sets.scene_pairs(1)


def test_a_thing_left_out_changes_nothing_else():
    whole = scenes.render("park", (128, 96), 4)[1]
    image, rest = scenes.render("park", (128, 96), 4, without=("dog", "kite"))
    assert [item["label"] for item in rest] == [i["label"] for i in whole if i["label"] not in ("dog", "kite")]
    for item in rest:
        (same,) = [other for other in whole if other["label"] == item["label"] and other["box"] == item["box"]] or [
            item
        ]
        assert same["box"][0] >= item["box"][0]  # it may show more of what the dog hid
    assert image.size == (128, 96)


def test_photos_with_captions_become_pairs(tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.jpg").write_bytes(photo(number))
        record = {"captions": ["A dog runs beside a bench.", "A brown dog near two trees.", "A kite in the sky."]}
        (source / f"{number}.json").write_text(json.dumps(record))
    assert pair_sets.photo_pairs(source).write(tmp_path / "out") == len(read_pairs(tmp_path / "out")) > 0
    with pytest.raises(InputError):
        pair_sets.photo_pairs(tmp_path / "nowhere")


def test_written_rows_are_read_again(tmp_path):
    write_pairs(tmp_path / "new", {"a.jpg": photo()}, [GOOD])
    assert read_pairs(tmp_path / "new")[0].rejected == "A cat."


def test_what_is_known_of_a_photo_depends_on_who_says_it():
    objects = [["dog", 0.9, 0, 0, 1, 1], ["cat", 0.3, 0, 0, 1, 1], ["dog", 0.2, 0, 0, 1, 1]]
    present, unsure = pair_sets.objects_of_record({"captions": ["A bench."], "detections": objects})
    assert (present, unsure) == (["bench"], ["cat", "dog"]), "people's words are the truth"
    present, unsure = pair_sets.objects_of_record({"detections": objects})
    assert present == ["dog"], "a teacher can find cars"
    assert {"cat", "tree"} <= set(unsure), "a teacher can find cars"
    assert "car" not in unsure, "a teacher can find cars"


def test_photos_with_detections_only_wait_for_own_answers(tmp_path):
    for name, record in (("a", {"captions": ["A dog."]}), ("b", {"detections": [["dog", 0.9, 0, 0, 1, 1]]})):
        (tmp_path / f"{name}.jpg").write_bytes(photo(1))
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    pairs_read = pair_sets.photo_pairs(tmp_path)
    assert set(pairs_read.photos) == {"a.jpg", "b.jpg"}
    assert {row["image"] for row in pairs_read.rows} == {"a.jpg"}
    assert pairs_read.present == {"a.jpg": ["dog"], "b.jpg": ["dog"]}
    with pytest.raises(InputError, match=r"Two photos are called a\.jpg"):
        pairs_read + pairs_read
    pairs_read.select_kinds(["presence"])
    assert set(pairs_read.photos) == {"a.jpg"}, "a photo without pairs is not written"
