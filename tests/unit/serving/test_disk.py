"""Files of visitors go by age and size, and never while they may be needed; folders of servers that crashed go too."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from halluapp.serving import disk


def write(path: Path, size: int, age: float) -> Path:
    """A file of so many bytes that was changed so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_old_files_go_and_then_the_oldest_until_the_rest_is_small_enough(tmp_path):
    old = write(tmp_path / "a" / "old", 10, 2 * 3600)
    first, second = (write(tmp_path / "a" / name, 400_000, age) for name, age in (("first", 3000), ("second", 2000)))
    new = write(tmp_path / "b" / "new", 900_000, 10)
    assert disk.sweep([tmp_path], hours=1, megabytes=2) == 10
    assert not old.exists()
    assert disk.sweep([tmp_path], hours=1, megabytes=1.4) == 400_000
    assert (first.exists(), second.exists()) == (False, True)
    assert disk.sweep([tmp_path], hours=1, megabytes=0) == 400_000
    assert not second.parent.exists()
    assert new.exists(), "a page may still show it"


def test_a_link_is_deleted_and_not_what_it_points_to(tmp_path):
    target = write(tmp_path / "elsewhere" / "file", 5, 99 * 3600)
    (tmp_path / "swept").mkdir()
    link = tmp_path / "swept" / "link"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    disk.sweep([tmp_path / "swept"], 1, 1)
    assert target.exists()
    assert not link.is_symlink()


def test_pairs_and_photos_stay_while_a_run_names_them(tmp_path):
    used, unused = (write(tmp_path / ".uploads" / name / "pairs.jsonl", 5, 0).parent for name in ("aaaa", "bbbb"))
    photo = write(tmp_path / ".photos" / "cccc.jpg", 5, 99 * 3600)
    for folder in (used, unused):
        os.utime(folder, (0, 0))
    write(tmp_path / "run" / "config.json", 0, 0).write_text(f'{{"data": "{used}/pairs.jsonl"}}')
    assert disk.sweep_runs(tmp_path, 1) == 2
    assert used.is_dir()
    assert not unused.exists()
    assert not photo.exists()
    assert disk.sweep_runs(tmp_path / "nowhere", 1) == 0


def test_a_server_has_a_folder_of_its_own_and_removes_those_of_servers_that_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        created = int(psutil.Process(child.pid).create_time())
        alive = tmp_path / f"{disk.PREFIX}{child.pid}-{created}-x"
        reused = tmp_path / f"{disk.PREFIX}{child.pid}-{created - 50}-x"
        foreign = tmp_path / "gradio"
        for folder in (alive, reused, foreign, tmp_path / f"{disk.PREFIX}odd"):
            write(folder / "file", 1, 0)
        own = disk.own_folder()
        assert Path(tempfile.mkdtemp()).parent == own
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, own.name, "gradio"])
    finally:
        child.communicate(b"\n")
