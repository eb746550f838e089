"""The spread over samples: means, deviation, differences paired by seed with the interval of Student's t."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from halluapp.grounding.spread import T_QUANTILES, spread


def answer(expected: float | None, text: str = "a dog", named: int = 3, error: str | None = None) -> dict:
    inventions = None if expected is None else {"expected": expected, "low": 0.0, "high": 3.0, "named": named}
    return {"text": text, "error": error, "inventions": inventions}


def panel(*answers: dict) -> dict:
    return {**answers[0], "samples": list(answers[1:])}


def test_quantiles_are_those_of_students_t() -> None:
    assert pytest.approx([stats.t.ppf(0.975, n) for n in range(1, len(T_QUANTILES) + 1)], abs=5e-4) == T_QUANTILES


def test_differences_are_paired_by_seed() -> None:
    baseline = panel(answer(2.0), answer(1.0), answer(3.0))
    method = panel(answer(1.5, "a red dog"), answer(0.7, "it is a dog's toy"), answer(2.1, "两只狗", named=6))
    result = spread(method, baseline)
    assert result["n"] == 3
    assert result["mean"] == pytest.approx(4.3 / 3)
    assert result["named"] == 4
    assert (result["least"], result["most"]) == (0.7, 2.1)
    assert result["words"] == pytest.approx((3 + 5 + 3) / 3)
    apart = [-0.5, -0.3, -0.9]
    low, high = stats.t.interval(0.95, 2, loc=sum(apart) / 3, scale=stats.sem(apart))
    assert result["difference"]["value"] == pytest.approx(sum(apart) / 3)
    assert (result["difference"]["low"], result["difference"]["high"]) == pytest.approx((low, high), abs=1e-3)
    assert spread(baseline, baseline)["difference"] is None
    assert spread(method, None)["difference"] is None


def test_what_names_nothing_invents_nothing_and_what_failed_is_left_out() -> None:
    baseline = panel(answer(2.0), answer(1.0), answer(None, "nothing"), answer(3.0))
    method = panel(answer(None, "", error="It failed."), answer(1.0), answer(1.0), answer(None, "yes"))
    result = spread(method, baseline)
    assert result["n"] == 3
    assert result["mean"] == pytest.approx(2 / 3)
    assert result["named"] == 2
    assert result["difference"]["value"] == pytest.approx((0 + 1 - 3) / 3)


def test_what_was_stopped_is_no_answer() -> None:
    ended, cut = {"reason": "end"}, {"reason": "stopped"}
    baseline = panel(*({**answer(value), **ended} for value in (2.0, 1.0)), {**answer(1.0), **ended})
    method = panel(*({**answer(value), **ended} for value in (1.0, 0.5)), {**answer(None, ""), **cut})
    result = spread(method, baseline)
    assert (result["n"], result["mean"]) == (2, 0.75)
    assert result["difference"]["value"] == pytest.approx(-0.75)
    on_the_page = panel(answer(2.0), {**answer(9.0), "status": "stopped"})
    assert spread(on_the_page, None)["n"] == 1


def test_one_sample_has_no_spread_and_an_unknown_judge_no_numbers() -> None:
    assert spread(answer(1.0), None) is None
    assert spread({**answer(1.0), "samples": []}, None) is None
    assert spread(panel(answer(None, error="x"), answer(None, error="x")), None) is None
    unknown = spread(panel(answer(None), answer(None)), panel(answer(None), answer(None)))
    assert unknown["n"] == 2
    assert unknown["words"] == 2
    assert all(unknown[key] is None for key in ("named", "mean", "deviation", "least", "most", "difference"))
    single = spread(panel(answer(1.0), answer(1.0, error="x")), panel(answer(2.0), answer(2.0)))
    assert single["deviation"] is None
    assert single["difference"] is None
    assert not math.isnan(single["mean"])
