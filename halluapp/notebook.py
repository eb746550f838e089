"""halluapp in a notebook: a session around a loaded model of transformers, and reports that show themselves."""

from __future__ import annotations

import base64
import copy
import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp import report
from halluapp.comparison import stream, texts_of
from halluapp.data.files import write_text
from halluapp.data.photos import small_jpeg
from halluapp.decoding.events import Done
from halluapp.errors import InputError
from halluapp.request import make_request
from halluapp.session import Session as BaseSession
from halluapp.session import detector_of, lvlm_of
from halluapp.settings import Settings

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM
    from halluapp.methods.base import Method

FRAME_HEIGHT = 640  # pixels of a report in a notebook; it scrolls inside


class Session(BaseSession):
    """A loaded LVLM and detector with the short ways of a notebook; it is taken wherever a session is.

    model: a loaded model of transformers of any supported class, dense or quantized, on any device, which is switched
    to evaluation and otherwise left as it is; or a name as `--model` takes it ("pocket", a hub id, a folder).
    processor: transformers' processor of that model, for a loaded one only. detector: "pocket", a hub id, a folder, or
    an object with `name`, `labels` and `detect`. quantization: of a model that is named ("nf4", "int8" or "none").
    Raises InputError with one sentence.
    """

    def __init__(self, model: Any = "pocket", processor: Any = None, detector: Any = "pocket", quantization: str = ""):
        named = isinstance(model, str | Path)
        settings = replace(Settings.from_environment(), model=str(model) if named else "a loaded model")
        if isinstance(detector, str | Path):
            settings = replace(settings, detector=str(detector))
        if named:
            if processor is not None:
                raise InputError("A processor is given with a loaded model only; a named model brings its own.")
            settings = replace(settings, quantization=quantization or settings.quantization)
            lvlm, notice = lvlm_of(settings)
        else:
            lvlm, notice = _lvlm(model, processor, settings), ""
            lvlm.replay_mode = settings.fast
        if isinstance(detector, str | Path):
            detector = detector_of(settings, lvlm)
        super().__init__(lvlm, detector, notice)

    def __repr__(self) -> str:
        return f"Session({self.lvlm.name}, {self.lvlm.quantization}, {self.lvlm.device})"

    def compare(
        self, photo: Any, prompt: str, methods: Sequence[Method | str] | None = None, **sampling: Any
    ) -> Report:
        """One comparison -> its report. sampling: as `request.make_request`. Raises InputError."""
        request = make_request(photo, prompt, methods if methods is None else list(methods), **sampling)
        for event in stream(request, self):
            if isinstance(event, Done):
                return Report(event.report, small_jpeg(request.photo))
        raise RuntimeError("The comparison ended without a report.")

    def generate(self, photo: Any, prompt: str, method: Method | str = "baseline", **sampling: Any) -> str:
        """The text of one method, "nullu+vdd" for two stacked ones; no detector is asked. Raises InputError."""
        request = make_request(photo, prompt, [method], **sampling)
        return texts_of([request], self)[0].get(request.methods[0].name, "")

    def add_adapter(self, folder: str | Path, name: str = "") -> str:
        """Loads a training run or a LoRA of peft -> the name of its method, "adapter:NAME". Raises InputError."""
        from halluapp.lvlm import adapters

        folder = Path(folder)
        inner = folder / "adapter" if (folder / "adapter").is_dir() else folder
        adapter = adapters.load(self.lvlm, inner, name or folder.name)
        self.lvlm.adapters[adapter.name] = adapter
        return f"adapter:{adapter.name}"


class Report:
    """The report of a comparison. values: as `compare --json` writes it; photo: its JPEG bytes, None without one."""

    def __init__(self, values: dict[str, Any], photo: bytes | None = None):
        self.values, self.photo = values, photo

    @property
    def texts(self) -> dict[str, str]:
        """Method -> its answer; of a method that failed the sentence that says why."""
        return {panel["method"]: panel["error"] or panel["text"] for panel in self.values["panels"]}

    def __repr__(self) -> str:
        return "\n".join(f"{method}: {text}" for method, text in self.texts.items())

    def _repr_html_(self) -> str:
        """The exported page in a frame, so that neither its styles nor the notebook's change the other."""
        page = html.escape(report.html(self.values, self.photo), quote=True)
        style = f"width:100%;height:{FRAME_HEIGHT}px;border:0"
        return f'<iframe sandbox title="Comparison" style="{style}" srcdoc="{page}"></iframe>'

    def to_pandas(self) -> Any:
        """A DataFrame with a row a method: its text, how many mentions got each verdict, tokens, seconds, the error."""
        try:
            import pandas
        except ImportError as error:
            raise InputError(
                "A table needs the package pandas, which is not installed; .texts needs nothing."
            ) from error
        return pandas.DataFrame([self._row(panel) for panel in self.values["panels"]])

    def _row(self, panel: dict[str, Any]) -> dict[str, Any]:
        verdicts = [mention["verdict"] for mention in panel["mentions"]]
        return {
            "method": panel["method"],
            "text": panel["text"],
            **{name.replace(" ", "_"): verdicts.count(name) for name in report.MARKS},
            "tokens": len(panel["tokens"]),
            "seconds": panel["seconds"],
            "forward_passes": panel["forward_passes"],
            "error": panel["error"],
        }

    def save(self, path: str | Path) -> Path:
        """Writes the report with its photo -> the path; as a page where it ends in .html, else as JSON for `load`."""
        path = Path(path)
        if path.suffix.lower() in (".html", ".htm"):
            write_text(path, report.html(self.values, self.photo))
            return path
        photo = {"jpeg": base64.b64encode(self.photo).decode()} if self.photo else {}
        write_text(path, report.dumps({**self.values, "photo": {**self.values["photo"], **photo}}))
        return path

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """A report that `save` or `compare --json` wrote. Raises InputError for any other file."""
        values = report.plain(report.load(Path(path)).model_dump(exclude_unset=True))
        jpeg = values["photo"].pop("jpeg", None)
        return cls(values, base64.b64decode(jpeg) if isinstance(jpeg, str) else None)


def _lvlm(model: Any, processor: Any, settings: Settings) -> LVLM:
    """A loaded model of transformers and its processor as an LVLM, with the files that lie beside its checkpoint."""
    from halluapp.lvlm import loading, quantize
    from halluapp.lvlm.sidecar_files import attach

    if not hasattr(getattr(model, "config", None), "model_type"):
        raise InputError("A session takes a loaded model of transformers with its processor, or the name of a model.")
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        raise InputError("The model carries adapters of peft; give the plain model, and the adapter to add_adapter.")
    name = str(getattr(model, "name_or_path", "") or model.config.model_type)
    family = loading.family_of(model.config, name)
    if not isinstance(model, family.architecture_class()):
        raise InputError(f"The model is a {type(model).__name__}; load it as {family.architecture}.")
    lvlm_class = family.lvlm_class()
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise InputError("Give the model's processor too: transformers.AutoProcessor.from_pretrained(the same name).")
    parts = loading.Parts(
        copy.deepcopy(processor.tokenizer),  # the family sets templates and sizes, which must stay the person's own
        copy.deepcopy(processor.image_processor),
        loading.default_template(getattr(processor, "chat_template", None)),
        {part: getattr(processor, part) for part in lvlm_class.processor_parts},
    )
    lvlm = loading.assemble(model, lvlm_class, parts, name, quantize.checkpoint_quantization(model.config) or "none")
    attach(lvlm, Path(name), settings.assets / Path(lvlm.folder).name)
    return lvlm
