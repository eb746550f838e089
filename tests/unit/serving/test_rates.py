"""A minute has room for so many comparisons of one address."""

from __future__ import annotations

import pytest

from halluapp.errors import InputError
from halluapp.serving import rates


def test_an_address_may_ask_so_often_in_a_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: now[0])
    limits = rates.Rates()
    for second in (0, 20):
        now[0] = second
        limits.check("a", 2)
    with pytest.raises(InputError, match="try again in 40 s"):
        limits.check("a", 2)
    limits.check("b", 2)
    now[0] = 60
    limits.check("a", 2)
    for _ in range(100):
        limits.check("a", 0)


def test_addresses_are_not_remembered_without_bound(monkeypatch):
    monkeypatch.setattr(rates, "MOST_ADDRESSES", 3)
    limits = rates.Rates()
    for number in range(10):
        limits.check(str(number), 1)
    assert len(limits._times) == 3
