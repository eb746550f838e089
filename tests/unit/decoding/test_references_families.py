"""The reference methods and stacks on every family: as if alone, read early where the model reads, nothing left."""

from __future__ import annotations

import pytest
import tiny_families
import torch
from tiny import OPEN, RecordingMethod, hooks, run
from tiny_families import KINDS, MODELS, lvlm, photo

from halluapp.decoding.views import Views
from halluapp.methods.base import Combination
from halluapp.methods.dola import DoLa
from halluapp.methods.registry import METHODS, PAI, Baseline, create

REFERENCES = ("vcd", "icd", "m3id", "pai", "dola", "deco", "nullu+vdd", "adavib+pai", "nullu+dola")
STEPS = 5


@pytest.mark.parametrize(("kind", "quantization"), MODELS)
def test_in_a_batch_as_if_alone(kind, quantization) -> None:
    model = lvlm(kind, quantization)
    image = Views(model, photo(0))
    methods = [RecordingMethod(create(name)) for name in ("baseline", "nullu", *REFERENCES)]
    together = run(model, image, OPEN, list(methods), max_new_tokens=STEPS, ignore_end=True)
    for method in methods:
        assert together[method.name].ids, together[method.name].end
        alone = RecordingMethod(method.inner)
        run(model, image, OPEN, [alone], max_new_tokens=STEPS, ignore_end=True)
        for one, other in zip(method.logits, alone.logits, strict=True):
            torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4, msg=method.name)
    assert hooks(model) == 0


class _Whole(DoLa):
    """Reads where the model itself does."""

    def _exits(self, lvlm) -> tuple[int, ...]:
        return (len(lvlm.layers),)

    def _combine(self, logits, step, lvlm) -> Combination:
        torch.testing.assert_close(step.exits[0], logits[0], atol=1e-4, rtol=1e-4)
        return Combination(logits[0])


@pytest.mark.parametrize("kind", KINDS)
def test_an_exit_at_the_last_layer_is_the_models_answer(kind) -> None:
    model = lvlm(kind)
    answers = run(model, Views(model, photo(1)), OPEN, [Baseline(), _Whole()], max_new_tokens=STEPS)
    assert answers["dola"].ids == answers["baseline"].ids, answers["dola"].end


@pytest.mark.parametrize("kind", KINDS)
def test_attention_acts_on_the_photo_and_is_given_back(kind) -> None:
    model = lvlm(kind)
    config = model.layers[0].self_attn.config
    before = config._attn_implementation
    rows = {}
    for strength in (0.0, 1e-6, 1.0):
        method = RecordingMethod(PAI(alpha=strength, gamma=1.0))
        run(model, Views(model, photo(0)), OPEN, [method, Baseline()], max_new_tokens=2, ignore_end=True)
        rows[strength] = torch.stack(method.logits)
    torch.testing.assert_close(rows[0.0], rows[1e-6], atol=1e-3, rtol=1e-3)  # the same attention, written out
    assert (rows[1.0][0] - rows[0.0][0]).abs().max() > 1e-3
    assert config._attn_implementation == before


def test_every_method_is_tried_here() -> None:
    # CHiP and HACL are adapters, which test_adapters.py tries; a family has none unless a run made it.
    assert {*METHODS} - {"baseline", "nullu", "adavib", "vdd", "calibration", "chip", "hacl"} <= {*REFERENCES}
    assert set(KINDS) == {kind for kind, _ in tiny_families.MODELS}
