"""Decodes all methods of one or more jobs as rows of one batch: prefill once, step, combine, choose, stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from halluapp.decoding import memory
from halluapp.decoding.batch import RowBatch, prefill
from halluapp.decoding.choose import choose, penalise
from halluapp.decoding.events import Decoded, Event, Failed, Finished, Token
from halluapp.decoding.hooks.early_exits import EarlyStates, read_out, record_depths
from halluapp.decoding.hooks.vision_adapter import tower_adapter
from halluapp.decoding.plan import Sampling, plan
from halluapp.decoding.replay import policy
from halluapp.decoding.stops import cut
from halluapp.decoding.views import Views
from halluapp.errors import InputError, MissingWeights
from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.methods.base import Method, Step

ALTERNATIVES = 5
SHORT = "There is not enough memory for this method alone; ask for fewer new tokens, or load a smaller model."


@dataclass
class Job:
    """One photo and prompt to be answered by some methods. A bare Visual serves methods that want no other view."""

    visual: ImageFeatures | Views
    prompt: str
    methods: list[Method]

    @property
    def views(self) -> Views:
        return self.visual if isinstance(self.visual, Views) else Views.from_features(self.visual)


@dataclass
class _Stream:
    """One method of one job while it decodes. prefixes: what its rows begin with, main row first; rows: where they are
    in the batch. Methods share a row for as long as they have said the same behind the same prefix.

    depths: where its main row is read early; exits: what was read there for the next token, [E, V].
    """

    job: int
    method: Method
    prefixes: tuple[int, ...]
    rows: list[int]
    generator: torch.Generator
    depths: tuple[int, ...] = ()
    exits: Tensor | None = None
    ids: list[int] = field(default_factory=list)
    passes: int = 0


def decode(lvlm: LVLM, job: Job, sampling: Sampling, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Decodes one job; yields Decoded, Finished and Failed events as they come. See `decode_many`."""
    for _, event in decode_many(lvlm, [job], sampling, stop):
        yield event


@torch.no_grad()
def decode_many(
    lvlm: LVLM, jobs: list[Job], sampling: Sampling, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, Event]]:
    """Decodes several jobs in one batch; yields (job index, event).

    A method whose weights are missing, or whose combination fails, ends with Failed; the others go on. Where memory
    is short, smaller groups are decoded one after another (same tokens; `Finished.note` says so). `stop` is asked
    before every step; closing the generator has the same effect. `seconds` run from the call to the method's end.
    """
    started = time.perf_counter()
    views = [job.views for job in jobs]
    runnable, failed = _prepared(lvlm, jobs, views)
    yield from failed
    waiting, told = [runnable], _Told()
    while waiting:
        group = waiting.pop(0)
        note = "" if group is runnable else f"Memory was short: decoded in a group of {sum(map(len, group))}."
        try:
            for job, event in _decode_group(lvlm, jobs, views, group, sampling, stop, started):
                if told.is_new(job, event):
                    yield job, replace(event, note=note) if isinstance(event, Finished) else event
        except (RuntimeError, MemoryError) as error:
            if not memory.is_short(error):
                raise
            left = told.unfinished(group)
            smaller = memory.halves(left)
            waiting = smaller + waiting if len(smaller) > 1 else waiting
            if len(smaller) == 1:
                job, method = next((job, methods[0]) for job, methods in enumerate(left) if methods)
                yield job, Failed(method.name, SHORT)
        if waiting:
            memory.release()


class _Told:
    """Which events a caller has had: a group that is decoded again in parts does not say them twice."""

    def __init__(self):
        self._last: dict[tuple[int, str], int] = {}
        self._ended: set[tuple[int, str]] = set()

    def is_new(self, job: int, event: Event) -> bool:
        place = (job, event.method)
        if not isinstance(event, Decoded):
            self._ended.add(place)
            return True
        new = event.index > self._last.get(place, -1)
        self._last[place] = max(event.index, self._last.get(place, -1))
        return new

    def unfinished(self, group: memory.Group) -> memory.Group:
        return [[one for one in methods if (job, one.name) not in self._ended] for job, methods in enumerate(group)]


def _decode_group(
    lvlm, jobs: list[Job], views: list[Views], methods: memory.Group, sampling: Sampling, stop, started: float
) -> Iterator[tuple[int, Event]]:
    """Decodes some methods of the jobs as rows of one batch."""
    if not any(methods):
        return
    prefilled, logits, live = _begin(lvlm, jobs, views, methods, sampling.seed)
    batch = policy.choose_batch(lvlm, prefilled, sampling.max_new_tokens)
    del prefilled  # a batch that has moved to other buffers must not hold its first ones
    for index in range(sampling.max_new_tokens):
        log_p = logits.log_softmax(-1)
        going: list[_Stream] = []
        last = index + 1 == sampling.max_new_tokens
        for stream in live:
            event, goes_on = _advance(lvlm, stream, jobs[stream.job].prompt, index, logits, log_p, sampling, last)
            yield stream.job, event
            if goes_on and not last:
                going.append(stream)
            elif not isinstance(event, Failed):
                reason = "length" if goes_on else "end"
                yield stream.job, Finished(stream.method.name, reason, time.perf_counter() - started, stream.passes)
        if not going:
            return
        if stop():
            for stream in going:
                yield stream.job, Finished(stream.method.name, "stopped", time.perf_counter() - started, stream.passes)
            return
        live, fed = going, _regroup(batch, going)
        logits, hidden = batch.step(lvlm, torch.tensor(fed, device=logits.device), _depths(live))
        _hand_out(live, [stream.rows[0] for stream in live], read_out(lvlm, hidden))


def _prepared(lvlm: LVLM, jobs: list[Job], views: list[Views]) -> tuple[list[list[Method]], list[tuple[int, Failed]]]:
    """The methods of every job that this model has the weights for, and an event for each other one."""
    runnable: list[list[Method]] = []
    failed = []
    for index, job in enumerate(jobs):
        runnable.append([])
        for method in job.methods:
            try:
                method.prepare(lvlm)
                for row in method.rows(job.prompt):
                    if row.view == "photo":
                        views[index].at(row.noise_step, tower_adapter(lvlm, row.intervention))
                runnable[-1].append(method)
            except (MissingWeights, InputError) as error:
                failed.append((index, Failed(method.name, str(error))))
    return runnable, failed


def _begin(
    lvlm, jobs: list[Job], views: list[Views], methods: list[list[Method]], seed: int
) -> tuple[RowBatch, Tensor, list[_Stream]]:
    """Prefills distinct prefixes once, expands them to rows -> (batch, logits [R, V], streams)."""
    made = plan([(job.prompt, mine) for job, mine in zip(jobs, methods, strict=True)])
    live = [
        _Stream(job, method, prefixes, list(prefixes), torch.Generator().manual_seed(seed), method.exits(lvlm))
        for job, method, prefixes in made.streams
    ]
    with record_depths(lvlm, _depths(live)) as hidden:
        batch, logits = prefill(lvlm, made.prefixes, [job.prompt for job in jobs], views)
    _hand_out(live, [stream.rows[0] for stream in live], read_out(lvlm, hidden))
    return batch, logits, live


def _depths(live: list[_Stream]) -> dict[int, tuple[int, ...]]:
    """Where main rows are read early, by row; rows that are not are left out."""
    wanted: dict[int, tuple[int, ...]] = {}
    for stream in (stream for stream in live if stream.depths):
        wanted[stream.rows[0]] = tuple(sorted({*wanted.get(stream.rows[0], ()), *stream.depths}))
    return wanted


def _hand_out(live: list[_Stream], rows: list[int], early: EarlyStates) -> None:
    """Gives every stream the early logits of its main row, which is rows[i] of the forward that made them."""
    for stream, row in zip(live, rows, strict=True):
        stream.exits = torch.stack([early[row, depth] for depth in stream.depths]) if stream.depths else None


def _advance(
    lvlm, stream: _Stream, prompt, index, logits: Tensor, log_p: Tensor, sampling: Sampling, last: bool
) -> tuple[Event, bool]:
    """Chooses the stream's next token -> (event, whether it goes on)."""
    name, mine = stream.method.name, torch.tensor(stream.rows, device=logits.device)
    stream.passes += len(stream.rows)
    try:
        step = Step(index, prompt, tuple(stream.ids), stream.exits)
        combined = stream.method.combine(logits[mine], step, lvlm)
        penalty = sampling.repetition_penalty or combined.repetition
        combined = replace(combined, scores=penalise(combined.scores, stream.ids, penalty))
        chosen = choose(combined.scores, sampling, stream.generator)
    except Exception as error:  # whatever goes wrong in one method, the others go on
        reason = " ".join(str(error).split()) or type(error).__name__
        return Failed(name, f"{stream.method.title} could not combine its rows: {reason}"), False
    stream.ids.append(chosen)
    token = _trace(lvlm, chosen, combined, log_p[mine], sampling)
    whole, goes_on = lvlm.decode(stream.ids), sampling.ignore_end or chosen not in lvlm.end_tokens
    text, stopped = cut(whole, sampling.stop)
    if not stopped and (last or not goes_on):
        text = whole  # nothing follows that could complete a stop string
    return Decoded(name, index, token, text), goes_on and not stopped


def _trace(lvlm, chosen: int, combined, log_p: Tensor, sampling: Sampling) -> Token:
    """What the chosen token was worth under the final distribution and under each row."""
    final = combined.scores.softmax(-1)
    best = final.topk(min(ALTERNATIVES, len(final)))
    ranked = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    top = tuple((lvlm.piece(i), round(p, 5)) for i, p in ranked if p > 0)
    main_choice = int(log_p[0].argmax())
    changed = sampling.temperature <= 0 and main_choice != chosen
    branches = [round(p, 5) for p in log_p[:, chosen].exp().tolist()]
    return Token(
        id=chosen,
        text=lvlm.piece(chosen),
        p=round(float(final[chosen]), 5),
        p_main=branches[0],
        p_reference=round(sum(branches[1:]) / (len(branches) - 1), 5) if len(branches) > 1 else None,
        top=top,
        instead=lvlm.piece(main_choice) if changed else None,
        notes=combined.notes,
        branches=tuple(branches),
    )


def _regroup(batch, going: list[_Stream]) -> list[int]:
    """Leaves the batch with one row for each prefix and text so far -> the token that each row is fed next.

    batch: what `fast.chosen` gave. Rows of streams that have ended go; a row that several shared is copied where their
    last tokens differ.
    """
    places: dict[tuple, int] = {}
    sources, fed = [], []
    for stream in going:
        said = tuple(stream.ids)
        for part, (prefix, row) in enumerate(zip(stream.prefixes, stream.rows, strict=True)):
            place = places.setdefault((prefix, said), len(sources))
            if place == len(sources):
                sources.append(row)
                fed.append(said[-1])
            stream.rows[part] = place
    if sources != list(range(len(batch.interventions))):
        batch.select(sources)
    return fed
