"""Takes personal data and secrets out of text before it reaches an error or a log."""

from __future__ import annotations

import re

__all__ = ["redact"]

_CAP = 300
_EMAIL = re.compile(r"[^\s\"'<>,;:]+@[^\s\"'<>,;:]+\.[^\s\"'<>,;:]+")
# A phone is a run of nine digits or more, however it is grouped; ids of the API are nine digits at the most
# when they stand alone, so a longer one is dropped too: better to lose an id than to show a number.
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d(?:[\s().-]?\d){8,}(?!\w)")
_TOKEN = re.compile(r"(?i)\b(bearer|user)\s+[\w.~+/=-]{4,}")
_PERSONAL_FIELD = re.compile(
    r'(?i)"((?:[a-z_]*(?:name|phone|email|birthday|national_id|token))|comment|patronymic)"\s*:\s*"(?:[^"\\]|\\.)*"?'
)


def redact(text: str, secrets: tuple[str, ...] = (), cap: int = _CAP) -> str:
    """Return the beginning of a text, without tokens, phones, e-mails and the values of personal JSON fields.

    :param secrets: strings that must not appear, whatever they look like.
    :param cap: how many characters to keep.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = text[: cap * 8]
    text = _TOKEN.sub(r"\1 ***", text)
    text = _PERSONAL_FIELD.sub(r'"\1": "***"', text)
    text = _EMAIL.sub("***", text)
    text = _PHONE.sub("***", text)
    return text if len(text) <= cap else text[:cap] + "…"
