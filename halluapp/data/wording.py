"""Small pieces of English for training text: articles, clean sentences, lists, left and right."""

from __future__ import annotations

import re

MASS = ("water", "grass", "snow", "sand", "ice", "dirt", "mud", "people", "hair", "food")


# Written with a vowel and spoken with a consonant (a uniform, not an unimportant), and the other way round.
CONSONANT_SOUND = re.compile(r"uni(?!n|m)|us[eu]|ut[ei]|uku|eu|ewe|one\b|once\b", re.I)
VOWEL_SOUND = re.compile(r"[aeiou]|hour|hono|honest|heir", re.I)


def article(noun: str) -> str:
    """The indefinite article that fits a noun."""
    return "an" if VOWEL_SOUND.match(noun) and not CONSONANT_SOUND.match(noun) else "a"


def clean_sentence(text: str) -> str:
    """One caption as a sentence: spaces and quotes put right, capital letter, full stop."""
    text = re.sub(r"\s+([.,;!?])", r"\1", re.sub(r"\s+", " ", text)).strip().strip('"').strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def mirror(text: str) -> str:
    """The text of a mirrored photo: left and right change places."""
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"\b([Ll]eft|[Rr]ight)\b", lambda match: swap[match.group()], text)


def enumerate_items(items: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def noun_phrase(phrase: str) -> str:
    """A phrase with an indefinite article, or "some" where a plural or a mass noun needs it."""
    phrase = re.sub(r"^(The|the|his|her|their|its|His|Her|Their|Its)\s+", "", phrase.strip())
    phrase = phrase[:1].lower() + phrase[1:]
    if re.match(r"(an?|two|three|four|five|several|many|some|another)\b", phrase):
        return phrase
    last = phrase.split()[-1]
    plural = last.endswith("s") and not last.endswith(("ss", "us"))
    return ("some " if plural or last in MASS else article(phrase) + " ") + phrase
