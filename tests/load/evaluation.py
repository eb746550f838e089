"""How much faster `evaluate` is in full batches than one photo, method and prompt at a time, in one run.

    python tests/load/evaluation.py --data coco-dev-000.tar --photos 300

Both take the same photos, some at a time by turns, so that a slow moment of the machine hits both. Exit code 1 where an
answer differs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
import torch  # noqa: E402

from halluapp.data.photos import read_photo  # noqa: E402
from halluapp.evaluation import harness  # noqa: E402
from halluapp.evaluation.answers import work  # noqa: E402
from halluapp.session import load_session  # noqa: E402
from halluapp.settings import Settings  # noqa: E402

METHODS = "baseline,nullu,adavib,vdd,calibration,chip,hacl"


def seconds_and_texts(decode, works: list[work.Work], most: int) -> tuple[float, float, list]:
    """Seconds of the clock and of the processor for works, and the text of every prompt by every method."""
    clock, processor = time.perf_counter(), time.process_time()
    results = [work.Answers.to(one.prompts) for one in works]
    for part in decode(works, most):
        results[part.number].add(part.answers, part.rows, works[part.number].methods)
    times = time.perf_counter() - clock, time.process_time() - processor
    return *times, [answers.texts for answers in results]


def one_at_a_time(decode, works: list[work.Work], most: int) -> tuple[float, float, list]:
    """As `seconds_and_texts`, each photo, prompt and method alone."""
    clock = processor = 0.0
    texts = [[{} for _ in one.prompts] for one in works]
    for number, one in enumerate(works):
        for (row, prompt), method in itertools.product(enumerate(one.prompts), one.methods):
            more = seconds_and_texts(decode, [work.Work(one.photo, [prompt], (method,))], most)
            clock, processor = clock + more[0], processor + more[1]
            texts[number][row].update(more[2][0][0])
    return clock, processor, texts


def main() -> int:
    """Prints seconds, ratios and how many answers differ as JSON -> exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    decode = work.by_session(load_session(Settings(threads=options.threads)), {})
    methods = tuple(harness.create_methods(METHODS.split(",")))
    samples = harness.annotated_samples(options.data)
    candidates = harness.annotated_photos(samples, ["chair", "pope"], 0)[0][: options.photos]
    sums, answers, different = dict.fromkeys(("alone", "alone_cpu", "batches", "batches_cpu"), 0.0), 0, 0
    for first in range(0, len(candidates), harness.PHOTOS):
        chunk = candidates[first : first + harness.PHOTOS]
        questions = [list(dict.fromkeys(question.text for question in photo.questions)) for photo, _ in chunk]
        for prompts, most in (([[harness.CAPTION_PROMPT]] * len(chunk), harness.CAPTION_TOKENS),
                              (questions, harness.ANSWER_TOKENS)):  # fmt: skip
            works = [
                work.Work(read_photo(jpeg), list(texts), methods)
                for (_, jpeg), texts in zip(chunk, prompts, strict=True)
            ]
            together, alone = seconds_and_texts(decode, works, most), one_at_a_time(decode, works, most)
            for name, value in zip(sums, (*alone[:2], *together[:2]), strict=True):
                sums[name] += value
            pairs = [
                pair for one, other in zip(alone[2], together[2], strict=True) for pair in zip(one, other, strict=True)
            ]
            answers += len(pairs) * len(methods)
            different += sum(one[method.name] != other[method.name] for one, other in pairs for method in methods)
        print(f"{first + len(chunk)} photos, {sums['alone'] / sums['batches']:.2f}", file=sys.stderr, flush=True)
    print(json.dumps({
        "photos": len(candidates), "methods": len(methods), "threads": options.threads, "answers": answers,
        "different": different, **{name: round(value, 2) for name, value in sums.items()},
        "ratio": round(sums["alone"] / sums["batches"], 3),
        "ratio_cpu": round(sums["alone_cpu"] / sums["batches_cpu"], 3),
    }))  # fmt: skip
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
