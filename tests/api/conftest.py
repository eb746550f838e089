from __future__ import annotations

import pytest
from gradio_client import Client
from served import app


@pytest.fixture(scope="session")
def address():
    with app() as url:
        yield url


@pytest.fixture(scope="session")
def client(address):
    return Client(address, verbose=False)
