"""The lane: one run of the model at a time, for the page, the API and MCP alike; first come, first served.

Everybody who waits has a ticket; a full lane refuses the next one with a sentence. How long it will take is told from
the runs that were measured, by their share of work.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from halluapp.errors import InputError

FULL = "{n} comparisons wait for the model, which is as many as can; try again in {wait}."
LEFT = "The caller left before the turn came."
CLOSED = "The server ends, and this had not begun; ask again once it runs."
WAITING = "Waiting for the model: {before} before this one, {wait}."
RUNS_REMEMBERED = 16
UNMEASURED_SECONDS = 5.0  # of a run, before one was measured
POLL_SECONDS = 0.1  # how soon a waiting ticket hears of a stop


def never() -> bool:
    """Nobody stops it."""
    return False


class Ticket:
    """A place in the lane, until `leave`. purpose: what is done in its turn, a sentence; "": a comparison. work: how
    long that takes, compared with one row of 80 tokens.
    """

    def __init__(self, lane: Lane, purpose: str = "", work: float = 1.0):
        self._lane, self.work = lane, work
        self.purpose = purpose
        self.start: float | None = None  # when its turn came

    def waits(self, stop: Callable[[], bool]) -> Iterator[str]:
        """One sentence whenever place or time change, until its turn comes or stop() says so."""
        sentence = ""
        while not stop() and not self._lane.closed and not self._lane.has_turn(self, POLL_SECONDS):
            latest = self._lane.describe(self)
            if latest != sentence:
                sentence = latest
                yield sentence

    def leave(self) -> None:
        """Gives the place free, whether its turn has come or not."""
        self._lane.remove(self)


class Lane:
    """Tickets in the order in which they came; the first one runs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tickets: list[Ticket] = []
        self._measured: deque[tuple[float, float]] = deque(maxlen=RUNS_REMEMBERED)  # (seconds, work)
        self.closed = False  # the server ends: whoever runs or waits is to stop

    def close(self) -> None:
        """Lets everybody stop, within one token or a moment."""
        self.closed = True

    def check_open(self) -> None:
        """Raises InputError where the server ends."""
        if self.closed:
            raise InputError(CLOSED)

    def join(self, most_waiting: int, purpose: str = "", work: float = 1.0) -> Ticket:
        """The last place. Raises InputError where as many wait as may, or the server ends.

        purpose, work: as of `Ticket`; what is no comparison does not count for how long comparisons take.
        """
        self.check_open()
        with self._changed:
            if len(self._tickets) > most_waiting:
                raise InputError(FULL.format(n=len(self._tickets) - 1, wait=duration(self._expected(1))))
            ticket = Ticket(self, purpose, work)
            self._tickets.append(ticket)
            self._begin()
            return ticket

    @contextmanager
    def turn(self, most_waiting: int, stop: Callable[[], bool] = never, purpose: str = "") -> Iterator[None]:
        """A turn for something that must not happen while the model decodes. purpose: as of `Ticket`.

        Raises InputError where the lane is full, or where stop() is true or the server ends before the turn comes.
        """
        ticket = self.join(most_waiting, purpose)
        try:
            while not self.has_turn(ticket, POLL_SECONDS):
                self.check_open()
                if stop():
                    raise InputError(LEFT)
            yield
        finally:
            ticket.leave()

    def has_turn(self, ticket: Ticket, seconds: float) -> bool:
        """Whether the ticket's turn has come, waited for so long at most."""
        with self._changed:
            return self._changed.wait_for(lambda: ticket.start is not None, seconds)

    def remove(self, ticket: Ticket) -> None:
        """Takes a ticket away and lets the next one run."""
        with self._changed:
            if ticket not in self._tickets:
                return
            self._tickets.remove(ticket)
            if ticket.start is not None and not ticket.purpose:
                self._measured.append((time.monotonic() - ticket.start, ticket.work))
            self._begin()

    def describe(self, ticket: Ticket) -> str:
        """How many are before a ticket, and for how long, in one sentence."""
        with self._changed:
            before = self._tickets.index(ticket) if ticket in self._tickets else 0
            if purpose := next((other.purpose for other in self._tickets[:before] if other.purpose), ""):
                return purpose
            text = "one comparison is" if before == 1 else f"{before} comparisons are"
            return WAITING.format(before=text, wait=duration(self._expected(before)))

    def counts(self) -> dict[str, int]:
        """How many wait and how many run."""
        with self._changed:
            running = sum(ticket.start is not None for ticket in self._tickets)
            return {"waiting": len(self._tickets) - running, "running": running}

    def expected_seconds(self) -> float:
        """How long whoever comes now will wait."""
        with self._changed:
            return self._expected(len(self._tickets))

    def _begin(self) -> None:
        if self._tickets and self._tickets[0].start is None:
            self._tickets[0].start = time.monotonic()
            self._changed.notify_all()

    def _expected(self, before: int) -> float:
        """Seconds until the first tickets, so many, have ended, less what the present one has taken."""
        if not before or not self._tickets:
            return 0.0
        total = sum(work for _, work in self._measured)
        pace = sum(seconds for seconds, _ in self._measured) / total if total else UNMEASURED_SECONDS
        first, *others = self._tickets[:before]
        elapsed = time.monotonic() - first.start if first.start is not None else 0.0
        return pace * sum(ticket.work for ticket in others) + max(pace * first.work - elapsed, 0.0)


def duration(seconds: float) -> str:
    """A time that nobody knows exactly, for a person."""
    if seconds < 60:
        return f"about {max(math.ceil(seconds), 1)} s"
    return f"about {math.ceil(seconds / 60)} min"


LANE = Lane()  # of this process: whatever apps it serves share the model
