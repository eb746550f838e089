"""Errors that are shown to a person as they are: one sentence with the cause and what to try."""


class InputError(ValueError):
    """Something the person gave cannot be used (photo, prompt, parameter, path)."""


class MissingWeights(RuntimeError):
    """A method needs weights (a HalluSpace, a projector, an adapter) that this model does not have."""
