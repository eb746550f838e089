"""The fixed cache and the replayed step against the ordinary one: the same tokens and traces, whatever goes wrong."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations

import pytest
import tiny
import tiny_families
import torch
from short_memory import memory_limit
from tiny import OPEN, YES_NO, hooks, photo, run, run_many
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from halluapp.bench import work
from halluapp.decoding import engine
from halluapp.decoding.batch import RowBatch, prefill
from halluapp.decoding.events import Decoded, Failed, Finished
from halluapp.decoding.plan import Sampling, plan
from halluapp.decoding.replay import cuda_graph, policy
from halluapp.decoding.replay.fixed_cache import ALIGNED, FixedCache, FixedRows
from halluapp.decoding.replay.policy import MeasuredRows, ReplayVerdict
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.lvlm import catalog
from halluapp.lvlm.quantize import quantized_linears
from halluapp.methods.registry import METHODS, create, defaults
from halluapp.session import _load, load_session
from halluapp.settings import Settings

MODELS = (*tiny_families.MODELS, ("llava", "none"), ("llava", "nf4"), ("pocket", "nf4"))
over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
REFERENCES = ("vcd", "icd", "m3id", "pai", "dola", "deco", "nullu+vdd", "adavib+pai", "nullu+dola")
LENGTH = 12


def model_of(kind: str, quantization: str):
    return (tiny if kind in tiny.KINDS else tiny_families).lvlm(kind, quantization)


@contextmanager
def set_to(model, mode: str):
    """The model with its setting changed, and with no verdicts of before."""
    before, model.replay_mode, model.replay_verdicts = model.replay_mode, mode, {}
    try:
        yield model
    finally:
        model.replay_mode, model.replay_verdicts = before, {}


def answers(model, mode: str, methods, which: int = 0, prompt: str = OPEN, **sampling):
    """which: of the photos."""
    with set_to(model, mode):
        sampling = {"max_new_tokens": LENGTH, **sampling}
        return run(model, Views(model, photo(which)), prompt, [create(name) for name in methods], **sampling)


def assert_same(made, expected) -> None:
    """Tokens, texts and ends are equal, and what each token was worth, up to rounding."""
    assert made.keys() == expected.keys()
    for name, answer in made.items():
        other = expected[name]
        assert answer.ids == other.ids, (name, answer.end)
        assert answer.ids, (name, answer.end)
        assert replace(answer.end, seconds=0) == replace(other.end, seconds=0)
        for one, two in zip(answer.events, other.events, strict=True):
            assert one.text == two.text
            assert one.token.instead == two.token.instead
            assert one.token.branches == pytest.approx(two.token.branches, abs=1e-4)
            assert one.token.p == pytest.approx(two.token.p, abs=1e-4)
            assert [p for _, p in one.token.top] == pytest.approx([p for _, p in two.token.top], abs=1e-4)


def staggered(free) -> frozenset[int]:
    """Two tokens that would end these answers at as many different places as possible."""

    def ends(tokens) -> set[int]:
        return {next((at for at, token in enumerate(a.ids) if token in tokens), len(a.ids)) for a in free.values()}

    said = sorted({token for answer in free.values() for token in answer.ids})
    return frozenset(max(combinations(said, 2), key=lambda tokens: (len(ends(tokens)), sum(ends(tokens)))))


def caches() -> int:
    gc.collect()
    return sum(type(thing) is FixedCache for thing in gc.get_objects())


@over_models
def test_a_fixed_cache_gives_the_same_answers(kind, quantization, monkeypatch) -> None:
    """Every method, rows that part, end at different times and are read early, greedy and sampled."""
    model, names = model_of(kind, quantization), [*defaults(), *REFERENCES]
    free = answers(model, "off", names, ignore_end=True)
    monkeypatch.setattr(type(model), "end_tokens", staggered(free))
    plain = answers(model, "off", names)
    assert len({len(answer.ids) for answer in plain.values()}) > 2
    assert_same(answers(model, "on", names), plain)
    warm = {"temperature": 0.8, "top_p": 0.9, "seed": 3, "prompt": YES_NO}
    assert_same(answers(model, "on", defaults(), 1, **warm), answers(model, "off", defaults(), 1, **warm))
    assert hooks(model) == 0
    assert caches() == 0


def test_every_method_is_tried_here() -> None:
    assert {*METHODS} - {"chip", "hacl"} <= {*defaults(), *REFERENCES}


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_adapters_act_in_a_fixed_cache(quantization) -> None:
    model, names = model_of("llava", quantization), ["baseline", "chip", "hacl", "chip+vdd"]
    assert_same(answers(model, "on", names), answers(model, "off", names))


def _begun(model, names) -> RowBatch:
    made = plan([(OPEN, [create(name) for name in names])])
    return prefill(model, made.prefixes, [OPEN], [Views(model, photo(0))])[0]


@torch.no_grad()
def test_which_step_is_taken() -> None:
    model = model_of("llava", "none")
    for mode, kind in (("off", RowBatch), ("auto", RowBatch), ("on", FixedRows)):
        with set_to(model, mode):
            assert type(policy.choose_batch(model, _begun(model, ["baseline"]), 5)) is kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_attn_implementation_internal": "eager"}, "not sdpa"),
        ({"sliding_window": 16}, "sliding window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding window"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "changes with the length"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "changes with the length"),
    ],
    ids=str,
)
@torch.no_grad()
def test_models_that_cannot_keep_the_ordinary_step(changes, words, monkeypatch) -> None:
    model = model_of("llava", "none")
    assert policy.blocker(model) == ""
    config, batch = model.layers[0].self_attn.config, _begun(model, ["baseline"])
    for name, value in changes.items():
        monkeypatch.setattr(config, name, value, raising=False)
    with set_to(model, "on"):
        assert words in policy.blocker(model)
        assert policy.choose_batch(model, batch, 5) is batch
        assert words in policy.replay_report(model)["fast_obstacle"]


class Waits(TorchDispatchMode):
    """Collects what a CUDA graph cannot hold: values read by Python, sizes that depend on values, constants copied.

    read: what the forward read that it had not made itself; a graph reads it again, wherever it was.
    """

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "is_nonzero", "unique", "equal")

    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.read: dict[int, weakref.ref] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        if name in self.FORBIDDEN or by_mask:
            self.found.append(str(func))
        made = func(*args, **(kwargs or {}))
        for tensor in self._tensors((args, kwargs)):
            if tensor.data_ptr() not in self._made:
                self.read.setdefault(tensor.data_ptr(), weakref.ref(tensor.untyped_storage()))
        self._made |= {tensor.data_ptr() for tensor in self._tensors(made)} - self.read.keys()
        return made

    @staticmethod
    def _tensors(values) -> list[torch.Tensor]:
        return [value for value in tree_iter(values) if isinstance(value, torch.Tensor)]

    def freed(self) -> int:
        """How much of what was read is gone by now."""
        return sum(storage() is None for storage in self.read.values())


@torch.no_grad()
@pytest.mark.parametrize("kind", [*tiny_families.KINDS, "llava"])
def test_a_step_never_waits_for_a_value(kind) -> None:
    """What would make a recording fail or go stale on a GPU is seen on a CPU too."""
    model = model_of(kind, "none")
    names = ["baseline", "nullu", "vdd", "pai", "nullu+pai", *(("chip", "chip+vdd") if kind == "llava" else ())]
    fixed = FixedRows.of(_begun(model, names), 100)
    fixed.feed(torch.full((len(fixed.interventions),), 7))
    depths = {0: (0, 1), len(fixed.interventions) - 1: (2,)}
    with fixed.step_context(model, depths) as (forward, hooks_held), Waits() as waits:
        _, places = forward()
    assert waits.found == []
    assert set(places) == {(0, 0), (0, 1), (len(fixed.interventions) - 1, 2)}
    del forward, places
    gc.collect()
    assert len(waits.read) > 20
    assert waits.freed() == 0
    del hooks_held
    gc.collect()
    assert waits.freed() >= tiny.LAYERS  # the hooks' own tensors: so a recording keeps the hooks
    with Waits() as waits:  # and it would be seen
        torch.tensor([1.0, 2.0])[torch.tensor([True, False])].max().item()
    assert {"aten.lift_fresh.default", "aten._local_scalar_dense.default", "aten.index.Tensor"} <= {*waits.found}


def test_eight_bits_keep_the_ordinary_step(monkeypatch) -> None:
    model = model_of("llava", "nf4")
    monkeypatch.setattr(model, "quantization", "int8")
    assert "8-bit" in policy.blocker(model)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl"])
def test_a_step_can_be_taken_again_and_rows_can_go_back(kind) -> None:
    model = model_of(kind, "none")
    names = ["baseline", "nullu", "vdd"]
    expected, batch = _begun(model, names), _begun(model, names)
    fixed = FixedRows.of(batch, 100)
    assert fixed.mask.shape[-1] == 2 * ALIGNED
    assert fixed.past_length == batch.mask.shape[1]
    count = len(fixed.interventions)

    def feed(token: int, *several) -> list:
        return [rows.step(model, torch.full((len(rows.interventions),), token), {0: (1,)}) for rows in several]

    def assert_equal(one, other) -> None:
        torch.testing.assert_close(one[0], other[0], atol=1e-4, rtol=1e-4)
        assert one[1].keys() == other[1].keys() == {(0, 1)}

    assert_equal(*feed(7, fixed, expected))
    before = fixed.run(model, {0: (1,)})  # what was fed last lies in the next place too: nothing was counted
    assert torch.equal(before[0], fixed.run(model, {0: (1,)})[0])
    order = [count - 1, 0, 0, 1]
    for rows in (fixed, expected):
        rows.select(order)
    made = feed(9, fixed, expected)
    assert_equal(*made)
    fixed.advance(-1)
    assert torch.equal(fixed.run(model, {0: (1,)})[0], made[0][0])
    fixed.advance()
    grown = fixed.to_growing_batch()
    assert torch.equal(grown.mask, expected.mask)
    assert torch.equal(grown.positions, expected.positions)
    assert_equal(*feed(11, grown, expected))
    assert_equal(*feed(12, batch, _begun(model, names)))  # the batch that was taken over stayed usable


@pytest.mark.parametrize("after", [0, 1, 7])
@pytest.mark.parametrize("closed", [False, True])
def test_nothing_is_left_behind_when_stopped(after, closed) -> None:
    model, decoded = model_of("llava", "nf4"), []
    job = engine.Job(Views(model, photo(0)), OPEN, [create(name) for name in defaults()])
    with set_to(model, "on"):
        events = engine.decode(model, job, Sampling(40), lambda: not closed and len(decoded) >= after)
        for event in events:
            decoded.extend([event] if isinstance(event, Decoded) else [])
            if closed and len(decoded) > after:
                events.close()
    assert caches() == 0
    assert hooks(model) == 0
    config = model.layers[0].self_attn.config
    assert config._attn_implementation == "sdpa"


def test_two_interleaved_requests_do_not_mix() -> None:
    model, names = model_of("qwen2_5_vl", "nf4"), [*defaults(), "pai", "dola"]
    alone = [answers(model, "off", names, seed, prompt) for seed, prompt in ((0, OPEN), (1, YES_NO))]
    with set_to(model, "on"):
        running = [
            engine.decode(model, engine.Job(Views(model, photo(seed)), prompt, list(map(create, names))),
                          Sampling(LENGTH))
            for seed, prompt in ((0, OPEN), (1, YES_NO))
        ]  # fmt: skip
        made = [{name: tiny.Answer() for name in names} for _ in running]
        left = {0, 1}
        while left:
            for place in sorted(left):
                event = next(running[place], None)
                if event is None:
                    left.discard(place)
                else:
                    made[place][event.method].add(event)
    for mine, expected in zip(made, alone, strict=True):
        assert_same(mine, expected)


def test_two_jobs_in_one_batch() -> None:
    model, made = model_of("qwen3_vl", "none"), {}
    for mode in ("off", "on"):
        jobs = [engine.Job(Views(model, photo(seed)), prompt, list(map(create, defaults())))
                for seed, prompt in ((0, OPEN), (1, YES_NO))]  # fmt: skip
        with set_to(model, mode):
            made[mode] = run_many(model, jobs, max_new_tokens=LENGTH)
    assert_same(made["on"], made["off"])


@pytest.mark.parametrize(("rows", "after"), [(4, 0), (3, 4)])
def test_smaller_groups_when_memory_is_short(rows, after) -> None:
    model = model_of("llava", "nf4")
    plenty = answers(model, "off", defaults())
    with memory_limit(model, rows, after):
        short = answers(model, "on", defaults())
    assert {name: answer.ids for name, answer in short.items()} == {name: a.ids for name, a in plenty.items()}
    assert all("group of" in answer.end.note for answer in short.values())
    assert caches() == 0


class Again:
    """In place of `graphs` where there is no GPU: a recording is the step itself, taken again."""

    replay_milliseconds = 1.0

    def __init__(self):
        self.recorded = self.replayed = 0

    def time_run(self, run):
        return run(), self.replay_milliseconds if run.__name__ == "replay" else 2.0

    def Recording(self, step_context):
        self.recorded += 1
        return _Recorded(step_context, self)

    def replay(self, step_context):
        with step_context() as (forward, _):
            return forward()


class _Recorded:
    """Keeps what `graphs.Recording` keeps, and fails where a graph would read memory that was given back."""

    def __init__(self, step_context, tools):
        self.step_context, self.tools = step_context, tools
        with step_context() as (forward, self.kept), Waits() as self.waits:
            forward()

    def replay(self):
        if self.waits.freed() or self.waits.found:
            raise RuntimeError("the recording reads what was freed, or waits")
        self.tools.replayed += 1
        return self.tools.replay(self.step_context)


class CannotRecord(Again):
    def Recording(self, step_context):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing.\nCUDA kernel errors might")


class CannotHold(Again):
    def Recording(self, step_context):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Breaks(Again):
    """Replays in vain once it is recorded."""

    def replay(self, step_context):
        if self.replayed > policy.ROUNDS + 1:
            raise RuntimeError("CUDA graph replay detected 1 dead tensor(s).")
        return super().replay(step_context)


class Wrong(Again):
    def replay(self, step_context):
        logits, places = super().replay(step_context)
        return logits.roll(1, -1), places


class NotANumber(Again):
    def replay(self, step_context):
        logits, places = super().replay(step_context)
        return logits * torch.nan, places


class Frozen(Again):
    """Has taken something for a constant: right for the step that was recorded, stale for the next."""

    def Recording(self, step_context):
        self.made = super().replay(step_context)
        return super().Recording(step_context)

    def replay(self, step_context):
        return self.made


class Slow(Again):
    replay_milliseconds = 3.0


@pytest.fixture
def measured(monkeypatch):
    """Decodes with MeasuredRows and given tools, as on CUDA."""

    def decode(model, tools, names, mode: str = "auto", tokens: int = 40, **sampling):
        def chosen(lvlm, batch, new_tokens):
            length = batch.mask.shape[1] + new_tokens
            return MeasuredRows(lvlm, batch, length, new_tokens, tools)

        with monkeypatch.context() as patch, set_to(model, mode):
            patch.setattr(policy, "choose_batch", chosen)
            sampling = {"max_new_tokens": tokens, "ignore_end": True, **sampling}
            made = run(model, Views(model, photo(0)), OPEN, list(map(create, names)), **sampling)
            return made, dict(model.replay_verdicts)

    return decode


@pytest.mark.parametrize(("kind", "quantization"), [("llava", "nf4"), ("qwen2_5_vl", "none"), ("instructblip", "nf4")])
def test_replayed_steps_give_the_same_answers(kind, quantization, measured, monkeypatch) -> None:
    """Recorded anew when rows part or end; once they are left alone, most steps are replayed."""
    model, names = model_of(kind, quantization), [*defaults(), "pai", "dola", "nullu+vdd"]
    free = answers(model, "off", names, max_new_tokens=40, ignore_end=True)
    made, verdicts = measured(model, tools := Again(), names)
    assert_same(made, free)
    assert tools.recorded
    assert tools.replayed > policy.ROUNDS + policy.CHECKS
    assert verdicts
    assert all(verdict.replay and "1.00 ms" in verdict.why for verdict in verdicts.values())
    monkeypatch.setattr(type(model), "end_tokens", staggered(free))
    plain = answers(model, "off", names, max_new_tokens=40)
    assert_same(measured(model, Again(), names, ignore_end=False)[0], plain)
    calm = [name for name in names if name != "dola"]  # without early exits, whose places change with the rows too
    _, verdicts = measured(model, tools := Again(), calm, ignore_end=False)
    assert tools.recorded > 1, verdicts
    assert all(verdict.replay for verdict in verdicts.values()), verdicts
    assert hooks(model) == 0
    assert caches() == 0


@pytest.mark.parametrize(
    ("tools", "everywhere", "words"),
    [
        (CannotRecord, True, "not permitted when stream is capturing"),
        (CannotHold, False, "out of memory"),
        (Breaks, True, "dead tensor"),
        (Wrong, True, "differs"),
        (NotANumber, True, "differs"),
        (Frozen, True, "differs"),
    ],
)
def test_a_recording_that_fails_breaks_no_answer(tools, everywhere, words, measured, caplog) -> None:
    model = model_of("llava", "none")
    plain = answers(model, "off", defaults(), max_new_tokens=40, ignore_end=True)
    made, verdicts = measured(model, tools(), defaults())
    assert_same(made, plain)
    refused = {rows: verdict for rows, verdict in verdicts.items() if not verdict.replay}
    assert set(refused) == {policy.ANY} if everywhere else policy.ANY not in refused
    assert all(words in verdict.why and "\n" not in verdict.why for verdict in refused.values())
    assert len(caplog.records) == len(refused) >= 1
    assert words in caplog.text
    assert hooks(model) == 0
    assert caches() == 0


def test_a_slow_recording_is_not_used(measured, caplog) -> None:
    model, tools = model_of("llava", "none"), Slow()
    made, verdicts = measured(model, tools, ["baseline", "nullu"])
    assert_same(made, answers(model, "off", ["baseline", "nullu"], max_new_tokens=40, ignore_end=True))
    assert verdicts == {2: ReplayVerdict(False, "an ordinary step takes 2.00 ms, a replayed one 3.00 ms")}
    assert tools.recorded == 1
    assert not caplog.records
    forced = Slow()
    assert measured(model, forced, ["baseline", "nullu"], mode="on")[1][2].replay
    assert forced.replayed > policy.ROUNDS


def test_which_rows_go_on_and_that_a_verdict_holds(measured) -> None:
    model, tools = model_of("llava", "none"), Again()
    with set_to(model, "auto"):
        rows = MeasuredRows(model, _begun(model, ["baseline"]), 100, 40, tools)
        model.replay_verdicts = {1: ReplayVerdict(False, "slow")}
        for _ in range(2 * policy.PATIENCE):
            with torch.no_grad():
                rows.step(model, torch.tensor([5]), {})
        assert tools.recorded == 0
        assert type(rows.rows) is RowBatch
        model.replay_verdicts = {}
        for kept, kind in ((Slow(), RowBatch), (Again(), FixedRows)):
            rows = MeasuredRows(model, _begun(model, ["baseline"]), 100, 40, kept)
            for _ in range(policy.PATIENCE + 1):
                with torch.no_grad():
                    rows.step(model, torch.tensor([5]), {})
            assert kept.recorded == 1
            assert type(rows.rows) is kind
            model.replay_verdicts = {}
    short = Again()
    measured(model, short, ["baseline"], tokens=policy.PATIENCE + policy.LEAST_LEFT - 2)
    assert short.recorded == 0  # too few tokens left


def test_near_ties_are_no_difference() -> None:
    one = torch.tensor([[5.0, 4.99, 0.0]])
    other = torch.tensor([[4.99, 5.0, 0.0]])
    assert policy.step_difference((one, {}), (other, {}), torch.bfloat16) == ""
    assert policy.step_difference((one, {}), (other, {}), torch.float32)
    early = {(0, 1): torch.zeros(4)}
    assert policy.step_difference((one, {(0, 1): torch.ones(4)}), (one, early), torch.bfloat16)


def test_bench_says_which_step_was_taken() -> None:
    with set_to(model_of("llava", "none"), "auto") as model:
        model.replay_verdicts = {8: ReplayVerdict(True, "a"), policy.ANY: ReplayVerdict(False, "b")}
        made = policy.replay_report(model)
    assert made["fast"] == "auto"
    assert "CUDA" in made["fast_obstacle"]
    assert made["fast_by_rows"] == {"8": "replayed: a", "any": "ordinary: b"}


def test_the_setting_reaches_the_model() -> None:
    tiny_one = Settings(model="random:llava-tiny", device="cpu")
    with pytest.raises(InputError, match="HALLUAPP_FAST is 'quick'"):
        load_session(replace(tiny_one, fast="quick"))
    for given, zero, expected in (("auto", False, "auto"), ("on", False, "on"), ("auto", True, "off")):
        session = load_session(replace(tiny_one, fast=given, zero_gpu=zero))
        assert session.lvlm.replay_mode == expected
    work.panels(session, 3, defaults())()
    _load.cache_clear()


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
    with set_to(model, "on"):
        made = run(model, Views(model, photo(0)), OPEN, list(map(create, names)), max_new_tokens=40, ignore_end=True)
        verdicts = dict(model.replay_verdicts)
    assert verdicts, verdicts
    assert all(verdict.replay for verdict in verdicts.values()), verdicts
    assert {name: answer.ids for name, answer in made.items()} == {name: a.ids for name, a in plain.items()}
    assert not any(isinstance(answer.end, Failed) for answer in made.values())
    assert all(isinstance(answer.end, Finished) for answer in made.values())
    assert caches() == 0
