"""Layouts in which preference pairs are published: each function here reads one, or says that a row is of another.

A layout is read where its meaning is certain: one photo, one question, two answers. More turns, system messages and
several photos are refused, because to leave them out would change the pair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from halluapp.data.tables import RowError

TEXTS = ("question", "chosen", "rejected")
USERS, ANSWERERS, SYSTEM = ("human", "user"), ("gpt", "assistant", "model", "bot"), "system"
Row = Mapping[str, Any]
Turn = tuple[str, str]  # who speaks ("" unknown), text


def pair_fields(row: Row) -> dict[str, Any]:
    """A row of any layout -> the row with image, question, chosen and rejected, where it has them.

    Raises RowError.
    """
    row = next((fields for layout in LAYOUTS if (fields := layout(row)) is not None), row)
    return {**row, "image": _image(row)}


def plain(row: Row) -> Row | None:
    """Ours: three texts of these names; whatever stands beside them means nothing here."""
    return row if all(isinstance(row.get(key), str) for key in TEXTS) else None


def rlhf_v(row: Row) -> Row | None:
    """RLHF-V: `text` holds question, chosen and rejected as JSON, or as their object."""
    if row.get("text") is None or "chosen" in row:
        return None
    try:
        fields = json.loads(row["text"]) if isinstance(row["text"], str) else row["text"]
    except (ValueError, RecursionError) as error:
        raise RowError(f": its text is not JSON ({error}).") from error
    if not isinstance(fields, Mapping):
        raise RowError(": its text is not the JSON of an RLHF-V pair.")
    return {**row, **{key: fields.get(key) for key in TEXTS}}


def rejected_response(row: Row) -> Row | None:
    """ms-swift: `messages` end in the chosen answer, `rejected_response` is the other one."""
    turns, rejected = _turns(row.get("messages")), _turns(row.get("rejected_response"))
    if len(turns) < 2 or len(rejected) != 1 or turns[-1][0] not in ANSWERERS:
        return None
    return {**row, "question": _question(turns[:-1], row), "chosen": turns[-1][1], "rejected": rejected[0][1]}


def rejected_conversations(row: Row) -> Row | None:
    """POVID: `conversations` end in the chosen answer, `rejected_conversations` in the rejected one."""
    chosen, rejected = _turns(row.get("conversations")), _turns(row.get("rejected_conversations"))
    return _two_conversations(row, chosen, rejected)


def sharegpt(row: Row) -> Row | None:
    """LLaMA-Factory's ShareGPT layout: `conversations` (or `messages`), `chosen` and `rejected` as one message each."""
    turns = _turns(row.get("conversations")) or _turns(row.get("messages"))
    chosen, rejected = _turns(row.get("chosen")), _turns(row.get("rejected"))
    if not turns or len(chosen) != 1 or len(rejected) != 1:
        return None
    return {**row, "question": _question(turns, row), "chosen": chosen[0][1], "rejected": rejected[0][1]}


def alpaca(row: Row) -> Row | None:
    """LLaMA-Factory's Alpaca layout: `instruction`, perhaps `input` after it."""
    if not isinstance(row.get("instruction"), str) or row.get("question") is not None:
        return None
    if row.get("history"):
        raise RowError(" has a history; a pair is one question and two answers.")
    parts = [row["instruction"], row.get("input")]
    question = "\n".join(part for part in parts if isinstance(part, str) and part.strip())
    return {**row, "question": _question([("", question)], row)}


def trl(row: Row) -> Row | None:
    """TRL: `prompt` (or `question`), `chosen` and `rejected` as texts or messages."""
    prompt = _turns(row.get("prompt", row.get("question")))
    chosen, rejected = _turns(row.get("chosen")), _turns(row.get("rejected"))
    if not prompt or len(chosen) != 1 or len(rejected) != 1:
        return None
    return {**row, "question": _question(prompt, row), "chosen": chosen[0][1], "rejected": rejected[0][1]}


def trl_without_prompt(row: Row) -> Row | None:
    """TRL: `chosen` and `rejected` both begin with the question."""
    return _two_conversations(row, _turns(row.get("chosen")), _turns(row.get("rejected")))


LAYOUTS = (plain, rlhf_v, rejected_response, rejected_conversations, sharegpt, alpaca, trl, trl_without_prompt)


def _two_conversations(row: Row, chosen: list[Turn], rejected: list[Turn]) -> Row | None:
    if len(chosen) < 2 or len(rejected) < 2:
        return None
    if chosen[:-1] != rejected[:-1]:
        raise RowError(": the two answers are to different questions.")
    return {**row, "question": _question(chosen[:-1], row), "chosen": chosen[-1][1], "rejected": rejected[-1][1]}


def _question(turns: list[Turn], row: Row) -> str:
    """The only question of a conversation. Raises RowError."""
    system = row.get("system")
    if (isinstance(system, str) and system.strip()) or any(who == SYSTEM for who, _ in turns):
        raise RowError(" has a system message; put it into the question or leave it out.")
    if len(turns) != 1 or turns[0][0] in ANSWERERS:
        raise RowError(f" has {len(turns)} turns before its answers; a pair is one question and two answers.")
    return turns[0][1]


def _turns(value: Any) -> list[Turn]:
    """A text, a message or a list of messages ({"from", "value"} or {"role", "content"}); [] for all else."""
    if isinstance(value, str):
        return [("", value)]
    messages = [value] if isinstance(value, Mapping) else value
    if not isinstance(messages, list):
        return []
    turns = [_turn(message) for message in messages]
    return [turn for turn in turns if turn] if all(turns) else []


def _turn(message: Any) -> Turn | None:
    if not isinstance(message, Mapping):
        return None
    who, content = message.get("from", message.get("role")), message.get("value", message.get("content"))
    if isinstance(content, list):  # parts: {"type": "text", "text"} and {"type": "image"}
        parts = [part for part in content if isinstance(part, Mapping)]
        texts = [part.get("text") for part in parts if part.get("type", "text") == "text"]
        content = "\n".join(text for text in texts if isinstance(text, str))
    return (who.lower() if isinstance(who, str) else "", content) if isinstance(content, str) else None


def _image(row: Row) -> Any:
    """The one image of a row: `image`, `images`, `image_path`, or a part of a message. Raises RowError."""
    candidates = [row.get("image"), row.get("images"), row.get("image_path"), _images_in_messages(row)]
    for value in candidates:
        several = value if isinstance(value, list) else [value]
        images = [item for item in several if item is not None and item != ""]
        if len(images) > 1:
            raise RowError(f" has {len(images)} photos; a pair has one.")
        if images and _is_filled(images[0]):
            return images[0]
    return None


def _is_filled(value: Any) -> bool:
    return not isinstance(value, Mapping) or any(item is not None for item in value.values())


def _images_in_messages(row: Row) -> list:
    """{"type": "image", "image": ..} or {"type": "image_url", "image_url": {"url": ..}} of the question's messages."""
    images = []
    for key in ("prompt", "messages", "conversations"):
        for message in row.get(key) if isinstance(row.get(key), list) else []:
            content = message.get("content") if isinstance(message, Mapping) else None
            for part in content if isinstance(content, list) else []:
                if isinstance(part, Mapping):
                    url = part.get("image_url")
                    images.append(part.get("image") or (url.get("url") if isinstance(url, Mapping) else url))
    return images
