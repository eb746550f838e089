"""All settings in one frozen object; the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halluapp.errors import InputError
from halluapp.machine import folder_problem, is_loopback

_PACKAGE = Path(__file__).resolve().parent
# An ordinary install carries the assets in the package (setup.py); in a checkout they lie beside it.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
FAST_MODES = ("auto", "off", "on")
TRAINING_MODES = ("auto", "on", "off")
QUANTIZATIONS = ("nf4", "int8", "none")
DEVICE_MAPS = ("", "auto", "balanced", "balanced_low_0", "sequential")
DTYPES = ("auto", "float32", "bfloat16", "float16")
MODELS, DETECTORS = ("pocket", "auto"), ("pocket", "auto", "shared")  # words; anything else is a hub id or a folder
RANDOM = "random:"  # a model of random weights, by name
RANDOM_MODELS = ("llava-1.5-7b", "qwen2.5-vl-7b", "qwen-tiny", "llava-tiny")
MOST_THREADS, MOST_PORT, LEAST_TOKEN = 1024, 65535, 16
WORDS = ("model", "detector", "quantization", "device", "device_map", "offload", "dtype", "fast", "training",
         "operator_token", "auth")  # fmt: skip
SERVER_NUMBERS = {  # of a server: least, most
    "queue": (1, 500), "rate": (0, 100_000), "switch_seconds": (0, 86_400), "upload_mb": (1, 1000),
    "disk_hours": (1, 9000), "disk_mb": (100, 10**7), "results_days": (1, 9000), "results_mb": (10, 10**7),
}  # fmt: skip
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*")
_MEMORY = re.compile(r"(\d{1,3}|cpu)=\d{1,9}(\.\d{1,3})?(GB|GiB|MB|MiB)(,|$)", re.IGNORECASE)
_HOST = re.compile(r"[\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_TRUE = ("1", "true", "t", "on", "yes")


@dataclass(frozen=True)
class Settings:
    """Where and how the app runs.

    model: "pocket" (the embedded LVLM), "auto" (what fits the GPU), a hub id or a local folder.
    models: what visitors may switch to; (): on a public server nothing else, elsewhere anything.
    quantization: "nf4", "int8" or "none".
    dtype: of the weights that are not quantized, "float32", "bfloat16" or "float16"; "auto": what the device can do.
    fast: decode steps replayed from CUDA graphs; "auto": where they were measured to be faster, "off", "on": anyway.
    device_map: "" (all of a model on `device`), or how accelerate spreads it over cards, main memory and disk: "auto",
    "balanced", "balanced_low_0", "sequential". max_memory: what a device may hold of it at most, "0=20GiB,cpu=60GiB".
    offload: folder for weights that fit neither cards nor main memory ("": such a model is refused).
    detector: "auto" (D-FINE or RT-DETRv2 from the hub's cache, else the embedded one), "pocket" (embedded), a hub id
    or a local folder of a transformers object detector.
    runs: folder of the training runs. port 0: a free one.
    training: "on", "off", or "auto": on unless the server is public.
    operator_token: whoever gives it may do everything with every run ("": nobody).
    auth: NAME:PASSWORD that the page and the API ask for ("": none).
    queue: how many comparisons may wait. rate: comparisons a minute and address (0: any number).
    switch_seconds: on a public server, from the end of a switch to another model to the next one.
    upload_mb: of one uploaded file. disk_hours, disk_mb: age and size that uploads and reports may have on the disk.
    results: folder of kept comparisons and votes (None: none is kept). results_days, results_mb: their age and size.
    hosts: names, beside loopback's, by which requests may call the server; (): any on a public one, elsewhere no other.
    exposed: others reach the server although it listens to this machine only, through a proxy or a share link.
    space, zero_gpu: running on Hugging Face Spaces, on ZeroGPU.
    """

    model: str = "pocket"
    models: tuple[str, ...] = ()
    detector: str = "auto"
    quantization: str = "nf4"
    device: str = "auto"
    device_map: str = ""
    max_memory: str = ""
    offload: str = ""
    dtype: str = "auto"
    fast: str = "auto"
    assets: Path = ASSETS
    runs: Path = Path("runs")
    host: str = "127.0.0.1"
    port: int = 7860
    max_new_tokens: int = 80
    threads: int = 0
    training: str = "auto"
    operator_token: str = field(default="", repr=False)
    auth: str = field(default="", repr=False)
    queue: int = 32
    rate: int = 0
    switch_seconds: int = 60
    upload_mb: int = 50
    disk_hours: int = 24
    disk_mb: int = 2000
    results: Path | None = None
    results_days: int = 365
    results_mb: int = 2000
    hosts: tuple[str, ...] = ()
    exposed: bool = False
    space: bool = False
    zero_gpu: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads HALLUAPP_MODEL, HALLUAPP_MODELS (a list with commas), HALLUAPP_DETECTOR, HALLUAPP_QUANTIZATION,
        HALLUAPP_DEVICE, HALLUAPP_DEVICE_MAP, HALLUAPP_MAX_MEMORY, HALLUAPP_OFFLOAD, HALLUAPP_DTYPE, HALLUAPP_FAST,
        HALLUAPP_THREADS, HALLUAPP_RUNS, HALLUAPP_TRAINING, HALLUAPP_OPERATOR_TOKEN, HALLUAPP_PUBLIC, HALLUAPP_AUTH,
        HALLUAPP_QUEUE, HALLUAPP_RATE, HALLUAPP_UPLOAD_MB, HALLUAPP_DISK_HOURS, HALLUAPP_DISK_MB, HALLUAPP_RESULTS,
        HALLUAPP_RESULTS_DAYS, HALLUAPP_RESULTS_MB, HALLUAPP_HOSTS, HALLUAPP_SWITCH_SECONDS and gradio's
        host, port, share link and root path; "" is like none.

        Raises InputError for a number that is none.
        """
        space = "SPACE_ID" in environment
        host = "0.0.0.0" if space else cls.host
        public, share = environment.get("HALLUAPP_PUBLIC", ""), environment.get("GRADIO_SHARE", "")
        words: dict[str, Any] = {
            name: environment.get(f"HALLUAPP_{name.upper()}") or getattr(cls, name) for name in WORDS
        }
        numbers: dict[str, Any] = {
            name: _whole_number(environment, f"HALLUAPP_{name.upper()}", getattr(cls, name), most)
            for name, (_, most) in SERVER_NUMBERS.items()
        }
        return cls(
            **words,
            models=_names(environment, "HALLUAPP_MODELS"),
            hosts=_names(environment, "HALLUAPP_HOSTS"),
            max_memory=environment.get("HALLUAPP_MAX_MEMORY", "").replace(" ", ""),
            runs=Path(environment.get("HALLUAPP_RUNS") or cls.runs),
            results=Path(environment["HALLUAPP_RESULTS"]) if environment.get("HALLUAPP_RESULTS") else None,
            threads=_whole_number(environment, "HALLUAPP_THREADS", cls.threads, MOST_THREADS),
            host=environment.get("GRADIO_SERVER_NAME") or host,
            port=_whole_number(environment, "GRADIO_SERVER_PORT", cls.port, MOST_PORT),
            **numbers,
            exposed=public.lower() in _TRUE or share.lower() in _TRUE or bool(environment.get("GRADIO_ROOT_PATH")),
            space=space,
            zero_gpu=environment.get("SPACES_ZERO_GPU", "").lower() in _TRUE,
        )

    @property
    def public(self) -> bool:
        """Whether strangers can reach the server: on a Space, beyond loopback, through a proxy or a share link."""
        return self.space or self.exposed or not is_loopback(self.host)

    @property
    def trains(self) -> bool:
        """Whether visitors can train."""
        return self.training == "on" or (self.training == "auto" and not self.public)

    def checked(self, serving: bool = False) -> Settings:
        """The same settings. Raises InputError with a sentence for each one that cannot be used."""
        if sentences := check(self, serving):
            raise InputError(" ".join(sentences))
        return self


def _names(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, environment.get(name, "").split(","))))


def _whole_number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = (environment.get(name) or "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise InputError(f"{name} is {text[:40]!r}; use a whole number from 0 to {most}.")
    return int(text)


def check(settings: Settings, serving: bool = False) -> list[str]:
    """One sentence for each setting that cannot be used; reads folders and the device, changes nothing.

    serving: also the settings that only a server needs, such as port and folder of runs.
    """
    return [sentence for sentence in (*_model_problems(settings), *_server_problems(settings, serving)) if sentence]


def _model_problems(settings: Settings) -> Iterator[str]:
    words = {"quantization": QUANTIZATIONS, "fast": FAST_MODES, "dtype": DTYPES}
    for name, choices in words.items():
        yield _word_problem(f"HALLUAPP_{name.upper()}", getattr(settings, name), choices)
    if not 0 <= settings.threads <= MOST_THREADS:
        yield f"HALLUAPP_THREADS is {settings.threads}; use 0 (torch's own choice) to {MOST_THREADS}."
    yield _device_problem(settings.device)
    yield from _spread_problems(settings)
    yield model_problem(settings.model)
    yield _checkpoint_problem("detector", settings.detector, DETECTORS)


def _server_problems(settings: Settings, serving: bool) -> Iterator[str]:
    if not serving:
        return
    yield from map(model_problem, dict.fromkeys(settings.models))
    yield _word_problem("HALLUAPP_TRAINING", settings.training, TRAINING_MODES)
    if not 0 <= settings.port <= MOST_PORT:
        yield f"The port is {settings.port}; use 0 (a free one) to {MOST_PORT}."
    if 0 < len(settings.operator_token) < LEAST_TOKEN:
        yield f"HALLUAPP_OPERATOR_TOKEN is too easy to guess; use {LEAST_TOKEN} characters or more."
    for name, (least, most) in SERVER_NUMBERS.items():
        if not least <= (value := getattr(settings, name)) <= most:
            yield f"HALLUAPP_{name.upper()} is {value}; use {least} to {most}."
    for host in settings.hosts:
        if not _HOST.fullmatch(host):
            yield f"HALLUAPP_HOSTS names {host[:40]!r}; use names or addresses without http:// and port."
    if settings.auth and not all(settings.auth.partition(":")):
        yield "HALLUAPP_AUTH is not NAME:PASSWORD; write both with a colon between them."
    folders = {"runs": None if settings.zero_gpu else settings.runs, "results": settings.results}  # nobody trains there
    for name, folder in folders.items():
        if folder:
            remedy = f"set HALLUAPP_{name.upper()} to one that you may write to"
            yield folder_problem(folder, f"The folder of {name}", remedy)


def _word_problem(name: str, value: str, choices: tuple[str, ...]) -> str:
    choices_text = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return "" if value in choices else f"{name} is {value[:40]!r}; use {choices_text}."


def _device_problem(device: str) -> str:
    if not _DEVICE.fullmatch(device):
        return f"HALLUAPP_DEVICE is {device[:40]!r}; use auto, cpu, cuda or cuda:N."
    if not device.startswith("cuda"):
        return ""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return f"HALLUAPP_DEVICE is {device}, but torch finds no CUDA device here; use auto or cpu."
    index = int(device.partition(":")[2] or 0)
    return "" if index < count else f"HALLUAPP_DEVICE is {device}, but the last CUDA device is cuda:{count - 1}."


def model_problem(model: str) -> str:
    """What is wrong with the name of a model, in one sentence; "" for nothing."""
    if not model.startswith(RANDOM):
        return _checkpoint_problem("model", model, MODELS)
    name = model.removeprefix(RANDOM)
    names = ", ".join(RANDOM_MODELS)
    return "" if name in RANDOM_MODELS else f"There is no random model {name[:40]!r}; use {names}."


def _spread_problems(settings: Settings) -> Iterator[str]:
    """What keeps a model from being spread over devices as the settings say."""
    limits = {"HALLUAPP_MAX_MEMORY": settings.max_memory, "HALLUAPP_OFFLOAD": settings.offload}
    if settings.device_map not in DEVICE_MAPS:
        yield _word_problem("HALLUAPP_DEVICE_MAP", settings.device_map, DEVICE_MAPS[1:])
    elif not settings.device_map:
        yield from (f"{name} needs HALLUAPP_DEVICE_MAP; set it to auto." for name, value in limits.items() if value)
    elif ":" in settings.device or settings.zero_gpu:
        where = "on ZeroGPU there is one card" if settings.zero_gpu else f"HALLUAPP_DEVICE is {settings.device}"
        yield f"HALLUAPP_DEVICE_MAP spreads a model over devices, but {where}; leave one of them out."
    if settings.max_memory and _MEMORY.sub("", settings.max_memory):
        yield f"HALLUAPP_MAX_MEMORY is {settings.max_memory[:40]!r}; write it as 0=20GiB,1=20GiB,cpu=60GiB."
    if settings.offload:
        yield folder_problem(Path(settings.offload), "The folder of HALLUAPP_OFFLOAD", "name one that you may write to")


def _checkpoint_problem(name: str, value: str, words: tuple[str, ...]) -> str:
    """What is wrong with a model or a detector: a word, a folder with config.json, or a hub id."""
    if value in words:
        return ""
    folder = os.path.expanduser(value)  # Path's own raises where there is no such user, and where a name is too long
    if os.path.isdir(folder):
        lacking = not os.path.isfile(os.path.join(folder, "config.json"))
        return f"The {name}'s folder {value} holds no config.json; give the folder of a checkpoint." if lacking else ""
    if os.path.isfile(folder):
        return f"The {name} {value} is a file; give the folder of a checkpoint."
    if _HUB_ID.fullmatch(value):
        return ""
    choices_text = f"{', '.join(words)}, a hub id (OWNER/NAME) or a folder"
    return f"The {name} {value[:80]!r} is no folder here; use {choices_text}."
