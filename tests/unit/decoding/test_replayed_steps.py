"""Replayed steps against ordinary ones: the same answers, whatever goes wrong with a recording."""

from __future__ import annotations

import pytest
import tiny
import tiny_families
import torch
from replay_modes import (
    answers,
    assert_same,
    begin_batch,
    count_fixed_caches,
    model_of,
    replay_mode,
    staggered_end_tokens,
)
from replay_tools import (
    FailingReplay,
    FrozenReplay,
    NanReplay,
    NotRecordable,
    OutOfMemory,
    SlowReplay,
    StepAgain,
    WrongReplay,
)
from tiny import OPEN, hooks, photo, run

from halluapp.decoding.batch import RowBatch
from halluapp.decoding.events import Failed, Finished
from halluapp.decoding.replay import cuda_graph, policy
from halluapp.decoding.replay.fixed_cache import FixedRows
from halluapp.decoding.replay.policy import MeasuredRows, ReplayVerdict
from halluapp.decoding.views import Views
from halluapp.lvlm import catalog
from halluapp.lvlm.quantize import quantized_linears
from halluapp.methods.registry import create, defaults


@pytest.fixture
def measured(monkeypatch):
    """Decodes with MeasuredRows and given tools, as on CUDA."""

    def decode(model, tools, names, mode: str = "auto", tokens: int = 40, **sampling):
        def measure(lvlm, batch, new_tokens):
            length = batch.mask.shape[1] + new_tokens
            return MeasuredRows(lvlm, batch, length, new_tokens, tools)

        with monkeypatch.context() as patch, replay_mode(model, mode):
            patch.setattr(policy, "choose_batch", measure)
            sampling = {"max_new_tokens": tokens, "ignore_end": True, **sampling}
            results = run(model, Views(model, photo(0)), OPEN, list(map(create, names)), **sampling)
            return results, dict(model.replay_verdicts)

    return decode


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "quantization"), [("llava", "nf4"), ("qwen2_5_vl", "none"), ("instructblip", "nf4")])
def test_replayed_steps_give_the_same_answers(kind, quantization, measured, monkeypatch) -> None:
    """Recorded anew when rows part or end; once they are left alone, most steps are replayed."""
    model, names = model_of(kind, quantization), [*defaults(), "pai", "dola", "nullu+vdd"]
    free = answers(model, "off", names, max_new_tokens=40, ignore_end=True)
    results, verdicts = measured(model, tools := StepAgain(), names)
    assert_same(results, free)
    assert tools.recordings
    assert tools.replays > policy.ROUNDS + policy.CHECKS
    assert verdicts
    assert all(verdict.replay and "1.00 ms" in verdict.why for verdict in verdicts.values())
    monkeypatch.setattr(type(model), "end_tokens", staggered_end_tokens(free))
    plain = answers(model, "off", names, max_new_tokens=40)
    assert_same(measured(model, StepAgain(), names, ignore_end=False)[0], plain)
    calm = [name for name in names if name != "dola"]  # without early exits, whose places change with the rows too
    _, verdicts = measured(model, tools := StepAgain(), calm, ignore_end=False)
    assert tools.recordings > 1, verdicts
    assert all(verdict.replay for verdict in verdicts.values()), verdicts
    assert hooks(model) == 0
    assert count_fixed_caches() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tools", "everywhere", "words"),
    [
        (NotRecordable, True, "not permitted when stream is capturing"),
        (OutOfMemory, False, "out of memory"),
        (FailingReplay, True, "dead tensor"),
        (WrongReplay, True, "differs"),
        (NanReplay, True, "differs"),
        (FrozenReplay, True, "differs"),
    ],
)
def test_a_recording_that_fails_breaks_no_answer(tools, everywhere, words, measured, caplog) -> None:
    model = model_of("llava", "none")
    plain = answers(model, "off", defaults(), max_new_tokens=40, ignore_end=True)
    results, verdicts = measured(model, tools(), defaults())
    assert_same(results, plain)
    refused = {rows: verdict for rows, verdict in verdicts.items() if not verdict.replay}
    assert set(refused) == {policy.ANY} if everywhere else policy.ANY not in refused
    assert all(words in verdict.why and "\n" not in verdict.why for verdict in refused.values())
    assert len(caplog.records) == len(refused) >= 1
    assert words in caplog.text
    assert hooks(model) == 0
    assert count_fixed_caches() == 0


def test_a_slow_recording_is_not_used(measured, caplog) -> None:
    model, tools = model_of("llava", "none"), SlowReplay()
    results, verdicts = measured(model, tools, ["baseline", "nullu"])
    assert_same(results, answers(model, "off", ["baseline", "nullu"], max_new_tokens=40, ignore_end=True))
    assert verdicts == {2: ReplayVerdict(False, "an ordinary step takes 2.00 ms, a replayed one 3.00 ms")}
    assert tools.recordings == 1
    assert not caplog.records
    forced = SlowReplay()
    assert measured(model, forced, ["baseline", "nullu"], mode="on")[1][2].replay
    assert forced.replays > policy.ROUNDS


def test_which_rows_go_on_and_that_a_verdict_holds(measured) -> None:
    model, tools = model_of("llava", "none"), StepAgain()
    with replay_mode(model, "auto"):
        rows = MeasuredRows(model, begin_batch(model, ["baseline"]), 100, 40, tools)
        model.replay_verdicts = {1: ReplayVerdict(False, "slow")}
        for _ in range(2 * policy.PATIENCE):
            with torch.no_grad():
                rows.step(model, torch.tensor([5]), {})
        assert tools.recordings == 0
        assert type(rows.rows) is RowBatch
        model.replay_verdicts = {}
        for tool, kind in ((SlowReplay(), RowBatch), (StepAgain(), FixedRows)):
            rows = MeasuredRows(model, begin_batch(model, ["baseline"]), 100, 40, tool)
            for _ in range(policy.PATIENCE + 1):
                with torch.no_grad():
                    rows.step(model, torch.tensor([5]), {})
            assert tool.recordings == 1
            assert type(rows.rows) is kind
            model.replay_verdicts = {}
    short = StepAgain()
    measured(model, short, ["baseline"], tokens=policy.PATIENCE + policy.LEAST_REMAINING - 2)
    assert short.recordings == 0  # too few tokens left


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", [*tiny.KINDS, *tiny_families.KINDS])
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_replayed_steps_on_a_gpu(kind, quantization, tmp_path, monkeypatch) -> None:
    """In float32, so that tokens must be equal; PyTorch watches that no input of a recording is freed."""
    monkeypatch.setattr(cuda_graph, "CHECK_INPUTS", True)
    source = (tiny if kind in tiny.KINDS else tiny_families).folder(kind)
    model, _ = catalog.load(str(source), quantization, "cuda", tmp_path)
    for part in (model.model, *model.projectors.values()):
        torch.nn.Module.float(part)  # transformers' own refuses a quantized model, whose dense parts are meant
    for layer in quantized_linears(model.model).values():
        layer.compute_dtype = torch.float32
    names = [*defaults(), "pai", "dola", "nullu+vdd"]
    plain = answers(model, "off", names, max_new_tokens=40, ignore_end=True)
    with replay_mode(model, "on"):
        results = run(model, Views(model, photo(0)), OPEN, list(map(create, names)), max_new_tokens=40, ignore_end=True)
        verdicts = dict(model.replay_verdicts)
    assert verdicts, verdicts
    assert all(verdict.replay for verdict in verdicts.values()), verdicts
    assert {name: answer.ids for name, answer in results.items()} == {name: a.ids for name, a in plain.items()}
    assert not any(isinstance(answer.end, Failed) for answer in results.values())
    assert all(isinstance(answer.end, Finished) for answer in results.values())
    assert count_fixed_caches() == 0
