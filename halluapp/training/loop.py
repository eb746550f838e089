"""The training loop: batches in an order that depends on seed and step alone, so that a resumed run is the same run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from halluapp.data.files import atomic_write, write_text
from halluapp.data.pairs import one_photo_notice, read_pairs, split
from halluapp.data.photos import read_photo, small_jpeg
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM
from halluapp.training.endings import checkpoints, state
from halluapp.training.endings.failures import failure_in_status
from halluapp.training.endings.resume import check_pairs
from halluapp.training.memory.kinds import by_kind
from halluapp.training.memory.process import peak_memory
from halluapp.training.methods import registry
from halluapp.training.objective import Objective
from halluapp.training.recipes import Recipe
from halluapp.training.runs import SAMPLE_FACTS, SAMPLE_PHOTO, Config, Run

if TYPE_CHECKING:
    from PIL import Image

MAX_HELD_OUT_PAIRS = 64  # pairs whose losses are computed at once in a while
SAMPLE_TOKENS, SAMPLE_SIDE = 60, 480  # of a caption; pixels of its photo as the page shows it


def log_line(line: str) -> None:
    """Prints a line to the run's log, unbuffered."""
    print(line, flush=True)


def rate_at(recipe: Recipe, step: int) -> float:
    """Factor of the learning rate in a step: linear warm-up, then a cosine to a tenth."""
    warm = max(1, round(recipe.warmup * recipe.steps))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, recipe.steps - warm)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0)))


def batches(objective: Objective, rows: list[int], first: int) -> Iterator[list[int]]:
    """Batches without end, from number `first` on; the same for the same seed. A batch never mixes two epochs."""
    recipe, number, epoch = objective.recipe, 0, 0
    while True:
        order = objective.order(rows, Random(f"{recipe.seed}/{epoch}"))
        if not order:
            raise InputError("The pairs have no descriptions of at least four words; this method learns from those.")
        parts = [order[start : start + recipe.batch] for start in range(0, len(order), recipe.batch)]
        if len(parts) > 1 and len(parts[-1]) < recipe.batch:
            parts.pop()  # the contrast of a small batch would be another loss; the next epoch mixes anew
        for part in parts:
            if number >= first:
                yield part
            number += 1
        epoch += 1


def train(run: Run, lvlm: LVLM, config: Config | None = None) -> None:
    """Trains to the last step or until asked to stop, going on where a state is. Raises InputError for every end
    that is not one of these, in a sentence that says what to change.

    config: of the run (default: the one in its folder), which the main process stores with the hash of the pairs.
    """
    config = config or run.config()
    with failure_in_status(run):
        run.write_status("preparing", run.status()["step"])
        pairs = read_pairs(config.data)
        config = check_pairs(run, config, pairs)
        if DistributedState().is_main:
            run.write_config(config)
        rows, held_out = split(pairs, config.recipe.held_out, config.recipe.seed)
        if (notice := one_photo_notice(pairs)) and DistributedState().is_main:
            log_line(f"note: {notice}")
        objective = registry.objective(config.kind)(lvlm, config.recipe, pairs, run.folder.parent / ".cache", log_line)
        try:
            for step, progress in _steps(run, objective, rows, held_out):
                early = progress == "finished" and step < config.recipe.steps
                run.write_status(progress, step, note=checkpoints.early_end(run, config.recipe) if early else "")
        finally:
            objective.undo()


def _steps(run: Run, objective: Objective, rows: list[int], held_out: list[int]) -> Iterator[tuple[int, str]]:
    """Yields (steps done, state) after every step and at the end."""
    recipe, world = objective.recipe, DistributedState()
    optimizer = torch.optim.AdamW(_by_shape(objective.parameter_groups(), recipe.weight_decay), lr=recipe.rate)
    base_rates = [group["lr"] for group in optimizer.param_groups]
    first, seconds_before = state.restore(run, objective, optimizer)
    started = time.time() - seconds_before
    if first == 0 and world.is_main:
        _evaluate(run, objective, held_out, 0, started)
    if world.is_main:
        checkpoints.settle(run, recipe, first)  # --keep may be another than before
    source = batches(objective, rows, first * recipe.accumulation)
    step = first
    yield step, "running"
    while step < recipe.steps and not _is_exhausted(run, recipe, step, world):
        for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * rate_at(recipe, step)
        row = _step(objective, optimizer, source, step, world)
        step += 1
        stop_requested = (run.folder / "stop").exists()
        last = stop_requested or step == recipe.steps
        if world.is_main:
            peak, seconds = peak_memory(), round(time.time() - started, 2)
            kinds = by_kind(objective.lvlm.model, optimizer, peak)
            row |= {"step": step, "seconds": seconds, "memory_mb": peak, "memory": kinds}
            run.append_row("metrics.jsonl", row)
            evaluated = bool(held_out) and (step % recipe.evaluate_every == 0 or last)
            if evaluated or step % recipe.sample_every == 0 or last:
                _evaluate(run, objective, held_out, step, started, last)
            if evaluated or step % recipe.save_every == 0 or last:
                state.save(run, objective, optimizer, step, time.time() - started, evaluated)
        if stop_requested:
            yield step, "stopped"
            return
        yield step, "running"
    yield step, "finished"


def _is_exhausted(run: Run, recipe: Recipe, step: int, world: DistributedState) -> bool:
    """Whether early stopping ends the run here; every process finds the same, after the main one has evaluated."""
    if recipe.patience == 0 or step % recipe.evaluate_every:
        return False
    world.wait()
    return checkpoints.is_exhausted(run, recipe)


def _step(
    objective: Objective, optimizer, source: Iterator[list[int]], step: int, world: DistributedState
) -> dict[str, Any]:
    """One optimizer step -> its row of metrics."""
    recipe, mean_numbers, total_loss = objective.recipe, {}, 0.0
    torch.manual_seed(recipe.seed * 1_000_003 + step)  # dropout and noise repeat after a resume
    objective.train(True)
    for _ in range(recipe.accumulation):
        local_batch = world.local_part(next(source))
        loss, numbers = objective.losses(local_batch, step)
        (loss / recipe.accumulation).backward()
        total_loss += float(loss.detach()) / recipe.accumulation
        for name, value in numbers.items():
            mean_numbers[name] = mean_numbers.get(name, 0.0) + value / recipe.accumulation
    objective.train(False)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    world.average_gradients(params)
    norm = float(nn.utils.clip_grad_norm_(params, recipe.clip))
    if not math.isfinite(total_loss) or not math.isfinite(norm):
        raise InputError(
            f"The loss is not a number any more at step {step + 1}; lower the learning rate (now {recipe.rate:g})."
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    objective.after_step()
    numbers = {name: round(value, 6) for name, value in mean_numbers.items()}
    return {
        "rate": optimizer.param_groups[0]["lr"],
        "gradient": round(norm, 5),
        "loss": round(total_loss, 6),
        **numbers,
    }


def _by_shape(groups: list[dict[str, Any]], weight_decay: float) -> list[dict[str, Any]]:
    """Splits groups into matrices and vectors, because weight decay applies to matrices only."""
    groups_by_shape = []
    for group in groups:
        for matrices in (True, False):
            params = [p for p in group["params"] if p.requires_grad and (p.ndim >= 2) is matrices]
            if params:
                groups_by_shape.append({**group, "params": params, "weight_decay": weight_decay if matrices else 0.0})
    return groups_by_shape


def held_out_losses(objective: Objective, rows: list[int]) -> dict[str, float]:
    """Components of the loss over held-out pairs, mean over at most 64 of them."""
    order = objective.order(rows, Random("held out"))[:MAX_HELD_OUT_PAIRS]
    total: dict[str, float] = {}
    generator_state = torch.get_rng_state()
    with torch.no_grad():
        torch.manual_seed(0)
        for first in range(0, len(order), objective.recipe.batch):
            part = order[first : first + objective.recipe.batch]
            loss, numbers = objective.losses(part, 0)
            for name, value in {"loss": float(loss), **numbers}.items():
                total[name] = total.get(name, 0.0) + value * len(part) / len(order)
    torch.set_rng_state(generator_state)
    return {name: round(value, 6) for name, value in total.items()}


def _evaluate(
    run: Run, objective: Objective, held_out: list[int], step: int, started: float, last: bool = False
) -> None:
    """Held-out losses and a caption, where this step is one for them; a caption of every step that may stay, too."""
    recipe = objective.recipe
    evaluated = bool(held_out) and (step % recipe.evaluate_every == 0 or last)
    if evaluated:
        row = {"step": step, "seconds": round(time.time() - started, 2), "held": held_out_losses(objective, held_out)}
        run.append_row("metrics.jsonl", row)
        log_line(_evaluation_line(step, recipe, row))
    if step % recipe.sample_every == 0 or last or (evaluated and checkpoints.wants_checkpoints(recipe)):
        image, facts = sample_photo(objective, run.config().photo, held_out)
        if not (run.folder / SAMPLE_PHOTO).exists():
            if facts:
                write_text(run.folder / SAMPLE_FACTS, json.dumps(facts))
            with atomic_write(run.folder / SAMPLE_PHOTO) as partial:
                partial.write_bytes(small_jpeg(image, SAMPLE_SIDE))
        run.append_row("samples.jsonl", {"step": step, "text": sample_caption(objective, image)})


def _evaluation_line(step: int, recipe: Recipe, row: dict[str, Any]) -> str:
    """What the log says of an evaluation."""
    names = dict.fromkeys(("loss", recipe.best_by))
    numbers = [f"held-out {name.replace('_', ' ')} {row['held'][name]:.4g}" for name in names if name in row["held"]]
    return f"step {step} of {recipe.steps}, {row['seconds']:.0f} s: {', '.join(numbers)}"


def sample_photo(objective: Objective, photo: str, held_out: list[int]) -> tuple[Image.Image, dict[str, list[str]]]:
    """The photo that is captioned on the way and what is known of it: {} or {"objects", "labels"}.

    photo: a file, of which nothing is known; without one ("") it is the first held-out one. objects: all that are in it
    of the labels that the pairs use at all; what they never name is not known to be absent.
    """
    if photo:
        return read_photo(photo), {}
    pair = objective.pairs[held_out[0] if held_out else 0]
    if pair.objects is None:
        return pair.open(), {}
    labels = sorted({name for other in objective.pairs for name in other.objects or ()})
    return pair.open(), {"objects": list(pair.objects), "labels": labels}


def sample_caption(objective: Objective, image: Image.Image) -> str:
    """A greedy caption of a photo by the model in training."""
    from halluapp.decoding import engine
    from halluapp.decoding.events import Decoded
    from halluapp.decoding.plan import Sampling

    job = engine.Job(objective.lvlm.encode_image(image), "Describe this image in detail.", [objective.probe()])
    text = ""
    for event in engine.decode(objective.lvlm, job, Sampling(SAMPLE_TOKENS)):
        text = event.text if isinstance(event, Decoded) else text
    return text


class DistributedState:
    """The processes of `accelerate launch`: each computes its part of a batch, gradients are averaged."""

    def __init__(self):
        from accelerate import PartialState

        self.state = PartialState()

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files."""
        return self.state.is_main_process

    def wait(self) -> None:
        """Until every process is here."""
        self.state.wait_for_everyone()

    def local_part(self, batch: list[int]) -> list[int]:
        """This process's part of a batch, never empty."""
        part = batch[self.state.process_index :: self.state.num_processes]
        return part or batch[:1]

    def average_gradients(self, params: list[nn.Parameter]) -> None:
        """Gradients become their mean over all processes."""
        if self.state.num_processes > 1:
            from accelerate.utils import reduce

            for parameter in params:
                if parameter.grad is not None:
                    parameter.grad = reduce(parameter.grad, "mean")
