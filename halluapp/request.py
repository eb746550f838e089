"""The request of one comparison: photo, prompt, methods and sampling, checked before any model sees them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from halluapp.data.pairs import INVISIBLE
from halluapp.data.photos import read_photo
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.methods import registry
from halluapp.methods.base import Method
from halluapp.parameters import check_number

if TYPE_CHECKING:
    from PIL import Image

MAX_PROMPT_CHARACTERS = 2000
MAX_NEW_TOKENS = 512
MAX_PANELS = len(registry.METHODS)
MAX_SAMPLES, MAX_ANSWERS = 8, 64  # of a method, and of a comparison: memory and reports grow with them
MAX_STOPS, MAX_STOP_CHARACTERS = 8, 40  # stop strings, and characters of one
MIN_SURE, SURE, MAX_SURE = 0.5, 0.9, 0.99  # of verdicts; `grounding.evidence` has the same default
NUMBERS = {  # argument of `make_request`: how a person calls it, least, most, whole
    "max_new_tokens": ("Max new tokens", 1, MAX_NEW_TOKENS, True),
    "temperature": ("Temperature", 0, 2, False),
    "top_p": ("Top-p", 0.01, 1, False),
    "top_k": ("Top-k", 0, 1000, True),
    "seed": ("Seed", 0, 2**32 - 1, True),
    "sure": ("How sure", MIN_SURE, MAX_SURE, False),
    "samples": ("Samples", 1, MAX_SAMPLES, True),
}


@dataclass(frozen=True)
class Request:
    """One checked comparison: an upright RGB photo, a prompt, methods in panel order, sampling, how sure.

    samples: answers of every method, with the seeds seed, seed + 1, ..
    """

    photo: Image.Image
    prompt: str
    methods: tuple[Method, ...]
    sampling: Sampling = field(default_factory=Sampling)
    sure: float = SURE
    samples: int = 1

    @property
    def rows(self) -> int:
        """Rows of the batch while nothing is shared: what time and memory grow with."""
        return self.samples * sum(len(method.rows(self.prompt)) for method in self.methods)


def make_request(
    photo,
    prompt: str,
    methods: Sequence[Method | str] | None = None,
    max_new_tokens: int = 80,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    sure: float = SURE,
    repetition_penalty: float = 0.0,
    stop: Sequence[str] = (),
    samples: int = 1,
) -> Request:
    """A checked request. photo: path, bytes or image. methods: names or Method objects (None: the
    default panels); "nullu+vdd" stacks two. repetition_penalty: 1 to 2 for the chosen methods alike, 0 for the value of
    each. stop: strings that end an answer. samples: answers of every method, of which sample k has seed + k; more than
    one above temperature 0 only. Raises InputError with one sentence.
    """
    prompt, panels = _check_prompt(prompt), _check_methods(methods)
    values = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
    }
    for name, value in {**values, "sure": sure, "samples": samples}.items():
        label, least, most, whole = NUMBERS[name]
        check_number(label, value, least, most, whole)
    if repetition_penalty != 0:
        check_number("Repetition penalty", repetition_penalty, 1, 2)
    _check_samples(int(samples), temperature, len(panels))
    sampling = Sampling(
        int(max_new_tokens), float(temperature), float(top_p), int(top_k), int(seed),
        repetition_penalty=float(repetition_penalty), stop=_check_stops(stop),
    )  # fmt: skip
    return Request(read_photo(photo), prompt, panels, sampling, float(sure), int(samples))


def _check_prompt(prompt: str) -> str:
    """The prompt without outer spaces. Raises InputError for an empty, too long or undecodable one."""
    text = prompt.strip() if isinstance(prompt, str) else ""
    if any("\ud800" <= character <= "\udfff" for character in text):  # bytes of a command line that are not UTF-8
        raise InputError("The prompt holds characters that are not text; type it again.")
    if all(unicodedata.category(character)[0] in INVISIBLE for character in text):
        raise InputError("The prompt is empty; ask something about the photo.")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise InputError(f"The prompt has {len(text):,} characters; use at most {MAX_PROMPT_CHARACTERS:,}.")
    return text


def _check_methods(methods: Sequence[Method | str] | None) -> tuple[Method, ...]:
    """Names and Method objects -> methods, in panel order. Raises InputError: none, one twice, too many, no method."""
    items = registry.defaults() if methods is None else methods
    panels = tuple(registry.create(item) if isinstance(item, str) else item for item in items)
    if not panels:
        raise InputError("No method is chosen; switch on at least one.")
    if not all(isinstance(method, Method) for method in panels):
        raise InputError("Methods must be names or Method objects.")
    if len({method.name for method in panels}) < len(panels):
        raise InputError("A method is named twice; name each once.")
    if len(panels) > MAX_PANELS:
        raise InputError(f"{len(panels)} panels are chosen; compare at most {MAX_PANELS} at once.")
    return panels


def _check_samples(samples: int, temperature: float, panels: int) -> None:
    """Raises InputError for samples that would all be the same, and for more answers than one comparison may have."""
    if samples > 1 and temperature <= 0:
        raise InputError("At temperature 0 all samples are the same; raise the temperature, or ask for one sample.")
    if samples * panels > MAX_ANSWERS:
        raise InputError(
            f"{samples} samples of {panels} methods are {samples * panels} answers; a comparison has at most "
            f"{MAX_ANSWERS}, so choose fewer methods or samples."
        )


def _check_stops(stop: Sequence[str]) -> tuple[str, ...]:
    """Stop strings, each once. A string of spaces would end an answer at its first word; InputError says so instead."""
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list | tuple) or not all(isinstance(text, str) and text.strip(" ") for text in stops):
        raise InputError("Stop strings must be texts that are more than spaces.")
    if len(stops) > MAX_STOPS or any(len(text) > MAX_STOP_CHARACTERS for text in stops):
        raise InputError(f"Use at most {MAX_STOPS} stop strings of at most {MAX_STOP_CHARACTERS} characters.")
    return tuple(dict.fromkeys(stops))
