"""Closed label sets that a prompt asks for: yes/no and multiple choice, in English and Chinese.

A reading of the prompt only: whether the model answers with a label is measured at its first token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = ("auto", "yes/no", "A-D", "open")


@dataclass(frozen=True)
class Labels:
    """The labels of a prompt and, for each, the surface forms an answer may begin with."""

    names: tuple[str, ...]
    forms: tuple[tuple[str, ...], ...]


YES_NO = Labels(("yes", "no"), (("Yes", "yes", "YES"), ("No", "no", "NO")))
YES_NO_CHINESE = Labels(
    ("yes", "no"),
    (("是", "是的", "有", "有的", "对", "能", "会", "可以", *YES_NO.forms[0]),
     ("否", "不", "不是", "没", "没有", "无", "不对", "不能", "不会", *YES_NO.forms[1])),
)  # fmt: skip

CHINESE = re.compile(r"[\u4e00-\u9fff]")
QUOTES = "[\"'“”‘’「」]*"
EXPLICIT = re.compile(
    rf"\byes\b{QUOTES}\s*(?:,|or|/|and)\s*(?:or\s*)?{QUOTES}no\b"
    rf"|是{QUOTES}(?:或者?|还是|/|、){QUOTES}(?:否|不是)|有{QUOTES}(?:或者?|/|、){QUOTES}没有",
    re.I,
)
# An option's mark: A. A) A: (A) A、 also a and 1; not 1.5, and not the end of a word.
_MARK = r"(?:^|[\s(（,;]|[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])({})(?:[.:．、：]|[)）][.:]?)(?![0-9])\s*\S"
UPPER, LOWER, DIGIT = (re.compile(_MARK.format(marks)) for marks in ("[A-H]", "[a-h]", "[1-8]"))
# Lists of instructions have small letters and numbers too: options of a question follow it, or a word for choosing.
CHOOSING = re.compile(r"[?？]|\b(?:which|choose|select|pick|options?|choices?)\b|选|哪", re.I)

_AUXILIARY = (
    r"(?:am|is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|may|might|must)(?:n['’]?t)?"
    r"|can['’]t|won['’]t"
)
# At the start, or after an opening without a question of its own: "In this image, is ..", "Question: is ..".
_OPENING = r"(?:(?!\b(?:what|which|who|whose|where|when|why|how)\b)[^?？]){0,80}?[,:.!\n]\s*(?:and\s+|so\s+|then\s+)?"
QUESTION = re.compile(rf"^\s*(?:{_OPENING})?\b(?P<auxiliary>{_AUXILIARY})\s+(?P<rest>[^?？]*)[?？]", re.I)
TAG = re.compile(r",\s*(?:right|correct|true|(?:is|are|was|were|do|does|did|has|have|can)n['’]?t\s+\w+)\s*[?？]", re.I)
REQUEST = re.compile(
    r"^(?:you|we|i)\s+(?:(?:please|kindly|also|now|just|perhaps|maybe|then)\s+)*(?P<verb>[a-z]+)\b(?P<rest>.*)$",
    re.I | re.S,
)
# What one asks somebody for an opinion or a perception with; any other verb after "can you" asks for a text.
PERCEPTION = re.compile(r"see|spot|notice|find|detect|observe|recogni[sz]e|think|believe|agree|consider", re.I)
WHETHER = re.compile(r"^\s*(?:me|us)?\s*(?:if|whether)\b", re.I)
ASKED_FOR = re.compile(r"^\s*(?:me|us|out)?\s*(?:about\s+)?(?:what|which|who|whose|where|when|why|how)\b", re.I)
DESCRIBING = re.compile(r"\b(?:describe|explain|summari[sz]e|elaborate)\b", re.I)
ALTERNATIVE = re.compile(r"\bor\b(?!\s+not\b)", re.I)
EXISTENCE = re.compile(
    r"^(?:there|you\s+\w+\s+an?y?|we\s+\w+\s+an?y?)\b|\b(?:any|anything|anyone|anybody|either)\b", re.I
)
COMPARISON = re.compile(r"\b(?:more|fewer|less)\b", re.I)

CHINESE_QUESTION = re.compile(
    r"吗|嗎|(?:了没有|是吧|对吧|對吧)\s*[?？]|是否|是不是|有没有|有沒有|有无|有無|能不能|会不会|對不對|对不对|可不可以"
)
CHINESE_ASKED_FOR = re.compile(
    r"什么|什麼|甚麼|哪|谁|誰|多少|几[个只条张位辆]|幾|怎么|怎麼|怎样|如何|为何|还是|還是"
    r"|描述|列出|列举|说明|说说|解释|介绍|总结|概括|讲讲"
)


def find_labels(prompt: str, kind: str = "auto") -> Labels | None:
    """The label set that a prompt asks for; None for an open prompt.

    kind: of KINDS; "A-D" are the options in the prompt, or these four where it lists none. "auto": options "A." "B.",
    "a)" "b)" or "1." "2." in order; else yes/no, if the prompt says so or is a question that can be answered by it. A
    request in the form of a question ("can you describe ..?") and a choice ("is it red or blue?") are open.
    """
    yes_no = YES_NO_CHINESE if CHINESE.search(prompt) else YES_NO
    if kind == "open":
        return None
    if kind == "yes/no":
        return yes_no
    if options := _options(prompt):
        return options
    if kind == "A-D":
        return _letters("ABCD")
    return yes_no if EXPLICIT.search(prompt) or _is_yes_no_question(prompt) else None


def _letters(names: str) -> Labels:
    return Labels(tuple(names), tuple((name, name.upper()) if name.islower() else (name,) for name in names))


def _options(prompt: str) -> Labels | None:
    """At least two options whose marks follow each other from the first."""
    for pattern, first in ((UPPER, "A"), (LOWER, "a"), (DIGIT, "1")):
        marks = list(pattern.finditer(prompt))
        names = "".join(dict.fromkeys(mark[1] for mark in marks))
        expected = "".join(chr(ord(first) + index) for index in range(len(names)))
        sure = first == "A" or (marks and CHOOSING.search(prompt[: marks[0].start() + 1]))
        if len(names) >= 2 and names == expected and sure:
            return _letters(names)
    return None


def _is_yes_no_question(prompt: str) -> bool:
    if CHINESE.search(prompt):
        return bool(CHINESE_QUESTION.search(prompt)) and not CHINESE_ASKED_FOR.search(prompt)
    if DESCRIBING.search(prompt):
        return False
    if TAG.search(prompt):
        return True
    question = QUESTION.search(prompt)
    if question is None:
        return False
    rest = question["rest"]
    if request := REQUEST.search(rest):
        if WHETHER.search(request["rest"]):  # "can you tell me if .."
            return True
        asks = question["auxiliary"].lower()[:2] in ("ca", "co", "wi", "ma", "mi", "wo")
        opinion = question["auxiliary"].lower() == "would" and request["verb"].lower() == "say"
        if ASKED_FOR.search(request["rest"]) or (asks and not opinion and not PERCEPTION.fullmatch(request["verb"])):
            return False
    return not ALTERNATIVE.search(rest) or bool(EXISTENCE.search(rest) and not COMPARISON.search(rest))
