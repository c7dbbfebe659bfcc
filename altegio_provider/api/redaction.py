"""Takes personal data and secrets out of text before it reaches an error or a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["personal_texts", "redact"]

_CAP = 300
#: What may be left of a phone or an e-mail at the end of a text that was cut.
_TORN = 100
#: A shorter secret is looked for as a whole word, lest half of all words lose a syllable.
_SHORT = 8
_EMAIL = re.compile(r"[^\s@\"'<>,;:&=]{1,64}(?:@|%40)[^\s@\"'<>,;:&]{1,255}")
# A phone is a run of nine digits or more, however it is grouped. Ids of the API have nine digits at the most when
# they stand alone, so a longer one is dropped too: better to lose an id than to show a number. A date is none.
_DATE = r"(?:\d{4}-\d\d-\d\d|\d\d[./]\d\d[./]\d{4})(?!\d)"
_PHONE = re.compile(rf"(?<!\d)(?<!\d[-./])(?!{_DATE})(?:%2[Bb]|\+)?\(?\d(?:[\s()./‐‑–-]{{0,3}}\d){{8,}}")
_TOKEN = re.compile(r"(?i)\b(bearer\s+|user\s+(?=\S*\d)(?=\S{8}))[\w.~+/=-]{4,}")
_PERSONAL_FIELD = re.compile(
    r"""(?isx) (["'])((?!field_name["'\\])[\w.\[\]-]*(?:name|phone|email|birthday|national_id|token|field_value)\]?
    |comment|patronymic)(\\*\1\s*(?::|=>)\s*\\*)(["'])(?:\\.|(?!\4)[^\\])*\4?"""
)
_NAMES = ("name", "surname", "patronymic")
_PEOPLE = ("client", "comer")


def redact(text: str, secrets: tuple[str, ...] = (), cap: int = _CAP) -> str:
    """Return the beginning of a text, without tokens, phones, e-mails and the values of personal JSON fields.

    :param secrets: strings that must not appear, whatever they look like.
    :param cap: how many characters to keep.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        word = re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
        text = re.sub(word, "***", text, flags=re.IGNORECASE)
    was_cut = len(text) > cap * 8
    text = text[: cap * 8]
    text = _TOKEN.sub(r"\1***", text)
    text = _PERSONAL_FIELD.sub(r"\1\2\3\4***\4", text)
    text = _EMAIL.sub("***", text)
    text = _PHONE.sub("***", text)
    if was_cut:
        text = text[:-_TORN]
    return text[:cap] + "…" if was_cut or len(text) > cap else text


def personal_texts(body: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return what a request's body says of people; an answer may repeat it in any sentence.

    :param body: of a booking; any other says nothing of people.
    """
    return tuple(text for person in _PEOPLE for text in _texts((body or {}).get(person)))


def _texts(person: Any) -> Iterator[str]:
    if not isinstance(person, Mapping):
        return
    for field, value in person.items():
        if isinstance(value, str) and any(map(str.isalnum, value)):
            yield value
            if field in _NAMES:
                yield from (word for word in value.split() if len(word) > 1)
        elif isinstance(value, list):
            yield from (one["value"] for one in value if isinstance(one, dict) and isinstance(one.get("value"), str))
