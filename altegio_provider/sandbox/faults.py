"""What goes wrong on demand: rules that say when, and effects that say what.

A rule is a JSON object: ``effect``, its parameters, and when it applies: ``route`` (an operation's name), ``location``,
``every`` (each n-th matching request), ``nth`` (that one only), ``probability`` (with ``seed``), ``times`` (so often
at the most). Without any of these it applies always.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time
from typing import Any

from starlette.responses import RedirectResponse, Response

from altegio_provider.sandbox.forms.answers import Broken, Refusal, data, json_answer

__all__ = ["EFFECTS", "Faults", "Rule"]

#: Instead of an answer, before anything took effect.
_BEFORE = {"status", "lose_answer_before", "redirect", "hang"}
#: In place of the answer, after the request took effect.
_AFTER = {
    "lose_answer_after",
    "late_effect",
    "truncate",
    "cut_json",
    "empty",
    "html",
    "success_false",
    "hidden_errors",
    "status_after",
    "accepted",
}
#: Looked at by the operations themselves.
_INSIDE = {
    "cap_limit",
    "short_page",
    "meta",
    "order",
    "churn",
    "dates",
    "wrong_offset",
    "mask_phones",
    "record_without_event",
    "late_client_id",
    "inclusive_to",
    "partial_effect",
    "wrong_timestamp",
}
EFFECTS = _BEFORE | _AFTER | _INSIDE
_STATUS = {"status", "message", "errors", "body", "retry_after", "seconds"}
#: The parameters of the effects that have any.
_PARAMETERS: dict[str, set[str]] = {
    "status": _STATUS,
    "status_after": _STATUS,
    "hang": {"seconds"},
    "redirect": {"url", "status"},
    "late_effect": {"seconds"},
    "cap_limit": {"limit"},
    "short_page": {"rows"},
    "meta": {"form", "by"},
    "order": {"by"},
    "churn": {"inserts", "deletes"},
    "dates": {"form"},
    "wrong_offset": {"offset"},
    "late_client_id": {"seconds"},
    "partial_effect": {"rows", "answer", "rest_seconds"},
    "wrong_timestamp": {"by", "each"},
    "success_false": {"before"},
    "hidden_errors": {"before"},
}


@dataclass
class Rule:
    """One fault."""

    effect: str
    params: dict[str, Any] = field(default_factory=dict)
    route: str | None = None
    location: int | None = None
    every: int | None = None
    nth: int | None = None
    probability: float | None = None
    times: int | None = None
    seed: int = 0
    seen: int = 0
    applied: int = 0

    @classmethod
    def of(cls, given: dict[str, Any]) -> Rule:
        """Make a rule from JSON; keys that are not a rule's own are the effect's parameters.

        :raises ValueError: there is no such effect, or it has no such parameter.
        """
        own = {"effect", "route", "location", "every", "nth", "probability", "times", "seed"}
        if given.get("effect") not in EFFECTS:
            raise ValueError(f"unknown effect {given.get('effect')!r}; there are {', '.join(sorted(EFFECTS))}")
        params = {name: value for name, value in given.items() if name not in own}
        unknown = params.keys() - _PARAMETERS.get(given["effect"], set())
        if unknown:
            raise ValueError(f"{given['effect']} has no parameter {', '.join(sorted(unknown))}")
        rule = cls(params=params, **{name: value for name, value in given.items() if name in own})
        rule._random = random.Random(rule.seed)  # noqa: S311 - chance, not secrets
        return rule

    _random: random.Random = field(default_factory=random.Random, repr=False)

    def applies(self, route: str, location: int | None) -> bool:
        """Count a request, and say whether the fault befalls it."""
        if (self.route is not None and route != self.route) or (
            self.location is not None and location != self.location
        ):
            return False
        self.seen += 1
        if self.times is not None and self.applied >= self.times:
            return False
        hit = (
            (self.every is None or self.seen % self.every == 0)
            and (self.nth is None or self.seen == self.nth)
            and (self.probability is None or self._random.random() < self.probability)
        )
        self.applied += hit
        return hit


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def for_request(self, route: str, location: int | None) -> dict[str, dict[str, Any]]:
        """The effects that befall a request, with their parameters."""
        return {rule.effect: rule.params for rule in self.rules if rule.applies(route, location)}


def too_many(seconds: float, form: str | None) -> Response:
    """The 429, with ``Retry-After`` in seconds, as a date, or not at all."""
    headers = {}
    if form == "seconds":
        headers["Retry-After"] = str(max(1, round(seconds + 0.5)))
    elif form == "date":
        headers["Retry-After"] = formatdate(time() + seconds + 1, usegmt=True)
    answer = Refusal(429, "Too many requests").answer()
    answer.headers.update(headers)
    return answer


async def before(effects: dict[str, dict[str, Any]]) -> Response | None:
    """What comes instead of an answer, before anything took effect."""
    if "hang" in effects:
        try:
            await asyncio.sleep(float(effects["hang"].get("seconds", 60)))
        except asyncio.CancelledError:  # the server ends
            return Broken()
    if "lose_answer_before" in effects:
        return Broken()
    if "redirect" in effects:
        return RedirectResponse(effects["redirect"]["url"], int(effects["redirect"].get("status", 302)))
    if "status" in effects:
        return _refused(effects["status"])
    for effect, body in _BAD_BODIES.items():
        if effects.get(effect, {}).get("before"):
            return json_answer(body)
    return None


_BAD_BODIES = {
    "success_false": {"success": False, "data": None, "meta": {"message": "No success"}},
    "hidden_errors": data({"errors": {"client": ["was not booked"]}}),
}


def _refused(params: dict[str, Any]) -> Response:
    status = int(params.get("status", 500))
    if status == 429:
        return too_many(float(params.get("seconds", 1)), params.get("retry_after"))
    message = params.get("message", "Something went wrong")
    return Refusal(status, message, params.get("errors")).answer(params.get("body", "object"))


async def after(effects: dict[str, dict[str, Any]], answer: Response) -> Response:
    """What comes in place of an answer, after the request took effect."""
    body = bytes(answer.body)
    if "lose_answer_after" in effects:
        return Broken()
    if "status_after" in effects:
        return _refused(effects["status_after"])
    if "truncate" in effects:
        return Broken(answer, len(body) // 2)
    if "cut_json" in effects:
        return json_answer(body[: len(body) // 2], answer.status_code)
    if "empty" in effects:
        return Response(b"", answer.status_code)
    if "html" in effects:
        return Response("<html><body>Please log in</body></html>", answer.status_code, media_type="text/html")
    if "success_false" in effects:
        return json_answer(_BAD_BODIES["success_false"], answer.status_code)
    if "hidden_errors" in effects:
        return json_answer(_BAD_BODIES["hidden_errors"])
    if "accepted" in effects:
        return Response(b"", 202)
    return answer
