"""Memory for a model: of the device that it goes to, at the precision that it is loaded in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from halluapp import session
from halluapp.lvlm import catalog
from halluapp.lvlm.weights import memory
from halluapp.serving.models import choices
from halluapp.settings import Settings

LLAVA = "llava-hf/llava-1.5-7b-hf"
CARDS = [9 * memory.GIGABYTE, 5 * memory.GIGABYTE]  # free on each; the first is the current one


@pytest.fixture
def cards(monkeypatch) -> None:
    """Two cards, as far as torch's questions about their memory go: there are none where tests run."""

    def free_and_total(device=None) -> tuple[int, int]:
        card = 0 if device is None else device if isinstance(device, int) else torch.device(device).index or 0
        return CARDS[card], 16 * memory.GIGABYTE

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(CARDS))
    monkeypatch.setattr(torch.cuda, "mem_get_info", free_and_total)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells how it is without a GPU")
@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
@pytest.mark.parametrize("spread", [False, True])
def test_without_a_gpu_it_is_the_memory_of_the_machine(device, spread) -> None:
    free, on_gpu = memory.free_memory(device, spread)
    assert not on_gpu
    assert free > 0
    assert catalog.automatic(device) == "pocket"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_free_memory_of_a_real_card() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    for device in ("auto", "cuda", "cuda:0"):
        free, on_gpu = memory.free_memory(device)
        assert on_gpu
        assert 0 < free <= total


@pytest.mark.usefixtures("cards")
def test_each_card_has_its_own_free_memory() -> None:
    assert [memory.free_memory(device) for device in ("auto", "cuda", "cuda:0", "cuda:1")] == [
        (CARDS[0], True), (CARDS[0], True), (CARDS[0], True), (CARDS[1], True),
    ]  # fmt: skip
    assert memory.free_memory("cpu")[1] is False
    free, on_gpu = memory.free_memory("cuda:1", spread=True)
    assert on_gpu
    assert free > sum(CARDS)


@pytest.mark.usefixtures("cards")
def test_auto_takes_the_card_with_clearly_more_room_and_spreads_over_all(monkeypatch) -> None:
    """The kind: only the first card counted, full or not, and a model that fits two cards was never taken."""
    assert memory.device_of("auto") == "cuda"  # 9 GB here, 5 on the other one
    assert memory.device_of("cuda:1") == "cuda:1"
    assert catalog.automatic("auto", "none", spread=True) == "Qwen/Qwen3-VL-4B-Instruct"
    monkeypatch.setattr(f"{__name__}.CARDS", [int(size * memory.GIGABYTE) for size in (5, 5.5, 9)])
    assert memory.device_of("auto") == "cuda:2"
    assert memory.free_memory("auto") == (9 * memory.GIGABYTE, True)
    assert catalog.automatic("auto") == LLAVA
    assert catalog.automatic("cuda") == "HuggingFaceTB/SmolVLM-Instruct"
    assert catalog.automatic("auto", "none", spread=True) == LLAVA  # 16.6 GB in bfloat16, of 19.5
    monkeypatch.setattr(f"{__name__}.CARDS", CARDS[:2])
    assert memory.device_of("auto") == "cuda"  # the other one has little more, and steps are replayed here


@pytest.mark.usefixtures("cards")
def test_auto_is_what_fits_the_card_that_is_named_at_its_precision() -> None:
    """7B in NF4: 7.0 GB in 16 bits beside, 8.2 GB in 32; on the card with 5 GB it is the smallest default."""
    assert catalog.automatic("auto") == catalog.automatic("cuda:0") == LLAVA
    assert catalog.automatic("cuda:1") == "HuggingFaceTB/SmolVLM-Instruct"
    assert catalog.automatic("cuda:1", dtype="float32") == "pocket"
    assert catalog.automatic("auto", "none") == "HuggingFaceTB/SmolVLM-Instruct"
    assert catalog.automatic("cpu") == "pocket"


@pytest.mark.parametrize(
    ("dtype", "on_gpu", "size"),
    [("auto", True, 2), ("auto", False, 4), ("float32", True, 4), ("float32", False, 4), ("bfloat16", False, 2),
     ("float16", True, 2)],
)  # fmt: skip
def test_bytes_of_a_weight(dtype, on_gpu, size) -> None:
    assert memory.dense_bytes(dtype, on_gpu) == size
    assert choices.Room(0, 0, on_gpu).dense_bytes(Settings(dtype=dtype)) == size


@pytest.mark.usefixtures("cards")
@pytest.mark.parametrize(("dtype", "stay"), [("auto", True), ("float32", False)])
def test_an_earlier_session_goes_where_weights_of_32_bits_need_its_memory(dtype, stay, monkeypatch) -> None:
    """7.567 billion weights, of which NF4 reaches 6.979: 7.3 GB with the rest in 16 bits, 8.5 in 32; 8 are free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (8 * memory.GIGABYTE, 16 * memory.GIGABYTE))
    earlier = Settings(model="pocket", device="cuda:0")
    monkeypatch.setattr(session, "_sessions", session.OrderedDict({earlier: session.Session(None, None)}))
    session._make_room(replace(earlier, model="llava-hf/llava-v1.6-mistral-7b-hf", quantization="nf4", dtype=dtype))
    assert (earlier in session._sessions) == stay
