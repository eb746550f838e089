"""Signals that end a run: what they leave behind says so, and the run goes on with --resume."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from halluapp.training.runs import LIVE, Run

SIGNALS = ("SIGTERM", "SIGHUP")  # a scheduler, a shutdown, a closed terminal; SIGHUP is unknown to Windows
SENTENCE = "It was ended at step {step} by {name}, as {sender}; go on with --resume."
SENDERS = {
    "SIGTERM": "a scheduler or a shutdown sends it",
    "SIGHUP": "a closed terminal sends it",
    "SIGINT": "Ctrl-C sends it",
}


class Terminated(BaseException):
    """The process was asked to end; no Exception, so that nobody takes it for a failure. The text is one sentence."""

    def __init__(self, number: int, sentence: str = ""):
        super().__init__(sentence)
        self.code = 128 + number  # exit code of a shell


@contextmanager
def termination(run: Run) -> Iterator[None]:
    """Ends the block at a signal, with the run's status "stopped" and a sentence: raises Terminated.

    Steps after the last state are done again by --resume: a signal may come in the middle of one, and whoever sends it
    may not wait for its end. In the main thread only.
    """

    def end(number: int, frame) -> None:
        raise Terminated(number)

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    previous = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    except (Terminated, KeyboardInterrupt) as error:
        for number in numbers:  # a second one must not interrupt the writing
            signal.signal(number, signal.SIG_IGN)
        number = error.code - 128 if isinstance(error, Terminated) else int(signal.SIGINT)
        name = signal.Signals(number).name
        status = run.status()
        sentence = SENTENCE.format(step=status["step"], name=name, sender=SENDERS[name])
        if status["state"] in LIVE:
            run.write_status("stopped", status["step"], sentence)
        raise Terminated(number, sentence) from error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)
