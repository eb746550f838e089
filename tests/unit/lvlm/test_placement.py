"""Models whose weights lie elsewhere than where they compute: the same answers, and what cannot be is one sentence.

accelerate's hooks are real here: a model computes on the CPU, its weights lie on the disk or beside it until used.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import tiny_families
import torch
from replay_modes import model_of
from tiny import OPEN, YES_NO, hooks, photo, run

from halluapp.decoding.replay import policy
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.inspection.question import VIEWS, ask, inspect
from halluapp.lvlm import catalog, sidecar_files
from halluapp.lvlm.weights import memory, placement
from halluapp.lvlm.weights.fingerprint import fingerprint
from halluapp.lvlm.weights.placement import Placement
from halluapp.methods.registry import create, defaults
from halluapp.settings import ASSETS
from halluapp.training.hallu_space import compute

SAMPLING = {"max_new_tokens": 8, "ignore_end": True}


def home_of(kind: str) -> Path:
    return (tiny if kind in tiny.KINDS else tiny_families).folder(kind)


def _room(kind: str, share: float) -> str:
    """Memory for what comes before a model's decoder, and for `share` of the rest."""
    whole = model_of(kind, "none")
    parts = sum(weight.nbytes for part in (whole.decoder, whole.head) for weight in part.parameters())
    before = sum(weight.nbytes for weight in whole.model.parameters()) - parts
    return f"{(1.1 * before + share * parts) / 1e6:.3f}MB"


def _on_disk(kind: str, share: float, folder: Path):
    """A model of which what comes before the decoder, and `share` of the rest, lies in memory -> (LVLM, notice)."""
    spread = Placement("auto", f"cpu={_room(kind, share)}", str(folder))
    return catalog.load(str(home_of(kind)), "none", "cpu", folder, spread=spread)


def _beside(kind: str):
    """A model whose decoder's weights lie in main memory beside it, as they would beside a card."""
    from accelerate import cpu_offload

    model, _ = catalog.load(str(home_of(kind)), "none", "cpu", Path("/nowhere"))
    for part in (model.decoder, model.head):
        cpu_offload(part, torch.device("cpu"))
    model.projectors.clear(), model.adapters.clear()
    sidecar_files.attach(model, home_of(kind))
    return model


def _same(model, kind: str, names: list[str], prompts: tuple[str, ...]) -> None:
    for prompt in prompts:
        methods = [create(name) for name in names]
        here = run(model_of(kind, "none"), Views(model_of(kind, "none"), photo()), prompt, methods, **SAMPLING)
        there = run(model, Views(model, photo()), prompt, methods, **SAMPLING)
        assert {name: answer.ids for name, answer in there.items()} == {name: a.ids for name, a in here.items()}
        assert all(len(answer.ids) == SAMPLING["max_new_tokens"] for answer in here.values())
    assert hooks(model) == 0
    assert any(weight.is_meta for weight in model.model.parameters()), "weights are fetched for one forward"
    assert placement.is_spread(model.model)
    assert policy.blocker(model)


def test_a_random_model_is_spread_as_well_and_answers_the_same(tmp_path) -> None:
    """The kind: a model of random weights, with which speed and memory are measured, lay on one device only."""
    whole, _ = catalog.load("random:llava-tiny", "none", "cpu", ASSETS)
    room = 0.7 * sum(weight.nbytes for weight in whole.model.parameters()) / 1e6
    spread = Placement("auto", f"cpu={room:.3f}MB", str(tmp_path))
    model, notice = catalog.load("random:llava-tiny", "none", "cpu", ASSETS, spread=spread)
    assert "on the disk" in notice
    assert placement.devices(model.model) == ("cpu", "disk")
    tensors = dict(placement.tensors(model.model))
    assert all(torch.equal(tensors[name], weight) for name, weight in whole.model.named_parameters())
    methods = [create(name) for name in defaults()]
    here, there = (
        run(lvlm, Views(lvlm, photo()), OPEN, methods, max_new_tokens=3, ignore_end=True) for lvlm in (whole, model)
    )
    assert {name: answer.ids for name, answer in there.items()} == {name: answer.ids for name, answer in here.items()}
    disk = str(tmp_path / "new")
    for quantization, offload, words in (
        ("none", "", "HALLUAPP_OFFLOAD"), ("nf4", disk, "not fit the cards"), ("none", disk, "vision tower"),
    ):  # fmt: skip
        spread = Placement("auto", "cpu=0.2MB", offload)
        with pytest.raises(InputError, match=words):
            catalog.load("random:llava-tiny", quantization, "cpu", ASSETS, spread=spread)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_every_method_answers_from_the_disk_as_from_memory(share, tmp_path) -> None:
    model, notice = _on_disk("llava", share, tmp_path)
    assert "on the disk" in notice
    assert model.device.type == "cpu"
    _same(model, "llava", [*defaults(), "hacl", "pai", "dola", "icd", "vcd", "nullu+vdd"], (OPEN, YES_NO))
    assert fingerprint(model) == fingerprint(model_of("llava", "none"))
    assert memory.footprint(model.model) < 0.9 * memory.footprint(model_of("llava", "none").model)


def test_every_method_answers_as_if_the_weights_were_not_beside_the_model() -> None:
    _same(_beside("llava"), "llava", [*defaults(), "hacl", "pai", "dola", "nullu+vdd"], (OPEN, YES_NO))


@pytest.mark.slow
@pytest.mark.parametrize("kind", tiny_families.KINDS)
def test_every_family_answers_with_its_decoder_elsewhere(kind, tmp_path) -> None:
    names = ["baseline", "nullu", "adavib", "vdd", "calibration", "pai", "dola"]
    _same(_on_disk(kind, 0.5, tmp_path)[0], kind, names, (OPEN,))
    _same(_beside(kind), kind, names, (OPEN,))


@pytest.mark.parametrize(
    ("kind", "quantization", "offload", "words"),
    [
        ("llava", "none", False, "HALLUAPP_OFFLOAD"),
        ("llava", "nf4", True, "quantized weights .* do not fit"),
        ("llava", "int8", True, "quantized weights .* do not fit"),
        ("pocket", "none", True, "vision tower"),  # its trunk is in no file of the checkpoint
    ],
)
def test_what_cannot_be_offloaded_is_one_sentence(kind, quantization, offload, words, tmp_path) -> None:
    spread = Placement("auto", "cpu=0.4MB", str(tmp_path) if offload else "")
    with pytest.raises(InputError, match=words) as caught:
        catalog.load(str(tiny.folder(kind)), quantization, "cpu", tmp_path, spread=spread)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_what_fits_lies_whole_on_one_device(quantization, tmp_path) -> None:
    spread = Placement("balanced", "cpu=1GB")
    model, notice = catalog.load(str(tiny.folder("llava")), quantization, "cpu", tmp_path, spread=spread)
    assert not notice
    assert not placement.is_spread(model.model)
    assert policy.blocker(model) == ""


def test_what_reads_weights_and_states_of_an_offloaded_model_reads_the_same(tmp_path) -> None:
    """Every look into an answer, and the states that a HalluSpace is computed of."""
    model, whole = _on_disk("llava", 0.3, tmp_path)[0], model_of("llava", "none")
    methods = tuple(create(name) for name in ("baseline", "nullu", "vdd", "hacl"))
    question = ask(whole, photo(), OPEN, methods, "nullu", max_new_tokens=8)
    for view in VIEWS:
        here, there = (inspect(each, question.about(view)) for each in (whole, model))
        assert json.dumps(here, default=str) == json.dumps(there, default=str), view
    states = []
    for each in (whole, model):
        image = each.encode_image(photo())
        states.append(compute.pair_states(each, image, "Is it a dog?", "Yes", "No", [0, 1], "all").states)
    assert torch.equal(*states)


def test_weights_are_found_behind_several_hooks_of_a_module(tmp_path) -> None:
    """accelerate keeps a second hook beside the first in a SequentialHook, which has no weights of its own."""
    from accelerate.hooks import ModelHook, SequentialHook, add_hook_to_module

    model, whole = _on_disk("llava", 0.3, tmp_path)[0], model_of("llava", "none")
    for first in (False, True):
        linear = [layer.mlp.down_proj for layer in model.layers if layer.mlp.down_proj.weight.is_meta][
            -1 if first else 0
        ]
        add_hook_to_module(linear, ModelHook(), append=True)
        assert type(linear._hf_hook) is SequentialHook
        assert linear.weight.is_meta
        expected = dict(whole.model.named_parameters())
        for name, tensor in placement.tensors(model.model):
            assert name not in expected or torch.equal(tensor, expected[name]), name
        with placement.weights(linear):
            assert not linear.weight.is_meta
        assert linear.weight.is_meta
        assert placement.device_of(linear).type == "cpu"
    assert fingerprint(model) == fingerprint(whole)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("other", ["cpu", "1"])
def test_cards_and_main_memory_answer_as_one_card(other, tmp_path) -> None:
    """In float32, so that tokens must be equal."""
    if other == "1" and torch.cuda.device_count() < 2:
        pytest.skip("needs two cards")
    for kind in ("llava", *tiny_families.KINDS):
        spread = Placement("sequential", f"0={_room(kind, 0.5)},{other}=1GB")
        one = catalog.load(str(home_of(kind)), "none", "cuda", tmp_path, "float32")[0]
        several = catalog.load(str(home_of(kind)), "none", "cuda", tmp_path, "float32", spread)[0]
        assert placement.is_spread(several.model)
        methods = [create(name) for name in ("baseline", "nullu", "adavib", "vdd", "calibration", "pai", "dola")]
        answers = [run(each, Views(each, photo()), OPEN, methods, **SAMPLING) for each in (one, several)]
        assert len({str({name: answer.ids for name, answer in each.items()}) for each in answers}) == 1, kind
