"""A visitor who talks to the server without the page: by hand, and private handlers by their index, with cookies."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


def post(address: str, route: str, body: dict) -> tuple[int, str]:
    """Status and body of a POST, error pages included."""
    request = urllib.request.Request(
        f"{address}gradio_api/{route}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answer(address: str, event: str, name: str) -> str:
    """The end of the event stream of a call."""
    with urllib.request.urlopen(f"{address}gradio_api/call/{name}/{event}", timeout=600) as response:
        return response.read().decode()


def joined(address: str, fn_index: int, data: list) -> Any:
    """The first output of a handler that was run through the queue, as a page does."""
    session = secrets.token_hex(5)
    _, text = post(address, "queue/join", {"data": data, "fn_index": fn_index, "session_hash": session})
    event = json.loads(text)["event_id"]
    with urllib.request.urlopen(f"{address}gradio_api/queue/data?session_hash={session}", timeout=600) as stream:
        for line in stream:
            message = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if message.get("event_id") == event and message["msg"] == "process_completed":
                return message["output"]["data"][0]
    raise AssertionError("the stream of events ended early")


class Stranger:
    """One browser: a session and its cookies. address: of the app, with its last slash."""

    def __init__(self, address: str, headers: dict[str, str] | None = None, cookies: bool = True):
        self.address = address
        self.session = secrets.token_hex(5)
        self.headers = dict(headers or {})
        self.opener = urllib.request.build_opener(*([urllib.request.HTTPCookieProcessor()] if cookies else []))
        self.page = self.get("")
        self.config = json.loads(self.get("config"))

    def get(self, route: str) -> str:
        """The text of a GET."""
        request = urllib.request.Request(self.address + route, headers=self.headers)
        with self.opener.open(request, timeout=600) as response:
            return response.read().decode()

    def reload(self) -> None:
        """Opens the page again: another session, the same cookies."""
        self.session = secrets.token_hex(5)

    def component(self, name: str) -> dict[str, Any]:
        """The component of an elem_id."""
        return next(part for part in self.config["components"] if part["props"].get("elem_id") == name)

    def dependency(self, name: str, event: str) -> dict[str, Any]:
        """The handler of an event of the component with this elem_id."""
        target = [self.component(name)["id"], event]
        return next(part for part in self.config["dependencies"] if target in map(list, part["targets"]))

    def defaults(self, dependency: dict[str, Any]) -> list[Any]:
        """What the page would send if nobody had touched it."""
        values = {part["id"]: part["props"].get("value") for part in self.config["components"]}
        return [values.get(input_id) for input_id in dependency["inputs"]]

    def fire(self, name: str, event: str = "click", changes: dict[str, Any] | None = None, event_data=None) -> Any:
        """Runs a handler by its index through the queue -> its outputs. changes: input values by elem_id."""
        dependency = self.dependency(name, event)
        data = self.defaults(dependency)
        for elem_id, value in (changes or {}).items():
            data[dependency["inputs"].index(self.component(elem_id)["id"])] = value
        body = {"data": data, "fn_index": dependency["id"], "session_hash": self.session, "event_data": event_data}
        request = urllib.request.Request(
            f"{self.address}gradio_api/queue/join", json.dumps(body).encode(),
            {"Content-Type": "application/json", **self.headers},
        )  # fmt: skip
        with self.opener.open(request, timeout=600) as response:
            event_id = json.loads(response.read())["event_id"]
        return self._result(event_id)

    def _result(self, event_id: str) -> Any:
        address = f"{self.address}gradio_api/queue/data?session_hash={self.session}"
        with self.opener.open(urllib.request.Request(address, headers=self.headers), timeout=600) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    message = json.loads(line[6:])
                    if message.get("event_id") == event_id and message["msg"] == "process_completed":
                        return message["output"].get("data") or message["output"]
        raise AssertionError("the stream of events ended early")

    def choose(self, name: str) -> list[str]:
        """Chooses a run in the list -> names that the board shows."""
        outputs = self.fire("train-board", "select", event_data={"name": name, "what": "choose"})
        board = outputs[1]
        return [row["name"] for row in (board.get("list") or [])] if isinstance(board, dict) else []

    def open_operator_page(self, token: str) -> None:
        """Sends the form of the operator's page."""
        form = urllib.parse.urlencode({"token": token}).encode()
        with self.opener.open(f"{self.address}operator", form, timeout=600) as response:
            response.read()
