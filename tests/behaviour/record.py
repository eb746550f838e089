"""Records what a checkout answers, reports and learns for a fixed set of requests, and compares two records.

    python tests/behaviour/record.py record --tree CHECKOUT --out FOLDER
    python tests/behaviour/record.py compare FOLDER_BEFORE FOLDER_AFTER [--renamed OLD=NEW ..]

Only the command line of the checkout is used, so that any layout of the package can be recorded. Three models answer:
the embedded one, and two tiny checkpoints with random weights (LLaVA, Qwen2.5-VL) that are built here. Both records
must come from one machine and one environment: another CPU or another version of torch rounds differently.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from checkpoints import save_llava, save_qwen
from commands import Recorder
from differences import compare
from PIL import Image

CORE = "baseline,nullu,adavib,chip,hacl,vdd,calibration,vcd,icd,m3id,pai,dola"
STACKS = "deco,nullu+vdd,nullu+dola,adavib+calibration,chip+vcd,hacl+m3id,chip+pai,nullu+icd,nullu+adavib"
OPEN, YES_NO = "Describe this image.", "Is there a dog in the image?"
SAMPLED = ("--temperature", "0.7", "--seed", "3")
TUNED = (
    "--set", "vdd.alpha=0.5", "--set", "nullu.rank=1", "--set", "vcd.noise_step=300", "--set", "pai.gamma=1.5",
    "--temperature", "1.1", "--top-p", "0.9", "--top-k", "20", "--repetition-penalty", "1.2",
)  # fmt: skip
# name -> photo, prompt, further options; the embedded model answers all of them, the tiny ones those of FEW.
REQUESTS = {
    "street-greedy": ("street", OPEN, ()),
    "kitchen-sampled": ("kitchen", OPEN, SAMPLED),
    "kitchen-yes-no": ("kitchen", YES_NO, ()),
    "street-stop": ("street", OPEN, ("--stop", " and", "--stop", "do")),
    "street-tuned": ("street", OPEN, TUNED),
    "street-sampled": ("street", OPEN, SAMPLED),
    "kitchen-greedy": ("kitchen", OPEN, ()),
}
FEW = ("street-greedy", "kitchen-sampled", "kitchen-yes-no", "street-stop")
CORE_ONLY = ("street-stop", "street-tuned")
SHORT_RUN = ("--steps", "4", "--batch", "2", "--seed", "0")
RUNS = {  # family -> run -> further settings; Qwen's run is refused, which is recorded too
    "pocket": {"chip": (), "hacl": (), "adavib": ()},
    "llava": {"chip": ("--vision", "true"), "hacl": ("--train", "both", "--queue", "4"), "adavib": ("--samples", "1")},
    "qwen2_5_vl": {"chip": ("--mode", "joint")},
}
PAIRS = 60  # lines of assets/pairs that the runs learn from: 12 photos
ANNOTATED = {  # photo -> objects, caption
    "street": (["car", "person", "traffic light"], "A person and two cars near a traffic light."),
    "kitchen": (["chair", "bottle", "bowl"], "A chair near a table with a bottle and a bowl."),
    "park": (["dog", "person", "bench"], "A person with a dog near a bench."),
}
PARK = "assets/examples/park.png"
REFUSED = {
    "unknown-method": ("compare", PARK, "--prompt", OPEN, "--methods", "nonsense"),
    "unknown-parameter": ("compare", PARK, "--prompt", OPEN, "--set", "vdd.nonsense=1"),
    "no-photo": ("compare", "nowhere.png", "--prompt", OPEN),
    "empty-prompt": ("compare", PARK, "--prompt", " "),
    "no-data": ("evaluate", "nowhere"),
    "no-pairs": ("calibrate", "nowhere.jsonl", "--out", "nowhere.safetensors"),
}
TRAINING = ("chip", "hacl", "adavib", "pairs", "measure", "stop", "list", "plan", "bench")
COMMANDS = (
    ("compare",), ("evaluate",), ("search",), ("calibrate",), ("bench",), ("train",),
    *(("train", name) for name in TRAINING),
)  # fmt: skip


def record(tree: Path, out: Path) -> None:
    """Records everything into the new folder `out`."""
    out.mkdir(parents=True)
    started = time.monotonic()
    packages = (f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "tokenizers", "pillow"))
    (out / "machine.txt").write_text("\n".join([platform.platform(), platform.machine(), *packages]) + "\n")
    with tempfile.TemporaryDirectory(prefix="halluapp-record-") as work:
        recorder = Recorder(tree.resolve(), out, Path(work).resolve())
        write_data(recorder)
        commands(recorder)
        record_family(recorder, "pocket", ())
        for family, save in (("llava", save_llava), ("qwen2_5_vl", save_qwen)):
            save(recorder.work / family)
            record_family(recorder, family, ("--model", recorder.work / family, "--quantization", "none"))
        record_search_and_measure(recorder)
    print(f"recorded in {time.monotonic() - started:.0f} s")


def write_data(recorder: Recorder) -> None:
    """Annotated photos for `evaluate`, and the first pairs of assets/pairs for the runs."""
    annotated, pairs = recorder.work / "annotated", recorder.work / "learned"
    annotated.mkdir()
    for name, (objects, caption) in ANNOTATED.items():
        photo = Image.open(recorder.tree / "assets/examples" / f"{name}.png")
        photo.convert("RGB").save(annotated / f"{name}.jpg")
        (annotated / f"{name}.json").write_text(json.dumps({"objects": objects, "captions": [caption], "boxes": []}))
    pairs.mkdir()
    source = recorder.tree / "assets/pairs"
    lines = (source / "pairs.jsonl").read_text("utf-8").splitlines()[:PAIRS]
    (pairs / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for photo in {json.loads(line)["image"] for line in lines}:
        shutil.copy(source / photo, pairs)


def commands(recorder: Recorder) -> None:
    """Flags of all commands, refusals of bad input, and pairs of drawn scenes and of captioned photos."""
    for command in COMMANDS:
        process = recorder.command(*command, "--help")
        flags = dict.fromkeys(re.findall(r"--[a-z][a-z-]+", process.stdout), True)
        recorder.save("-".join(("help", *command)), process, {"flags": flags})
    for name, arguments in REFUSED.items():
        recorder.save(f"refused-{name}", recorder.command(*arguments), {})
    for name, source in (("scenes", "3"), ("photos", recorder.work / "annotated")):
        folder = recorder.work / f"pairs-{name}"
        recorder.folder(f"pairs-{name}", folder, "train", "pairs", f"--{name}", source, "--out", folder)


def record_family(recorder: Recorder, family: str, model: tuple) -> None:
    """HalluSpace, runs, comparisons with the runs as further panels, export and evaluation of one model."""
    space = recorder.work / family / "hallu_space.safetensors"  # beside a tiny model, whose Nullu then uses it
    space.parent.mkdir(exist_ok=True)
    recorder.report(
        f"{family}-calibrate", "calibrate", "assets/pairs/pairs.jsonl", "--limit", "16",
        "--rank", "2" if family == "pocket" else "6", "--out", space, *model,
    )  # fmt: skip
    runs = record_runs(recorder, family, model)
    panels = ",".join([STACKS, *(f"adapter:{run.name}" for run in runs)])
    adapters = [part for run in runs for part in ("--adapter", run)]
    for name in REQUESTS if family == "pocket" else FEW:
        photo, prompt, options = REQUESTS[name]
        request = ("compare", f"assets/examples/{photo}.png", "--prompt", prompt, "--max-new-tokens", "20", *options)
        recorder.report(f"{family}-{name}-core", *request, *model, "--methods", CORE)
        if name not in CORE_ONLY:
            recorder.report(f"{family}-{name}-stacks", *request, *model, "--methods", panels, *adapters)
    pages = [recorder.work / f"{family}.html", recorder.work / f"{family}.md"]
    recorder.pages(
        f"{family}-pages", pages, "compare", PARK, "--prompt", OPEN, "--max-new-tokens", "12", *model,
        "--html", pages[0], "--markdown", pages[1],
    )  # fmt: skip
    data, methods = recorder.work / "annotated", ("--methods", "baseline,vdd")
    recorder.report(f"{family}-evaluate", "evaluate", data, "--metrics", "chair,pope", *methods, *model)


def record_runs(recorder: Recorder, family: str, model: tuple) -> list[Path]:
    """Short runs -> folders of those that have a result; LLaVA's chip and hacl also become its own adapters."""
    folders = []
    for kind, settings in RUNS[family].items():
        folder = recorder.work / f"runs-{family}" / f"{kind}-run"
        arguments = ("--data", recorder.work / "learned", "--out", folder, *SHORT_RUN, *settings, *model)
        recorder.folder(f"{family}-train-{kind}", folder, "train", kind, *arguments)
        folders += [folder] if (folder / "adapter").is_dir() else []
    for folder in folders if family == "llava" else ():
        kind = folder.name.removesuffix("-run")
        if kind != "adavib":  # its projector stands beside the checkpoint already
            shutil.copytree(folder / "adapter", recorder.work / family / "adapters" / kind)
    return folders


def record_search_and_measure(recorder: Recorder) -> None:
    """`search` with the tiny LLaVA, and its CHiP run before and after."""
    data, model = recorder.work / "annotated", ("--model", recorder.work / "llava", "--quantization", "none")
    recorder.report("llava-search", "search", data, "--method", "vdd", "--grid", "alpha=0.5,1", *model)
    run = recorder.work / "runs-llava" / "chip-run"
    recorder.folder("llava-measure", run, "train", "measure", run, "--photos", "2")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--tree", type=Path, required=True, help="root of a checkout")
    recording.add_argument("--out", type=Path, required=True, help="new folder")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW", help="a key that was renamed")
    options = parser.parse_args()
    if options.command == "record":
        record(options.tree, options.out)
        return 0
    renamed = dict(pair.split("=", 1) for pair in options.renamed)
    return 0 if compare(options.before, options.after, renamed) else 1


if __name__ == "__main__":
    sys.exit(main())
