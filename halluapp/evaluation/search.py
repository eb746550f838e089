"""Search of a decoding configuration, as VDD's authors do it, but chosen on some photos and scored on others.

Zhang et al. 2024 (arXiv 2403.05262) tune temperature, top-p and top-k per model and benchmark, and report the best on
the benchmark that chose it. Here the photos are split first: what is chosen on the tuning photos is scored on the
test photos, beside the same method with its defaults and beside the baseline.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from halluapp.data import records
from halluapp.data.photos import read_photo
from halluapp.data.shards import LeftOut
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError, excerpt, quotation
from halluapp.evaluation import harness
from halluapp.evaluation.annotations import read_samples
from halluapp.evaluation.answers.store import AnswersStore
from halluapp.methods.base import Combination, Method, Row
from halluapp.methods.registry import canonical, create

SAMPLING = {"temperature": (0, 2), "top_p": (0.01, 1), "top_k": (0, 1000), "repetition_penalty": (1, 2)}
# What may be searched for: the metric it belongs to, and whether more of it is better.
OBJECTIVES = {
    "chair_i": ("chair", False), "chair_s": ("chair", False), "recall": ("chair", True),
    "accuracy": ("pope", True), "f1": ("pope", True),
}  # fmt: skip
MOST_CONFIGURATIONS = 256
AT_ONCE = 6  # configurations decoded in one batch


@dataclass(frozen=True)
class NamedMethod(Method):
    """Another method under a label as its name, so that several settings of one stand side by side."""

    inner: Method
    label: str

    @property
    def name(self) -> str:  # type: ignore[override]  # a label of the instance, not a name of the class
        return self.label

    @property
    def title(self) -> str:  # type: ignore[override]
        return self.inner.title

    def rows(self, prompt: str) -> tuple[Row, ...]:
        return self.inner.rows(prompt)

    def exits(self, lvlm) -> tuple[int, ...]:
        return self.inner.exits(lvlm)

    def prepare(self, lvlm) -> None:
        self.inner.prepare(lvlm)

    def combine(self, logits, step, lvlm) -> Combination:
        return self.inner.combine(logits, step, lvlm)

    def parameters(self) -> dict[str, Any]:
        return self.inner.parameters()


@dataclass(frozen=True)
class Configuration:
    """Settings of a method and of the sampler: {} for the defaults."""

    settings: tuple[tuple[str, Any], ...]
    method: Method
    sampling: Sampling


def parse_grid(items: Sequence[str]) -> dict[str, list]:
    """["alpha=0.5,1", "reference=none,unk"] -> {"alpha": [0.5, 1], "reference": ["none", "unk"]}. Raises InputError."""
    grid: dict[str, list] = {}
    for item in items:
        key, _, values = item.partition("=")
        key = key.strip().lower().replace("-", "_") if "adapter:" not in key else key
        parts = [part.strip() for part in values.split(",")]
        if not key.strip() or not all(parts):
            raise InputError(f"--grid {excerpt(item)} is not KEY=VALUE,VALUE,..")
        if key.strip() in grid:
            raise InputError(f"--grid names {key.strip()} twice; give all its values at once.")
        grid[key.strip()] = list(dict.fromkeys(_value(part) for part in parts))
    return grid


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def configurations(method: str, grid: dict[str, list], one_at_a_time: bool, seed: int) -> list[Configuration]:
    """The defaults, and every combination of the grid, or each of its values with all others at their defaults.

    Raises InputError for a setting that the method and the sampler do not have, or that is out of bounds.
    """
    if not grid:
        raise InputError("There is nothing to search; give at least one --grid KEY=VALUE,VALUE,..")
    if one_at_a_time:
        combinations = [{}, *({key: value} for key, values in grid.items() for value in values)]
    else:
        combinations = [{}, *(dict(zip(grid, values, strict=True)) for values in product(*grid.values()))]
    if len(combinations) > MOST_CONFIGURATIONS:
        raise InputError(
            f"The grid has {len(combinations) - 1} configurations; search at most {MOST_CONFIGURATIONS - 1}."
        )
    distinct: dict[tuple[Method, Sampling], Configuration] = {}
    for settings in combinations:
        one = _configuration(method, settings, seed)
        distinct.setdefault((one.method, one.sampling), one)  # a grid value that is the default is the default
    return list(distinct.values())


def _configuration(name: str, settings: dict[str, Any], seed: int) -> Configuration:
    for key, (least, most) in SAMPLING.items():
        value = settings.get(key, most)
        if not isinstance(value, int | float) or not least <= value <= most or (key == "top_k" and value != int(value)):
            raise InputError(f"{key} must be a number from {least} to {most}, not {quotation(value)}.")
    parameters = {key: value for key, value in settings.items() if key not in SAMPLING}
    sampling = {key: value for key, value in settings.items() if key in SAMPLING}
    if "top_p" in sampling or "top_k" in sampling:  # they say nothing about greedy decoding; the paper's default is 1
        sampling.setdefault("temperature", 1.0)
    return Configuration(tuple(settings.items()), create(name, **parameters), replace(Sampling(seed=seed), **sampling))


def split(samples: list, share: float, seed: int) -> tuple[list, list]:
    """Samples -> (for tuning, for the test), each in the order of the data; the seed alone says which is which.

    Copies of one photo, of equal bytes, are on one side: they would be chosen on and scored.
    """
    if not 0 < share < 1:
        raise InputError(f"The share of tuning photos must lie between 0 and 1, not {share}.")
    contents = [hashlib.sha256(sample.jpeg).digest() for sample in samples]
    order = list(dict.fromkeys(contents))
    random.Random(f"search/{seed}").shuffle(order)
    tuned = set(order[: max(1, round(share * len(order)))])
    tuning = [sample for sample, content in zip(samples, contents, strict=True) if content in tuned]
    test = [sample for sample, content in zip(samples, contents, strict=True) if content not in tuned]
    if not test:
        raise InputError("A search needs at least two annotated photos: one to tune on and one to test on.")
    return tuning, test


def search(
    data: str | Path,
    method: str,
    grid: dict[str, list],
    objective: str = "chair_i",
    share: float = 0.5,
    one_at_a_time: bool = False,
    limit: int = 0,
    seed: int = 0,
    session=None,
    log: Callable[[str], None] = lambda line: None,
    store: AnswersStore | None = None,
) -> dict[str, Any]:
    """Searches the configuration of a method -> JSON (schema 1).

    grid: by `parse_grid`; keys are parameters of the method and temperature, top_p, top_k, repetition_penalty. Decoding
    is greedy, but where top_p or top_k is set without a temperature, that is 1.
    objective: one of OBJECTIVES. share: of the photos, for tuning. "tuning": every configuration with score and 95 %
    interval; "best": the settings chosen; "test": scores of baseline, defaults and best on the other photos;
    "gain": best minus defaults on either; a gain that shrinks was selection. store:
    as in `evaluate`. Raises InputError in one sentence.
    """
    objective = objective.strip().lower().replace("-", "_")
    method = canonical(method)
    if objective not in OBJECTIVES:
        raise InputError(f"The objective must be one of {', '.join(OBJECTIVES)}, not {quotation(objective)}.")
    candidates = configurations(method, grid, one_at_a_time, seed)
    samples, left_out = _decodable(*read_samples(data, limit=limit))
    for line in records.described(left_out):
        log(line)
    tuning, test = split(samples, share, seed)
    log(f"{len(candidates)} configurations on {len(tuning)} photos, then a test on {len(test)}")
    rows = []
    for first in range(0, len(candidates), AT_ONCE):
        part = candidates[first : first + AT_ONCE]
        named = {f"#{first + index}": one for index, one in enumerate(part)}
        rows += _scores(_evaluate(tuning, named, objective, seed, session, log, store), objective)
    for one, row in zip(candidates, rows, strict=True):
        row["settings"] = dict(one.settings)
    best = candidates[_best(rows, objective)]
    compared = {"baseline": _configuration("baseline", {}, seed), "defaults": candidates[0], "best": best}
    if best.sampling != candidates[0].sampling:  # how much of it is the sampler's: the baseline with the same one
        compared["baseline, same sampling"] = replace(compared["baseline"], sampling=best.sampling)
    result = _evaluate(test, compared, objective, seed, session, log, store)
    scores = {row["method"]: row["score"] for row in _scores(result, objective)}
    return {
        "schema": 1, "data": Path(data).name, "method": method, "grid": grid, "one_at_a_time": one_at_a_time,
        "objective": objective, "more_is_better": OBJECTIVES[objective][1], "seed": seed,
        "photos": {"tuning": len(tuning), "test": len(test)}, "left_out": [asdict(item) for item in left_out],
        "model": result["model"],
        "quantization": result["quantization"], "tuning": rows, "best": dict(best.settings), "test": result["methods"],
        "gain": {"tuning": _gain(rows[_best(rows, objective)]["score"], rows[0]["score"]),
                 "test": _gain(scores["best"], scores["defaults"])},
    }  # fmt: skip


def _decodable(samples: list, left_out: list[LeftOut]) -> tuple[list, list[LeftOut]]:
    """Samples whose photos can be decoded, and the others added to what is left out: before any is chosen on."""
    good, damaged = [], []
    for sample in samples:
        try:
            read_photo(sample.jpeg)
            good.append(sample)
        except InputError as error:
            damaged.append(LeftOut(sample.key, str(error)))
    return good, [*left_out, *damaged]


def _evaluate(
    samples, named: dict[str, Configuration], objective: str, seed: int, session, log, store
) -> dict[str, Any]:
    methods = [NamedMethod(one.method, name) for name, one in named.items()]
    result = harness.evaluate(
        samples, [OBJECTIVES[objective][0]], methods, seed=seed, session=session, log=log,
        sampling={name: one.sampling for name, one in named.items()}, store=store,
    )  # fmt: skip
    if failed := [row["error"] for row in result["methods"] if row["error"]]:
        raise InputError(failed[0])
    return result


def _scores(result: dict[str, Any], objective: str) -> list[dict[str, Any]]:
    """Name, score of the objective (null where it is undefined) and its interval, a configuration each."""
    metric = OBJECTIVES[objective][0]
    scores = []
    for row in result["methods"]:
        score, interval = row[metric][objective], row["intervals"][metric][objective]
        scores.append({"method": row["method"], "score": score, "interval": interval})
    return scores


def _best(rows: list[dict[str, Any]], objective: str) -> int:
    """Index of the best score; of equal ones the first, so that the defaults win a tie."""
    sign = 1 if OBJECTIVES[objective][1] else -1
    defined = [index for index, row in enumerate(rows) if row["score"] is not None]
    if not defined:
        raise InputError(f"{objective} is undefined on the tuning photos: no answer says anything that counts for it.")
    return max(defined, key=lambda index: (sign * rows[index]["score"], -index))


def _gain(best: float | None, plain: float | None) -> float | None:
    return None if best is None or plain is None else round(best - plain, 6)


def table(result: dict[str, Any]) -> str:
    """The result as text: all configurations on the tuning photos, then the chosen one on the test photos."""
    name, photos = result["objective"], result["photos"]
    better = "more is better" if result["more_is_better"] else "less is better"
    lines = [f"{result['method']}: {name} ({better}), {len(result['tuning'])} configurations"]
    lines.append(f"tuning, {photos['tuning']} photos")
    for row in result["tuning"]:
        lines.append(f"  {_score_text(row['score'], row['interval'])}  {_settings(row['settings'])}")
    lines.append(f"test, {photos['test']} photos; chosen: {_settings(result['best'])}")
    metric = OBJECTIVES[name][0]
    for row in result["test"]:
        line = f"  {_score_text(row[metric][name], row['intervals'][metric][name])}  {row['method']}"
        if "differences" in row:
            d = row["differences"][metric][name]
            line += f"  (minus baseline {_score_text(d['value'], [d['low'], d['high']])})"
        if unparsed := row[metric].get("unparsed"):
            line += f"  ({unparsed} of {row[metric]['count']} answers unparsed, counted as yes)"
        lines.append(line)
    gain = {part: _number(value) for part, value in result["gain"].items()}
    lines.append(f"best minus defaults: {gain['tuning']} on tuning photos, {gain['test']} on test photos")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _score_text(value: float | None, interval: list) -> str:
    return f"{_number(value)} [{_number(interval[0])} {_number(interval[1])}]"


def _settings(settings: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "defaults"
