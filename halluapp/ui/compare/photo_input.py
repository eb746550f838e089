"""The input of a photo."""

from __future__ import annotations

import gradio as gr

from halluapp.serving.uploads import only_uploads


def photo_input(**options) -> gr.Image:
    """A gr.Image that hands over the uploaded file as it is: a broken one gets our sentence, not a generic failure."""
    image = gr.Image(type="filepath", image_mode=None, **options)
    preprocess = image.preprocess
    vars(image)["preprocess"] = lambda file: file.path if file is not None and file.path else preprocess(file)
    return only_uploads(image)
