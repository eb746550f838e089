"""Scores of the chosen methods on annotated photos: CHAIR of captions and yes/no accuracy, intervals over photos.

The methods answer a prompt in one batch, so they have the same photo, the same weights and the same sampling. Lengths
and recall stand beside CHAIR because a method that says less hallucinates less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.data import records, shards
from halluapp.data.photos import read_photo
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation import chair, questions
from halluapp.evaluation.annotations import read_samples
from halluapp.evaluation.answers.store import AnswersStore
from halluapp.evaluation.answers.work import AnswerFunction, Answers, Decoder, Work, by_function, by_session
from halluapp.evaluation.halves import of_half
from halluapp.evaluation.scores import scoring
from halluapp.evaluation.scores.scoring import EvaluatedPhoto

if TYPE_CHECKING:
    from halluapp.decoding.plan import Sampling

METRICS = ("chair", "pope")
CAPTION_PROMPT, CAPTION_TOKENS = "Describe this image in detail.", 80
ANSWER_TOKENS = 8
PHOTOS = 4  # whose descriptions are decoded in one batch
LOGGED = 10  # photos between two lines of the log


def evaluate(
    data: str | Path | list[shards.Sample],
    metrics: Sequence[str] = METRICS,
    methods: Sequence | None = None,
    limit: int = 0,
    seed: int = 0,
    session=None,
    log: Callable[[str], None] = lambda line: None,
    answer: AnswerFunction | None = None,
    questions_per_photo: int = 3,
    sampling: Mapping[str, Sampling] | None = None,
    store: AnswersStore | None = None,
    half: str = "all",
) -> dict[str, Any]:
    """Decodes and scores -> the JSON of `evaluate --json` (schema 1).

    data: folder or tar of KEY.jpg + KEY.json, or the samples of `annotated_samples`. methods: names or Method objects
    (None: the default panels). limit: first photos only (0: all). seed: of questions and bootstrap. session: from
    `load_session`. answer: decodes instead of `session`. sampling: by method name, where it is not greedy. store:
    keeps the answers, and has those that are not decoded again. half: one of HALVES, by the photo's key, so that what
    is chosen on one half is reported on the other. Raises InputError in one sentence.
    """
    panels = create_methods(methods)
    check_metrics(metrics)
    samples, left_out = (data, []) if isinstance(data, list) else read_half(data, half, limit)
    candidates, vocabulary = annotated_photos(samples, metrics, seed, questions_per_photo)
    metrics, notes = possible_metrics(metrics, candidates)
    for line in [*records.described(left_out), *notes]:
        log(line)
    decode = by_function(answer) if answer else by_session(session, sampling or {})
    if store:
        store.use(None if answer else session.lvlm)
    asker = _Asker(tuple(panels), decode, sampling or {}, store)
    photos = _ask_all(candidates, metrics, asker, left_out, log)
    if not photos:
        raise InputError(f"No photo of {data_name(data)} can be decoded.")
    return {
        "schema": 1,
        "data": data_name(data),
        "photos": len(photos),
        "vocabulary": vocabulary,
        "seed": seed,
        "half": half,
        "notes": notes,
        "left_out": [asdict(item) for item in left_out],
        "model": getattr(getattr(session, "lvlm", None), "name", None),
        "quantization": getattr(getattr(session, "lvlm", None), "quantization", None),
        "methods": scoring.score(photos, panels, metrics, vocabulary, seed, asker.errors, asker.seconds),
    }


@dataclass
class _Asker:
    """Lets methods answer prompts about several photos, as far as the store has no answers yet.

    errors: of methods that failed; seconds: of each method, so far.
    """

    methods: tuple
    decode: Decoder
    sampling: Mapping[str, Sampling]
    store: AnswersStore | None
    errors: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seconds = dict.fromkeys((method.name for method in self.methods), 0.0)

    def ask(self, opened: list[_Opened], prompts: list[list[str]], max_new_tokens: int) -> list[Answers]:
        """The answers to the prompts about each photo."""
        works = [Work(one.image, texts, self.methods) for one, texts in zip(opened, prompts, strict=True)]
        if self.store:
            names = [(one.jpeg, one.photo.key) for one in opened]
            results = self.store.recall(works, names, self.sampling, self.decode, max_new_tokens)
        else:
            results = [Answers.to(work.prompts) for work in works]
            for part in self.decode(works, max_new_tokens):
                results[part.number].add(part.answers, part.rows, self.methods)
        for answers in results:
            self.errors.update(answers.errors)
            for name, value in answers.seconds.items():
                self.seconds[name] = self.seconds.get(name, 0.0) + value
        return results


@dataclass(frozen=True)
class _Opened:
    """A photo with its pixels and its file."""

    photo: EvaluatedPhoto
    image: Any
    jpeg: bytes


def _ask_all(
    candidates: list, metrics: Sequence[str], asker: _Asker, left_out: list[LeftOut], log
) -> list[EvaluatedPhoto]:
    """The photos with the methods' texts; photos that cannot be decoded are left out, named and logged."""
    start, photos = time.perf_counter(), []
    for first in range(0, len(candidates), PHOTOS):
        opened = []
        for photo, jpeg in candidates[first : first + PHOTOS]:
            try:
                opened.append(_Opened(photo, read_photo(jpeg), jpeg))
            except InputError as error:
                left_out.append(LeftOut(photo.key, str(error)))
                log(f"{photo.key} is left out: {error}")
        _ask(opened, metrics, asker)
        photos += [one.photo for one in opened]
        count = min(first + PHOTOS, len(candidates))
        if count // LOGGED > first // LOGGED or count == len(candidates):
            log(f"{count} of {len(candidates)} photos, {time.perf_counter() - start:.0f} s")
    return photos


def create_methods(methods: Sequence | None) -> list:
    """Method objects from names or objects (None: the default panels). Raises InputError."""
    from halluapp.methods import registry

    chosen = registry.defaults() if methods is None else list(methods)
    if not chosen:
        raise InputError("No method is chosen; name at least one.")
    panels = [registry.create(method) if isinstance(method, str) else method for method in chosen]
    if len({method.name for method in panels}) < len(panels):
        raise InputError("A method is named twice; name each once.")
    return panels


def read_half(data: str | Path, half: str = "all", limit: int = 0) -> tuple[list[shards.Sample], list[LeftOut]]:
    """As `read_samples`, of one half of the photos; the first `limit` of that half only (0: all). Raises InputError."""
    if half == "all":
        return read_samples(data, limit=limit)
    samples, left_out = read_samples(data)
    return of_half(samples, half)[: limit or None], left_out


def annotated_samples(data: str | Path, limit: int = 0) -> list[shards.Sample]:
    """The photos of a folder or tar that can be scored, the first `limit` only (0: all). Raises InputError."""
    return read_samples(data, limit=limit)[0]


def data_name(data: str | Path | list) -> str:
    """How the results name the data."""
    return f"{len(data)} samples" if isinstance(data, list) else Path(data).name


def check_metrics(metrics: Sequence[str]) -> None:
    """Raises InputError for none, or for one that there is not."""
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        raise InputError(f"Metrics are {' and '.join(METRICS)}, not {', '.join(unknown) or 'none'}.")


def annotated_photos(
    samples: list[shards.Sample], metrics: Sequence[str], seed: int, per_photo: int = 3
) -> tuple[list[tuple[EvaluatedPhoto, bytes]], chair.Vocabulary]:
    """Annotated photos with their questions, and the vocabulary that the annotations allow."""
    all_records = [sample.record for sample in samples]
    vocabulary = chair.vocabulary_of(all_records)
    photo_questions: list[list[questions.Question]] = [[] for _ in samples]
    if "pope" in metrics:
        for question in questions.build(all_records, vocabulary, per_photo, seed):
            photo_questions[question.photo].append(question)
    rows = zip(samples, photo_questions, strict=True)
    return [(EvaluatedPhoto(sample.key, sample.record, group), sample.jpeg) for sample, group in rows], vocabulary


def possible_metrics(metrics: Sequence[str], candidates: list) -> tuple[list[str], list[str]]:
    """The metrics that these photos allow, and a note on a dropped one: no question, no score."""
    if "pope" not in metrics or any(photo.questions for photo, _ in candidates):
        return list(metrics), []
    note = (
        f"No yes/no questions can be asked about these {len(candidates)} photos: without COCO annotations an object "
        f"must occur in at least {questions.COMMON} of them; use more photos."
    )
    others = [metric for metric in metrics if metric != "pope"]
    if not others:
        raise InputError(note)
    return others, [note]


def decoder(session, methods: list, sampling: Mapping[str, Sampling] | None = None) -> AnswerFunction:
    """Decodes prompts on one photo, as `by_session` does. Raises InputError without a session."""
    decode = by_session(session, sampling or {})

    def answer(photo, prompts: Sequence[str], max_new_tokens: int) -> Answers:
        answers = Answers.to(prompts)
        for part in decode([Work(photo, prompts, tuple(methods))], max_new_tokens):
            answers.add(part.answers, part.rows, methods)
        return answers

    return answer


def _ask(opened: list[_Opened], metrics: Sequence[str], asker: _Asker) -> None:
    """Lets the methods describe the photos and answer their questions; equal questions of several splits once."""
    if "chair" in metrics:
        for one, answers in zip(
            opened, asker.ask(opened, [[CAPTION_PROMPT]] * len(opened), CAPTION_TOKENS), strict=True
        ):
            one.photo.captions = answers.texts[0]
    prompts = [list(dict.fromkeys(question.text for question in one.photo.questions)) for one in opened]
    for one, texts, answers in zip(opened, prompts, asker.ask(opened, prompts, ANSWER_TOKENS), strict=True):
        one.photo.answers = dict(zip(texts, answers.texts, strict=True))
        one.photo.p_yes = dict(zip(texts, answers.p_yes, strict=False))
