"""Example photos: those that gradio itself ships, and the scenes that our renderer drew."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

SHIPPED = ("lion.jpg", "cheetah1.jpg", "tower.jpg")


def rows(assets: Path) -> list[list[str]]:
    """[photo path] of every example that exists here."""
    shipped = Path(gr.__file__).parent / "media_assets" / "images"
    photos = [path for name in SHIPPED if (path := shipped / name).exists()]
    photos += sorted((assets / "examples").glob("*.png"))
    return [[str(path)] for path in photos]
