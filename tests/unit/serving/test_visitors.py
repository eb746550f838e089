"""Whose a run is: signatures that cannot be forged, the operator, and one person's machine."""

from __future__ import annotations

import stat
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from training_runs import start

from halluapp.errors import InputError
from halluapp.serving import visitors
from halluapp.serving.visitors import COOKIE, OPERATOR_COOKIE, OPERATOR_HEADER, OWNER_OF_ALL, Visitor, cookies
from halluapp.settings import Settings

TOKEN = "a-token-of-the-operator"


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path / "runs", exposed=True, training="on", operator_token=TOKEN)


def test_a_signed_cookie_tells_the_visitor_and_nothing_else_does(settings):
    value = visitors.new_value(settings)
    visitor = visitors.from_headers(settings, f"a=b; {COOKIE}={value}")
    assert visitor.id == value.partition(".")[0]
    assert not visitor.all_runs
    other = visitors.new_value(settings)
    wrong = (
        "", "abc", value + "0", value[:-1], value.partition(".")[0], f"{other.partition('.')[0]}.{value.split('.')[1]}",
        ".", f".{visitors._sign(settings, '')}", "é" * 50, '"\\377', value.upper(),
    )  # fmt: skip
    for forged in wrong:
        assert visitors.from_headers(settings, f"{COOKIE}={forged}") == Visitor(), forged


def test_another_server_signs_with_another_secret_and_a_restart_with_the_same(settings, tmp_path):
    value = visitors.new_value(settings)
    elsewhere = Settings(runs=tmp_path / "other", exposed=True)
    assert not visitors.from_headers(elsewhere, f"{COOKIE}={value}").id
    again = Settings(runs=settings.runs, exposed=True, port=1)
    assert visitors.from_headers(again, f"{COOKIE}={value}").id
    secret = settings.runs / visitors.SECRET_FILE
    assert len(secret.read_bytes()) == visitors.SECRET_BYTES
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert [path.name for path in settings.runs.iterdir()] == [visitors.SECRET_FILE]
    secret.write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        visitors.new_value(settings)


def test_the_operator_has_the_token_in_a_header_or_the_cookie_of_this_token(settings):
    value = visitors.operator_value(settings)
    assert visitors.from_headers(settings, "", TOKEN).all_runs
    assert visitors.from_headers(settings, f"{OPERATOR_COOKIE}={value}").all_runs
    for token in ("", "wrong", TOKEN + "x", TOKEN.upper(), "é"):
        assert not visitors.from_headers(settings, f"{OPERATOR_COOKIE}={token}", token).all_runs, token
    other = Settings(runs=settings.runs, exposed=True, operator_token="another-token-of-it")
    assert not visitors.from_headers(other, f"{OPERATOR_COOKIE}={value}").all_runs
    without = Settings(runs=settings.runs, exposed=True)
    for cookie in (visitors.operator_value(without), ""):
        assert not visitors.from_headers(without, f"{OPERATOR_COOKIE}={cookie}", "").all_runs


def test_on_ones_own_machine_every_run_is_ones_own(tmp_path):
    local = Settings(runs=tmp_path / "runs")
    run = start(tmp_path, "chip")
    assert visitors.visitor_of(local, SimpleNamespace(headers={})) == OWNER_OF_ALL
    assert visitors.stranger(local).owns(run)
    visitors.set_owner(run, OWNER_OF_ALL)
    assert visitors.owner(run) == ""
    OWNER_OF_ALL.check_can_own()


def test_a_run_belongs_to_whoever_started_it_and_to_the_operator(settings, tmp_path):
    run = start(tmp_path, "chip")
    first, second = Visitor("1" * 32), Visitor("2" * 32)
    assert not first.owns(run)  # made on the command line: the operator's
    visitors.set_owner(run, first)
    owners = [visitor for visitor in (first, second, Visitor(), OWNER_OF_ALL) if visitor.owns(run)]
    assert owners == [first, OWNER_OF_ALL]
    with pytest.raises(InputError, match="cookies"):
        Visitor().check_can_own()


def test_cookies_are_closed_to_scripts_and_other_sites(settings):
    def scope(*headers, scheme="http"):
        return {"type": "http", "scheme": scheme, "headers": [(name, value) for name, value in headers]}

    plain = cookies.header(settings, scope(), "name", "value")
    assert plain.startswith("name=value; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(plain.split("; "))
    assert "Secure" not in plain
    for secure in (scope(scheme="https"), scope((b"x-forwarded-proto", b"https"))):
        assert "Secure" in cookies.header(settings, secure, "name", "value").split("; ")
    framed = cookies.header(Settings(space=True), scope(), "name", "value").split("; ")
    assert {"Secure", "HttpOnly", "SameSite=None", "Partitioned"} <= set(framed)


def test_the_request_of_gradio_and_of_starlette_tell_the_same(settings):
    cookie = f"{COOKIE}={visitors.new_value(settings)}".encode()
    headers = [(b"cookie", cookie), (OPERATOR_HEADER.encode(), TOKEN.encode())]
    request = Request({"type": "http", "headers": headers})
    visitor = visitors.visitor_of(settings, request)
    assert visitor.id
    assert visitor.all_runs
    assert visitors.visitor_of(settings, SimpleNamespace(request=request)) == visitor
    assert visitors.visitor_of(settings, SimpleNamespace()) == Visitor()
