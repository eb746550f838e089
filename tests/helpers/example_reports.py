"""A report of two tokens and two mentions, and text that tries to become markup."""

from __future__ import annotations

from halluapp import report
from halluapp.decoding.events import Token

PROBE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&[x](javascript:alert(1)) `a` | b {{ 7 * 7 }}{% endif %}{#"
)


def mention(text: str, word: str, verdict: str, **more) -> dict:
    start = text.index(word)
    return {
        "text": word, "start": start, "end": start + len(word), "object": word, "verdict": verdict, "box": None,
        "score": None, **more,
    }  # fmt: skip


def panel(**changes) -> dict:
    text = "A dog and a car."
    tokens = [Token(3, "A", 0.9, 0.8, 0.1, (("A", 0.9), ("The", 0.05))), Token(4, " dog", 0.5, 0.4, None, (), " cat")]
    mentions = [
        mention(text, "dog", "grounded", box=[0.1, 0.2, 0.5, 0.9], score=0.8, label="dog", reason="dog found"),
        mention(text, "car", "contradicted"),
    ]
    values = {"method": "vdd", "parameters": {"alpha": 1.0}, "text": text, "tokens": tokens, "mentions": mentions}
    return report.panel(**{**values, "seconds": 1.25, "forward_passes": 2, "reason": "end", **changes})


def example(**changes) -> dict:
    values = {
        "model": "tiny", "prompt": "What is here?", "seed": 7, "photo": {"sha256": "0" * 64, "width": 4, "height": 3},
        "detections": [{"label": "dog", "score": 0.8, "box": [0.1, 0.2, 0.5, 0.9]}], "panels": [panel()],
    }  # fmt: skip
    return report.build(**{**values, **changes})
