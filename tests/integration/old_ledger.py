"""A ledger as the first release wrote it: version 1, with hashes that had no key."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa

SCHEMA = """
CREATE TABLE altegio_ledger (
    kind VARCHAR(10) NOT NULL, location_id BIGINT NOT NULL, {key} VARCHAR(64) NOT NULL, state VARCHAR(10) NOT NULL,
    lane BIGINT NOT NULL, content VARCHAR(64) NOT NULL, record_id BIGINT, owner VARCHAR(32) NOT NULL,
    changed_at FLOAT(53) NOT NULL, PRIMARY KEY (kind, location_id, {key}),
    CONSTRAINT altegio_ledger_record UNIQUE (kind, location_id, record_id)
);
CREATE TABLE altegio_ledger_references (
    location_id BIGINT NOT NULL, reference VARCHAR(64) NOT NULL, event_id BIGINT NOT NULL,
    PRIMARY KEY (location_id, reference, event_id)
);
CREATE TABLE altegio_ledger_runs (
    run_id VARCHAR(32) NOT NULL PRIMARY KEY, host VARCHAR(255) NOT NULL, process VARCHAR(64) NOT NULL,
    beat BIGINT NOT NULL
);
CREATE TABLE altegio_ledger_version (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO altegio_ledger_version VALUES (1)
"""


def old_key(location_id, *parts):
    """A key as the first release made it."""
    return hashlib.sha256(json.dumps([location_id, *parts], default=str).encode()).hexdigest()


def write_old_ledger(url, rows, references=(), runs=()):
    """Make such a ledger.

    :param rows: mappings with ``kind``, ``location_id``, ``key``, ``state``, ``lane``, ``content``, ``record_id`` and
        ``owner``.
    :param references: tuples of location, reference and event.
    :param runs: tuples of id, host, process and beat.
    """
    engine = sa.create_engine(url)
    key = "`key`" if url.startswith("mysql") else '"key"'
    with engine.begin() as connection:
        for statement in SCHEMA.format(key=key).split(";"):
            connection.exec_driver_sql(statement)
        columns = ("kind", "location_id", "key", "state", "lane", "content", "record_id", "owner")
        named = ", ".join(key if name == "key" else name for name in columns)
        insert = sa.text(f"INSERT INTO altegio_ledger ({named}, changed_at) VALUES (:{', :'.join(columns)}, 0)")
        connection.execute(insert, list(rows))
        for table, values in (("references", references), ("runs", runs)):
            for row in values:
                written = ", ".join(repr(value) for value in row)
                connection.exec_driver_sql(f"INSERT INTO altegio_ledger_{table} VALUES ({written})")
    engine.dispose()


def everything_in(url):
    """Every value in every table of a database, as text."""
    engine = sa.create_engine(url)
    metadata = sa.MetaData()
    with engine.begin() as connection:
        metadata.reflect(connection)
        found = [
            str(value)
            for table in metadata.tables.values()
            for row in connection.execute(sa.select(table))
            for value in row
        ]
    engine.dispose()
    return found
