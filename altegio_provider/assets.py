"""Assets that stand for what Altegio holds: to write down what a task makes, and to start DAGs by what happens."""

from __future__ import annotations

from typing import Any

from altegio_provider.compat import Asset, AssetWatcher

__all__ = ["events_asset", "watched_events"]


def events_asset(location_id: int, part: str = "", **arguments: Any) -> Asset:
    """Return the asset of a location's events: ``altegio://locations/{location_id}/events``.

    :param part: which of them, in a word, where it is not all: it becomes a part of name and URI, for Airflow takes
        two assets with one URI for a mistake and leaves one of them out.
    :param arguments: further arguments of ``Asset``.
    """
    return Asset(
        name="_".join(filter(None, ("altegio_events", str(location_id), part))),
        uri="/".join(filter(None, (f"altegio://locations/{location_id}/events", part))),
        **arguments,
    )


def watched_events(location_id: int, part: str = "", **watching: Any) -> Asset:
    """Return the asset of a location's events with a watcher: a DAG scheduled on it starts when they change.

    ::

        @dag(schedule=[watched_events(1001), watched_events(1001, "yoga", service_ids=[7])])

    :param part: as for :func:`events_asset`; give one to each of several watchers of one location.
    :param watching: arguments of :class:`~altegio_provider.triggers.events.AltegioEventTrigger`.
    """
    from altegio_provider.triggers.events import AltegioEventTrigger

    trigger = AltegioEventTrigger(location_id=location_id, **watching)
    name = "_".join(filter(None, ("altegio_events", str(location_id), part, "watcher")))
    return events_asset(location_id, part, watchers=[AssetWatcher(name=name, trigger=trigger)])
