"""Decodes all methods of one or more jobs as rows of one batch: prefill, step, combine, choose, stream events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from halluapp.decoding import memory, trace
from halluapp.decoding.batch import RowBatch, embed_prefixes, prefill_rows
from halluapp.decoding.choose import choose, choose_greedily, cut, penalise
from halluapp.decoding.events import Decoded, Event, Failed, Finished, MethodEvent, Token
from halluapp.decoding.hooks.early_exits import EarlyStates, read_out, record_depths
from halluapp.decoding.hooks.interventions import row_index
from halluapp.decoding.hooks.vision_adapter import tower_adapter
from halluapp.decoding.plan import Job, Sampling, first_alike, plan
from halluapp.decoding.replay import policy
from halluapp.decoding.shared_heads import read_heads
from halluapp.decoding.views import Views
from halluapp.errors import InputError, MissingWeights
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Combination, Method, Step

OUT_OF_MEMORY = "There is not enough memory for this method alone; ask for fewer new tokens, or load a smaller model."


@dataclass
class _Stream:
    """One method of one job while it decodes.

    prefixes: indices of its rows' prefixes, main row first; rows: its rows' indices in the batch. Methods share a row
    for as long as their answers are equal behind the same prefix. depths: early exits of its main row; exits: their
    logits for the next token, [E, V]. ids: the answer so far. past: its first tokens, yielded before memory ran out.
    passes: rows of forwards so far.
    """

    job: int
    method: Method
    prefixes: tuple[int, ...]
    rows: list[int]
    generator: torch.Generator
    depths: tuple[int, ...] = ()
    exits: Tensor | None = None
    ids: list[int] = field(default_factory=list)
    past: tuple[int, ...] = ()
    passes: int = 0


def decode(lvlm: LVLM, job: Job, sampling: Sampling, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Decodes one job; yields Decoded, Finished and Failed events as they come. See `decode_many`."""
    for _, event in decode_many(lvlm, [job], sampling, stop):
        yield event


@torch.no_grad()
def decode_many(
    lvlm: LVLM, jobs: list[Job], sampling: Sampling, stop: Callable[[], bool] = lambda: False, *, share: bool = False
) -> Iterator[tuple[int, MethodEvent]]:
    """Decodes several jobs in one batch; yields (job index, event).

    A method whose weights are missing, or whose combination fails, ends with Failed; the others go on. Where memory
    is short, smaller groups are decoded one after another (tokens that were yielded stay as they are; `Finished.note`
    says so). `stop` is called before every step; closing the generator has the same effect. share: what prompts of one
    `Views` begin with is computed once (`shared_heads`). `seconds` run from the call to the method's end.
    """
    start = time.perf_counter()
    views = [job.views for job in jobs]
    everything, failures = _prepare(lvlm, jobs, views)
    yield from failures
    queue, log = [everything], memory.EventLog()
    while queue:
        group = queue.pop(0)
        note = "" if group is everything else f"Memory was short: decoded in a group of {sum(map(len, group))}."
        try:
            for job, event in _decode_group(lvlm, jobs, views, group, sampling, stop, start, share, log):
                if log.is_new(job, event):
                    yield job, replace(event, note=note) if isinstance(event, Finished) else event
        except (RuntimeError, MemoryError) as error:
            if not memory.is_short(error):
                raise
            unfinished = log.unfinished(group)
            smaller = memory.halves(unfinished)
            queue = smaller + queue if len(smaller) > 1 else queue
            if len(smaller) == 1:
                job, method = next((job, methods[0]) for job, methods in enumerate(unfinished) if methods)
                yield job, Failed(method.name, OUT_OF_MEMORY)
        if queue:
            memory.release()


def _decode_group(
    lvlm: LVLM,
    jobs: list[Job],
    views: list[Views],
    group: memory.Group,
    sampling: Sampling,
    stop: Callable[[], bool],
    start: float,
    share: bool,
    log: memory.EventLog,
) -> Iterator[tuple[int, MethodEvent]]:
    """Decodes some methods of the jobs as rows of one batch; what the log holds of their answers stays as it is."""
    if not any(group):
        return
    prefilled, logits, live = _prefill(lvlm, jobs, views, group, sampling, share)
    for stream in live:
        stream.past = log.answer(stream.job, stream.method.name)
    batch = policy.choose_batch(lvlm, prefilled, sampling.max_new_tokens)
    del prefilled  # a batch that has moved to other buffers must not hold its first ones
    for index in range(sampling.max_new_tokens):
        ongoing: list[_Stream] = []
        last = index + 1 == sampling.max_new_tokens
        for stream, event, continues in _advance(lvlm, live, jobs, index, logits, sampling, last):
            yield stream.job, event
            if continues and not last:
                ongoing.append(stream)
            elif not isinstance(event, Failed):
                yield stream.job, _finish(stream, "length" if continues else "end", start)
        if not ongoing:
            return
        if stop():
            for stream in ongoing:
                yield stream.job, _finish(stream, "stopped", start)
            return
        live, tokens = ongoing, _regroup(batch, ongoing)
        logits, hidden = batch.step(lvlm, torch.tensor(tokens, device=logits.device), _depths(live))
        _set_exits(live, read_out(lvlm, hidden))


def _finish(stream: _Stream, reason: str, start: float) -> Finished:
    return Finished(stream.method.name, reason, time.perf_counter() - start, stream.passes)


def _prepare(lvlm: LVLM, jobs: list[Job], views: list[Views]) -> tuple[memory.Group, list[tuple[int, Failed]]]:
    """The methods of every job that this model has the weights for, and an event for each other one."""
    runnable: memory.Group = []
    failures = []
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
                failures.append((index, Failed(method.name, str(error))))
            except (RuntimeError, MemoryError) as error:
                if not memory.is_short(error):
                    raise
                failures.append((index, Failed(method.name, OUT_OF_MEMORY)))
    return runnable, failures


def _prefill(
    lvlm: LVLM, jobs: list[Job], views: list[Views], group: memory.Group, sampling: Sampling, share: bool
) -> tuple[RowBatch, Tensor, list[_Stream]]:
    """Prefills each distinct prefix once -> (batch of one row a prefix, logits [R, V], streams)."""
    owners = [first_alike(jobs, views, noised) for noised in (False, True)]
    rows = plan([(job.prompt, methods) for job, methods in zip(jobs, group, strict=True)], *owners)
    seeds = [sampling.seed if job.seed is None else job.seed for job in jobs]
    live = [
        _Stream(job, method, prefixes, list(prefixes), torch.Generator().manual_seed(seeds[job]), method.exits(lvlm))
        for job, method, prefixes in rows.streams
    ]
    embedded = embed_prefixes(lvlm, rows.prefixes, [job.prompt for job in jobs], views)
    heads = read_heads(lvlm, embedded, rows.prefixes, views) if share else None
    with record_depths(lvlm, _depths(live)) as hidden:
        batch, logits = prefill_rows(lvlm, rows.prefixes, embedded, heads)
    _set_exits(live, read_out(lvlm, hidden))
    return batch, logits, live


def _depths(live: list[_Stream]) -> dict[int, tuple[int, ...]]:
    """Depths of the early exits by main row; rows without any are left out."""
    depths: dict[int, tuple[int, ...]] = {}
    for stream in (stream for stream in live if stream.depths):
        depths[stream.rows[0]] = tuple(sorted({*depths.get(stream.rows[0], ()), *stream.depths}))
    return depths


def _set_exits(live: list[_Stream], early: EarlyStates) -> None:
    """Sets the early logits of every stream's main row."""
    for stream in live:
        row = stream.rows[0]
        stream.exits = torch.stack([early[row, depth] for depth in stream.depths]) if stream.depths else None


def _advance(
    lvlm: LVLM, live: list[_Stream], jobs: list[Job], index: int, logits: Tensor, sampling: Sampling, last: bool
) -> Iterator[tuple[_Stream, Decoded | Failed, bool]]:
    """Chooses the next token of every stream -> (stream, event, whether its answer continues)."""
    choices = _choose(lvlm, live, jobs, index, logits, sampling)
    chosen = [each for each in choices if isinstance(each, trace.Choice)]
    rows = [stream.rows for stream, each in zip(live, choices, strict=True) if isinstance(each, trace.Choice)]
    tokens = iter(trace.tokens(lvlm, chosen, rows, logits.log_softmax(-1), sampling))
    for stream, each in zip(live, choices, strict=True):
        if isinstance(each, Failed):
            yield stream, each, False
        else:
            yield stream, *_decoded(lvlm, stream, index, next(tokens), sampling, last)


def _choose(
    lvlm: LVLM, live: list[_Stream], jobs: list[Job], index: int, logits: Tensor, sampling: Sampling
) -> list[trace.Choice | Failed]:
    """The next token of every stream; a method that fails in any way is told so, and the others go on."""
    of_streams = logits[row_index(tuple(row for stream in live for row in stream.rows), logits.device)]
    parts = of_streams.split([len(stream.rows) for stream in live])
    combinations: list[Combination | Failed] = []
    for stream, part in zip(live, parts, strict=True):
        stream.passes += len(stream.rows)
        try:
            step = Step(index, jobs[stream.job].prompt, tuple(stream.ids), stream.exits)
            combination = stream.method.combine(part, step, lvlm)
            if combination.scores.shape != part.shape[1:]:  # all scores are stacked: one alone would end the others
                raise ValueError(f"the scores must be one a token of the vocabulary, not {[*combination.scores.shape]}")
            penalty = sampling.repetition_penalty or combination.repetition
            combinations.append(replace(combination, scores=penalise(combination.scores, stream.ids, penalty)))
        except Exception as error:  # whatever goes wrong in one method, the others go on
            combinations.append(_failed(stream, error))
    scores = [each.scores for each in combinations if isinstance(each, Combination)]
    greedy = iter(choose_greedily(scores) if sampling.temperature <= 0 else [None] * len(scores))
    choices: list[trace.Choice | Failed] = []
    for stream, each in zip(live, combinations, strict=True):
        if isinstance(each, Failed):
            choices.append(each)
            continue
        token_id = next(greedy)
        try:
            token_id = choose(each.scores, sampling, stream.generator) if token_id is None else token_id
            # Drawn all the same: the generator moves on. Another number of rows may round to another token.
            choices.append(trace.Choice(each, stream.past[index] if index < len(stream.past) else token_id))
        except ValueError as error:
            choices.append(_failed(stream, error))
    return choices


def _failed(stream: _Stream, error: Exception) -> Failed:
    reason, title = " ".join(str(error).split()) or type(error).__name__, stream.method.title
    return Failed(stream.method.name, f"{title} could not combine its rows: {reason}")


def _decoded(
    lvlm: LVLM, stream: _Stream, index: int, token: Token, sampling: Sampling, last: bool
) -> tuple[Decoded, bool]:
    """Adds the chosen token to the answer -> (event, whether the answer continues)."""
    stream.ids.append(token.id)
    whole, continues = lvlm.decode(stream.ids), sampling.ignore_end or token.id not in lvlm.end_tokens
    text, stopped = cut(whole, sampling.stop)
    if not stopped and (last or not continues):
        text = whole  # nothing follows that could complete a stop string
    return Decoded(stream.method.name, index, token, text), continues and not stopped


def _regroup(batch: policy.Batch, ongoing: list[_Stream]) -> list[int]:
    """Selects one row for each prefix and answer so far -> the next token to feed to each row.

    Rows of streams that have ended go; a row that several streams shared is copied where their last tokens differ.
    """
    indices: dict[tuple, int] = {}
    sources: list[int] = []
    tokens: list[int] = []
    for stream in ongoing:
        answer = tuple(stream.ids)
        for part, (prefix, row) in enumerate(zip(stream.prefixes, stream.rows, strict=True)):
            index = indices.setdefault((prefix, answer), len(sources))
            if index == len(sources):
                sources.append(row)
                tokens.append(answer[-1])
            stream.rows[part] = index
    if sources != list(range(len(batch.interventions))):
        batch.select(sources)
    return tokens
