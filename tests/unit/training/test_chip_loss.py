"""CHiP's losses: golden vectors of the authors' code, and what their faults must not do here."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import torch
from golden_cases import Case, cases, for_each
from PIL import Image
from torch.nn.functional import kl_div, logsigmoid

from halluapp.errors import InputError
from halluapp.numerics import (
    Answers,
    changed_tokens,
    chip_loss,
    diffuse,
    segment_logps,
    sequence_logps,
    sequential_kl,
    token_weights,
)
from halluapp.training.batches.corruption import STRATEGIES, corrupt, rotate
from halluapp.training.methods.chip_loss import token_logps

LOSS_INPUTS = ("policy_chosen", "policy_rejected", "policy_chosen_corrupted", "reference_chosen", "reference_rejected",
               "reference_chosen_corrupted", "kl_chosen", "kl_rejected")  # fmt: skip


def tensors(case: Case) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in case.inputs.items()}


def close(ours: torch.Tensor, expected, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    if getattr(expected, "dtype", None) == np.float32:
        rtol, atol = max(rtol, 1e-5), max(atol, 1e-6)
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=rtol, atol=atol)


def expected(case: Case, name: str):
    """What is right in our mode: the authors' value, or the one with their fault removed; None where there is none."""
    if f"fixed_{name}" in case.outputs:
        return case.outputs[f"fixed_{name}"]
    return None if name in case.authors_only else case.outputs.get(name)


# The batch of two stops the authors' code; ours is checked below.
@for_each([case for case in cases("chip", "logps/") if "error" not in case.outputs])
def test_golden_logps(case: Case) -> None:
    inputs, average = tensors(case), case.parameters["average"]
    labels = inputs["labels"]
    rows = slice(0, len(labels) - 1)  # the authors drop the last row
    computed = {
        "logps": sequence_logps(inputs["logits"], labels, average)[rows],
        "kl": sequential_kl(inputs["reference_logits"], inputs["logits"][rows], labels[rows], average),
        "token_logps": token_logps(inputs["logits"], labels)[0][rows],
        "reference_logps": sequence_logps(inputs["reference_logits"], labels[rows], average),
        "corrupted_reference_logps": sequence_logps(inputs["corrupted_reference_logits"], labels[rows], average),
        "reference_token_logps": token_logps(inputs["reference_logits"], labels[rows])[0],
    }
    for name, ours in computed.items():
        assert ours.isfinite().all()
        if (value := expected(case, name)) is not None:
            close(ours, value)


@for_each(cases("chip", "all-rows/"))
def test_golden_all_rows(case: Case) -> None:
    inputs = tensors(case)
    close(sequence_logps(inputs["logits"], inputs["labels"]), case.outputs["logps"])
    close(token_logps(inputs["logits"], inputs["labels"])[0], case.outputs["token_logps"])
    mean = sequence_logps(inputs["logits"], inputs["labels"], average=True)
    close(mean, np.nan_to_num(case.outputs["mean_logps"], nan=0.0))


@for_each(cases("chip", "muffin-logps/"))
def test_golden_muffin(case: Case) -> None:
    inputs, average = tensors(case), case.parameters["average"]
    labels = inputs["labels"][:-1]
    segments = sequence_logps(inputs["logits"][:-1], labels, average)
    close(segments, case.outputs["logps"])
    close(segments - sequence_logps(inputs["reference_logits"], labels, average), case.outputs["margin"])
    close(sequential_kl(inputs["reference_logits"], inputs["logits"][:-1], labels, average), case.outputs["kl"])


@for_each(cases("chip", "changed/"))
def test_golden_changed_tokens(case: Case) -> None:
    inputs, least = case.inputs, case.parameters["min_match"]
    outputs, authors_only = dict(case.outputs), case.authors_only
    chosen, rejected = changed_tokens(inputs["chosen"], inputs["rejected"], least, authors=True)
    assert chosen == list(outputs["chosen_changed"])
    assert rejected == list(outputs["rejected_changed"])
    chosen, rejected = changed_tokens(inputs["chosen"], inputs["rejected"], least)
    if "no_autojunk_chosen_changed" in outputs and "no_autojunk_chosen_changed" not in authors_only:
        outputs = {key: outputs[f"no_autojunk_{key}"] for key in ("chosen_changed", "rejected_changed")}
        authors_only = ()
    if "chosen_changed" not in authors_only:
        assert chosen == list(outputs["chosen_changed"])
        assert rejected == list(outputs["rejected_changed"])


@for_each(cases("chip", "weights/"))
def test_golden_token_weights(case: Case) -> None:
    inputs = case.inputs
    for row, (chosen, rejected) in enumerate(zip(inputs["chosen_ids"], inputs["rejected_ids"], strict=True)):
        result = token_weights(chosen[1:].tolist(), rejected[1:].tolist(), case.parameters["weight"], authors=True)
        for ours, name in zip(result, ("chosen_weight", "rejected_weight"), strict=True):
            close(ours, case.outputs[name][row])


def loss_of(inputs: dict[str, torch.Tensor], parameters: dict, prefix: str = ""):
    """Our joint loss from the names of the golden cases."""
    visual, drift = parameters["cross_modal"], parameters["token_kl"]
    corrupted = [inputs[f"{who}_chosen_corrupted"] if visual else None for who in ("policy", "reference")]
    return chip_loss(
        Answers(inputs["policy_chosen"], inputs["policy_rejected"], corrupted[0]),
        Answers(inputs["reference_chosen"], inputs["reference_rejected"], corrupted[1]),
        inputs["kl_chosen"] if drift else None, inputs["kl_rejected"] if drift else None,
        mode="joint", beta=parameters["beta"], token=parameters["tok_beta"],
    )  # fmt: skip


@for_each(cases("chip", "loss/"))
def test_golden_joint_loss(case: Case) -> None:
    inputs = {name: value.requires_grad_() for name, value in tensors(case).items()}
    result = loss_of(inputs, case.parameters)
    computed = {"margin": result.margin, "losses": result.losses}
    computed |= {f"reward_{name}": reward for name, reward in result.rewards.items()}
    for name, ours in computed.items():
        if name in case.outputs:
            close(ours, case.outputs[name])
    result.losses.sum().backward()
    for name in LOSS_INPUTS:
        if f"grad_{name}" in case.outputs:
            close(inputs[name].grad, case.outputs[f"grad_{name}"])
        elif name in case.outputs["no_gradient"]:
            assert inputs[name].grad is None or not inputs[name].grad.any()


@for_each(cases("chip", "step/"))
def test_golden_step(case: Case) -> None:
    inputs, about = tensors(case), case.parameters
    logits, labels = inputs["logits"].requires_grad_(), inputs["expanded_labels"]
    ids, width = case.inputs["ids"][:, 1:], labels.shape[1] - 1
    weights = torch.ones(3, width, dtype=torch.float64)
    if about["token_weights"]:
        result = token_weights(ids[0].tolist(), ids[1].tolist(), about["weight"], about["min_match"], authors=True)
        for row, segments in enumerate((*result, result[0])):
            weights[row, width - len(segments) :] = segments
    references = (inputs["reference_logits"][0], inputs["reference_logits"][1], inputs["corrupted_reference_logits"][0])
    policy = sequence_logps(logits, labels, weights=weights)
    reference = sequence_logps(torch.stack(references), labels, weights=weights)
    kl = sequential_kl(inputs["reference_logits"], logits[:2], labels[:2])
    names = ("chosen", "rejected", "chosen_corrupted")
    computed = {f"policy_{name}": policy[row : row + 1] for row, name in enumerate(names)}
    computed |= {f"reference_{name}": reference[row : row + 1] for row, name in enumerate(names)}
    computed |= {"kl_chosen": kl[:1], "kl_rejected": kl[1:]}
    loss = loss_of(computed, about)
    (gradient,) = torch.autograd.grad(loss.loss, logits)
    checked = {**computed, "margin": loss.margin, "loss": loss.loss, "grad_logits": gradient}
    for name, ours in checked.items():
        if (value := expected(case, name)) is not None:
            close(ours, value, rtol=1e-6, atol=1e-9)  # the authors' weights are float32


@for_each(cases("chip", "diffusion/step"))
def test_golden_diffusion(case: Case) -> None:
    inputs = tensors(case)
    (result,) = (value for value in case.outputs.values() if np.shape(value) == tuple(inputs["pixels"].shape))
    close(diffuse(inputs["pixels"], case.parameters["step"], inputs["noise"]), result, 1e-5, 1e-6)


def random_logits(*shape: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_labels(rows: int = 4, length: int = 9, words: int = 11) -> torch.Tensor:
    labels = torch.randint(0, words, (rows, length), generator=torch.Generator().manual_seed(1))
    labels[:, :3] = -100
    labels[1, 7:] = -100
    return labels


def test_batch_equals_single_rows_whatever_the_padding() -> None:
    logits, labels = random_logits(4, 9, 11), some_labels()
    whole = sequence_logps(logits, labels)
    for row in range(4):
        close(sequence_logps(logits[row : row + 1], labels[row : row + 1])[0], whole[row].numpy())
    left_padded = (
        torch.cat([random_logits(4, 2, 11, seed=3), logits], 1),
        torch.cat([labels[:, :1].repeat(1, 2), labels], 1),
    )
    close(sequence_logps(*left_padded), whole.numpy())
    reference = random_logits(4, 9, 11, seed=5)
    pairs = [sequential_kl(reference[r : r + 1], logits[r : r + 1], labels[r : r + 1]) for r in range(4)]
    close(sequential_kl(reference, logits, labels), torch.cat(pairs).numpy())


def test_kl_is_torchs_and_finite_for_extreme_logits() -> None:
    logits, reference, labels = random_logits(4, 9, 11), random_logits(4, 9, 11, seed=2), some_labels()
    torch_value = kl_div(logits.log_softmax(-1), reference.log_softmax(-1), reduction="none", log_target=True).sum(-1)
    expected = (torch_value[:, :-1] * (labels[:, 1:] != -100)).sum(-1)
    close(sequential_kl(reference, logits, labels), expected.numpy())
    extreme = sequential_kl(1e4 * reference.float(), -1e4 * logits.float(), labels)
    assert extreme.isfinite().all()
    assert (extreme >= 0).all()


@pytest.mark.parametrize("mode", ["paper", "joint"])
def test_policy_equal_to_reference_gives_ln_2_for_every_term(mode: str) -> None:
    logits, labels = random_logits(4, 9, 11), some_labels()
    logps, counted = token_logps(logits, labels)
    changed = torch.zeros_like(counted)
    changed[:, 4] = True
    total, segment = sequence_logps(logits, labels), segment_logps(logps, counted, changed, 3.0)
    answers = Answers(total[:2], total[2:], total[:2] - 1.0, segment[:2], segment[2:])
    kl = sequential_kl(logits, logits, labels)
    result = chip_loss(answers, answers, kl[:2], kl[2:], mode=mode)
    assert not kl.any()
    assert not result.margin.any()
    terms = {name: float(value) for name, value in result.terms.items()}
    assert terms.pop("token") == 0.0
    assert set(terms.values()) == {math.log(2)}
    assert float(result.loss) == pytest.approx(math.log(2) * (len(terms) if mode == "paper" else 1))


def test_response_level_alone_is_textbook_dpo() -> None:
    policy, reference = random_logits(2, 5), random_logits(2, 5, seed=4)
    result = chip_loss(Answers(*policy), Answers(*reference), beta=0.3)
    text = -logsigmoid(0.3 * ((policy[0] - reference[0]) - (policy[1] - reference[1]))).mean()
    assert float(result.loss) == pytest.approx(float(text))
    assert set(result.terms) == {"response"}


@pytest.mark.parametrize("mode", ["paper", "joint"])
def test_only_the_rejected_answers_drift_has_a_gradient(mode: str) -> None:
    rows = [row.requires_grad_() for row in random_logits(6, 5)]
    chosen, rejected = (torch.rand(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    result = chip_loss(Answers(*rows[:3]), Answers(*rows[3:]), chosen, rejected, mode=mode, beta=0.2, token=0.5)
    result.losses.sum().backward()
    assert chosen.grad is None or not chosen.grad.any()
    slope = 1 - (0.2 * result.margin).sigmoid() if mode == "joint" else torch.ones(5)
    close(rejected.grad, (0.2 * 0.5 * slope).detach().numpy())


def test_an_uncorrupted_photo_adds_ln_2_and_no_gradient() -> None:
    rows = [row.requires_grad_() for row in random_logits(4, 5)]
    plain = chip_loss(Answers(*rows[:2]), Answers(*rows[2:]))
    result = chip_loss(Answers(*rows[:2], rows[0]), Answers(*rows[2:], rows[2]))
    assert float(result.terms["visual"].detach()) == pytest.approx(math.log(2))
    for one, two in zip(torch.autograd.grad(plain.loss, rows), torch.autograd.grad(result.loss, rows), strict=True):
        close(one, two.numpy())


def test_the_segment_score_does_not_grow_with_length() -> None:
    logps, changed = random_logits(2, 6), torch.tensor([[0, 0, 1, 1, 0, 0]] * 2, dtype=torch.bool)
    counted = torch.ones_like(changed)
    once = segment_logps(logps, counted, changed, 3.0)
    twice = segment_logps(logps.repeat(1, 2), counted.repeat(1, 2), changed.repeat(1, 2), 3.0)
    close(once, twice.numpy())
    assert segment_logps(logps, torch.zeros_like(counted), changed, 3.0).tolist() == [0.0, 0.0]


def test_changed_tokens_mark_what_differs() -> None:
    a, b = [1, 2, 3, 4, 5, 6], [1, 9, 3, 4, 5, 6]
    assert changed_tokens(a, b, min_match=1) == ([1], [1])
    assert changed_tokens(a, b) == ([0, 1], [0, 1])  # the single token before the change is no run of 3
    assert changed_tokens(a, a) == ([], [])
    assert changed_tokens([1, 2, 3, 7, 4, 5, 6], a) == ([3], [])
    assert changed_tokens([1, 2, 3, 7, 4, 5, 6], a, authors=True) == ([], [])
    long = Random(0).choices(range(40), k=260)
    other = [*long[:100], 99, *long[101:]]
    assert sum(map(len, changed_tokens(long, other))) < 10


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rejected_photos(strategy: str) -> None:
    pixels = torch.rand(3, 3, 24, 20)
    result = corrupt(pixels, strategy, torch.Generator().manual_seed(0), black=torch.tensor([-1.0, -2.0, -3.0]))
    assert result.shape == pixels.shape
    assert result.isfinite().all()
    assert not torch.equal(result, pixels)
    again = corrupt(pixels, strategy, torch.Generator().manual_seed(0), black=torch.tensor([-1.0, -2.0, -3.0]))
    assert torch.equal(result, again)
    assert corrupt(pixels[:1], strategy, torch.Generator().manual_seed(0)).shape == (1, 3, 24, 20)


def test_a_rotated_photo_is_turned_by_10_to_80_degrees_as_in_the_paper() -> None:
    """Against PIL's rotation; a square photo and a wide one, whose shape stays."""
    for height, width in ((64, 64), (48, 80)):
        ramp = torch.linspace(0.2, 1, height * width).reshape(height, width)
        photo = torch.stack([ramp, ramp.flip(0), ramp.flip(1)])[None]
        for degrees in (10.0, 37.5, 80.0):
            channels = [
                torch.from_numpy(np.array(Image.fromarray(one.numpy()).rotate(degrees, Image.Resampling.BILINEAR)))
                for one in photo[0]
            ]
            expected, rotated = torch.stack(channels), rotate(photo, degrees)[0]
            rows, columns = torch.arange(height)[:, None] - height / 2, torch.arange(width)[None] - width / 2
            inside = (rows**2 + columns**2).sqrt() < height / 2 - 3  # edges are drawn differently
            torch.testing.assert_close(rotated[:, inside], expected[:, inside], atol=1e-3, rtol=1e-3)
    black = torch.tensor([-1.0, -2.0, -3.0])
    assert torch.equal(rotate(torch.rand(1, 3, 20, 20), 45.0, black)[0, :, 0, 0], black)
    photos = torch.rand(64, 3, 8, 8)
    results = corrupt(photos, "rotation", torch.Generator().manual_seed(1))
    angles = 10 + 70 * torch.rand(64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(results[5], rotate(photos[5:6], float(angles[5]))[0])
    assert 10 <= float(angles.min()) < 15
    assert 75 < float(angles.max()) <= 80


def test_quarter_turns_keep_every_pixel() -> None:
    photos = torch.rand(8, 3, 6, 6)
    for photo, turned in zip(photos, corrupt(photos, "quarter-turns", torch.Generator().manual_seed(0)), strict=True):
        assert any(torch.equal(turned, torch.rot90(photo, turns, (1, 2))) for turns in (1, 2, 3))


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(InputError, match="rejected photo"):
        corrupt(torch.rand(1, 3, 4, 4), "blur", torch.Generator())
    with pytest.raises(ValueError, match="noise step"):
        diffuse(torch.rand(1, 3, 4, 4), 1000, torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match="mode"):
        chip_loss(Answers(torch.zeros(1), torch.zeros(1)), Answers(torch.zeros(1), torch.zeros(1)), mode="authors")
