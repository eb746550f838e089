"""All text about the model: its line in the header, the list of others, its card, what the embedded one cannot do."""

LOADING = "Loading the model…"
LINE = "{name} · {precision} · {dtype} · {detector}{notice}"
PRECISIONS = {"nf4": "NF4 4-bit", "int8": "8-bit", "none": "not quantized"}
STAGES = {
    "files": "{model}: looking at its files…",
    "fetching": "{model}: fetching its files, {done} of {total} GB…",
    "turn": "{model}: waiting for the comparisons before it…",
    "weights": "{model}: reading its weights…",
    "tensors": "{model}: reading its weights, {done} of {total} tensors…",
    "warm-up": "{model}: a first answer…",
}
FREE = "{free} GB are free on {where}; the loaded model gives back {loaded} GB when it goes."
FREE_ALONE = "{free} GB are free on {where}."
PLACES = {True: "the GPU", False: "this machine"}
NEEDS = "about {need} GB to start"
UNCOUNTED = "counted when it is chosen"
HERE, TO_FETCH, EMBEDDED_FILES = "files on this machine", "would be downloaded", "comes with the app"
PARAMETERS = "{count} B parameters"
FEW_PARAMETERS = "{count} M parameters"
SLOW = "Without a GPU a model of this size takes minutes for an answer."
ABSENT = "Not on this machine, and the hub is switched off here (HF_HUB_OFFLINE)."
EMBEDDED_LICENCE = "research use only, Apache-2.0 code"
OWN_LICENCE = "licence: see its folder or card"
FIXED = "This server keeps the model that it runs."
FAILED = "The model could not be changed; open the page again."
NOT_A_CHOICE = "This is no choice of the list; open the page again."
# What the page's script writes on its own.
WORDS = {
    "title": "Model", "quantization": "Quantization", "load": "Load", "loaded": "loaded", "card": "card",
    "family": "family", "needs": "memory", "free_field": "Another model: folder on this machine or hub id",
    "placeholder": "OWNER/NAME or a folder", "list": "Models",
    "about": "Everybody on this server gets the model that is loaded. Comparisons that wait or run end on the old one. "
    "Memory is an estimate for the start: the weights and at most 2.5 GB to work in. "
    "Many panels or long answers need more of it.",
}  # fmt: skip
QUANTIZATIONS = {"nf4": "NF4, 4 bits", "int8": "8 bits", "none": "none"}
TRAINED = (
    "The embedded model answers in English: descriptions, lists, yes or no, which animal, colours, counts to four, "
    "a choice of answers."
)
GENERAL = "{model} follows free instructions; its card says in which languages and what it was trained on."
RANDOM = "{model} has random weights: its answers are noise."
# Kinds of prompts that the embedded model was not trained for.
LIMITS = {
    "language": "The embedded model knows English only: ask in English.",
    "count": "The embedded model counts to four at most: take a number as a guess.",
    "reading": "The embedded model cannot read text in a photo, and should say so.",
    "person": "The embedded model cannot tell who a person is, and should say so.",
    "time": "The embedded model cannot tell what came before or comes after, nor why.",
    "task": "The embedded model only describes the photo and answers questions about it: no stories, code or sums.",
}


def precision(quantization: str | None) -> str:
    """A quantization as a person reads it."""
    return PRECISIONS.get(quantization or "none", str(quantization))


def line(name: str, quantization: str, dtype: str, detector: str, notice: str) -> str:
    """What runs, in one line."""
    return LINE.format(
        name=name, precision=precision(quantization), dtype=dtype, detector=detector,
        notice=f" · {notice}" if notice else "",
    )  # fmt: skip


def answered_by(name: str, quantization: str | None) -> str:
    """Which model gave an answer."""
    return f"{name}, {precision(quantization)}" if quantization else name
