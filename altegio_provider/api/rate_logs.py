"""Where the places of :mod:`~altegio_provider.api.rate_limit` are kept: in memory, in a file, in Redis."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from altegio_provider.api.errors import AltegioConnectionError, AltegioValidationError
from altegio_provider.api.privacy import Secret
from altegio_provider.api.rate_limit import PlaceLog, Rate, seconds_to_wait
from altegio_provider.api.targets import origin_of

__all__ = ["FilePlaceLog", "MemoryPlaceLog", "RedisPlaceLog", "open_place_log"]


def open_place_log(base_url: str, rates: Sequence[Rate], rate_limit_url: Secret | str | None) -> PlaceLog:
    """Return the log that everybody shares who talks to the same server.

    :param base_url: its scheme, host and port name the budget.
    :param rates: the windows; without any there is nothing to share.
    :param rate_limit_url: ``redis://…`` or ``rediss://…`` shares the budget between hosts; ``None`` shares it
        between the processes of this host and user, by a file in the temporary directory.
    :raises AltegioValidationError: the URL is of another kind, or the ``redis`` package is missing.
    :raises AltegioConnectionError: the file is damaged or cannot be written.
    """
    budget = str(origin_of(base_url))
    if rate_limit_url:
        return RedisPlaceLog(rate_limit_url, f"altegio-rate-limit:{budget}")
    if not rates:
        return MemoryPlaceLog()
    path = _private_directory() / f"{hashlib.sha256(budget.encode()).hexdigest()[:24]}.sqlite"
    try:
        return FilePlaceLog(path)
    except sqlite3.DatabaseError as error:
        raise AltegioConnectionError(
            f"The shared rate limit's file {path} cannot be used ({error}).",
            hint="Nothing was sent. The file holds only the times of recent requests: delete it, and try again.",
        ) from error


def _private_directory() -> Path:
    directory = Path(tempfile.gettempdir()) / f"altegio-rate-limit-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise AltegioValidationError(
            f"{directory} belongs to another user, so the rate limit cannot be shared there safely.",
            errors={"rate_limit_url": ["set it to a redis:// URL, or set TMPDIR to a directory of your own"]},
        )
    return directory


class MemoryPlaceLog:
    """For the threads of one process.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = count()
        self._taken: dict[int, float] = {}
        self._not_before = self._gentle_until = float("-inf")

    def take(self, rates: Sequence[Rate], gentle: Rate) -> tuple[float, int | str]:
        with self._lock:
            now = self._clock()
            if now < self._gentle_until and gentle.seconds:
                rates = [*rates, gentle]
            stamps = sorted(self._taken.values())
            wait = seconds_to_wait(lambda n: stamps[-n] if len(stamps) >= n else None, now, rates, self._not_before)
            if wait > 0:
                return wait, ""
            key = next(self._keys)
            if rates:
                self._taken[key] = now
                longest = max(rate.seconds for rate in rates)
                self._taken = {old: at for old, at in self._taken.items() if at > now - longest}
            return 0.0, key

    def restamp(self, key: int | str) -> None:
        with self._lock:
            if key in self._taken:
                self._taken[int(key)] = self._clock()

    def pause(self, seconds: float, gentle_seconds: float) -> None:
        with self._lock:
            end = self._clock() + seconds
            self._not_before = max(self._not_before, end)
            self._gentle_until = max(self._gentle_until, end + gentle_seconds)

    def close(self) -> None:
        """Nothing is open."""


class FilePlaceLog:
    """For all processes of one host: a SQLite file; SQLite's write lock makes each call atomic.

    The stamps are of the monotonic clock, which the processes of a host share and nobody can set back. After a
    restart of the host it begins anew: stamps from the future are dropped.

    :param path: the file; it is made where it is missing.
    :param clock: monotonic seconds, the same for all who share the file.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
        # Nothing here must outlive a crash of the host, so nothing waits for the disk.
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA journal_mode=MEMORY")
        with self._transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS place (key INTEGER PRIMARY KEY, at REAL NOT NULL)")
            self._connection.execute("CREATE INDEX IF NOT EXISTS place_at ON place (at)")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS pause (one INTEGER PRIMARY KEY, not_before REAL, gentle_until REAL)"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def take(self, rates: Sequence[Rate], gentle: Rate) -> tuple[float, int | str]:
        with self._transaction():
            now = self._clock()
            not_before, gentle_until = self._pauses(now)
            if now < gentle_until and gentle.seconds:
                rates = [*rates, gentle]
            self._connection.execute("DELETE FROM place WHERE at > ?", (now,))
            wait = seconds_to_wait(self._nth_latest, now, rates, not_before)
            if wait > 0:
                return wait, ""
            longest = max((rate.seconds for rate in rates), default=0.0)
            # Others may keep longer windows in the same file; an hour is longer than any.
            self._connection.execute("DELETE FROM place WHERE at < ?", (now - max(longest, 3600.0),))
            key = self._connection.execute("INSERT INTO place (at) VALUES (?)", (now,)).lastrowid
            assert key is not None  # noqa: S101 - an INSERT has a row id
            return 0.0, key

    def _nth_latest(self, n: int) -> float | None:
        row = self._connection.execute("SELECT at FROM place ORDER BY at DESC LIMIT 1 OFFSET ?", (n - 1,)).fetchone()
        return None if row is None else row[0]

    def _pauses(self, now: float) -> tuple[float, float]:
        row = self._connection.execute("SELECT not_before, gentle_until FROM pause").fetchone()
        # A pause is never longer than a quarter of an hour; what is, was written before a restart of the host.
        if row is None or row[1] > now + 900:
            return float("-inf"), float("-inf")
        return float(row[0]), float(row[1])

    def restamp(self, key: int | str) -> None:
        with self._transaction():
            self._connection.execute("UPDATE place SET at = ? WHERE key = ?", (self._clock(), key))

    def pause(self, seconds: float, gentle_seconds: float) -> None:
        with self._transaction():
            now = self._clock()
            not_before, gentle_until = self._pauses(now)
            end = max(not_before, now + seconds)
            self._connection.execute(
                "INSERT OR REPLACE INTO pause VALUES (1, ?, ?)",
                (end, max(gentle_until, now + seconds + gentle_seconds)),
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()


# The log's clock is Redis's own, read inside the script: hosts need not agree on the time.
_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
"""
_TAKE = (
    _NOW
    + """
local pauses = redis.call('HMGET', KEYS[2], 'not_before', 'gentle_until')
local free_at = tonumber(pauses[1] or '0')
local windows = #ARGV - 1
if now >= tonumber(pauses[2] or '0') then windows = windows - 2 end
local longest = 0
for i = 1, windows, 2 do
  local limit, length = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local blocking = redis.call('ZREVRANGE', KEYS[1], limit - 1, limit - 1, 'WITHSCORES')[2]
  if blocking then free_at = math.max(free_at, tonumber(blocking) + length) end
  longest = math.max(longest, length)
end
if free_at > now then return free_at - now end
redis.call('ZADD', KEYS[1], now, ARGV[#ARGV])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - math.max(longest, 3600000000))
redis.call('PEXPIRE', KEYS[1], 7200000)
return 0
"""
)
_RESTAMP = _NOW + "return redis.call('ZADD', KEYS[1], 'XX', now, ARGV[1])"
_PAUSE = (
    _NOW
    + """
local pauses = redis.call('HMGET', KEYS[2], 'not_before', 'gentle_until')
local until_ = now + tonumber(ARGV[1])
local gentle = until_ + tonumber(ARGV[2])
redis.call('HSET', KEYS[2], 'not_before', string.format('%.0f', math.max(tonumber(pauses[1] or '0'), until_)))
redis.call('HSET', KEYS[2], 'gentle_until', string.format('%.0f', math.max(tonumber(pauses[2] or '0'), gentle)))
return redis.call('PEXPIRE', KEYS[2], 7200000)
"""
)


class RedisPlaceLog:
    """For all hosts behind one IP address: a sorted set in Redis; one script makes each call atomic.

    :param url: ``redis://…``, ``rediss://…`` or ``unix://…``.
    :param name: the key of the budget.
    """

    def __init__(self, url: Secret | str, name: str) -> None:
        self._redis: Any = _redis_at(Secret(url))
        from redis.exceptions import RedisError

        self._unreachable: tuple[type[Exception], ...] = (RedisError,)
        self._keys = [name, f"{name}:pause"]
        self._member = f"{uuid.uuid4().hex}:"
        self._numbers = count()
        self._take = self._redis.register_script(_TAKE)
        self._restamp = self._redis.register_script(_RESTAMP)
        self._pause = self._redis.register_script(_PAUSE)

    def _run(self, script: Any, *arguments: int | str) -> Any:
        try:
            return script(keys=self._keys, args=arguments)
        except self._unreachable as error:
            kind = type(error).__name__
        # Not in the block above: what was caught may hold the connection, and with it the password.
        raise AltegioConnectionError(
            f"The shared rate limit cannot be reached ({kind}).",
            hint="Check `rate_limit_url` and that Redis is up; without it no request is sent.",
        )

    def take(self, rates: Sequence[Rate], gentle: Rate) -> tuple[float, int | str]:
        member = f"{self._member}{next(self._numbers)}"
        windows = [value for rate in (*rates, gentle) for value in (rate.limit, _microseconds(rate.seconds))]
        wait = self._run(self._take, *windows, member)
        return (wait / 1e6, "") if wait > 0 else (0.0, member)

    def restamp(self, key: int | str) -> None:
        self._run(self._restamp, key)

    def pause(self, seconds: float, gentle_seconds: float) -> None:
        self._run(self._pause, _microseconds(seconds), _microseconds(gentle_seconds))

    def close(self) -> None:
        self._redis.close()


def _redis_at(url: Secret) -> Any:
    """Return the client of a Redis; nothing is sent yet.

    :raises AltegioValidationError: redis-py is missing, or the URL is none. Neither text nor cause hold any of the URL,
        for there is a password in it.
    """
    if find_spec("redis") is None:
        raise AltegioValidationError(
            "rate_limit_url needs the redis package.",
            errors={"rate_limit_url": ["pip install 'airflow-provider-altegio[redis]'"]},
        )
    import redis

    with suppress(ValueError, AttributeError, TypeError):
        # redis-py's own retry on a broken connection would take a place twice; it is the safe side.
        return redis.Redis.from_url(url.reveal(), socket_timeout=10, socket_connect_timeout=10)
    raise AltegioValidationError(
        "rate_limit_url is not a URL of Redis.",
        errors={"rate_limit_url": ["use redis://host:6379/0, rediss://… or unix://…"]},
    )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
