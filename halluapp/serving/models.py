"""The models of one server: loaded once, on the first need, and carried to every handler of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from halluapp import comparison
from halluapp.decoding.events import Event
from halluapp.request import Request
from halluapp.serving import metrics, zero_gpu
from halluapp.session import Session, load_session
from halluapp.settings import Settings
from halluapp.training import library


def never() -> bool:
    """The stop flag of a comparison that nobody can stop."""
    return False


@dataclass(frozen=True)
class Models:
    """The settings of a server with the models that they name.

    runner: decodes in another process, on ZeroGPU; None: in this one.
    """

    settings: Settings
    runner: comparison.Runner | None = None

    @classmethod
    def of_server(cls, settings: Settings) -> Models:
        """The models of a server; on ZeroGPU they are loaded now, for its workers, elsewhere on the first need."""
        models = cls(settings)
        return replace(models, runner=zero_gpu.runner(models.session)) if settings.zero_gpu else models

    def session(self) -> Session:
        """The loaded LVLM and detector; the first call loads them. Raises InputError."""
        return load_session(self.settings)

    def stream(self, request: Request, stop: Callable[[], bool] = never) -> Iterator[Event]:
        """Runs a comparison, the adapters of training runs among its methods included. Raises InputError."""
        session = self.session()
        library.load_adapters(self.settings.runs, session.lvlm, request.methods)
        return metrics.count_panels(comparison.stream(request, session, stop, self.runner))
