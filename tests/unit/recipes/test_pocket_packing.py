"""Packed training rows: the same tokens as the chat template, and the same loss as every pair alone."""

from __future__ import annotations

import pytest
import torch

from halluapp.grounding.detectors.pocket_head import DetectionHead
from halluapp.lvlm.families import pocket as pocket_model
from halluapp.recipes.pocket import tokenizer
from halluapp.recipes.pocket.packing import IGNORE, Packer
from halluapp.recipes.pocket.train import Pocket

TEXTS = ["A brown dog runs on the beach.", "Is there a cat in the image? No.", "Describe this image. USER: ASSISTANT:"]


@pytest.fixture(scope="module")
def words():
    return tokenizer.train(TEXTS * 20, 400)


@pytest.fixture(scope="module")
def pocket(words):
    torch.manual_seed(0)
    lvlm = pocket_model.build(words, layers=2, width=64)
    return Pocket(lvlm, DetectionHead(["dog", "cat"], width=64, hidden=16)).eval()


def test_packed_ids_are_those_of_the_chat_template(words):
    question, answer = "Describe this image.", "A brown dog runs on the beach."
    packed = Packer(words).pack([[(question, answer)]])
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    text = words.apply_chat_template(messages, tokenize=False).replace("<image>", "<image>" * 64)
    assert packed.ids[0].tolist() == words(text)["input_ids"]
    answer_ids = [i for i in packed.labels[0].tolist() if i != IGNORE]
    assert words.decode(answer_ids) == " " + answer + "</s>"


def test_packed_pairs_do_not_see_each_other(words, pocket):
    pairs = [
        ("Describe this image.", TEXTS[0]),
        ("Is there a cat in the image?", "No."),
        ("Describe this image.", "A cat."),
    ]
    visual = torch.randn(1, 64, 64)
    packer = Packer(words)
    together = packer.pack([pairs])
    with torch.no_grad():
        alone = [packer.pack([[pair]]) for pair in pairs]
        expected = sum(pocket.language_loss(one, visual) * one.answer_tokens for one in alone) / sum(
            one.answer_tokens for one in alone
        )
        assert float(pocket.language_loss(together, visual)) == pytest.approx(float(expected), abs=1e-5)


def test_padding_changes_nothing(words, pocket):
    short, long = [("Describe this image.", "A cat.")], [("Describe this image.", TEXTS[0] * 3)]
    visual = torch.randn(2, 64, 64)
    packer = Packer(words)
    with torch.no_grad():
        both = packer.pack([short, long])
        one, other = packer.pack([short]), packer.pack([long])
        expected = (
            pocket.language_loss(one, visual[:1]) * one.answer_tokens
            + pocket.language_loss(other, visual[1:]) * other.answer_tokens
        )
        assert float(pocket.language_loss(both, visual)) * both.answer_tokens == pytest.approx(
            float(expected), rel=1e-5
        )


def test_training_reaches_neck_projector_and_language_model_but_not_the_trunk(words, pocket):
    fine, coarse = torch.randn(1, 120, 16, 16), torch.randn(1, 352, 8, 8)
    _, visual = pocket.visual(fine, coarse)
    pocket.language_loss(Packer(words).pack([[("Describe this image.", "A cat.")]]), visual).backward()
    with_gradient = {name for name, p in pocket.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    for part in ("neck.reduce.weight", "multi_modal_projector.linear_1.weight", "layers.1.mlp.down_proj.weight"):
        assert any(name.endswith(part) for name in with_gradient), part
    assert not any(".trunk." in name for name in with_gradient)
    pocket.zero_grad()
