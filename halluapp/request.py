"""What is asked for in one comparison, checked before any model sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from halluapp.data.photos import read_photo
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.methods import registry
from halluapp.methods.base import Method

if TYPE_CHECKING:
    from PIL import Image


MAX_PROMPT_CHARACTERS = 2000  # characters

MAX_NEW_TOKENS = 512

MAX_PANELS = 12

MAX_STOPS, MAX_STOP_CHARACTERS = 8, 40  # stop strings, and characters of one

THRESHOLD = 0.5


@dataclass(frozen=True)
class Request:
    """One checked comparison: an upright RGB photo, a prompt, methods in panel order, sampling, detector threshold."""

    photo: Image.Image
    prompt: str
    methods: tuple[Method, ...]
    sampling: Sampling = field(default_factory=Sampling)
    threshold: float = THRESHOLD


def make_request(
    photo,
    prompt: str,
    methods: list[Method | str] | None = None,
    max_new_tokens: int = 80,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    threshold: float = THRESHOLD,
    repetition_penalty: float = 0.0,
    stop: Sequence[str] = (),
) -> Request:
    """Checks everything a person typed. photo: path, bytes or image. methods: names or Method objects (None: the
    default panels); "nullu+vdd" stacks two. repetition_penalty: 1 to 2 for every method, 0 for each method's own. stop:
    strings that end an answer. Raises InputError with one sentence.
    """
    prompt = prompt.strip() if isinstance(prompt, str) else ""
    if not prompt:
        raise InputError("The prompt is empty; ask something about the photo.")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InputError(f"The prompt has {len(prompt):,} characters; use at most {MAX_PROMPT_CHARACTERS:,}.")
    if any("\ud800" <= character <= "\udfff" for character in prompt):  # bytes of a command line that are not UTF-8
        raise InputError("The prompt holds characters that are not text; type it again.")
    wanted = registry.defaults() if methods is None else methods
    chosen = [registry.create(item) if isinstance(item, str) else item for item in wanted]
    if not chosen:
        raise InputError("No method is chosen; switch on at least one.")
    if not all(isinstance(method, Method) for method in chosen):
        raise InputError("Methods must be names or Method objects.")
    names = [method.name for method in chosen]
    if len(set(names)) < len(names):
        raise InputError("A method is named twice; name each once.")
    if len(names) > MAX_PANELS:
        raise InputError(f"{len(names)} panels are chosen; compare at most {MAX_PANELS} at once.")
    _check_range("max new tokens", max_new_tokens, 1, MAX_NEW_TOKENS, whole=True)
    _check_range("temperature", temperature, 0, 2)
    _check_range("top-p", top_p, 0.01, 1)
    _check_range("top-k", top_k, 0, 1000, whole=True)
    _check_range("seed", seed, 0, 2**32 - 1, whole=True)
    _check_range("threshold", threshold, 0, 1)
    if repetition_penalty != 0:
        _check_range("repetition penalty", repetition_penalty, 1, 2)
    sampling = Sampling(
        int(max_new_tokens), float(temperature), float(top_p), int(top_k), int(seed),
        repetition_penalty=float(repetition_penalty), stop=_checked_stop(stop),
    )  # fmt: skip
    return Request(read_photo(photo), prompt, tuple(chosen), sampling, float(threshold))


def _checked_stop(stop: Sequence[str]) -> tuple[str, ...]:
    """Stop strings as they are used. A string of spaces would end an answer at its first word; say so instead."""
    given = [stop] if isinstance(stop, str) else stop
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one.strip(" ") for one in given):
        raise InputError("Stop strings must be texts that are more than spaces.")
    if len(given) > MAX_STOPS or any(len(one) > MAX_STOP_CHARACTERS for one in given):
        raise InputError(f"Use at most {MAX_STOPS} stop strings of at most {MAX_STOP_CHARACTERS} characters.")
    return tuple(dict.fromkeys(given))


def _check_range(name: str, value, least, most, whole: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    if not number or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name[:1].upper()}{name[1:]} must be {kind} from {least} to {most}, not {value!r}.")
