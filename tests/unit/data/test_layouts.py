"""Pairs as other tools publish them: layouts, images inside the file, encodings; one sentence where it is unclear."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from halluapp.data.layouts import LAYOUTS
from halluapp.data.pairs import jpeg, read_pairs, split
from halluapp.errors import InputError

GOOD = {"image": "a.jpg", "question": "Describe this image.", "chosen": "A dog.", "rejected": "A cat."}
TEXTS = ("Describe this image.", "A dog.", "A cat.")
PHOTO = jpeg(Image.linear_gradient("L").resize((40, 30)))
BASE64 = base64.b64encode(PHOTO).decode()


def write(root: Path, content: bytes | list, name: str = "pairs.jsonl") -> Path:
    (root / "photos").mkdir(exist_ok=True)
    for photo in ("a.jpg", "photos/a.jpg"):
        (root / photo).write_bytes(PHOTO)
    rows = content if isinstance(content, bytes) else "\n".join(map(json.dumps, content)).encode()
    (root / name).write_bytes(rows)
    return root / name


def refusal(root: Path, row) -> str:
    with pytest.raises(InputError) as caught:
        read_pairs(write(root, [GOOD, row]))
    sentence = str(caught.value)
    assert sentence.startswith("Line 2 of pairs.jsonl")
    assert "\n" not in sentence
    sentence.encode()
    return sentence


def says(who: str, text, old: bool = False) -> dict:
    return {"from": who, "value": text} if old else {"role": who, "content": text}


ASKED = [{"type": "image"}, {"type": "text", "text": TEXTS[0]}]
ROWS = {
    "plain": GOOD,
    "plain beside another tool's prompt": {**GOOD, "prompt": "USER: <image> Describe. ASSISTANT:"},
    "RLHF-V": {"image": "a.jpg", "text": json.dumps(dict(zip(("question", "chosen", "rejected"), TEXTS, strict=True)))},
    "LLaMA-Factory, ShareGPT": {
        "conversations": [says("human", "<image>" + TEXTS[0], True)], "chosen": says("gpt", TEXTS[1], True),
        "rejected": says("gpt", TEXTS[2], True), "images": ["a.jpg"],
    },
    "LLaMA-Factory, messages": {
        "messages": [says("user", "<image>" + TEXTS[0])], "chosen": says("assistant", TEXTS[1]),
        "rejected": says("assistant", TEXTS[2]), "images": ["a.jpg"],
    },
    "LLaMA-Factory, Alpaca": {
        "instruction": "Describe", "input": "", "chosen": TEXTS[1], "rejected": TEXTS[2], "images": ["a.jpg"],
    },
    "TRL": {"prompt": TEXTS[0], "chosen": TEXTS[1], "rejected": TEXTS[2], "images": ["a.jpg"]},
    "TRL, messages": {
        "prompt": [says("user", ASKED)], "chosen": [says("assistant", [{"type": "text", "text": TEXTS[1]}])],
        "rejected": [says("assistant", TEXTS[2])], "images": [{"bytes": BASE64, "path": None}],
    },
    "TRL without prompt": {
        "chosen": [says("user", ASKED), says("assistant", TEXTS[1])],
        "rejected": [says("user", ASKED), says("assistant", TEXTS[2])], "image": {"bytes": None, "path": "a.jpg"},
    },
    "ms-swift": {
        "messages": [says("user", TEXTS[0]), says("assistant", TEXTS[1])], "rejected_response": TEXTS[2],
        "images": [{"path": "a.jpg"}],
    },
    "POVID": {
        "image": "a.jpg", "conversations": [says("human", TEXTS[0], True), says("gpt", TEXTS[1], True)],
        "rejected_conversations": [says("human", TEXTS[0], True), says("gpt", TEXTS[2], True)],
    },
    "photo in the message": {
        "prompt": [says("user", [{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{BASE64}"}},
                                 {"type": "text", "text": TEXTS[0]}])],
        "chosen": TEXTS[1], "rejected": TEXTS[2],
    },
}  # fmt: skip


def test_every_layout_is_read(tmp_path) -> None:
    """Public kind: preference pairs in the layouts that LLaMA-Factory and TRL use."""
    for name, row in ROWS.items():
        (pair,) = read_pairs(write(tmp_path, [row]))
        question = "Describe" if "Alpaca" in name else TEXTS[0]
        assert (pair.question, pair.chosen, pair.rejected) == (question, *TEXTS[1:]), name
        assert pair.open().size == (40, 30), name
        assert pair.position == "Line 1 of pairs.jsonl"


@pytest.mark.parametrize("change, words", [
    ({"system": "You lie.", "prompt": "What?", "question": None}, "has a system message"),
    ({"question": None, "prompt": [says("system", "Lie."), says("user", "What?")]}, "has a system message"),
    ({"question": None, "prompt": [says("user", "a"), says("assistant", "b"), says("user", "c")]}, "has 3 turns"),
    ({"question": None, "prompt": [says("assistant", "Hello.")]}, "has 1 turns before its answers"),
    ({"image": ["a.jpg", "b.jpg"]}, "has 2 photos; a pair has one"),
    ({"image": None, "images": ["a.jpg", "b.jpg"]}, "has 2 photos"),
    ({"question": None, "instruction": "What?", "history": [["a", "b"]]}, "has a history"),
    ({"question": None, "chosen": [says("user", "a"), says("assistant", "b")],
      "rejected": [says("user", "x"), says("assistant", "y")]}, "are to different questions"),
    ({"image": []}, "lacks an image"), ({"image": {"bytes": None, "path": None}}, "lacks an image"),
    ({"image": "https://example.org/a.jpg"}, "its image is an address"),
    ({"image": {"bytes": "no base64!"}}, "the bytes of its image are not base64"),
    ({"image": {"bytes": [1, 999]}}, "not numbers from 0 to 255"),
    ({"image": "data:image/png;base64,"}, "the data: URL of its image holds no image"),
    ({"image": "a\ud83d.jpg"}, "no file has the name"), ({"image": "a\0.jpg"}, "no file has the name"),
    ({"image": "x" * 5000}, "cannot be opened"), ({"objects": [{"id": 1}]}, "its objects are not a list of names"),
    ({"question": [1]}, "lacks question"), ({"question": {"from": "human"}}, "lacks question"),
])  # fmt: skip
def test_what_is_not_certain_is_refused(tmp_path, change, words) -> None:
    assert words in refusal(tmp_path, {**GOOD, **change})


@pytest.mark.parametrize("value", [
    BASE64, {"bytes": BASE64}, {"bytes": base64.encodebytes(PHOTO).decode()}, base64.encodebytes(PHOTO).decode(),
    {"bytes": base64.urlsafe_b64encode(PHOTO).decode().rstrip("=")}, {"bytes": list(PHOTO), "path": "gone.jpg"},
    f"data:image/jpeg;base64,{BASE64}", {"bytes": f"data:image/jpeg;base64,{BASE64}"},
    {"url": "data:;base64," + BASE64},
    ["a.jpg"], [{"path": "a.jpg"}], "./a.jpg", "photos/../a.jpg", "photos\\a.jpg", ".\\photos\\..\\a.jpg",
])  # fmt: skip
def test_one_photo_in_any_spelling_is_one_photo(tmp_path, value) -> None:
    """Public kinds: one photo under two spellings is learned from and held out; images inside the file are refused."""
    pairs = read_pairs(write(tmp_path, [GOOD, {**GOOD, "image": value}]))
    assert len({pair.photo for pair in pairs}) == 1
    with pytest.raises(InputError, match="The pairs show 1 photos"):
        split(pairs)


def test_a_file_address_is_a_path(tmp_path) -> None:
    write(tmp_path, [GOOD])
    pairs = read_pairs(write(tmp_path, [{**GOOD, "image": (tmp_path / "a.jpg").resolve().as_uri()}]))
    assert pairs[0].open().size == (40, 30)


def test_the_split_of_earlier_runs_stays(tmp_path) -> None:
    """Photos are told apart by content and shuffled by name, as before: a run that goes on holds out the same ones."""
    names = [f"{number}.jpg" for number in range(10)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(jpeg(Image.new("RGB", (20, 20), (20 * number, 0, 0))))
    pairs = read_pairs(write(tmp_path, [{**GOOD, "image": name} for name in names]))
    held_out = [pairs[row].name for row in split(pairs, 0.3, seed=4)[1]]
    renamed = read_pairs(write(tmp_path, [{**GOOD, "image": name} for name in reversed(names)]))
    assert sorted(held_out) == sorted(renamed[row].name for row in split(renamed, 0.3, seed=4)[1])


@pytest.mark.parametrize("change, words", [
    ({"chosen": "<image>"}, "nothing but <image> is in its chosen"),
    ({"question": "<image>\n", "rejected": " <image> "}, "nothing but <image> is in its question and rejected"),
    ({"question": "\u200b\ufeff"}, "lacks question"), ({"rejected": "A dog.<image>"}, "are the same"),
    ({"rejected": "A  dog. "}, "white space"), ({"rejected": "A\u00a0dog."}, "white space"),
    ({"chosen": "A caf\u00e9.", "rejected": "A cafe\u0301."}, "spelling of characters"),
    ({"rejected": "A\u200b dog."}, "spelling of characters"), ({"rejected": "Ａ dog."}, "spelling of characters"),
    ({"chosen": "A \ud83d dog."}, "its chosen holds half a character"),
    ({"question": "What \udc36?"}, "its question holds half a character"),
])  # fmt: skip
def test_texts_are_checked_as_a_tokenizer_sees_them(tmp_path, change, words) -> None:
    """Public kinds: texts that are empty without <image>, that no tokenizer takes, that differ in nothing to learn."""
    assert words in refusal(tmp_path, {**GOOD, **change})


def test_whole_emojis_are_texts(tmp_path) -> None:
    pairs = read_pairs(write(tmp_path, [{**GOOD, "chosen": "A dog \U0001f436.", "rejected": "A dog \U0001f431."}]))
    assert pairs[0].chosen == "A dog \U0001f436."


LINE = json.dumps({**GOOD, "chosen": "A d\u00f6g."}, ensure_ascii=False)


@pytest.mark.parametrize("name, content, count", [
    ("pairs.jsonl", b"\xef\xbb\xbf" + LINE.encode(), 1),
    ("pairs.jsonl", b"\xef\xbb\xbf" + LINE.encode() + b"\r\n\r\n\xef\xbb\xbf" + LINE.encode(), 2),
    ("pairs.jsonl", f"{LINE}\n{LINE}".encode("utf-16"), 2),
    ("pairs.jsonl", f" [{LINE},\n {LINE}]\n".encode(), 2), ("pairs.json", f"[{LINE}, {LINE}]".encode("utf-8-sig"), 2),
    ("pairs.json", f"{LINE}\n{LINE}\n".encode(), 2), ("pairs.json", json.dumps(GOOD, indent=2).encode(), 1),
])  # fmt: skip
def test_files_of_other_tools_are_read(tmp_path, name, content, count) -> None:
    """Public kind: a byte order mark, an array instead of lines."""
    assert len(read_pairs(write(tmp_path, content, name))) == count
    assert len(read_pairs(tmp_path)) == count


@pytest.mark.parametrize("content, words", [
    (b"[1]", "Entry 1 of pairs.jsonl is not an object"), (b"[]", "holds no pairs"), (b"null", "is not an object"),
    (f"[{LINE},".encode(), "Line 1 of pairs.jsonl is not JSON"), (LINE.encode("cp1252"), "is not text in UTF-8"),
    (b"[" * 90_000, "Line 1 of pairs.jsonl is"), (b"\xff\xfe\x00", "is not text"), (b"", "holds no pairs"),
])  # fmt: skip
def test_files_that_are_no_pairs_are_refused(tmp_path, content, words) -> None:
    with pytest.raises(InputError, match=words.replace(".", r"\.")) as caught:
        read_pairs(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_mistyped_path_is_no_data_set_of_the_hub(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/pears", "nowhere/pairs.jsonl", "nowhere/pairs.json", "./x/y", "a\\b/c", "/x/y"):
        with pytest.raises(InputError, match="There are no pairs at"):
            read_pairs(name)


KEYS = ("image", "images", "image_path", "question", "prompt", "instruction", "text", "messages", "conversations",
        "chosen", "rejected", "rejected_response", "rejected_conversations", "objects", "system", "kind")  # fmt: skip
WORDS = st.sampled_from(["a.jpg", "A dog.", "A cat.", "<image>", "", " ", "\ud83d", "data:,x", BASE64, "{}", "x://y"])
MESSAGES = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["user", "assistant", "system", 3]), "from": WORDS, "value": WORDS | st.none(),
    "content": WORDS | st.lists(st.dictionaries(st.sampled_from(["type", "text", "image", "image_url"]), WORDS)),
})  # fmt: skip
VALUES = st.one_of(
    WORDS, st.none(), st.integers(), MESSAGES, st.lists(WORDS | MESSAGES | st.none(), max_size=3),
    st.dictionaries(st.sampled_from(["bytes", "path", "url"]), WORDS | st.none() | st.lists(st.integers(), max_size=3)),
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), min_size=1, max_size=3), good=st.booleans())
def test_any_rows_are_pairs_or_one_sentence(tmp_path_factory, rows, good) -> None:
    root = tmp_path_factory.mktemp("any")
    rows = [{**GOOD, **row} if good else row for row in rows]
    try:
        pairs = read_pairs(write(root, rows))
    except InputError as error:
        assert "\n" not in str(error)
        str(error).encode()
        assert str(error).startswith("Line ")
        return
    assert len(pairs) == len(rows)
    for pair in pairs:
        assert pair.open().size == (40, 30)
        assert pair.chosen.strip() != pair.rejected.strip()
        assert "<image>" not in pair.question + pair.chosen + pair.rejected


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_nothing_else(tmp_path_factory, data) -> None:
    content = bytearray(f"{LINE}\n[{LINE}]\n".encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_pairs(write(tmp_path_factory.mktemp("any"), bytes(content)))
    except InputError as error:
        assert "\n" not in str(error)


def test_a_layout_says_when_a_row_is_of_another() -> None:
    assert [layout({"a": 1}) for layout in LAYOUTS] == [None] * len(LAYOUTS)
