"""`python -m halluapp.recipes.pocket.contact_sheet --data DIR --out FILE.html`: photos with all methods' answers.

For our own eyes: the file holds photos that may not be shared, so it is never committed.
"""

from __future__ import annotations

import argparse
import base64
import html
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from halluapp.data.files import write_text
from halluapp.data.photos import read_photo
from halluapp.data.shards import Sample
from halluapp.evaluation import chair, harness
from halluapp.evaluation.annotations import read_samples
from halluapp.evaluation.halves import of_half
from halluapp.grounding.evidence import evidence_of
from halluapp.grounding.verdicts import judge_text
from halluapp.recipes.endings import exit_code
from halluapp.recipes.pocket.model_card import DEV, TRAINED
from halluapp.session import load_session
from halluapp.settings import Settings

TOKENS, PHOTOS = 60, 40
COLOURS = {"grounded": "#0a7d32", "contradicted": "#c1121f", "not sure": "#9a6700"}
HEAD = (
    "<!doctype html><meta charset=utf-8><title>Contact sheet</title><style>body{font:14px sans-serif;margin:1em}"
    "article{display:flex;gap:1em;border-top:1px solid #ccc;padding:1em 0}img{width:220px;height:auto}"
    "dt{font-weight:bold}dd{margin:0 0 .4em 0}small{color:#555}</style>"
)


def sheet(rows: Sequence[tuple[Sample, Mapping[str, str], Mapping[str, list[dict[str, Any]]]]]) -> str:
    """(photo, method -> text, method -> verdicts) -> HTML; mentions are coloured by their verdict, false ones struck.

    Texts and names are escaped.
    """
    parts = [HEAD]
    for sample, texts, judged in rows:
        vocabulary = chair.vocabulary_of([sample.record])
        truth = chair.truth_of(sample.record, vocabulary)
        picture = base64.b64encode(sample.jpeg).decode()
        parts.append(f'<article><div><img alt="" src="data:image/jpeg;base64,{picture}"><br>')
        parts.append(f"<small>{html.escape(sample.key)}<br>{html.escape(', '.join(sorted(truth)))}</small></div><dl>")
        for name, text in texts.items():
            parts.append(f"<dt>{html.escape(name)}</dt><dd>")
            parts.append(f"{_marked(text, judged.get(name, []), _wrong_ends(text, truth, vocabulary))}</dd>")
        parts.append("</dl></article>")
    return "".join(parts)


def _wrong_ends(text: str, truth: set[str], vocabulary: chair.Vocabulary) -> set[int]:
    """Where the mentions end that the annotations say are not there."""
    exact = vocabulary == "coco"
    ends = chair.mention_ends(text, vocabulary)
    return {end for name, end in ends if chair.chair_row([name], truth, exact=exact).hallucinated}


def _marked(text: str, judged: Sequence[Mapping[str, Any]], wrong_ends: set[int]) -> str:
    pieces, end = [], 0
    for verdict in judged:
        pieces.append(html.escape(text[end : verdict["start"]]))
        word = html.escape(text[verdict["start"] : verdict["end"]])
        colour = COLOURS.get(verdict["verdict"], "#555")
        wrong = verdict["end"] in wrong_ends
        pieces.append(f'<b style="color:{colour}">{f"<s>{word}</s>" if wrong else word}</b>')
        end = verdict["end"]
    return "".join(pieces) + html.escape(text[end:])


def make(data: Path, out: Path, assets: Path, photos: int = PHOTOS, log=print) -> None:
    """Decodes and judges the first photos of the reported half of both development sets, half of them each."""
    from halluapp.methods.registry import defaults

    session = load_session(Settings(assets=assets))
    answer = harness.decoder(session, harness.create_methods([*defaults(), *TRAINED]))
    rows = []
    for shard in DEV.values():
        samples = of_half(read_samples(data / shard)[0], "reported")
        for sample in samples[: photos // len(DEV)]:
            image = read_photo(sample.jpeg)
            texts = answer(image, [harness.CAPTION_PROMPT], TOKENS).texts[0]
            evidence = evidence_of(session.detector, image)
            rows.append((sample, texts, {name: judge_text(text, evidence) for name, text in texts.items()}))
        log(f"{len(rows)} photos")
    write_text(out, sheet(rows))


def main(arguments: list[str] | None = None) -> int:
    """Makes the sheet -> exit code: 0, or 2 with one clear line."""
    parser = argparse.ArgumentParser(prog="python -m halluapp.recipes.pocket.contact_sheet", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the photo shards")
    parser.add_argument("--out", type=Path, required=True, help="the HTML file")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    return exit_code(lambda: make(options.data, options.out, Settings.from_environment().assets, options.photos))


if __name__ == "__main__":
    sys.exit(main())
