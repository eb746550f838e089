"""The benchmark on tiny models with random weights: every figure is there, and what is measured is what is said."""

from __future__ import annotations

import pytest
from conformity import conforms

from halluapp import bench
from halluapp.bench import work
from halluapp.errors import InputError
from halluapp.lvlm import catalog
from halluapp.lvlm.quantize import quantized_linears
from halluapp.lvlm.random_weights import BLUEPRINTS
from halluapp.session import load_session, unload_all
from halluapp.settings import ASSETS, Settings


@pytest.mark.slow
def test_bench_of_a_random_model() -> None:
    result = bench.run(Settings(model="random:llava-tiny", device="cpu"), new_tokens=3, rounds=1, profiled=True)
    conforms("bench", result)
    assert result["schema"] == 2
    assert result["model"] == "random:llava-tiny"
    assert result["quantization"] == "nf4"
    assert result["device"] == "cpu"
    assert result["operations_five"][0]["share"] >= result["operations_five"][1]["share"] > 0
    assert result["rows_five"] == 8
    assert result["rows_eleven"] > 11
    assert result["prefix_tokens"] > 16
    assert result["peak_memory_ratio"] > 0
    for key, value in result.items():
        if key.startswith(("seconds", "ratio", "tokens")):
            assert all(each >= 0 for each in (value.values() if isinstance(value, dict) else [value])), key
    assert set(result["seconds_of_each_generate"]) == {"nf4", "dense"}
    assert result["seconds_one"] == min(result["seconds_of_each_generate"].values())
    assert result["ratio_five_panels_to_one"] == result["ratio_five_panels_to_each_generate"][result["one"]]


def test_works_run_on_a_random_model_of_another_family() -> None:

    session = load_session(Settings(model="random:qwen-tiny", device="cpu"))
    for each in (
        work.generate(session, 3),
        work.panels(session, 3, bench.reference_panels()),
        work.one_after_another(session, 3),
    ):
        each()


def test_random_models_are_quantized_like_real_ones() -> None:
    lvlm, notice = catalog.load("random:llava-tiny", "nf4", "cpu", ASSETS)
    assert notice == ""
    assert len(quantized_linears(lvlm.model)) == 14
    assert not any(part in name for name in quantized_linears(lvlm.model) for part in lvlm.dense_modules)
    with pytest.raises(InputError, match=r"llava-1\.5-7b"):
        catalog.load("random:gpt-9", "nf4", "cpu", ASSETS)


@pytest.mark.parametrize("name", ["llava-1.5-7b", "qwen2.5-vl-7b"])
def test_the_large_blueprints_have_the_sizes_of_the_real_models(name) -> None:
    import torch

    from halluapp.lvlm.families import FAMILIES

    plan = BLUEPRINTS[name]
    with torch.device("meta"):
        model = FAMILIES[plan.family].architecture_class()._from_config(plan.config(5))
    sizes = {"llava-1.5-7b": 7.063e9, "qwen2.5-vl-7b": 8.292e9}[name]
    assert abs(sum(weight.numel() for weight in model.parameters()) - sizes) < 0.01e9


def test_a_checkpoint_without_a_hallu_space_is_measured_without_nullu() -> None:
    """Kind: a traceback on every real checkpoint."""
    from halluapp.methods.registry import defaults

    session = load_session(Settings(model="random:llava-tiny", device="cpu"))
    session.lvlm.spaces.clear()
    names, lacking = work.usable(session.lvlm, defaults())
    assert names == [name for name in defaults() if name != "nullu"]
    assert "halluspace" in lacking["nullu"]
    for each in (work.panels(session, 2, names), work.one_after_another(session, 2, names)):
        each()
    unload_all()


def test_panels_that_fail_are_no_measurement() -> None:

    session = load_session(Settings(model="random:llava-tiny", device="cpu"))
    session.lvlm.spaces.clear()
    with pytest.raises(RuntimeError, match="HalluSpace"):
        work.panels(session, 2, ["nullu"])()
    unload_all()


@pytest.mark.slow
def test_a_large_random_model_is_never_in_memory_as_a_whole() -> None:
    """Kind: 26 GiB in float32 before a model of 4 GB is quantized."""
    import subprocess
    import sys

    code = (
        "from halluapp.lvlm import random_weights as r\n"
        "from halluapp.settings import ASSETS\n"
        "from halluapp.training.memory.process import peak_resident\n"
        "r.build('llava-tiny', 'nf4', 'cpu', ASSETS)\n"
        "wide = {**r.TINY, 'hidden_size': 1024, 'intermediate_size': 4096, 'num_hidden_layers': 8}\n"
        "processor = lambda: r._clip_processor(56)\n"
        "plan = r.Blueprint('llava', lambda image: r._llava(wide, image, r.TINY_VISION), processor)\n"
        "r.BLUEPRINTS['wide'], before = plan, peak_resident()\n"
        "r.build('wide', 'nf4', 'cpu', ASSETS)\n"
        "print(peak_resident() - before)\n"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    dense_megabytes = 8 * (4 * 1024 * 1024 + 3 * 1024 * 4096) * 4 / 2**20
    assert float(output.split()[-1]) < 0.5 * dense_megabytes
