"""Metrics before and after a run on held-out pairs: margin, retrieval among hard negatives, CHAIR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from halluapp.data.pairs import Pair
from halluapp.decoding.hooks.vision_adapter import tower_adapter, visual_tokens
from halluapp.evaluation import bootstrap, chair
from halluapp.evaluation.annotations import object_names
from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.methods.base import Intervention
from halluapp.methods.baseline import Baseline
from halluapp.training.batches import examples
from halluapp.training.batches.packed_forward import PackedRow, end_token_states, lm_logits, packed_forward
from halluapp.training.batches.pixels import Pixels
from halluapp.training.methods.chip_loss import answer_logps, masked_sum
from halluapp.training.methods.hacl_loss import ProjectionHeads
from halluapp.training.pairs.own_answers import generate_answers

BATCH = 8
MIN_WORDS = 4
MAX_POINTS = 200  # photos of the representation map
GROUPS = ("photo", "truthful", "hallucinated")


def measure_effect(
    lvlm: LVLM,
    pairs: list[Pair],
    method,
    seed: int = 0,
    photos: int = 100,
    log: Callable[[str], None] = print,
    heads: tuple[ProjectionHeads, ProjectionHeads] | None = None,
) -> dict[str, Any]:
    """Baseline against a method with one row (an adapter) -> {"before", "after", "difference"} by metric.

    margin: ln p(chosen) - ln p(rejected), and the share of pairs where it is positive; visual_margin: ln p(chosen)
    with the photo minus with a noised one (diffusion step 500). retrieval: share of photos whose nearest caption, among
    all true and hallucinated ones, is their own; told_apart: nearer to their caption than to their own hallucinated
    one; distance: of photo and caption; separability: of truthful and hallucinated captions. chair_i, recall, length:
    of captions of up to `photos` photos whose objects are known. Values are [value, low, high] with 95 % intervals over
    photos; differences are paired. heads: HACL's, untrained and trained; then also retrieval_heads and
    told_apart_heads, through them. "map": side -> group -> [[x, y]], the representations of both sides on the two main
    axes of all, where there are any.
    """
    rows, vectors = {}, {}
    for side, method_of_side, heads_of_side in (
        ("before", Baseline(), heads and heads[0]),
        ("after", method, heads and heads[1]),
    ):
        rows[side], vectors[side] = _metric_tables(lvlm, pairs, method_of_side, seed, photos, log, heads_of_side)
    result: dict[str, Any] = {"pairs": len(pairs), "photos": len({pair.photo for pair in pairs}), "seed": seed}
    for side in ("before", "after"):
        result[side] = {name: _interval(table, statistic, seed) for name, (table, statistic) in rows[side].items()}
    result["difference"] = {}
    for name, (table, statistic) in rows["after"].items():
        difference = bootstrap.paired_difference(rows["before"][name][0], table, statistic, seed=seed)
        result["difference"][name] = [
            _rounded_or_none(difference.value),
            _rounded_or_none(difference.low),
            _rounded_or_none(difference.high),
        ]
    if vectors["before"]:
        result["map"] = _map(vectors)
    return result


def _map(vectors_of_side: dict[str, Sequence[Tensor]]) -> dict[str, dict[str, list[list[float]]]]:
    """side -> three [N, D] -> side -> group -> [[x, y]], on the same axes for both sides."""
    vectors = [group[:MAX_POINTS] for groups in vectors_of_side.values() for group in groups]
    coordinates = iter(principal_plane(*vectors))
    return {side: {name: _rounded(next(coordinates)) for name in GROUPS} for side in vectors_of_side}


def _rounded(points: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in point] for point in points.tolist()]


def _mean(total, count):
    return total / count


def _interval(table, statistic, seed: int) -> list[float | None]:
    sums = np.asarray(table, dtype=float).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.asarray(statistic(*sums[:, None])).reshape(-1)[0])
    return [_rounded_or_none(value), *map(_rounded_or_none, bootstrap.bootstrap(table, statistic, seed=seed))]


def _rounded_or_none(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None


def _metric_tables(
    lvlm, pairs, method, seed, photos, log, heads: ProjectionHeads | None
) -> tuple[dict[str, tuple[list, Callable]], Sequence[Tensor]]:
    """Per metric: sums of every photo, and the statistic of the sums; and the vectors of the representation map."""
    intervention, vectors = method.rows("")[0].intervention, ()
    tables: dict[str, tuple[list, Callable]] = {}
    values = margins(lvlm, pairs, intervention, seed)
    for name, value in values.items():
        tables[name] = (_by_photo(pairs, value), _mean)
    log(f"{method.name}: margins of {len(pairs)} pairs")
    rows_with_description = [row for row, pair in enumerate(pairs) if len(pair.chosen.split()) >= MIN_WORDS]
    first = {pairs[row].photo: row for row in reversed(rows_with_description)}
    one_pair_each = [pairs[row] for row in sorted(first.values())]
    if len(one_pair_each) > 1:
        states = end_states(lvlm, one_pair_each, intervention)
        vectors = tuple(normalize(group, dim=-1) for group in states)
        values_by_photo = {**retrieval(*vectors), "separability": separability(*vectors)}
        if heads is not None:
            through_heads = retrieval(
                heads.embed_photos(states[0]), heads.embed_texts(states[1]), heads.embed_texts(states[2])
            )
            values_by_photo |= {f"{name}_heads": through_heads[name] for name in ("retrieval", "told_apart")}
        for name, value in values_by_photo.items():
            tables[name] = ([(float(v), 1.0) for v in value], _mean)
        log(f"{method.name}: representations of {len(one_pair_each)} photos")
    pair_of_photo = {pair.photo: pair for pair in reversed(pairs) if pair.objects}
    captioned = [pair_of_photo[name] for name in sorted(pair_of_photo)][:photos]
    if captioned:
        rows = [row.sums() for row in caption_counts(lvlm, captioned, method)]
        for name in ("chair_i", "chair_s", "recall", "length"):
            tables[name] = (rows, chair.STATISTICS[name])
        log(f"{method.name}: captions of {len(captioned)} photos")
    return tables, vectors


def _by_photo(pairs: Sequence[Pair], values: Sequence[float]) -> list[tuple[float, float]]:
    sums: dict[str, list[float]] = {}
    for pair, value in zip(pairs, values, strict=True):
        total = sums.setdefault(pair.photo, [0.0, 0.0])
        total[0] += float(value)
        total[1] += 1
    return [tuple(sums[name]) for name in sorted(sums)]


@torch.no_grad()
def margins(
    lvlm: LVLM, pairs: list[Pair], intervention: Intervention | None = None, seed: int = 0
) -> dict[str, list[float]]:
    """margin, preferred (1 where it is positive) and visual_margin of every pair, in nats."""
    tokenized = examples.tokenize(lvlm, pairs)
    pixels = Pixels(lvlm, pairs, "diffusion", 500, seed)
    features = examples.encode_images(lvlm, pixels, vision_adapter=tower_adapter(lvlm, intervention))
    corrupted_images = features.corrupted_images or []
    values: dict[str, list[float]] = {"margin": [], "preferred": [], "visual_margin": []}
    for first in range(0, len(tokenized), BATCH):
        part = tokenized[first : first + BATCH]
        rows = [
            _packed_row(lvlm, one, features.images[one.photo], intervention, [one.chosen, one.rejected]) for one in part
        ]
        rows += [_packed_row(lvlm, one, corrupted_images[one.photo], intervention, [one.chosen]) for one in part]
        answer_states = packed_forward(lvlm, rows, intervention)
        token_logps = answer_logps(lm_logits(lvlm, answer_states.hidden), answer_states.ids)
        logps = masked_sum(token_logps, answer_states.mask)
        count = len(part)
        chosen, rejected, corrupted = logps[0 : 2 * count : 2], logps[1 : 2 * count : 2], logps[2 * count :]
        values["margin"] += (chosen - rejected).tolist()
        values["preferred"] += (chosen > rejected).float().tolist()
        values["visual_margin"] += (chosen - corrupted).tolist()
    return values


def _packed_row(
    lvlm: LVLM, one: examples.Example, image: ImageFeatures, intervention, answers: list[list[int]]
) -> PackedRow:
    image = image.to(lvlm.device)
    return PackedRow(lvlm.embed_prompt(one.prompt, image, visual_tokens(lvlm, image, "", intervention)), answers)


@torch.no_grad()
def end_states(
    lvlm: LVLM, pairs: list[Pair], intervention: Intervention | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states [N, D] in float32 at the end token of photos, truthful and hallucinated captions."""
    tokenized = examples.tokenize(lvlm, pairs)
    features = examples.encode_images(lvlm, Pixels(lvlm, pairs), vision_adapter=tower_adapter(lvlm, intervention))
    embedding = lvlm.decoder.get_input_embeddings()
    end = torch.tensor([lvlm.tokenizer.eos_token_id], device=lvlm.device)
    sequences = [
        torch.cat([visual_tokens(lvlm, features.images[one.photo].to(lvlm.device), "", intervention), embedding(end)])
        for one in tokenized
    ]
    for name in ("chosen", "rejected"):
        sequences += [embedding(torch.tensor(getattr(one, name), device=lvlm.device)) for one in tokenized]
    states = [
        end_token_states(lvlm, sequences[first : first + BATCH], intervention).float().cpu()
        for first in range(0, len(sequences), BATCH)
    ]
    return torch.cat(states).chunk(3)


def retrieval(image: Tensor, text: Tensor, hallucinated: Tensor) -> dict[str, Tensor]:
    """From photos to captions among hard negatives: three [N, D] unit vectors -> numbers of every photo [N].

    retrieval: 1 where the nearest of all 2N texts is its own caption; told_apart: 1 where that is nearer than its own
    hallucinated caption; distance: 1 - cosine of photo and caption.
    """
    scores = torch.cat([image @ text.T, image @ hallucinated.T], dim=1)  # [N, 2N]
    similarity, similarity_hallucinated = (image * text).sum(-1), (image * hallucinated).sum(-1)
    nearest = (scores.argmax(-1) == torch.arange(len(image))).float()
    return {
        "retrieval": nearest,
        "told_apart": (similarity > similarity_hallucinated).float(),
        "distance": 1 - similarity,
    }


def separability(image: Tensor, text: Tensor, hallucinated: Tensor) -> Tensor:
    """Cosine to the photo as a test of truthful against hallucinated captions: three [N, D] unit vectors -> [N].

    The mean is the AUC (0.5 is chance), the spread that of the AUC (DeLong et al. 1988): a photo counts with its
    truthful and with its hallucinated caption.
    """
    truthful, wrong = (image * text).sum(-1), (image * hallucinated).sum(-1)
    won = (truthful[:, None] > wrong).double() + 0.5 * (truthful[:, None] == wrong).double()  # [truthful, hallucinated]
    return won.mean(1) + won.mean(0) - won.mean()


def principal_plane(*groups: Tensor) -> list[Tensor]:
    """Groups of vectors [N_i, D] -> their coordinates [N_i, 2] on the two main axes of all of them (PCA)."""
    whole = torch.cat(groups)
    centred = whole - whole.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]  # [2, D]
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()  # an axis has no sign of its own
    return list((centred @ axes.T).split([len(group) for group in groups]))


def caption_counts(lvlm: LVLM, pairs: list[Pair], method) -> list[chair.ChairRow]:
    """CHAIR's counts of a greedy detailed description of every photo, by the objects that the pairs name."""
    texts = generate_answers(lvlm, [pair.open for pair in pairs], "Describe this image in detail.", method)
    mentions = [chair.object_mentions(text, "wide") for text in texts]
    truth = [object_names(pair.objects or ()) for pair in pairs]
    return chair.chair_rows(mentions, truth, [chair.count_words(text) for text in texts], "wide")


def table(result: dict[str, Any]) -> str:
    """The numbers as text."""
    lines = [f"{result['pairs']} held-out pairs of {result['photos']} photos, 95 % intervals over photos"]
    lines.append(f"{'':<15}{'before':>24}{'after':>24}{'difference':>24}")
    for name in result["after"]:
        cells = [_cell(result[side][name]) for side in ("before", "after", "difference")]
        lines.append(f"{name:<15}" + "".join(cell.rjust(24) for cell in cells))
    return "\n".join(lines)


def _cell(value: list[float | None]) -> str:
    if value[0] is None:
        return "undefined"
    spread = "" if value[1] is None or value[2] is None else f" [{value[1]:.3f} {value[2]:.3f}]"
    return f"{value[0]:.3f}{spread}"
