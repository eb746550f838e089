"""Measures the shipped model and writes its card: every number in the card comes out of this file."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from halluapp.data import shards
from halluapp.data.files import write_text
from halluapp.evaluation.scores import tables as evaluation_tables
from halluapp.recipes.pocket.packing import Packer
from halluapp.recipes.pocket.train import Pocket
from halluapp.session import load_session

DEV = {"coco-dev": "coco-dev-000.tar", "flickr8k-dev": "flickr8k-dev-000.tar"}
HALF = "reported"  # of both: runs and strengths were chosen on the other one
LIMITS = {"coco-dev": 0, "flickr8k-dev": 240}  # photos of that half; 0: all
QUESTIONS = 1  # yes/no questions a photo, of each kind of absent object and of each answer
TRAINED = ["chip", "hacl"]  # beside the default panels, among which AdaVIB is
KEYS = ("chair_i", "chair_s", "recall", "correct_objects_per_caption")
MARKS = "<!-- measured -->", "<!-- /measured -->"
RESULTS = "docs/results.md"  # beside the assets


def measure(data: Path, assets: Path, log=print, answers: Path | None = None) -> dict:
    """Caption loss, CHAIR, yes/no and detection on the development photos -> what `measured.json` holds.

    answers: keeps the methods' answers, so that a measurement that was killed decodes none twice.
    """
    from halluapp.evaluation import detection, harness
    from halluapp.evaluation.answers.store import AnswersStore
    from halluapp.methods.registry import defaults
    from halluapp.settings import Settings

    session = load_session(Settings(assets=assets))
    names = defaults() + TRAINED
    results = {}
    store = AnswersStore(answers) if answers else None
    for name, shard in DEV.items():
        log(f"measuring on {name}")
        scored = harness.evaluate(
            data / shard,
            methods=names,
            limit=LIMITS[name],
            session=session,
            log=log,
            half=HALF,
            store=store,
            questions_per_photo=QUESTIONS,
        )
        for method in scored["methods"]:
            method.pop("worst", None)
        results[name] = {
            "caption_loss": caption_loss(session.lvlm, data / shard, LIMITS[name]),
            "methods": scored,
            "detector": detection.measure(session.detector, data / shard, limit=LIMITS[name]),
        }
    return results


@torch.no_grad()
def caption_loss(lvlm, shard: Path, limit: int) -> float:
    """Mean cross-entropy in nats a token of the reference captions, teacher-forced, on the quantized model."""
    from halluapp.data.photos import read_photo
    from halluapp.data.wording import clean_sentence

    packer, pocket = Packer(lvlm.tokenizer, lvlm.model.config.image_seq_length), Pocket(lvlm.model, torch.nn.Identity())
    total = tokens = 0
    for number, sample in enumerate(shards.read(shard)):
        captions = sample.record.get("captions", [])
        if not captions:
            continue
        if limit and number >= limit:
            break
        visual = lvlm.project(lvlm.encode_image(read_photo(sample.jpeg)).features)[None]
        packed = packer.pack([[("Describe this image.", clean_sentence(caption)) for caption in captions]])
        total += float(pocket.language_loss(packed, visual)) * packed.answer_tokens
        tokens += packed.answer_tokens
    return round(total / tokens, 4)


def write(folder: Path, results: dict) -> None:
    """Writes measured.json and puts its tables between the marks of the model card and of docs/results.md."""
    write_text(folder / "measured.json", json.dumps(results, indent=1))
    for page in (folder / "README.md", folder.parent.parent / RESULTS):
        if page.is_file():  # an installed package has no docs/
            fill(page, MARKS, tables(results))


def fill(path: Path, marks: tuple[str, str], text: str) -> None:
    """Puts `text` between two marks of a Markdown file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, _, after = rest.partition(marks[1])
    write_text(path, f"{before}{marks[0]}\n{text}\n{marks[1]}{after}")


def tables(results: dict) -> str:
    """Markdown tables of `measure`'s result: CHAIR and yes/no of its methods with 95 % intervals, detector quality."""
    parts = []
    for name, result in results.items():
        scored, detector = result["methods"], result["detector"]
        parts.append(
            f"**{name}**, {scored['photos']} photos{_half(scored)}, vocabulary `{scored['vocabulary']}`, caption loss "
            f"{result['caption_loss']:.2f} nats a token. Detailed prompt, greedy, 80 new tokens."
        )
        parts.append(method_table(scored))
        if "repetition" in scored["methods"][0]["chair"]:
            parts.append(evaluation_tables.markdown(scored).strip())
        parts.append(
            f"Detector: presence precision {detector['precision']:.2f}, recall {detector['recall']:.2f}, "
            f"mean IoU of matched boxes {detector['mean_iou']:.2f} ({len(detector['labels'])} labels judged)."
        )
    return "\n\n".join(parts)


def _half(scored: dict) -> str:
    half = scored.get("half", "all")
    return "" if half == "all" else f" of the {half} half"


def method_table(scored: dict) -> str:
    """One row a method."""
    lines = [
        "| method | CHAIR_i | CHAIR_s | recall | correct objects | words | yes/no | precision | recall | yes-ratio |",
        "|" + "---|" * 10,
    ]
    for method in scored["methods"]:
        chair, pope, near = method["chair"], method["pope"], method["intervals"]
        cells = [_with_interval(chair[key], near["chair"].get(key)) for key in KEYS]
        cells += [f"{chair['length']:.1f}", _with_interval(pope["accuracy"], near["pope"].get("accuracy"))]
        cells += [f"{pope[key]:.2f}" for key in ("precision", "recall", "yes_ratio")]
        lines.append(f"| {method['method']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _with_interval(value: float, interval) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else f"{value:.3f}"
