"""`halluapp inspect`: what one word of an answer rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.cli import common
from halluapp.errors import InputError, quotation

if TYPE_CHECKING:
    from halluapp.inspection.question import Question

DEFAULT_VIEWS = "evidence,reliance,attention,occlusion,prior"


def add(commands) -> None:
    """Adds the command."""
    command = common.add_command(commands, "inspect", "what one word of an answer rests on", run)
    command.add_argument("photo", type=Path, help="JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF")
    command.add_argument("prompt", help="a question or a request about the photo")
    command.add_argument("--method", default="baseline", help="whose answer is looked into (default: baseline)")
    command.add_argument("--word", default="1", help="its number in the answer, or the word itself (default: 1)")
    command.add_argument(
        "--views",
        default=DEFAULT_VIEWS,
        help="of evidence, reliance, attention, occlusion, counterfactual, prior, space, visual, separated by commas "
        f"(default: {DEFAULT_VIEWS})",
    )
    command.add_argument("--box", default="0,0,1,1", help="what the counterfactual covers (default: 0,0,1,1)")
    common.add_methods(command)
    command.add_argument("--max-new-tokens", type=int, default=80, help="most tokens of the answer")
    command.add_argument("--seed", type=int, default=0, help="of the noise in the photo's views")


def run(options) -> int:
    """Decodes the answer of the method, prints what its word rests on, writes the JSON -> exit code."""
    from halluapp.inspection import question as questions
    from halluapp.methods import registry

    views = [name.strip() for name in options.views.split(",") if name.strip()]
    if unknown := [name for name in views if name not in questions.VIEWS]:
        raise InputError(f"There is no view {quotation(unknown[0])}; known are {', '.join(questions.VIEWS)}.")
    box = _box(options.box)
    methods, name = common.methods_of(options), registry.canonical(options.method)
    if name not in [method.name for method in methods]:
        methods = [registry.create(name), *methods]
    session = common.session_of(options)
    question = questions.ask(
        session.lvlm, options.photo, options.prompt, methods, name, options.word, box,
        max_new_tokens=options.max_new_tokens, seed=options.seed,
    )  # fmt: skip
    results = {view: questions.inspect(session.lvlm, question.about(view)) for view in views}
    text = session.lvlm.decode(list(question.ids))
    result = {"schema": 1, "model": session.lvlm.name, "prompt": question.prompt, "method": name, "text": text,
              "word": question.word, "views": results}  # fmt: skip
    files = common.write_json(result, options.out_json)
    print(f"{name}: {text}")
    for view in views:
        _print(results[view], question)
    common.print_files(files)
    return 0


def _box(text: str) -> tuple[float, float, float, float]:
    """A box from X0,Y0,X1,Y1. Raises InputError."""
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = 0.0
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise InputError(f"--box {quotation(text)} is no box; give X0,Y0,X1,Y1 from 0 to 1, as in 0.1,0.2,0.5,0.9.")
    return x0, y0, x1, y1


def _print(result: dict[str, Any], question: Question) -> None:
    """One view in a few lines."""
    view, word = result["view"], result["word"]
    print(f"\n{view} of {word['text']!r} (word {word['number']})")
    if view == "evidence":
        print(f"  {'plain model, photo':24} {result['photo']:.4f}\n  {'plain model, no photo':24} {result['none']:.4f}")
        for line in result["methods"]:
            print(f"  {line['title']:24} {line['error'] or format(line['p'], '.4f')}")
    elif view == "reliance":
        part = result["reliance"][word["first"] : word["last"] + 1]
        print(f"  {sum(part):+.2f} nats from the photo, mean of all tokens {_mean(result['reliance']):+.2f}")
    elif view == "attention":
        shares = dict(
            zip(result["kinds"], (_mean(column) for column in zip(*result["layers"], strict=True)), strict=True)
        )
        print("  " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items()))
        _print_best(result)
    elif view == "occlusion":
        print(f"  log p {result['logp']:.2f}")
        _print_best(result)
    elif view == "counterfactual":
        survivors = [text for text, survives in result["words"] if survives]
        print(f"  {result['text']}\n  {len(survivors)} of {len(result['words'])} words survive")
    elif view == "prior":
        for line in result["probe"]:
            print(f"  {line['view']:6} " + "  ".join(f"{text.strip()!r} {p:.2f}" for text, p in line["top"][:5]))
    elif view == "space":
        for layer, energy in zip(result["layers"], result["energy"], strict=True):
            part = energy[word["first"] : word["last"] + 1]
            print(f"  layer {layer}: {_mean(part):.2%} of its state, by chance {result['expected']:.2%}")
    else:
        print(f"  mean entropy {_mean([token['entropy'] for token in result['tokens']]):.2f} nats")


def _print_best(result: dict[str, Any]) -> None:
    """The three strongest cells of a map."""
    for cell in sorted(result["cells"], key=lambda cell: -cell["value"])[:3]:
        print(f"  {cell['value']:+.3f} in {', '.join(f'{edge:.2f}' for edge in cell['box'])}")


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0
