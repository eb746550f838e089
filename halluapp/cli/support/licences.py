"""The packages that the app brings with it, with version and licence, read from what is installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from halluapp.errors import InputError

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements.txt"
UNKNOWN = ("", "UNKNOWN")


def packages() -> list[tuple[str, str, str]]:
    """(name, version, licence) of every package that requirements.txt needs, directly or not, by name.

    Raises InputError where nothing says what is required.
    """
    installed: dict[str, Distribution] = {}
    names = _required()
    while names:
        name = names.pop()
        if _key(name) in installed:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # for another platform, or not installed
            continue
        installed[_key(name)] = package
        names += _needed(package.requires or [])
    return sorted((key, package.version, licence(package)) for key, package in installed.items())


def licence(package: Distribution) -> str:
    """The licence in the package's own words, in one line; "?" where it says none."""
    metadata = package.metadata
    classifiers = [text.split(" :: ")[-1] for text in metadata.get_all("Classifier") or [] if text[:7] == "License"]
    for text in (metadata.get("License-Expression"), " / ".join(classifiers), metadata.get("License")):
        if text and text not in UNKNOWN:
            return text.splitlines()[0][:100]
    files = [path for path in package.files or [] if path.name.upper().startswith("LICEN")]
    lines = files[0].read_text(encoding="utf-8").split("\n") if files else []
    return next((f"{line.strip()} (its licence file)"[:100] for line in lines if line.strip()), "?")


def _required() -> list[str]:
    if REQUIREMENTS.is_file():
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        return list(_needed([line for line in lines if line.strip() and not line.startswith("#")]))
    try:
        return list(_needed(distribution("halluapp").requires or []))
    except PackageNotFoundError as error:
        raise InputError("There is no requirements.txt and halluapp is not installed; run this in a clone.") from error


def _needed(requirements: list[str]) -> Iterator[str]:
    """Names of the requirements that count on this platform, without extras."""
    from packaging.requirements import Requirement

    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name
            if "mcp" in requirement.extras:  # gradio[mcp]
                yield "mcp"


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
