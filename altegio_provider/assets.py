"""Assets for the events of a location. Use them as outlets of tasks, and to start DAGs when events change."""

from __future__ import annotations

from typing import Any

from altegio_provider.compat import Asset, AssetWatcher

__all__ = ["events_asset", "watched_events"]


def events_asset(location_id: int, part: str = "", **arguments: Any) -> Asset:
    """Return the asset of a location's events: ``altegio://locations/{location_id}/events``.

    :param location_id: the location.
    :param part: a word for a subset of the events. It becomes part of the asset's name and URI, because Airflow
        ignores one of two assets with the same URI.
    :param arguments: further arguments of ``Asset``.
    """
    return Asset(
        name="_".join(filter(None, ("altegio_events", str(location_id), part))),
        uri="/".join(filter(None, (f"altegio://locations/{location_id}/events", part))),
        **arguments,
    )


def watched_events(location_id: int, part: str = "", **watching: Any) -> Asset:
    """Return the asset of a location's events, with a watcher. A DAG scheduled on it starts when the events change.

    ::

        @dag(schedule=[watched_events(1001), watched_events(1001, "yoga", service_ids=[7])])

    :param location_id: the location.
    :param part: as for :func:`events_asset`. Give each watcher of one location a different part.
    :param watching: arguments of :class:`~altegio_provider.triggers.events.AltegioEventTrigger`.
    """
    from altegio_provider.triggers.events import AltegioEventTrigger

    trigger = AltegioEventTrigger(location_id=location_id, **watching)
    name = "_".join(filter(None, ("altegio_events", str(location_id), part, "watcher")))
    return events_asset(location_id, part, watchers=[AssetWatcher(name=name, trigger=trigger)])
