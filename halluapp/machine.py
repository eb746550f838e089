"""What this machine allows: folders that can be written to, addresses that can be listened at."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path


def folder_problem(folder: Path, name: str, remedy: str) -> str:
    """What keeps files from being written to a folder, which need not exist yet, in one sentence; "" for nothing."""
    try:
        with suppress(FileNotFoundError):
            folder.stat()  # a name that is too long, or a file among its parents
        with tempfile.TemporaryFile(dir=nearest_folder(folder)):
            return ""
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return f"{name}, {_short(folder)}, cannot be written to ({reason}); {remedy}."


def nearest_folder(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists."""
    return next((part for part in (path, *path.absolute().parents) if os.path.exists(part)), path)


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 80 else f"{text[:79]}…"


def is_loopback(host: str) -> bool:
    """Whether a name or an address reaches this machine only."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which others may know as well
        return False


def address_problem(host: str, port: int) -> str:
    """Why nothing can listen at an address, in one sentence; "" where something can."""
    try:
        _bound_port(host, port)
        return ""
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        return f"Nothing can listen at {host}, port {port} ({reason}); choose another host or port."


def free_port(host: str) -> int:
    """A port at which nothing listens now. Raises OSError where nothing can listen at the host."""
    return _bound_port(host, 0)


def _bound_port(host: str, port: int) -> int:
    """Listens for a moment -> the port, which the system chooses for 0."""
    family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        return probe.getsockname()[1]
