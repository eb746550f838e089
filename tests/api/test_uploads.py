"""Files that a stranger names over the network: nothing outside the upload folder is opened, over any route."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gradio.utils
import pytest
from stranger import answer, post

from halluapp.data import scenes
from halluapp.serving.uploads import NOT_UPLOADED, is_uploaded


def refusal(address: str, path: str) -> str:
    """What a comparison of this path ends with."""
    _, text = post(address, "call/compare", {"data": [{"path": path}, "q", "baseline", 2, 0, 0, {}]})
    return answer(address, json.loads(text)["event_id"], "compare")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> dict[str, str]:
    """Files of the server that nobody uploaded: a photo, a device, a pipe, a folder, a link in the upload folder."""
    folder = tmp_path_factory.mktemp("secrets")
    photo, pipe = folder / "secret.png", folder / "pipe"
    scenes.render("park")[0].save(photo)
    os.mkfifo(pipe)
    uploads = Path(gradio.utils.get_upload_folder())
    uploads.mkdir(parents=True, exist_ok=True)
    link = uploads / f"link-{os.getpid()}.png"
    link.unlink(missing_ok=True)
    link.symlink_to(photo)
    paths = {
        "photo": photo, "device": "/dev/zero", "pipe": pipe, "folder": folder, "link": link, "none": folder / "no.png",
        "climbing": uploads / ".." / "etc" / "passwd", "odd": "a\0b",
    }  # fmt: skip
    yield {name: str(path) for name, path in paths.items()}
    link.unlink()


def test_only_regular_files_of_the_upload_folder_are_uploads(secrets):
    for name, path in secrets.items():
        assert not is_uploaded(path), name
    own = Path(gradio.utils.get_upload_folder()) / f"own-{os.getpid()}.png"
    own.write_bytes(b"x")
    assert is_uploaded(own)
    own.unlink()
    assert not is_uploaded(own)


def test_no_route_opens_a_file_that_was_not_uploaded(client, secrets):
    address = client.src
    for name, path in secrets.items():
        for photo in ({"path": path}, {"path": path, "meta": {"_type": "gradio.FileData"}}):
            data = [photo, "Describe.", "baseline", 2, 0, 0, {}]
            status, text = post(address, "call/compare", {"data": data})
            if status == 200:
                text = answer(address, json.loads(text)["event_id"], "compare")
                assert "event: error" in text, (name, text[:200])
            _, direct = post(address, "run/compare", {"data": data})
            for shown in (text, direct):
                assert "data:image" not in shown, name
                assert '"panels"' not in shown, name
    assert NOT_UPLOADED in refusal(address, secrets["photo"])
    same = [refusal(address, secrets[name]) for name in ("photo", "none")]
    assert same[0] == same[1], "an error tells which paths exist"
