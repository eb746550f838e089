"""Scores of the chosen methods on annotated photos: CHAIR of captions and yes/no accuracy, intervals over photos.

The methods answer a prompt in one batch, so they have the same photo, the same weights and the same sampling. Lengths
and recall stand beside CHAIR because a method that says less hallucinates less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.data import records, shards
from halluapp.data.photos import read_photo
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation import chair, questions
from halluapp.evaluation.annotations import read_samples
from halluapp.evaluation.answers.store import AnswerFunction, Answers, AnswersStore
from halluapp.evaluation.halves import of_half
from halluapp.evaluation.scores import confidence, scoring
from halluapp.evaluation.scores.scoring import EvaluatedPhoto

if TYPE_CHECKING:
    from halluapp.decoding.plan import Sampling

METRICS = ("chair", "pope")
CAPTION_PROMPT, CAPTION_TOKENS = "Describe this image in detail.", 80
ANSWER_TOKENS = 8
AT_ONCE = 4  # questions decoded in one batch; each is as many rows as the methods need


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
    answer_of = _answers(answer, session, panels, sampling or {}, store)
    errors: dict[str, str] = {}
    seconds = dict.fromkeys((method.name for method in panels), 0.0)
    photos = _ask_all(candidates, metrics, answer_of, errors, seconds, left_out, log)
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
        "methods": scoring.score(photos, panels, metrics, vocabulary, seed, errors, seconds),
    }


def _ask_all(
    candidates: list, metrics: Sequence[str], answer_of: Callable[[bytes, str], AnswerFunction], errors: dict,
    seconds: dict, left_out: list[LeftOut], log,
) -> list[EvaluatedPhoto]:  # fmt: skip
    """The photos with the methods' texts; photos that cannot be decoded are left out, named and logged."""
    start, photos = time.perf_counter(), []
    for number, (photo, jpeg) in enumerate(candidates, 1):
        try:
            image = read_photo(jpeg)
        except InputError as error:
            left_out.append(LeftOut(photo.key, str(error)))
            log(f"{photo.key} is left out: {error}")
            continue
        _ask(photo, image, metrics, answer_of(jpeg, photo.key), errors, seconds)
        photos.append(photo)
        if number % 10 == 0 or number == len(candidates):
            log(f"{number} of {len(candidates)} photos, {time.perf_counter() - start:.0f} s")
    return photos


def _answers(
    answer: AnswerFunction | None, session, panels: list, sampling: Mapping[str, Sampling], store: AnswersStore | None
) -> Callable[[bytes, str], AnswerFunction]:
    """What answers the prompts about a photo, given its bytes and key: the model, or the store where it can."""
    if store is None:
        whole = answer or decoder(session, panels, sampling)
        return lambda jpeg, key: whole

    @cache
    def answer_by(methods: tuple) -> AnswerFunction:
        return answer or decoder(session, list(methods), sampling)

    store.use(None if answer else getattr(session, "lvlm", None))
    return lambda jpeg, key: store.recall(jpeg, key, panels, sampling, answer_by)


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
    """Decodes prompts on one photo, methods of equal sampling in one batch and the vision tower once a view."""
    if session is None:
        raise InputError("There is no model to evaluate; load one first.")
    from halluapp.decoding import engine
    from halluapp.decoding.events import Decoded, Failed, Finished
    from halluapp.decoding.plan import Sampling
    from halluapp.decoding.views import Views

    sampling = sampling or {}
    groups: dict[Sampling, list] = {}
    for method in methods:
        groups.setdefault(sampling.get(method.name, Sampling()), []).append(method)

    def answer(photo, prompts: Sequence[str], max_new_tokens: int) -> Answers:
        views = Views(session.lvlm, photo)
        answers = Answers([{} for _ in prompts], p_yes=[{} for _ in prompts])
        for first, (settings, group) in product(range(0, len(prompts), AT_ONCE), groups.items()):
            jobs = [engine.Job(views, prompt, group) for prompt in prompts[first : first + AT_ONCE]]
            budget = replace(settings, max_new_tokens=max_new_tokens)
            ends: dict[str, float] = {}
            for index, event in engine.decode_many(session.lvlm, jobs, budget):
                if isinstance(event, Decoded):
                    answers.texts[first + index][event.method] = event.text
                    if event.index == 0 and (p := confidence.p_yes(event.token.top)) is not None:
                        answers.p_yes[first + index][event.method] = p
                elif isinstance(event, Failed):
                    answers.errors[event.method] = event.error
                elif isinstance(event, Finished):
                    ends[event.method] = max(ends.get(event.method, 0.0), event.seconds)
            for name, value in ends.items():
                answers.seconds[name] = answers.seconds.get(name, 0.0) + value
        return answers

    return answer


def _ask(
    photo: EvaluatedPhoto, image, metrics: Sequence[str], answer: AnswerFunction, errors: dict, seconds: dict
) -> None:
    """Lets the methods describe the photo and answer its questions; equal questions of several splits once."""
    batches = [([CAPTION_PROMPT], CAPTION_TOKENS)] if "chair" in metrics else []
    texts = list(dict.fromkeys(question.text for question in photo.questions))
    batches += [(texts, ANSWER_TOKENS)] if texts else []
    for prompts, max_new_tokens in batches:
        answers = answer(image, prompts, max_new_tokens)
        errors.update(answers.errors)
        for name, value in answers.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
        if prompts == [CAPTION_PROMPT]:
            photo.captions = answers.texts[0]
        else:
            photo.answers = dict(zip(prompts, answers.texts, strict=True))
            photo.p_yes = dict(zip(prompts, answers.p_yes, strict=False))
