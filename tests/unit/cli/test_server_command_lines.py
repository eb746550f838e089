"""Random command lines and environments of `serve` and `doctor`: a start, or one sentence, never a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from halluapp.cli import main as cli
from halluapp.settings import Settings

HOSTS = ["127.0.0.1", "::1", "[::1]", "localhost", "0.0.0.0", "256.1.1.1", "", " ", "a b", "a\0b", "x" * 300, "\ud800",
         "http://127.0.0.1", "127.0.0.1:80", "-", "..", "%"]  # fmt: skip
NUMBERS = ["0", "1", "7860", "-1", "65535", "65536", "9" * 30, "1.5", "nan", "abc", "", " 5 ", "0x10", "٣", "1_0"]
PLACES = ["pocket", "auto", "nobody/nothing", "a/b/c", "~", "~nobody-here", "~nobody-here/model", ".", "/", "/dev/null",
          "x" * 300, "a/" * 900, "http://a/b", "random:nope", "ünï", "-", " "]  # fmt: skip
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
VALUES = {
    **dict.fromkeys(("MODEL", "DETECTOR", "RUNS"), PLACES), **dict.fromkeys(("DISK_MB", "DISK_HOURS"), NUMBERS),
    **dict.fromkeys(("THREADS", "QUEUE", "RATE", "UPLOAD_MB"), NUMBERS), "QUANTIZATION": ["nf4", "nf5", "none", ""],
    "DEVICE": ["cpu", "cuda", "cuda:9", "gpu", ""], "DTYPE": ["auto", "float8", ""], "FAST": ["on", "off", "maybe"],
    "TRAINING": ["auto", "on", "maybe"], "OPERATOR_TOKEN": ["x", "x" * 20], "AUTH": ["a:b", "a", ":", "a:"],
    "PUBLIC": ["1", "no"], "DEVICE_MAP": ["auto", "balanced", "two", ""], "OFFLOAD": PLACES,
    "MAX_MEMORY": ["0=9GiB,cpu=30GB", "cpu=9", "=", "9" * 40 + "=1GB", "0=" + "9" * 40 + "GB", ",", ""],
}  # fmt: skip
OTHERS = {"GRADIO_SERVER_NAME": [host for host in HOSTS if "\0" not in host and host != "\ud800"],
          "GRADIO_SERVER_PORT": NUMBERS, "GRADIO_ROOT_PATH": ["/app", ":"], "GRADIO_SHARE": ["True", "x"],
          "SPACE_ID": ["a/b"], "SPACES_ZERO_GPU": ["true", "0"]}  # fmt: skip
VARIABLES = {**{f"HALLUAPP_{name}": values for name, values in VALUES.items()}, **OTHERS}
ENVIRONMENTS = st.fixed_dictionaries(
    {}, optional={name: st.one_of(st.sampled_from(values), TEXT) for name, values in VARIABLES.items()}
).map(lambda chosen: dict(list(chosen.items())[-3:]))  # few at a time, or each meets the first refusal only
ARGUMENTS = st.lists(
    st.one_of(
        st.tuples(st.just("--host"), st.sampled_from(HOSTS)), st.tuples(st.just("--port"), st.sampled_from(NUMBERS)),
        st.tuples(st.just("--model"), st.one_of(st.sampled_from(PLACES), TEXT)), st.tuples(TEXT),
    ), max_size=2,
).map(lambda pairs: [word for pair in pairs for word in pair])  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def here(tmp_path_factory):
    """Served settings are counted instead of served, from a folder of its own without variables of ours."""
    folder, before, old = tmp_path_factory.mktemp("here"), os.getcwd(), dict(os.environ)
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.chdir(folder)
    yield folder
    os.chdir(before)
    os.environ.clear()
    os.environ.update(old)


@pytest.fixture(scope="module")
def started():
    """The settings that `serve` would start with."""
    from halluapp.ui import app

    served: list[Settings] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "serve", served.append)
        yield served


def run(words: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    """(exit code, output, errors) of a command in this process and environment."""
    out, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(out):
            try:
                code = cli.main(words)
            except SystemExit as end:  # of argparse
                code = end.code or 0
    return code, out.getvalue(), error.getvalue()


def one_sentence(error: str) -> None:
    """argparse prints its usage before; nothing else is more than a line."""
    last = error.rstrip("\n").splitlines()[-1]
    assert last.startswith(("halluapp: ", "halluapp ")), error
    assert "Traceback" not in error
    assert len(last) < 1500


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=ARGUMENTS, environment=ENVIRONMENTS)
@example(words=["--model", "~nobody-here"], environment={})
@example(words=["--host", "a\0b"], environment={})
@example(words=[], environment={"HALLUAPP_RUNS": "x" * 300})
@example(words=["--port", "0"], environment={"GRADIO_ROOT_PATH": ":"})
def test_serve_starts_or_ends_with_one_sentence(started, words, environment):
    """Public kind: settings that surface late, or as a traceback."""
    started.clear()
    code, _, error = run(["serve", *words], environment)
    assert code in (0, 2), (code, error)
    if code:
        one_sentence(error)
        assert not started
    elif "--help" not in words and not any("-h" in word for word in words):
        [found] = started
        assert 0 <= found.port <= 65535
        assert found.checked(serving=True) == found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=st.lists(st.one_of(st.just("--json"), TEXT), max_size=2), environment=ENVIRONMENTS)
@example(words=["--json"], environment={"HALLUAPP_MODEL": "~nobody-here"})
@example(words=["--json"], environment={"HALLUAPP_RUNS": "x" * 300})
def test_doctor_names_what_is_wrong_in_any_environment(words, environment):
    """Exit code 0 where nothing is wrong, 1 with findings, 2 for arguments that there are not."""
    code, out, error = run(["doctor", *words], environment)
    assert code in (0, 1, 2), (code, error)
    assert "Traceback" not in out + error
    if code == 2:
        one_sentence(error)
        assert set(words) - {"--json"}
    elif "--json" in words:
        problems = json.loads(out)["problems"]
        assert bool(problems) == bool(code)
        assert all(problem["what"] and "\n" not in problem["what"] for problem in problems)
