"""Further inputs of the public kinds, through the command line as a person meets them: read, or refused in a sentence.

README.md beside this file says which reports stand behind a kind.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import tarfile

import pytest
from annotated_photos import CAR, DOG
from conformity import conforms
from tiny import OPEN, folder, photo

from halluapp.cli import main as cli

MODEL = ["--model", str(folder("llava")), "--quantization", "none"]
CAPTIONED = {"captions": ["A dog on grass.", "A dog runs.", "One dog sleeps."], "objects": ["dog"]}


def encoded(kind: str = "JPEG", seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    photo(seed).save(buffer, kind)
    return buffer.getvalue()


def files_in(home, files: dict):
    home.mkdir(parents=True)
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return home


def archive(path, files: dict, links: dict[str, str] | None = None, mode: str = "w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.LNKTYPE, target
            tar.addfile(entry)
    return path


@pytest.fixture
def make(tmp_path, capsys):
    """Pairs of captioned photos -> (exit code, the JSON or None, the sentence)."""

    numbers = itertools.count()

    def run(data):
        out = tmp_path / f"out-{next(numbers)}"
        words = ["train", "pairs", "--photos", str(data), "--out", str(out), "--json", str(out / "about.json")]
        code = cli.main(words)
        said = capsys.readouterr().err
        about = json.loads((out / "about.json").read_text(encoding="utf-8")) if code == 0 else None
        if about:
            conforms("train-pairs", about)
        return code, about, said

    return run


def test_photos_are_known_by_what_they_are_and_records_by_any_spelling(tmp_path, make):
    """Public kind: photos that are no .jpg are silently left out, or said not to exist."""
    spellings = {".JPG": "JPEG", ".jpe": "JPEG", ".Png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".gif": "GIF"}
    files = {f"{ending[1:]}{ending}": encoded(kind, number) for number, (ending, kind) in enumerate(spellings.items())}
    files |= {f"{ending[1:]}.json": CAPTIONED for ending in spellings}
    files |= {"wrong.jpg": encoded("PNG", 9), "wrong.JSON": CAPTIONED}
    code, about, said = make(files_in(tmp_path / "in", files))
    assert (code, about["photos"], about["left_out"]) == (0, 7, []), said


def test_a_file_of_another_kind_is_named_and_not_said_to_be_missing(tmp_path, make):
    """Public kind: photos that are no .jpg are said not to exist, in a folder and in an archive."""
    files = {"a.jpg": encoded(), "a.json": CAPTIONED, "b.jp2": encoded("JPEG2000", 1), "b.json": CAPTIONED}
    for data in (files_in(tmp_path / "in", files), archive(tmp_path / "in.tar.gz", files)):
        code, about, _ = make(data)
        assert code == 0
        assert [item["key"] for item in about["left_out"]] == ["b"]
        assert "b.jp2 is none" in about["left_out"][0]["reason"]


def test_equal_photos_that_an_archive_links_are_there(tmp_path, make):
    """Public kind: records left out in silence. tar writes the second of two hard-linked files as a link."""
    files = {"a.jpg": encoded(), "a.json": CAPTIONED, "b.json": CAPTIONED, "c.json": CAPTIONED}
    code, about, _ = make(archive(tmp_path / "in.tar", files, {"b.jpg": "a.jpg", "c.jpg": "../../etc/passwd"}, "w"))
    assert (code, about["photos"]) == (0, 2)
    assert [item["key"] for item in about["left_out"]] == ["c"]


@pytest.mark.parametrize("words", ["is a zip file; unpack it", "its folder photos has some, so name that one"])
def test_data_of_another_shape_say_what_to_do(tmp_path, make, words):
    """Public kind: a record of another shape ends in a traceback, or in a sentence that leads nowhere."""
    if "zip" in words:
        data = tmp_path / "data.zip"
        data.write_bytes(b"PK\x03\x04" + bytes(200))
    else:
        data = files_in(tmp_path / "in", {"photos/a.jpg": encoded(), "photos/a.json": CAPTIONED})
    code, _, said = make(data)
    assert code == 2
    assert words in said
    assert "ReadError" not in said


REFUSED = (
    {"objects": {"dog": 1}}, {"objects": [1, 2]}, {"objects": [{"category": "dog", "bbox": [1, 2, 3, 4]}]},
    {"captions": {"en": ["A dog."]}}, {"captions": [{"caption": "A dog.", "id": 3}]}, {"captions": [None, "A dog."]},
    {"captions": ["A dog."], "boxes": [{"label": "dog", "box": [0, 0, 1, 1]}]},
    {"detections": [["dog", "0.9", 0, 0, 1, 1]]}, {"detections": [["dog", 0.9]]},
    {"captions": ["A dog."], "qa": [{"question": "Is it?", "answer": True}]},
    5, None, [], "A dog.", b"", b'{"captions": ["A dog."],}', b'{"captions": ["caf\xe9"]}',
    b'{"captions": ["a \\ud800 dog"]}', b"[" * 100_000,
)  # fmt: skip


def test_records_that_mean_nothing_certain_are_refused_by_name(tmp_path, make):
    """Public kinds: a record of another shape ends in a traceback; annotations that are not what is read are scored."""
    for number, record in enumerate(REFUSED):
        files = {"good.jpg": encoded(seed=1), "good.json": CAPTIONED, "bad.jpg": encoded(), "bad.json": record}
        code, _, said = make(files_in(tmp_path / f"in-{number}", files))
        assert code == 2, record
        assert said.count("\n") == 1, (record, said)
        assert said.startswith("halluapp: "), record
        assert "bad" in said, record


def test_objects_in_any_spelling_are_ours_and_foreign_ones_are_named(tmp_path, make):
    """Public kind: annotations that do not mean what is read are scored silently."""
    files = {}
    for number, objects in enumerate(
        (["dogs"], ["Dog\n"], "dog, cat", ["DOG", "dog"], ["puppy"], ["Hund"], ["dog", "flurb"])
    ):
        files |= {f"{number}.jpg": encoded(seed=number), f"{number}.json": {**CAPTIONED, "objects": objects}}
    _, about, _ = make(files_in(tmp_path / "in", files))
    assert about["photos"] == 5
    assert {item["key"] for item in about["left_out"]} == {"5", "6"}


ROW = {"image": "a.jpg", "question": "What is here?", "chosen": "A dog.", "rejected": "A cat."}
OTHER = {**ROW, "image": "b.jpg", "chosen": "A red car."}
LINES = [json.dumps(row, ensure_ascii=False) for row in ({**ROW, "chosen": "A dog\u2028here\x85."}, OTHER)]
READ = {
    "ends of lines inside texts": "\n".join(LINES).encode(), "CR LF": "\r\n".join(LINES).encode(),
    "CR alone": "\r".join(LINES).encode(), "a pretty array": json.dumps([ROW, OTHER], indent=1).encode(),
    "NaN beside the texts": (LINES[0][:-1] + ', "score": NaN}\n' + LINES[1]).encode(),
    "UTF-16": "\n".join(LINES).encode("utf-16"),
    "an answer as a message": json.dumps({**OTHER, "chosen": {"role": "assistant", "content": "A red car."}}).encode(),
}  # fmt: skip
NOT_READ = {
    "CSV": b"image,question,chosen,rejected\na.jpg,What?,A dog.,A cat.\n", "YAML": b"- image: a.jpg\n",
    "gzip": gzip.compress("\n".join(LINES).encode()), "a comment": b"# pairs\n" + LINES[0].encode(),
    "two rows in a line": "".join(LINES).encode(), "a row that is null": b"null\n" + LINES[0].encode(),
    "no byte order mark": "\n".join(LINES).encode("utf-16-le"),
    "Latin-1": LINES[1].replace("red", "r\xe9d").encode("latin1"),
    "a folder for a photo": json.dumps({**ROW, "image": "."}).encode(),
    "no photo": json.dumps({**ROW, "image": ""}).encode(),
    "two photos": json.dumps({**ROW, "image": ["a.jpg", "b.jpg"]}).encode(),
    "two spellings of one text": json.dumps({**ROW, "chosen": "caf\u00e9", "rejected": "cafe\u0301"}).encode(),
}  # fmt: skip


def test_pairs_of_other_tools_are_read_or_refused_by_line(tmp_path, capsys):
    """Public kinds: a file of another tool's encoding or layout; texts that differ in nothing; images in the file."""
    for number, (name, content) in enumerate({**READ, **NOT_READ}.items()):
        home = files_in(tmp_path / str(number), {"a.jpg": encoded(), "b.jpg": encoded(seed=1), "pairs.jsonl": content})
        out = home / "space.safetensors"
        code = cli.main(["halluspace", str(home / "pairs.jsonl"), "--rank", "1", "--out", str(out), *MODEL])
        said = capsys.readouterr().err
        assert code == (0 if name in READ else 2), (name, said)
        assert out.exists() == (code == 0), name
        if code:
            assert said.count("\n") == 1, (name, said)
            assert "pairs.jsonl" in said, name


def test_places_for_results_are_tried_as_they_will_be_written(tmp_path, capsys):
    """Public kind: the result is lost at the end of the work. Names that fit, but not with an ending."""
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    command = [
        "compare",
        str(tmp_path / "a.png"),
        "--prompt",
        OPEN,
        "--methods",
        "baseline",
        "--max-new-tokens",
        "2",
        *MODEL,
    ]
    for name in ("x" * 250, "报" * 80, "x"):
        assert cli.main([*command, "--json", str(tmp_path / name)]) == 0, name
        assert json.loads((tmp_path / name).read_text(encoding="utf-8"))["schema"] == 1
    capsys.readouterr()
    for name, words in (("x" * 300, "Nothing can be written"), ("a.png", "is what the command reads")):
        assert cli.main([*command, "--json", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err
    assert cli.main([*command, "--json", "/dev/full"]) == 2
    assert capsys.readouterr().err == "halluapp: No space left on device\n"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("prompt", ["\u200b", "\ufeff", " \t", "\u2060\u200d"])
def test_a_prompt_that_nobody_sees_is_empty(prompt, tmp_path, capsys):
    """Public kind: a text that is empty once a placeholder is taken out passes the check."""
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    assert cli.main(["compare", str(tmp_path / "a.png"), "--prompt", prompt, *MODEL]) == 2
    assert "The prompt is empty" in capsys.readouterr().err


def test_answers_with_ends_of_lines_inside_are_scored(tmp_path, capsys):
    """Public kind: a file of another tool's encoding is refused: texts with U+2028 or U+0085, not escaped."""
    data = files_in(tmp_path / "in", {"a.jpg": encoded(), "a.json": DOG, "b.jpg": encoded(seed=1), "b.json": CAR})
    answers = tmp_path / "answers.jsonl"
    rows = [{"image": "a", "text": "A dog\u2028and a man."}, {"image": "b.jpg", "text": "A red\x85car."}]
    answers.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    out = tmp_path / "out.json"
    words = ["evaluate", str(data), "--answers", str(answers), "--metrics", "chair", "--json", str(out)]
    assert cli.main(words) == 0, capsys.readouterr().err
    result = json.loads(out.read_text(encoding="utf-8"))
    assert (result["photos"], result["methods"][0]["chair"]["chair_i"]) == (2, 0.0)
    for line in (
        b'{"photo":"a","prompt":"p","method":"m","parameters":{},"sampling":"x","model":"m","text":"A dog."}',
        b"[" * 100_000,
    ):
        answers.write_bytes(line)
        assert cli.main(words) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
