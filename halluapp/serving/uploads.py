"""Files of visitors: only regular files inside the upload folder are ever opened, whatever a request names.

gradio checks an uploaded path only where the object carries `meta`; a request without it could name any file of the
server, a device that never ends, or a pipe that holds the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

NOT_UPLOADED = "This file was not uploaded here; choose it again."
Component = TypeVar("Component", bound=gr.components.Component)


def is_uploaded(path: str | Path) -> bool:
    """Whether a path is a regular file inside the upload folder once every link is followed."""
    try:
        resolved = Path(path).resolve()
        return resolved.is_relative_to(Path(get_upload_folder()).resolve()) and resolved.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def only_uploads(component: Component) -> Component:
    """The component, which refuses a payload that names any other file, over every route (call, run, queue, MCP)."""
    preprocess = component.preprocess

    def checked(payload: Any) -> Any:
        if not all(is_uploaded(path) for path in _paths(payload)):
            raise gr.Error(NOT_UPLOADED, print_exception=False)
        return preprocess(payload)

    vars(component)["preprocess"] = checked
    return component


def _paths(payload: Any) -> Iterable[str]:
    """Paths that a payload of an image or file component names."""
    if payload is None:
        return []
    items = payload if isinstance(payload, list) else getattr(payload, "root", None)
    if isinstance(items, list):
        return [path for item in items for path in _paths(item)]
    path = payload if isinstance(payload, str) else getattr(payload, "path", None)
    return [path] if path else []
