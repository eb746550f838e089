"""The model of a server, and the switch to another: in the background, with its progress, and back if it fails.

Files are fetched while comparisons go on. The rest has its turn in the lane: comparisons before it end on the old
model, those behind it wait, and no tensor of theirs meets transformers' process-wide settings during a load. Where both
models fit, the old one stays until the new one has answered; else it goes before, and is loaded again after a failure.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger

from halluapp.decoding.events import Failed
from halluapp.errors import InputError
from halluapp.lvlm.base import EMBEDDED
from halluapp.lvlm.weights import files, progress
from halluapp.methods.baseline import Baseline
from halluapp.serving.lane import LANE
from halluapp.serving.models import choices
from halluapp.serving.models.folders import names_of, without_folders
from halluapp.session import Session, load_session, loaded_session, unload
from halluapp.settings import Settings

logger = getLogger(__name__)
STAGES = ("files", "turn", "weights", "warm-up")
BUSY = "{model} is being loaded; wait until it is there."
IN_USE = "{what}, with the loaded model; switch once that has ended."
REST = "The model of this server was switched a moment ago, and others wait for answers; switch again in {seconds} s."
PURPOSE = "Waiting for the model: {model} is being loaded."
FAILED = "{model} could not be loaded: {reason} {old} goes on answering."
FAULT = "{model} could not be loaded; the server's log says why. Choose another model."
LOST = "{model} could not be loaded, and {old} could not be loaded again: {reason} Choose another model."
WARM_UP_PROMPT, WARM_UP_SIDE = "Describe this image.", 64
MOST_WAITING = 10**6  # a switch always has a place in the lane


@dataclass(frozen=True)
class Progress:
    """A switch that goes on. stage: one of STAGES; done, total: bytes of files, or tensors of weights (0: unknown)."""

    title: str
    stage: str
    done: int = 0
    total: int = 0


class ModelSwitch:
    """current: the settings with the model that answers. progress: of a switch, else None. error: why the last one
    failed, one sentence, or "". count: of switches that have ended."""

    def __init__(self, settings: Settings):
        self.settings = self.current = settings
        self.progress: Progress | None = None
        self.error = ""
        self.count = 0
        self._begin = threading.Lock()
        self._swap = threading.RLock()
        self._uses: list[str] = []
        self._rest_end = 0.0  # until when a public server keeps its model, by time.monotonic

    def session(self) -> Session:
        """The loaded LVLM and detector, loaded on the first need; waits for a swap. Raises InputError."""
        with self._swap:
            return load_session(self.current)

    def ready_session(self) -> Session | None:
        """The session if it is loaded and nothing is being swapped; does not wait for a swap."""
        return loaded_session(self.current) if self.progress is None else None

    @property
    def model(self) -> str:
        """The model that answers as `Settings.model` names it; what "auto" chose, once that is loaded."""
        session = self.ready_session()
        if session is None or self.current.model != "auto":
            return self.current.model
        return choices.POCKET if session.lvlm.name == EMBEDDED else session.lvlm.name

    @contextmanager
    def use(self, what: str) -> Iterator[None]:
        """Keeps the model for long work outside the lane. what: is being done, words that begin a sentence."""
        with self._begin:
            if self.progress is not None:
                raise InputError(BUSY.format(model=self.progress.title))
            self._uses.append(what)
        try:
            yield
        finally:
            self._uses.remove(what)

    def begin(self, model: str, quantization: str) -> None:
        """Starts to load another model. Raises InputError where this server does not, or another is being loaded."""
        target = choices.target(self.settings, model, quantization)
        choice = choices.Choice(target.model)
        if missing := choices.absence(choice):
            raise InputError(missing)
        title = choice.title
        with self._begin:
            if self.progress is not None:
                raise InputError(BUSY.format(model=self.progress.title))
            if self._uses:
                raise InputError(IN_USE.format(what=self._uses[0]))
            if (rest := self._rest_end - time.monotonic()) > 0:
                raise InputError(REST.format(seconds=math.ceil(rest)))
            self.progress, self.error = Progress(title, STAGES[0]), ""
        threading.Thread(target=self._work, args=(target, title), daemon=True).start()

    def _work(self, target: Settings, title: str) -> None:
        try:
            if target != self.current or loaded_session(target) is None:
                try:
                    self._switch(target, title)
                finally:
                    if self.settings.public:
                        self._rest_end = time.monotonic() + self.settings.switch_seconds
        except InputError as error:
            self.error = without_folders(str(error), names_of(self.settings))
        except Exception:  # a thread that nobody waits for: whatever goes wrong is said on the page, the log has it all
            logger.exception("Switching to %s", target.model)
            self.error = FAULT.format(model=title)
        finally:
            self.count += 1
            self.progress = None

    def _switch(self, target: Settings, title: str) -> None:
        """Raises InputError; then the old model answers as before, or the sentence says that it cannot."""
        old = self.current
        old_title = choices.Choice(old.model).title
        try:
            if not choices.Choice(target.model).is_here:
                files.fetch(target.model, self._reporter(title, "files"))
            need = choices.need(target)
            self.progress = Progress(title, "turn")
            with LANE.turn(MOST_WAITING, purpose=PURPOSE.format(model=title)), self._swap:
                self._swap_models(old, target, title, need)
        except Lost as error:
            raise InputError(LOST.format(model=title, old=old_title, reason=error)) from error
        except (InputError, OSError, MemoryError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(FAILED.format(model=title, reason=_sentence(reason), old=old_title)) from error

    def _swap_models(self, old: Settings, target: Settings, title: str, need: int) -> None:
        room = choices.Room.now(target, loaded_session(old, wait=True))
        if sentence := choices.shortage(title, need, choices.most_bytes(target, room), room):
            raise InputError(sentence)
        if need > room.free or target.device_map:  # what is spread takes all that is free
            unload(old)
        if reason := self._load(target, title):
            unload(target)  # now that no error's frames hold parts of it
            try:
                if room.loaded:
                    load_session(old)
            except InputError as error:
                raise Lost(str(error)) from error
            raise InputError(reason)
        self.current = target
        unload(old)

    def _load(self, target: Settings, title: str) -> str:
        """Loads a model and lets it answer once -> "", or why it cannot."""
        try:
            with progress.listener(self._reporter(title, "weights")):
                self.progress = Progress(title, "weights")
                session = load_session(target)
            self.progress = Progress(title, "warm-up")
            warm_up(session)
        except (InputError, OSError, MemoryError, RuntimeError, ValueError) as error:
            return " ".join(str(error).split()) or type(error).__name__
        return ""

    def _reporter(self, title: str, stage: str) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            self.progress = Progress(title, stage, done, total)

        return report


class Lost(Exception):
    """The old model, which had gone to make room, could not be loaded again."""


def warm_up(session: Session) -> None:
    """One token about a grey photo: a model that cannot answer is refused before anybody asks it. Raises InputError."""
    from PIL import Image

    from halluapp.decoding import engine
    from halluapp.decoding.plan import Sampling
    from halluapp.decoding.views import Views

    photo = Image.new("RGB", (WARM_UP_SIDE, WARM_UP_SIDE), "grey")
    job = engine.Job(Views(session.lvlm, photo), WARM_UP_PROMPT, [Baseline()])
    for event in engine.decode(session.lvlm, job, Sampling(max_new_tokens=1)):
        if isinstance(event, Failed):
            raise InputError(event.error)


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."
