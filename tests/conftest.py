"""What all tiers share. The environment is set before anything of the app, transformers or gradio is imported."""

from __future__ import annotations

import json
import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# The models of the tests are so small that a second thread only waits for the first; the other core has the other half
# of the files (`-n 2`), or what a test has started.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# How long an example takes, or its making, says something about the machine and what else runs there, not about us.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
# Servers keep uploads in the system's temporary folder and tidy it up: each process of `-n 2` has a folder of its own.
worker = os.environ.get("PYTEST_XDIST_WORKER")
temporary = tempfile.TemporaryDirectory(prefix=f"tests-{worker}-", ignore_cleanup_errors=True) if worker else None
if temporary:
    os.environ["TMPDIR"] = tempfile.tempdir = temporary.name


def pytest_configure(config) -> None:
    """Workers take the files in the order of their names: the browser's are the longest and have the fewest tests."""
    config.option.loadscopereorder = False


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator with the same stream in every run."""
    return np.random.default_rng(20240607)


@pytest.fixture(scope="module")
def one_thread():
    """Small passes on two threads stand still on a busy machine, each thread waiting for the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def log_lines(caplog):
    """The lines of the log of requests, as JSON."""
    from halluapp.serving import request_log

    request_log.start_logging()
    request_log.logger.addHandler(caplog.handler)
    yield lambda: [json.loads(record.getMessage()) for record in caplog.records]
    request_log.logger.removeHandler(caplog.handler)
