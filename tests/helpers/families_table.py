"""The table of docs/families.md: what the tests try of every family, read from the registry and the tests' models."""

from __future__ import annotations

import inspect

# model_type -> the folder of real small files that test_skeletons.py makes a model of.
SKELETONS = {
    "llava": "llava-hf/llava-1.5-7b-hf",
    "llava_next": "llava-hf/llava-v1.6-mistral-7b-hf",
    "qwen2_5_vl": "Qwen/Qwen2.5-VL-3B-Instruct",
    "qwen3_vl": "Qwen/Qwen3-VL-8B-Instruct",
    "smolvlm": "HuggingFaceTB/SmolVLM-256M-Instruct",
    "idefics3": "ibm-granite/granite-docling-258M",
}
NF4 = {"qwen3_vl_moe": "attention only: the experts of a layer are one tensor"}


def table() -> str:
    """A row for every family that can be loaded."""
    import tiny
    import tiny_families

    from halluapp.lvlm.families import FAMILIES

    rows = []
    for kind, family in FAMILIES.items():
        lvlm_class = family.lvlm_class()
        tested = kind in tiny_families.KINDS or kind in tiny.KINDS
        config = f"`{family.architecture}`, tiny" if tested else "not tested"
        real = f"; real files of {SKELETONS[kind]}" if kind in SKELETONS else ""
        training = "CHiP, HACL, AdaVIB" if lvlm_class.trainable else "–"
        differs = " ".join((inspect.getdoc(lvlm_class) or "").split("\n\n")[0].split())
        lines = len(inspect.getsource(lvlm_class).splitlines())
        cells = (f"`{kind}`", config + real, "yes" if tested else "–", training, NF4.get(kind, "yes"), lines, differs)
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    head = "| type | tested on | decoding | training | NF4 | lines of its class | what differs |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])
