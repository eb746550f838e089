"""What is to be answered: prompts about photos, by methods; decoded in full batches, whatever photos they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.evaluation.scores import confidence

if TYPE_CHECKING:
    from halluapp.decoding.plan import Sampling
    from halluapp.methods.base import Method

AT_ONCE = 4  # prompts decoded in one batch, of one photo or of several; each is as many rows as the methods need


@dataclass
class Answers:
    """texts: of each prompt, by method name; errors: of methods that failed; seconds: until the end of each method.

    p_yes: of each prompt, by method name, P(yes) against P(no) in the answer's first token, where one of them is likely
    ([] where nobody measured it).
    """

    texts: list[dict[str, str]]
    errors: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    p_yes: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def to(cls, prompts: Sequence[object]) -> Answers:
        """None yet, to so many prompts."""
        return cls([{} for _ in prompts], p_yes=[{} for _ in prompts])

    def add(self, other: Answers, rows: Sequence[int], methods: Sequence[Method]) -> None:
        """Takes over what these methods answered to the prompts of some rows, which are all of `other`."""
        for row, texts in zip(rows, other.texts, strict=True):
            self.texts[row].update({method.name: texts[method.name] for method in methods if method.name in texts})
        for row, values in zip(rows, other.p_yes, strict=False):
            self.p_yes[row].update(values)
        self.errors.update(other.errors)
        for method in methods:
            self.add_seconds(method.name, other.seconds.get(method.name, 0.0))

    def add_seconds(self, name: str, value: float) -> None:
        """Of a method."""
        self.seconds[name] = self.seconds.get(name, 0.0) + value


AnswerFunction = Callable[[Any, Sequence[str], int], Answers]  # photo, prompts, max_new_tokens


@dataclass(frozen=True)
class Work:
    """Prompts about one photo, which some methods are to answer."""

    photo: Any
    prompts: Sequence[str]
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Part:
    """Answers to some prompts, by row, of the work of this number."""

    number: int
    rows: list[int]
    answers: Answers


Decoder = Callable[[Sequence[Work], int], Iterator[Part]]  # work, max_new_tokens


def by_function(answer: AnswerFunction) -> Decoder:
    """A decoder that asks a function about one photo after the other."""

    def decode(works: Sequence[Work], max_new_tokens: int) -> Iterator[Part]:
        for number, work in enumerate(works):
            if work.prompts:
                yield Part(number, list(range(len(work.prompts))), answer(work.photo, work.prompts, max_new_tokens))

    return decode


def by_session(session: Any, sampling: Mapping[str, Sampling]) -> Decoder:
    """A decoder of full batches: AT_ONCE prompts by all methods of equal sampling, the vision tower once a view.

    sampling: by method name, where it is not greedy. Raises InputError without a session.
    """
    if session is None:
        raise InputError("There is no model to evaluate; load one first.")
    from halluapp.decoding.plan import Sampling
    from halluapp.decoding.views import Views

    def decode(works: Sequence[Work], max_new_tokens: int) -> Iterator[Part]:
        views = [Views(session.lvlm, work.photo) for work in works]
        settings = {method.name: sampling.get(method.name, Sampling()) for work in works for method in work.methods}
        positions = [(number, row) for number, work in enumerate(works) for row in range(len(work.prompts))]
        for first in range(0, len(positions), AT_ONCE):
            batch = positions[first : first + AT_ONCE]
            rows = {number: [row for one, row in batch if one == number] for number, _ in batch}
            parts = {number: Part(number, part, Answers.to(part)) for number, part in rows.items()}
            for one in dict.fromkeys(settings.values()):
                names = {name for name, value in settings.items() if value == one}
                budget = replace(one, max_new_tokens=max_new_tokens)
                _decode(session.lvlm, works, views, batch, parts, names, budget)
            yield from parts.values()

    return decode


def _decode(
    lvlm: Any, works: Sequence[Work], views: list, batch: list[tuple[int, int]], parts: dict[int, Part],
    names: set[str], sampling: Sampling,
) -> None:  # fmt: skip
    """Decodes one batch, (number of the work, row) each, by the methods of these names into its parts.

    A method's seconds run until its last answer in the batch, and are shared among the prompts.
    """
    from halluapp.decoding import engine
    from halluapp.decoding.events import Decoded, Failed, Finished

    jobs = [
        engine.Job(
            views[number], works[number].prompts[row], [one for one in works[number].methods if one.name in names]
        )
        for number, row in batch
    ]
    ends: dict[str, float] = {}
    for index, event in engine.decode_many(lvlm, jobs, sampling, share=True):
        number, row = batch[index]
        answers, position = parts[number].answers, parts[number].rows.index(row)
        if isinstance(event, Decoded):
            answers.texts[position][event.method] = event.text
            if event.index == 0 and (p := confidence.p_yes(event.token.top)) is not None:
                answers.p_yes[position][event.method] = p
        elif isinstance(event, Failed):
            answers.errors[event.method] = event.error
        elif isinstance(event, Finished):
            ends[event.method] = max(ends.get(event.method, 0.0), event.seconds)
    for number, _ in batch:
        for name in ends.keys() & {method.name for method in works[number].methods}:
            parts[number].answers.add_seconds(name, ends[name] / len(batch))
