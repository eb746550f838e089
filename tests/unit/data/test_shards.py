"""Photos with records in folders and archives: each is read, or named as left out; nothing else happens."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halluapp.data import shards
from halluapp.errors import InputError

RECORD = json.dumps({"objects": ["dog"]}).encode()


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def archive(path: Path, files: list[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def read(source: Path, **options) -> tuple[list[str], dict[str, str]]:
    """(Keys that were read, what was left out)."""
    left_out: list[shards.LeftOut] = []
    keys = [sample.key for sample in shards.read(source, left_out=left_out, **options)]
    return keys, {item.key: item.reason for item in left_out}


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.JPG", "a.png", "a.Webp", "a.heic", "a.b.tiff"])
def test_photos_of_every_ending_are_read(tmp_path, name) -> None:
    """Public kind: photos that are no .jpg are left out in silence, or said not to exist."""
    record = f"{name.rpartition('.')[0]}.json"
    files = {name: b"photo", record: RECORD}
    (tmp_path / "loose").mkdir()
    for source in (folder(tmp_path / "loose", files), archive(tmp_path / "a.tar", list(files.items()))):
        (sample,) = shards.read(source)
        assert (sample.key, sample.jpeg, sample.record) == (
            record.removesuffix(".json"),
            b"photo",
            {"objects": ["dog"]},
        )


def test_what_lacks_its_other_half_is_named(tmp_path) -> None:
    files = {"a.jpg": b"1", "a.json": RECORD, "b.png": b"2", "c.json": RECORD, "notes.txt": b"3"}
    (tmp_path / "loose").mkdir()
    for source in (folder(tmp_path / "loose", files), archive(tmp_path / "a.tar", list(files.items()))):
        keys, left_out = read(source)
        assert keys == ["a"]
        assert left_out.keys() == {"b", "c"}
        assert "no record" in left_out["b"]
        assert "no photo" in left_out["c"]


def test_two_photos_of_one_name_are_not_guessed(tmp_path) -> None:
    (tmp_path / "loose").mkdir()
    keys, left_out = read(folder(tmp_path / "loose", {"a.jpg": b"1", "a.png": b"2", "a.json": RECORD}))
    assert (keys, left_out) == ([], {"a": "a.jpg and a.png and a.json are of one name"})
    files = [("a.jpg", b"1"), ("a.json", RECORD), ("a.png", b"2"), ("b.jpg", b"3"), ("b.jpg", b"4"), ("b.json", RECORD)]
    keys, left_out = read(archive(tmp_path / "a.tar", files))
    assert keys == ["a", "b"]
    assert left_out == dict.fromkeys("ab", "is twice in a.tar; the first one counts")


def test_hidden_files_are_no_data(tmp_path) -> None:
    """Public kind: macOS writes ._a.json beside a.json, also into archives."""
    hidden = {"._a.json": b"\0\5\x16\7\xb0", "._a.jpg": b"\0", ".DS_Store": b"", "__MACOSX/._a.json": b"\0"}
    files = {"./a.jpg": b"1", "./a.json": RECORD, **hidden}
    (tmp_path / "loose").mkdir()
    for source in (folder(tmp_path / "loose", files), archive(tmp_path / "a.tar", list(files.items()))):
        assert read(source) == (["a"], {})


def test_archives_beside_loose_photos_are_all_read(tmp_path) -> None:
    files = [("a.jpg", b"1"), ("a.json", RECORD)]
    archive(tmp_path / "one.tar", files)
    archive(tmp_path / "two.tar.gz", files, "w:gz")
    folder(tmp_path, {"b.jpg": b"2", "b.json": RECORD, "labels.json": b"{}"})
    assert read(tmp_path) == (["a", "a", "b"], {"labels": f"the record has no photo ({', '.join(shards.SUFFIXES)})"})
    assert read(tmp_path, pattern="one*") == (["a"], {})


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_that_was_cut_is_refused(tmp_path, mode) -> None:
    """Public kind: a download that ended early."""
    noise = bytes(range(256)) * 64
    path = archive(
        tmp_path / "a.tar", [("a.jpg", b"1"), ("a.json", RECORD), ("b.jpg", noise), ("b.json", RECORD)], mode
    )
    whole = path.read_bytes()
    length = len(whole.rstrip(b"\0")) if mode == "w" else len(whole)
    for cut in {length // 4, length // 2, length - 700, length - 20} - {0}:
        if 0 < cut < length:
            path.write_bytes(whole[:cut])
            with pytest.raises(InputError, match="cut short"):
                read(path)


def test_damage_between_two_files_is_not_the_end(tmp_path) -> None:
    path = archive(tmp_path / "a.tar", [(f"{n}.{kind}", RECORD) for n in "abc" for kind in ("jpg", "json")])
    content = bytearray(path.read_bytes())
    content[4 * 512 + 100] ^= 0xFF  # the header of the third file
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged between two files"):
        read(path)
    path.write_bytes(archive(tmp_path / "b.tar", [("a.jpg", b"1"), ("a.json", RECORD)]).read_bytes()[: 4 * 512])
    assert read(path) == (["a"], {"a.tar": "has no end mark: files may be missing at its end"})
    whole = (tmp_path / "b.tar").read_bytes()
    path.write_bytes(whole + whole)
    assert read(path) == (["a"], {"a.tar": "goes on behind its end mark; unpack archives that were joined"})


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xfa", b"[" * 100_000])
def test_a_record_that_is_no_json_is_named(tmp_path, content) -> None:
    with pytest.raises(InputError, match=r"a\.json is not") as caught:
        read(folder(tmp_path, {"a.jpg": b"1", "a.json": content}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_records_of_other_encodings(tmp_path, encoding) -> None:
    """Public kind: a byte order mark."""
    folder(tmp_path, {"a.jpg": b"1", "a.json": '{"captions": ["Ein Hündchen"]}'.encode(encoding)})
    assert next(shards.read(tmp_path)).record == {"captions": ["Ein Hündchen"]}


NAMES = st.tuples(
    st.sampled_from(["a", "b", "c.d", "._a", "e"]), st.sampled_from(["jpg", "JPEG", "png", "json", "txt"])
)
CONTENTS = st.sampled_from([RECORD, b"{}", b"null", b"[1]", b"{", b""])


@settings(max_examples=80, deadline=None)
@given(files=st.dictionaries(NAMES.map(".".join), CONTENTS, min_size=1))
def test_what_goes_in_is_read_or_named(tmp_path_factory, files) -> None:
    root = tmp_path_factory.mktemp("any")
    (root / "loose").mkdir()
    names = [Path(name) for name in files if not name.startswith(".") and not name.endswith("txt")]
    expected = {name.stem for name in names}
    for source in (folder(root / "loose", files), archive(root / "a.tar", list(files.items()))):
        try:
            keys, left_out = read(source)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        assert {*keys, *left_out} == expected
        assert len(set(keys)) == len(keys)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), mode=st.sampled_from(["w", "w:gz"]))
def test_damaged_archives_raise_nothing_else(tmp_path_factory, data, mode) -> None:
    root = tmp_path_factory.mktemp("any")
    path = archive(root / "a.tar", [("a.jpg", b"1"), ("a.json", RECORD), ("ä/b.png", b"2"), ("ä/b.json", RECORD)], mode)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read(path)
    except InputError as error:
        assert "\n" not in str(error)
