"""A server of this machine alone does not answer another site whose name leads to loopback (DNS rebinding)."""

from __future__ import annotations

import http.client
import urllib.parse

import pytest
from served import app

from halluapp.serving import hosts
from halluapp.settings import Settings

ROUTES = (
    ("GET", ""), ("GET", "config"), ("GET", "theme.css"), ("GET", "healthz"), ("GET", "metrics"), ("GET", "reports/x"),
    ("POST", "gradio_api/run/methods"), ("POST", "gradio_api/call/methods"), ("POST", "gradio_api/queue/join"),
    ("GET", "gradio_api/queue/data?session_hash=x"), ("POST", "gradio_api/upload"), ("POST", "gradio_api/mcp/"),
    ("GET", "gradio_api/file=/etc/hostname"), ("OPTIONS", "gradio_api/run/methods"),
)  # fmt: skip
FOREIGN = (
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7", "0.0.0.0",
    "evil@127.0.0.1", "127.0.0.1:{port}@evil.example", "evil.example, 127.0.0.1", "",
)  # fmt: skip


def answer(address: str, host: str, route: str = "config", method: str = "GET") -> tuple[int, str]:
    """Status and body for a request with this `Host`; "{port}" in it is the server's."""
    url = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    try:
        body = '{"data": []}' if method == "POST" else None
        headers = {"Host": host.format(port=url.port), "Content-Type": "application/json"}
        connection.request(method, f"/{route}", body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_no_route_answers_another_name(address, method, route):
    status, body = answer(address, "evil.example:{port}", route, method)
    assert status == hosts.MISDIRECTED
    assert hosts.FOREIGN in body


def test_only_names_of_loopback_are_ours(address):
    assert {answer(address, host)[0] for host in FOREIGN} == {hosts.MISDIRECTED}
    ours = ("127.0.0.1", "127.0.0.1:{port}", "localhost", "LocalHost:80", "localhost.", "[::1]:{port}", "127.9.9.9")
    assert {answer(address, host)[0] for host in ours} == {200}
    assert answer(address, "localhost", "gradio_api/run/methods", "POST")[0] == 200


def test_a_setting_allows_names_and_a_public_server_has_any():
    with app(hosts=("Lab.example", "10.0.0.7")) as address:
        assert answer(address, "lab.example:443")[0] == 200
        assert answer(address, "10.0.0.7:{port}")[0] == 200
        assert answer(address, "evil.example")[0] == hosts.MISDIRECTED
    for public in (Settings(space=True, host="0.0.0.0"), Settings(exposed=True), Settings(host="0.0.0.0")):
        assert hosts.names(public) is None
    assert hosts.names(Settings(exposed=True, hosts=("Lab.example",))) == {"lab.example"}
