"""A photo uploaded by hand, without gradio's client."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from pathlib import Path
from typing import Any

from halluapp.data import scenes


def connect(address: str) -> http.client.HTTPConnection:
    """A connection to the server of an address."""
    parts = urllib.parse.urlsplit(address)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)


def upload(address: str, name: str, content: bytes) -> str:
    """Uploads a file -> its path on the server."""
    head = f'--part\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
    body = head.encode() + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--part--\r\n"
    connection = connect(address)
    connection.request("POST", "/gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=part"})
    return json.loads(connection.getresponse().read())[0]


def uploaded_photo(address: str, folder: Path) -> dict[str, Any]:
    """A drawn scene, uploaded, as a request names it. folder: where the file is written first."""
    path = folder / "park.png"
    scenes.render("park")[0].save(path)
    return {"path": upload(address, path.name, path.read_bytes()), "meta": {"_type": "gradio.FileData"}}
