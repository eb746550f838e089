"""HalluSpace: golden vectors of Nullu's authors, and the algebra of projections."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_cases import Case, cases
from torch import Tensor

from halluapp.methods.formulas.hallu_space import GramAccumulator, pair_difference
from halluapp.numerics import hallu_space, project_out, spectrum

TOO_LARGE = "edit/rank-too-large"
EDITS = [case for case in cases("nullu", "edit/") if case.id != TOO_LARGE]


def centering(case: Case) -> dict[str, bool | float]:
    return {"center": case.parameters["centering"], "center_scale": case.parameters["alpha"]}


def layer_pair(case: Case, layer: int) -> tuple[Tensor, Tensor]:
    """(N, L, D) -> two [N, D]"""
    return tuple(torch.from_numpy(case.inputs[name][:, layer]) for name in ("truthful", "hallucinated"))


def layers(case: Case) -> range:
    return range(case.parameters["first_layer"], case.parameters["last_layer_exclusive"])


@pytest.mark.parametrize("case", EDITS, ids=repr)
def test_golden_space(case: Case) -> None:
    for layer in range(case.inputs["truthful"].shape[1]):
        difference = pair_difference(*layer_pair(case, layer), **centering(case))
        np.testing.assert_allclose(difference.numpy(), case.outputs["difference"][layer], rtol=1e-4, atol=1e-5)
    for layer in layers(case):
        pair = layer_pair(case, layer)
        singular = spectrum(*pair, **centering(case))
        np.testing.assert_allclose(singular.numpy(), case.outputs[f"singular{layer}"], rtol=1e-5, atol=1e-5)
        space = hallu_space(*pair, case.parameters["rank"], **centering(case))
        assert space.dtype == torch.float32
        np.testing.assert_allclose((space @ space.T).numpy(), case.outputs[f"projector{layer}"], atol=2e-5)


@pytest.mark.parametrize("case", EDITS, ids=repr)
def test_golden_edited_weight(case: Case) -> None:
    """(I - P) W, which for column vectors is `project_out` of the weight's columns."""
    for layer in layers(case):
        space = hallu_space(*layer_pair(case, layer), case.parameters["rank"], **centering(case))
        weight = torch.from_numpy(case.inputs[f"weight{layer}"])  # [D, F]
        edited = project_out(weight.T, space).T
        assert edited.dtype == weight.dtype
        # The authors multiply in half precision in one case (authors_only); ours has no such mode and computes in
        # float32, so only the digits of the type can agree.
        half = f"edited{layer}" in case.authors_only
        assert half == (weight.dtype == torch.float16)
        np.testing.assert_allclose(edited.numpy(), case.outputs[f"edited{layer}"], atol=1e-2 if half else 2e-5)
    written = {f"model.layers.{layer}.mlp.down_proj.weight" for layer in layers(case)}
    assert set(case.outputs["edited_names"]) == written


def test_golden_planted_direction() -> None:
    (case,) = cases("nullu", "edit/planted")
    for layer in layers(case):
        space = hallu_space(*layer_pair(case, layer), 1)
        assert abs(float(space[:, 0] @ torch.from_numpy(case.outputs["planted"][layer]))) > 0.99


def test_golden_rank_too_large() -> None:
    """The authors stop with an IndexError; ours says which ranks there are (in place of an authors mode)."""
    (case,) = cases("nullu", TOO_LARGE)
    assert case.authors_only == ("error",)
    width, count = case.inputs["vectors"]
    with pytest.raises(ValueError, match=f"rank {case.parameters['rank']} .*= {count}"):
        hallu_space(states(count, width), states(count, width, seed=1), case.parameters["rank"])


def states(count: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_the_projector_is_one() -> None:
    space = hallu_space(states(9, 24), states(9, 24, seed=1), 4)
    projector = space @ space.T
    torch.testing.assert_close(space.T @ space, torch.eye(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(projector @ projector, projector, rtol=0, atol=1e-5)
    assert torch.trace(projector).item() == pytest.approx(4, abs=1e-5)


def test_nothing_of_the_space_is_left() -> None:
    space = hallu_space(states(9, 24), states(9, 24, seed=1), 4)
    x = 50 * states(6, 24, seed=2).reshape(2, 3, 24)
    out = project_out(x, space)
    assert (out @ space).norm() < 1e-5 * out.norm()
    torch.testing.assert_close(project_out(out, space), out, rtol=1e-5, atol=1e-4)


def test_strength_is_linear_and_zero_is_exact() -> None:
    space = hallu_space(states(9, 24), states(9, 24, seed=1), 4)
    x = states(5, 24, seed=2)
    assert torch.equal(project_out(x, space, 0.0), x)
    assert torch.equal(project_out(x, hallu_space(states(9, 24), states(9, 24, seed=1), 0)), x)
    torch.testing.assert_close(project_out(x, space, 0.5), (x + project_out(x, space)) / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_projected_in_float32(dtype: torch.dtype) -> None:
    space = hallu_space(states(9, 24), states(9, 24, seed=1), 4)
    x = (300 * states(5, 24, seed=2)).to(dtype)
    out = project_out(x, space)
    assert out.dtype == dtype
    assert torch.equal(out, project_out(x.float(), space).to(dtype))


def test_finds_a_planted_direction_among_noise() -> None:
    generator = torch.Generator().manual_seed(3)
    truthful = torch.randn(40, 32, generator=generator)
    axis = torch.nn.functional.normalize(torch.randn(32, generator=generator), dim=0)
    shift = torch.outer(1 + torch.rand(40, generator=generator), axis)
    space = hallu_space(truthful, truthful + shift + 0.02 * torch.randn(40, 32, generator=generator), 1)
    assert abs(float(space[:, 0] @ axis)) > 0.99


def test_exchanging_the_roles_changes_nothing() -> None:
    one, two = states(9, 24), states(9, 24, seed=1)
    a, b = hallu_space(one, two, 3), hallu_space(two, one, 3)
    torch.testing.assert_close(a @ a.T, b @ b.T, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [None, 1.0, 0.5])
@pytest.mark.parametrize("count", [7, 60])
def test_streamed_space_is_the_same(scale: float | None, count: int) -> None:
    one, two = states(count, 24), states(count, 24, seed=1)
    arguments = {"center": scale is not None, "center_scale": scale or 1.0}
    streamed = GramAccumulator(24, **arguments)
    for start in range(0, count, 5):
        streamed.add(one[start : start + 5], two[start : start + 5])
    whole, parts = hallu_space(one, two, 4, **arguments), streamed.space(4)
    assert streamed.count == count
    assert parts.shape == (24, 4)
    assert torch.linalg.svdvals(whole.T @ parts).min() > 0.999
    torch.testing.assert_close(streamed.spectrum()[:4], spectrum(one, two, **arguments)[:4], rtol=1e-4, atol=1e-4)


def test_precision_and_device_follow_the_input() -> None:
    one, two = states(9, 24), states(9, 24, seed=1)
    assert hallu_space(one.double(), two.double(), 2).dtype == torch.float64
    assert hallu_space(one.half(), two.half(), 2).dtype == torch.float32
    assert project_out(one.double(), hallu_space(one, two, 2)).dtype == torch.float64


def test_refuses_what_has_no_space() -> None:
    one, two = states(9, 24), states(9, 24, seed=1)
    with pytest.raises(ValueError, match="identical"):
        hallu_space(one, one, 1)
    with pytest.raises(ValueError, match="identical"):
        GramAccumulator(24).space(1)
    for rank in (-1, 10):
        with pytest.raises(ValueError, match="rank"):
            hallu_space(one, two, rank)
    with pytest.raises(ValueError, match="1 independent"):
        hallu_space(torch.zeros(9, 24), states(1, 24).expand(9, 24), 2)
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        hallu_space(one, two[:8], 1)
    with pytest.raises(ValueError, match="NaN"):
        hallu_space(one, two * float("nan"), 1)
    with pytest.raises(ValueError, match="width"):
        project_out(torch.zeros(2, 23), hallu_space(one, two, 1))
    with pytest.raises(ValueError, match="width"):
        GramAccumulator(23).add(one, two)
