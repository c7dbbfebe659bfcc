"""The locations that the example DAGs read, from the environment variable ``ALTEGIO_LOCATIONS``."""

from __future__ import annotations

import os

__all__ = ["locations_from_environment"]

_SANDBOX = "1001=Europe/Riga,1002=America/New_York,1003=Asia/Tbilisi"


def locations_from_environment() -> list[dict[str, str]]:
    """Return the id and the time zone of each location, as arguments for ``expand_kwargs``.

    :returns: for each location ``{"location_id": "1001", "timezone": "Europe/Riga"}``; default: the three locations of
        the sandbox.
    :raises ValueError: ``ALTEGIO_LOCATIONS`` cannot be read.
    """
    locations = []
    for pair in os.environ.get("ALTEGIO_LOCATIONS", _SANDBOX).split(","):
        if not pair.strip():
            continue
        location_id, _, timezone = (part.strip() for part in pair.partition("="))
        if not location_id.isdecimal() or not timezone or "=" in timezone:
            raise ValueError(
                f"ALTEGIO_LOCATIONS: {pair.strip()!r} is not an id and a time zone. Write pairs with commas between "
                "them, such as 1001=Europe/Riga,1002=America/New_York."
            )
        locations.append({"location_id": location_id, "timezone": timezone})
    return locations
