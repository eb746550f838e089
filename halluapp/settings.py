"""All settings in one frozen object; the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# An ordinary install carries the assets in the package (setup.py); in a checkout they lie beside it.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
FAST_MODES = ("auto", "off", "on")


@dataclass(frozen=True)
class Settings:
    """Where and how the app runs.

    model: "pocket" (the embedded LVLM), "auto" (what fits the GPU), a hub id or a local folder.
    quantization: "nf4", "int8" or "none".
    dtype: of the weights that are not quantized, "float32", "bfloat16" or "float16"; "auto": what the device can do.
    fast: decode steps replayed from CUDA graphs; "auto": where they were measured to be faster, "off", "on": anyway.
    detector: "pocket" (embedded), a hub id or a local folder of a transformers object detector.
    runs: folder of the training runs. port 0: the first free one.
    space / zero_gpu: running on Hugging Face Spaces / on ZeroGPU.
    """

    model: str = "pocket"
    detector: str = "pocket"
    quantization: str = "nf4"
    device: str = "auto"
    dtype: str = "auto"
    fast: str = "auto"
    assets: Path = ASSETS
    runs: Path = Path("runs")
    host: str = "127.0.0.1"
    port: int = 7860
    max_new_tokens: int = 80
    threads: int = 0
    space: bool = False
    zero_gpu: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads HALLUAPP_MODEL, HALLUAPP_DETECTOR, HALLUAPP_QUANTIZATION, HALLUAPP_DEVICE, HALLUAPP_DTYPE,
        HALLUAPP_FAST, HALLUAPP_THREADS, HALLUAPP_RUNS and gradio's own names of host and port.
        """
        space = "SPACE_ID" in environment
        return cls(
            model=environment.get("HALLUAPP_MODEL", cls.model),
            detector=environment.get("HALLUAPP_DETECTOR", cls.detector),
            quantization=environment.get("HALLUAPP_QUANTIZATION", cls.quantization),
            device=environment.get("HALLUAPP_DEVICE", cls.device),
            dtype=environment.get("HALLUAPP_DTYPE", cls.dtype),
            fast=environment.get("HALLUAPP_FAST", cls.fast),
            runs=Path(environment.get("HALLUAPP_RUNS") or cls.runs),
            threads=int(environment.get("HALLUAPP_THREADS", cls.threads)),
            host=environment.get("GRADIO_SERVER_NAME", "0.0.0.0" if space else cls.host),
            port=int(environment.get("GRADIO_SERVER_PORT", cls.port)),
            space=space,
            zero_gpu=environment.get("SPACES_ZERO_GPU", "").lower() in ("1", "true", "t"),
        )
