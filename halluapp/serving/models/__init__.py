"""The models of one server: loaded once, on the first need, and carried to every handler of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from halluapp import comparison
from halluapp.data.photos import read_photo
from halluapp.decoding.events import Event, Status
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.request import Request
from halluapp.serving import metrics, zero_gpu
from halluapp.serving.lane import LANE, never
from halluapp.serving.models import folders
from halluapp.serving.models.switch import ModelSwitch
from halluapp.serving.rates import RATES, address_of_caller
from halluapp.session import Session, is_loaded
from halluapp.settings import Settings
from halluapp.training import library

if TYPE_CHECKING:
    from halluapp.inspection.question import Question

LOADING = "Loading the model…"
MOST_TOKENS = 8192  # of all answers of a comparison on a public server, whose lane others wait for
LONG = (
    "This comparison may decode {tokens:,} tokens, and one on this server at most {most:,}; ask for fewer methods, "
    "samples or new tokens."
)
ROW_WORK = 0.2  # of a row, compared with the first one: rows of one step share the reading of the weights


def work_of(request: Request) -> float:
    """How long a comparison takes in the lane, compared with one row of 80 tokens."""
    return (1 + ROW_WORK * (request.rows - 1)) * request.sampling.max_new_tokens / Sampling.max_new_tokens


@dataclass(frozen=True)
class Models:
    """The settings of a server with the models that they name.

    runner: decodes in another process, on ZeroGPU; None: in this one. inspector: likewise, looks into an answer.
    """

    settings: Settings
    runner: comparison.Runner | None = None
    inspector: Callable[[Question], dict[str, Any]] | None = None

    @classmethod
    def of_server(cls, settings: Settings) -> Models:
        """The models of a server; on ZeroGPU they are loaded now, for its workers, elsewhere on the first need."""
        models = cls(settings)
        if not settings.zero_gpu:
            return models
        runner, inspector = zero_gpu.runner(models.session), zero_gpu.inspector(models.session)
        return replace(models, runner=runner, inspector=inspector)

    @cached_property
    def switch(self) -> ModelSwitch:
        """Which model answers, and the way to another."""
        return ModelSwitch(self.settings)

    @property
    def current(self) -> Settings:
        """The settings with the model that answers now."""
        return self.switch.current

    @cached_property
    def folder_names(self) -> dict[str, str]:
        """As `folders.names_of`: what strangers are told instead of folders."""
        return folders.names_of(self.settings)

    def session(self) -> Session:
        """The loaded LVLM and detector; the first call loads them. Raises InputError."""
        with folders.names_in_errors(self.folder_names):
            return self.switch.session()

    def change(self, model: str, quantization: str) -> None:
        """Starts to load another model for everybody. Raises InputError where this server does not."""
        RATES.check(address_of_caller(), self.settings.rate)
        with folders.names_in_errors(self.folder_names):
            self.switch.begin(model, quantization)

    def stream(self, request: Request, stop: Callable[[], bool] = never) -> Iterator[Event]:
        """Runs a comparison in the lane, the adapters of training runs among its methods included.

        It ends without `Done` where stop() was true before its turn came. Raises InputError, also for a full lane.
        """

        RATES.check(address_of_caller(), self.settings.rate)
        tokens = len(request.methods) * request.samples * request.sampling.max_new_tokens
        if self.settings.public and tokens > MOST_TOKENS:
            raise InputError(LONG.format(tokens=tokens, most=MOST_TOKENS))

        def ends() -> bool:
            return LANE.closed or stop()

        ticket = LANE.join(self.settings.queue, work=work_of(request))
        try:
            for sentence in ticket.waits(stop):
                yield Status(sentence)
            if ticket.start is None:
                LANE.check_open()
                return
            if not is_loaded():
                yield Status(LOADING)
            session = self.session()
            with folders.names_in_errors(self.folder_names):
                library.load_adapters(self.settings.runs, session.lvlm, request.methods)
                for event in metrics.count_panels(comparison.stream(request, session, ends, self.runner)):
                    yield folders.without_folders(event, self.folder_names)
        finally:
            ticket.leave()

    def judge(self, photo, text: str, prompt: str, sure: float, stop: Callable[[], bool] = never) -> dict[str, Any]:
        """`comparison.judge`, in the lane. photo: path, bytes or image. Raises InputError, also once stop() is true."""
        RATES.check(address_of_caller(), self.settings.rate)
        image = read_photo(photo)
        with LANE.turn(self.settings.queue, stop):
            return comparison.judge(self.session(), image, text, prompt, sure)

    def inspect(self, question: Question, stop: Callable[[], bool] = never) -> dict[str, Any]:
        """What a word of an answer rests on, in the lane; adapters of training runs included.

        Raises InputError, also once stop() is true.
        """
        RATES.check(address_of_caller(), self.settings.rate)
        with LANE.turn(self.settings.queue, stop):
            session = self.session()
            with folders.names_in_errors(self.folder_names):
                library.load_adapters(self.settings.runs, session.lvlm, question.methods)
                if self.inspector:
                    return self.inspector(question)
                from halluapp.inspection.question import inspect

                return inspect(session.lvlm, question, lambda: LANE.closed or stop())
