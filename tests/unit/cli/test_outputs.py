"""Places for results: tried before any work is done, written whole or not at all, on any console."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from annotated_photos import CAR, DOG, write
from tiny import folder
from training_runs import pairs_in

from halluapp.cli import main as cli
from halluapp.cli.support import console
from halluapp.data.files import PARTIAL_SUFFIX, atomic_write, check_output, write_text
from halluapp.errors import InputError

TINY = ["--model", str(folder("llava")), "--quantization", "none"]


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return write(tmp_path / "data", {"a": DOG, "b": CAR})


def commands(data: Path) -> dict[str, list[str]]:
    """Every command with each of its flags for a result, the flag last."""
    compare = ["compare", str(data / "a.jpg"), "--prompt", "Hello", "--methods", "baseline", "--max-new-tokens", "2"]
    pairs = str(data.parent / "pairs")
    return {
        **{f"compare {flag}": [*compare, *TINY, flag] for flag in ("--json", "--html", "--markdown")},
        "evaluate": ["evaluate", str(data), "--metrics", "chair", "--methods", "baseline", *TINY, "--json"],
        "search": ["search", str(data), "--method", "vdd", "--grid", "alpha=0.5", *TINY, "--json"],
        "halluspace --out": ["halluspace", pairs, "--rank", "2", *TINY, "--out"],
        "halluspace --json": [
            "halluspace",
            pairs,
            "--rank",
            "2",
            "--out",
            str(data / "space.safetensors"),
            *TINY,
            "--json",
        ],
    }


def test_folders_are_made_and_half_files_are_not_left(tmp_path, data, capsys):
    """The kind: the result is lost at the end of the work, because its folder was missing."""
    pairs_in(tmp_path / "pairs", 3)
    for number, (name, words) in enumerate(commands(data).items()):
        out = tmp_path / f"new-{number}" / "folder" / "out.file"
        assert cli.main([*words, str(out)]) == 0, (name, capsys.readouterr().err)
        assert out.stat().st_size > 0, name
        assert {path.suffix for path in out.parent.iterdir()} <= {".file", ".jsonl"}, name
        said = capsys.readouterr().out
        assert said.splitlines()[-1].startswith("wrote "), name


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, data, capsys):
    """The kind: the result is lost at the end of the work. A folder, a file as a folder, the input, one file twice."""
    pairs_in(tmp_path / "pairs", 3)
    (tmp_path / "file").write_text("", encoding="utf-8")
    photo = (data / "a.jpg").read_bytes()
    for name, words in {
        **commands(data),
        "bench": ["bench", "--json"],
        "pairs": ["train", "pairs", "--scenes", "2", "--out"],
    }.items():
        bad = [tmp_path / "file" / "out", Path("/dev/null/out")] + ([tmp_path] if name != "pairs" else [])
        for out in bad:
            assert cli.main([*words, str(out)]) == 2, (name, out)
            printed = capsys.readouterr()
            assert printed.out == "", (name, out)
            assert printed.err.startswith("halluapp: "), (name, out)
            assert str(out) in printed.err, (name, out)
    words = commands(data)["compare --json"]
    assert cli.main([*words, str(data / "a.jpg")]) == 2
    assert "is what the command reads" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "same"), "--html", str(tmp_path / "sub" / ".." / "same")]) == 2
    assert "Two results go to" in capsys.readouterr().err
    assert (data / "a.jpg").read_bytes() == photo


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(error)), atomic_write(path) as partial:
            partial.write_text("half", encoding="utf-8")
            raise error
        assert path.read_text(encoding="utf-8") == "old\n"
        assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]
    (tmp_path / f"result.json.{2**22 + 1}{PARTIAL_SUFFIX}").write_text("of a killed process", encoding="utf-8")
    other = tmp_path / f"result.json.{os.getppid()}{PARTIAL_SUFFIX}"
    other.write_text("of a living one", encoding="utf-8")
    write_text(path, "new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["result.json", other.name]


def test_links_and_devices_stay_what_they_are(tmp_path):
    (tmp_path / "real.json").write_text("old", encoding="utf-8")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    write_text(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_text(encoding="utf-8") == "new\n"
    device = Path(os.devnull)
    check_output(device)
    write_text(device, "nothing")
    assert not device.is_file()
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "latin-1", "cp932"])
def test_a_console_that_cannot_print_a_sign_loses_nothing(tmp_path, data, monkeypatch, encoding):
    """The kind: a console that cannot print the check mark ends the command before its result is written."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    console.make_printable()
    print("✓ grounded ✗ ‘quoted’ – a lone surrogate \udcff, 狗")
    sys.stdout.flush()
    words = raw.getvalue().decode(encoding).strip()
    assert "grounded" in words
    assert words.startswith("✓" if encoding == "utf-8" else "+"), words
    out = tmp_path / "out.json"
    assert cli.main([*commands(data)["compare --json"], str(out)]) == 0
    assert out.stat().st_size > 0


def test_a_reader_that_goes_away_loses_nothing(tmp_path, data, monkeypatch):
    """The kind: a console that ends a command before its result is written (`halluapp compare ... | head -0`)."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    stream = io.TextIOWrapper(os.fdopen(write_end, "wb", buffering=0), encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    out = tmp_path / "out.json"
    assert cli.main([*commands(data)["compare --json"], str(out)]) == 0
    assert out.stat().st_size > 0


def test_pairs_that_broke_off_are_written_again_and_are_the_same(tmp_path, capsys):
    """The kind: new photos beside the pairs of an older set. Half a photo, then the same command again."""
    words = ["train", "pairs", "--scenes", "6", "--out"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert cli.main([*words, str(whole)]) == 0
    assert cli.main(["train", "pairs", "--scenes", "6", "--seed", "5", "--out", str(cut)]) == 0
    names = sorted(path.name for path in whole.iterdir())
    (cut / names[3]).unlink()
    (cut / names[3]).mkdir()  # the work ends here
    assert cli.main([*words, str(cut)]) == 2
    assert not (cut / "pairs.jsonl").exists()
    (cut / names[3]).rmdir()
    (cut / names[3]).write_bytes((whole / names[3]).read_bytes()[:100])
    assert cli.main([*words, str(cut)]) == 0
    for name in names:
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
