"""Why a run ended: one sentence for its status and for the person, which says what to change."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from halluapp.errors import InputError
from halluapp.training.recipes import Recipe
from halluapp.training.runs import Run

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FULL_WORDS = ("No space left", "PytorchStreamWriter failed writing", "unexpected pos")  # the last two: torch.save


@contextmanager
def failure_in_status(run: Run) -> Iterator[None]:
    """Turns every exception of the block into the run's status and an InputError, both with one sentence."""
    try:
        yield
    except Exception as error:  # of torch, peft, the driver: a run that nobody watches must leave its reason
        step = run.status()["step"]
        sentence = str(error) if isinstance(error, InputError) else explain_failure(error, run.config().recipe, step)
        run.write_status("failed", step, sentence)
        raise InputError(sentence) from error


def explain_failure(error: BaseException, recipe: Recipe, step: int) -> str:
    """One sentence: why a run ended and what to change."""
    text = " ".join(str(error).split())
    if _is_full_disk(error):
        return f"The disk is full at step {step}; free some space, then go on with --resume."
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "not enough memory" in text.lower():
        smaller = f"lower batch (now {recipe.batch}) and raise accumulation" if recipe.batch > 1 else "lower rank"
        return f"Memory ran out at step {step}; {smaller}, or switch on checkpointing."
    return f"The run ended at step {step}: {text[:300] or type(error).__name__}"


def _is_full_disk(error: BaseException | None) -> bool:
    """Whether the disk, or the share of it that one may use, is full; torch and safetensors say so in words only."""
    if error is None:
        return False
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    text = str(error)
    in_words = any(words in text for words in FULL_WORDS) or any(f"os error {number}" in text for number in FULL)
    return in_words or _is_full_disk(error.__cause__ or error.__context__)
