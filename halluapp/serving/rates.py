"""How many comparisons one address may ask for in a minute, where HALLUAPP_RATE says so; the same for other things."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque

from gradio.context import LocalContext

from halluapp.errors import InputError

MINUTE = 60.0
MOST_ADDRESSES = 10_000  # that are remembered
TOO_MANY = "This address has asked for {n} {things} within a minute, which is as many as it may; try again in {s} s."


class Rates:
    """The times of the last requests of every address. things: what they ask for, in words."""

    def __init__(self, things: str = "comparisons") -> None:
        self.things = things
        self._lock = threading.Lock()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str, most: int) -> None:
        """Counts a request. Raises InputError where the address has had as many within a minute. most: 0 for any."""
        if not most:
            return
        now = time.monotonic()
        with self._lock:
            times = self._times.setdefault(address, deque())
            self._times.move_to_end(address)
            while times and now - times[0] >= MINUTE:
                times.popleft()
            if len(times) >= most:
                raise InputError(TOO_MANY.format(n=most, things=self.things, s=math.ceil(times[0] + MINUTE - now)))
            times.append(now)
            while len(self._times) > MOST_ADDRESSES:
                self._times.popitem(last=False)


RATES = Rates()


def address_of_caller() -> str:
    """The address that the request of this handler comes from; "" outside one."""
    request = getattr(LocalContext.request.get(None), "request", None)
    return str(getattr(getattr(request, "client", None), "host", "") or "")
