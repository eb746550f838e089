"""AdaVIB's bottleneck: golden vectors of the authors' code, and what the loss must and must not reach."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_cases import Case, cases, for_each
from torch import Tensor
from torch.nn import functional

from halluapp.numerics import (
    adaptive_weight,
    adavib_loss,
    gaussian_kl,
    photo_weights,
    pool,
    pool_std,
    similarity_entropy,
)
from halluapp.training.methods.adavib_loss import VariationalHead, reparameterise, similarity

LINEAR = "layer/linear"
LAYERS = [case for case in cases("adavib", "layer/") if case.id != LINEAR]
HEAD = {"std_weight": "std.weight", "std_bias": "std.bias", "mu_p": "mu_p", "rho_p": "rho_p"}


def inputs(case: Case) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in case.inputs.items()}


@for_each(cases("adavib", "pool/"))
def test_golden_pool(case: Case) -> None:
    inputs_of_case, expected = inputs(case), case.outputs["pooled"]
    authors_value = pool(inputs_of_case["tokens"], inputs_of_case["mask"], case.parameters["sqrt"], authors=True)
    np.testing.assert_allclose(authors_value.numpy(), expected, rtol=1e-5, atol=1e-6)  # equal NaN included
    ours = pool(inputs_of_case["tokens"], inputs_of_case["mask"], case.parameters["sqrt"])
    expected = expected if not case.authors_only else np.nan_to_num(expected, nan=0.0)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-6)


@for_each(cases("adavib", "kl/"))
def test_golden_kl(case: Case) -> None:
    names = ("mu_q", "std_q", "mu_p", "std_p")
    inputs_of_case = {name: value.requires_grad_() for name, value in inputs(case).items()}
    kl = gaussian_kl(*(inputs_of_case[name] for name in names))
    np.testing.assert_allclose(kl.detach().numpy(), case.outputs["kl"], rtol=1e-9, atol=1e-12)
    kl.sum().backward()
    assert case.outputs["no_gradient"] == []
    for name in names:
        np.testing.assert_allclose(
            inputs_of_case[name].grad.numpy(), case.outputs[f"grad_{name}"], rtol=1e-9, atol=1e-12
        )


@for_each(cases("adavib", "entropy/"))
def test_golden_entropy(case: Case) -> None:
    inputs_of_case = inputs(case)
    entropy = similarity_entropy(inputs_of_case["tokens"], inputs_of_case["embeddings"])
    np.testing.assert_allclose(entropy.numpy(), case.outputs["entropy"], rtol=1e-5, atol=1e-7)
    prob = similarity(inputs_of_case["tokens"], inputs_of_case["embeddings"])
    np.testing.assert_allclose(prob.numpy(), case.outputs["prob"], rtol=2e-5, atol=1e-7)
    expected = torch.from_numpy(case.outputs["entropy"])
    authors = adaptive_weight(expected, len(inputs_of_case["embeddings"]), authors=True)
    np.testing.assert_allclose(authors.numpy(), case.outputs["alpha"], rtol=1e-5, atol=3e-7)
    ours = adaptive_weight(entropy, len(inputs_of_case["embeddings"]))
    assert (ours >= 0).all()
    assert ours.isfinite().all()
    if not case.authors_only:
        np.testing.assert_allclose(ours.numpy(), case.outputs["alpha"], rtol=1e-4)


def test_golden_alpha() -> None:
    (case,) = cases("adavib", "alpha/")
    entropy, size = torch.from_numpy(case.inputs["entropy"]), case.parameters["vocab_size"]
    authors = adaptive_weight(entropy, size, authors=True).numpy()
    np.testing.assert_allclose(authors, case.outputs["alpha"], rtol=1e-9, atol=1e-12)
    ours = adaptive_weight(entropy, size).numpy()
    inside = (entropy.numpy() / math.log(size) >= 1e-6) & (entropy.numpy() <= math.log(size))
    np.testing.assert_allclose(ours[inside], case.outputs["alpha"][inside], rtol=1e-9, atol=1e-12)
    assert ours.min() == 0.0
    assert ours.max() == pytest.approx(-math.log(1e-6))


@for_each(cases("adavib", "sample/"))
def test_golden_samples(case: Case) -> None:
    inputs_of_case, samples = inputs(case), case.parameters["samples"]
    rows = reparameterise(inputs_of_case["mu"], inputs_of_case["std"], samples, noise=inputs_of_case["noise"])
    np.testing.assert_allclose(rows.numpy(), case.outputs["rows"], rtol=1e-9)
    np.testing.assert_allclose(rows.unflatten(0, (samples, -1)).numpy(), case.outputs["z"], rtol=1e-9)


def golden_head(inputs_of_case: dict[str, Tensor]) -> VariationalHead:
    width, width_in = inputs_of_case["std_weight"].shape
    head = VariationalHead(width_in, width)
    head.load_state_dict({ours: inputs_of_case[authors_value] for authors_value, ours in HEAD.items()})
    return head


@for_each(LAYERS)
def test_golden_layer(case: Case) -> None:
    """Run in authors mode although `authors_only` is empty: the part's notes say that the deviations are pooled the
    authors' way, sum(sigma) / sqrt(n), in all of these."""
    inputs_of_case, expected, training = inputs(case), case.outputs, case.parameters["training"]
    samples = case.parameters["samples"]
    head = golden_head(inputs_of_case)
    leaves = {name: inputs_of_case[name].requires_grad_() for name in ("q", "mean_weight", "mean_bias", "embeddings")}
    mu = functional.linear(leaves["q"], leaves["mean_weight"], leaves["mean_bias"])
    std = head(leaves["q"])
    rows = reparameterise(mu, std, samples, noise=inputs_of_case["noise"]) if training else mu
    weights = None
    if training and case.parameters["self_adaptive"]:
        weights = photo_weights(rows, leaves["embeddings"], samples, authors=True)
    loss = adavib_loss(mu, std, head.mu_p, head.std_p, case.parameters["beta"], weights, authors=True)
    pooled, pooled_std = pool(mu), pool_std(std, authors=True)
    computed = {
        "rows": rows, "mu": mu, "std": std, "mu_pooled": pooled, "std_pooled": pooled_std, "loss": loss,
        "std_p": head.std_p.expand_as(pooled), "kl": gaussian_kl(pooled, pooled_std, head.mu_p, head.std_p),
        "entropy": similarity_entropy(rows, leaves["embeddings"]), "prob": similarity(rows, leaves["embeddings"]),
    }  # fmt: skip
    if "alpha" in expected:
        computed["alpha"] = photo_weights(rows, leaves["embeddings"], samples)
    gradients = {name for name in expected if name.startswith("grad_")}
    assert set(computed) | gradients | {"no_gradient"} >= set(expected)
    for name in set(computed) & set(expected):
        np.testing.assert_allclose(computed[name].detach().numpy(), expected[name], rtol=2e-5, atol=1e-6, err_msg=name)
    loss.backward()
    parameters = dict(head.named_parameters())
    assert expected["no_gradient"] == ["embeddings"]
    assert leaves["embeddings"].grad is None
    for name in gradients:
        name = name.removeprefix("grad_")
        leaf = parameters[HEAD[name]] if name in HEAD else leaves[name]
        scale = np.abs(expected[f"grad_{name}"]).max()
        np.testing.assert_allclose(
            leaf.grad.numpy(), expected[f"grad_{name}"], rtol=1e-4, atol=1e-5 * scale, err_msg=name
        )


def test_golden_layer_without_bottleneck() -> None:
    """The authors' plain projector: no head exists, so of ours only the similarity applies; their loss is 0."""
    (case,) = cases("adavib", LINEAR)
    inputs_of_case = inputs(case)
    rows = functional.linear(inputs_of_case["q"], inputs_of_case["mean_weight"], inputs_of_case["mean_bias"])
    np.testing.assert_allclose(rows.numpy(), case.outputs["rows"], rtol=1e-5, atol=1e-6)
    entropy = similarity_entropy(rows, inputs_of_case["embeddings"])
    np.testing.assert_allclose(entropy.numpy(), case.outputs["entropy"], rtol=1e-5)
    if "prob" in case.outputs:
        np.testing.assert_allclose(
            similarity(rows, inputs_of_case["embeddings"]).numpy(), case.outputs["prob"], rtol=2e-5
        )
    assert case.outputs["loss"] == 0


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_kl_equals_that_of_torch_and_is_zero_only_for_equal_gaussians() -> None:
    mu_q, mu_p = draw(5, 8), draw(5, 8, seed=1)
    std_q, std_p = draw(5, 8, seed=2).exp(), draw(5, 8, seed=3).exp()
    normal = torch.distributions.Normal
    reference = torch.distributions.kl_divergence(normal(mu_q, std_q), normal(mu_p, std_p)).sum(dim=-1)
    torch.testing.assert_close(gaussian_kl(mu_q, std_q, mu_p, std_p), reference, rtol=1e-5, atol=1e-5)
    assert (gaussian_kl(mu_q, std_q, mu_p, std_p) > 0).all()
    torch.testing.assert_close(gaussian_kl(mu_q, std_q, mu_q, std_q), torch.zeros(5))


def test_kl_of_half_precision_does_not_overflow() -> None:
    wide = torch.full((1, 4096), 30.0, dtype=torch.float16)
    kl = gaussian_kl(wide, torch.ones_like(wide), torch.zeros_like(wide), torch.ones_like(wide))
    assert kl.item() == pytest.approx(4096 * 450)


def test_pooled_deviation_is_that_of_the_pooled_variable() -> None:
    mu, std = draw(1, 6, 3), draw(1, 6, 3, seed=1).exp()
    pooled = pool(reparameterise(mu, std, 20_000, torch.Generator().manual_seed(2)))
    torch.testing.assert_close(pooled.std(dim=0), pool_std(std)[0], rtol=0.03, atol=0)
    assert (pool_std(std, authors=True) > pool_std(std)).all()


def test_masked_tokens_do_not_count() -> None:
    tokens, mask = draw(2, 5, 3), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    torch.testing.assert_close(pool(tokens, mask)[0], pool(tokens[:1, :3])[0])


def test_weight_is_zero_for_uniform_and_falls_with_entropy() -> None:
    assert adaptive_weight(torch.tensor([math.log(50)]).double(), 50).abs().item() < 1e-12
    weights = adaptive_weight(torch.linspace(0.01, math.log(50), 30), 50)
    assert (weights.diff() < 0).all()
    assert adaptive_weight(torch.tensor([0.0, -1e-9, 9.0]), 50).isfinite().all()
    with pytest.raises(ValueError, match="vocab_size"):
        adaptive_weight(torch.ones(1), 1)


def test_similarity_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, embeddings = draw(2, 4, 6), draw(50, 6, seed=1)
    whole = similarity(tokens, embeddings)
    monkeypatch.setattr("halluapp.training.methods.adavib_loss.VOCABULARY_CHUNK", 7)
    torch.testing.assert_close(similarity(tokens, embeddings), whole)


def test_gradients_reach_the_head_and_the_mean_but_neither_embeddings_nor_weight() -> None:
    head, mean = VariationalHead(5, 6), torch.nn.Linear(5, 6)
    features, embeddings = draw(2, 4, 5), draw(30, 6, seed=1).requires_grad_()
    mu, std = mean(features), head(features)
    weights = photo_weights(reparameterise(mu, std, 3, torch.Generator().manual_seed(1)), embeddings, 3)
    assert not weights.requires_grad
    adavib_loss(mu, std, head.mu_p, head.std_p, 0.1, weights).backward()
    reached = [*mean.parameters(), *head.parameters()]
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in reached)
    assert embeddings.grad is None


def test_rows_are_sample_major_and_photos_independent() -> None:
    mu, std = draw(2, 4, 6), torch.full((2, 4, 6), 1e-6)
    rows = reparameterise(mu, std, 3, torch.Generator().manual_seed(1))
    torch.testing.assert_close(rows, mu.repeat(3, 1, 1), rtol=0, atol=1e-4)
    embeddings = draw(30, 6, seed=1)
    weights = photo_weights(rows, embeddings, 3)
    swapped = photo_weights(rows.unflatten(0, (3, 2)).flip(1).flatten(0, 1), embeddings, 3)
    torch.testing.assert_close(swapped, weights.flip(0))
    noise = draw(3, 2, 4, 6, seed=5)
    one = reparameterise(mu[1:], std[1:], 3, noise=noise[:, 1:])
    torch.testing.assert_close(reparameterise(mu, std, 3, noise=noise)[1::2], one)


def test_samples_repeat_with_the_seed_and_noise_has_a_shape() -> None:
    mu, std = draw(2, 4, 6), torch.ones(2, 4, 6)
    first, second = (reparameterise(mu, std, 2, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first[:2], first[2:])
    with pytest.raises(ValueError, match="noise"):
        reparameterise(mu, std, 3, noise=torch.zeros(2, 2, 4, 6))


def test_no_strength_or_no_noise_leaves_the_projector() -> None:
    head = VariationalHead(5, 6)
    features, mu = draw(2, 4, 5), draw(2, 4, 6, seed=1)
    assert adavib_loss(mu, head(features), head.mu_p, head.std_p, 0.0).item() == 0.0
    assert torch.equal(reparameterise(mu, torch.zeros_like(mu), 1), mu)


def test_the_head_starts_quiet_with_a_standard_prior() -> None:
    head = VariationalHead(5, 6)
    torch.testing.assert_close(head.std_p, torch.ones(6))
    assert torch.equal(head.mu_p, torch.zeros(6))
    assert head(torch.zeros(1, 2, 5)).max() < 0.01
    assert VariationalHead(5, 6, std_bias=None)(torch.zeros(1, 2, 5)).min() > 0.3


def test_the_weight_of_long_visual_tokens_is_at_its_ceiling_unless_it_reads_their_mean() -> None:
    """As in the embedded model: 64 visual tokens of 50 times the length of a word embedding, much alike."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(500, 32, generator=generator) / 32**0.5
    common = torch.randn(4, 1, 32, generator=generator) * 20 / 32**0.5
    rows = common + torch.randn(4, 64, 32, generator=generator) * 5 / 32**0.5
    summed, mean = (photo_weights(rows, embeddings, 1, sqrt=sqrt) for sqrt in (True, False))
    assert (summed > mean + 0.5).all()
    assert summed.max() > 13.8 > 4 > mean.max()
    assert torch.allclose(mean, photo_weights(rows / 8, embeddings, 1), rtol=1e-4)
