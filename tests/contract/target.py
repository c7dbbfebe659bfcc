"""What the suite is pointed at: the sandbox always, and whatever the environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from altegio_provider.sandbox.pytest_plugin import RunningSandbox

__all__ = ["Target", "in_sandbox", "named_in_environment"]

VARIABLE = "ALTEGIO_CONTRACT_"


@dataclass(frozen=True)
class Target:
    """A server that answers as the document says, or does not.

    :param url: the base URL, with ``/api/v2`` or what stands in its place.
    :param location_id: a location in which the user of the tokens may do everything.
    :param day: a day ahead on which events may be made.
    :param may_write: whether events and appointments may be made, changed and deleted in it.
    :param staff_id: a team member of it; 0 for one that the list of events shows.
    :param service_id: the same of a service.
    :param families: the families of routes that it has, and ``v1`` where the older API is beside it.
    """

    name: str
    url: str
    partner_token: str
    user_token: str
    location_id: int
    day: date
    may_write: bool = True
    staff_id: int = 0
    service_id: int = 0
    families: tuple[str, ...] = ("companies", "locations", "v1")

    @property
    def is_sandbox(self) -> bool:
        return self.name == "sandbox"

    @property
    def is_mock(self) -> bool:
        """Whether it answers with examples and remembers nothing."""
        return "/_mock/" in self.url

    @property
    def pause_seconds(self) -> float:
        """How long to wait between two requests, so that the limit is kept for as long as the suite runs."""
        return 0.0 if self.is_sandbox else 0.35


def in_sandbox(sandbox: RunningSandbox) -> Target:
    """A location of the sandbox."""
    day = date(2040, 5, 1)
    return Target("sandbox", sandbox.url, sandbox.partner_token, sandbox.user_token, 1001, day, True, 1001, 1101)


def named_in_environment() -> Target | None:
    """The target that ``ALTEGIO_CONTRACT_URL`` and its companions name; ``None`` without it.

    :raises pytest.UsageError: a companion is missing.
    """
    url = os.environ.get(f"{VARIABLE}URL")
    if not url:
        return None
    needed = ("PARTNER_TOKEN", "USER_TOKEN", "LOCATION_ID")
    missing = [VARIABLE + name for name in needed if not os.environ.get(VARIABLE + name)]
    if missing:
        raise pytest.UsageError(f"{VARIABLE}URL is set, and {', '.join(missing)} is not")
    partner_token, user_token, location_id = (os.environ[VARIABLE + name] for name in needed)
    return Target(
        "live",
        url.rstrip("/"),
        partner_token,
        user_token,
        int(location_id),
        (datetime.now(UTC) + timedelta(days=300)).date(),
        os.environ.get(f"{VARIABLE}WRITE") == "1",
        int(os.environ.get(f"{VARIABLE}STAFF_ID", "0")),
        int(os.environ.get(f"{VARIABLE}SERVICE_ID", "0")),
        tuple(os.environ.get(f"{VARIABLE}FAMILIES", "companies,locations").split(",")),
    )
