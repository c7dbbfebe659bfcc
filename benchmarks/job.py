"""The job of every contender: read all rows of one location's list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

__all__ = ["FIRST_START", "HEADERS", "LOCATION_ID", "PAGE", "PATH", "STEP", "TIMEZONE", "Job"]

LOCATION_ID = 1001
TIMEZONE = "Europe/Riga"
#: The start of the first row, and the time between the starts of two rows.
FIRST_START = datetime(2015, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=30)

PAGE = 100
PATH = f"/companies/{LOCATION_ID}/activities"
HEADERS = {"Accept": "application/vnd.api.v2+json", "Authorization": "Bearer sandbox-partner, User sandbox-user"}


@dataclass(frozen=True)
class Job:
    """The job of a contender.

    :param url: the server's base URL.
    :param rows: how many rows it has.
    :param folder: an empty folder for the output.
    """

    url: str
    rows: int
    folder: Path

    @property
    def range(self) -> tuple[str, str]:
        """A range that covers all rows."""
        return FIRST_START.isoformat(), (FIRST_START + self.rows * STEP).isoformat()

    @property
    def query(self) -> dict[str, str]:
        """The range as query parameters of the API, on the location's wall clock."""
        first, behind = (datetime.fromisoformat(text).astimezone(ZoneInfo(TIMEZONE)) for text in self.range)
        return {"filter[from]": f"{first:%Y-%m-%d %H:%M:%S}", "filter[to]": f"{behind:%Y-%m-%d %H:%M:%S}"}
