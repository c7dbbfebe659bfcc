"""The slot stores of :mod:`~altegio_provider.api.ratelimit.limiter`: in memory, in a file, in Redis."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from altegio_provider.api.arguments import argument_error
from altegio_provider.api.errors import AltegioNotSentError, AltegioValidationError
from altegio_provider.api.ratelimit.limiter import Rate, SlotStore, seconds_to_wait
from altegio_provider.api.secrets import Secret
from altegio_provider.api.urls import origin_of

__all__ = ["FileSlotStore", "MemorySlotStore", "RedisSlotStore", "open_slot_store"]


def open_slot_store(base_url: str, rates: Sequence[Rate], rate_limit_url: Secret | str | None) -> SlotStore:
    """Return the store that all clients of a server share.

    :param base_url: its scheme, host and port name the budget.
    :param rates: the windows; without any there is nothing to share.
    :param rate_limit_url: a ``redis://…`` or ``rediss://…`` URL shares the budget between hosts; ``None`` shares it
        between the processes of this host and user, by a file in the temporary directory.
    :raises AltegioValidationError: the URL is invalid, or the ``redis`` package is missing.
    :raises AltegioNotSentError: the file is damaged, or the temporary directory is full or not writable.
    """
    budget = str(origin_of(base_url))
    if rate_limit_url:
        # In braces, so that a Redis Cluster keeps the budget's keys on one node, as a script requires.
        return RedisSlotStore(rate_limit_url, f"altegio-rate-limit:{{{budget}}}")
    if not rates:
        return MemorySlotStore()
    return FileSlotStore(_private_directory() / f"{hashlib.sha256(budget.encode()).hexdigest()[:24]}.sqlite")


def _private_directory() -> Path:
    # Not by `tempfile`, which takes another directory while the first one is full, so there would be two budgets.
    temporary = next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), "/tmp")  # noqa: S108
    directory = Path(temporary) / f"altegio-rate-limit-{os.getuid()}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        owner = directory.stat().st_uid
    except OSError as error:
        raise _file_error(directory, error) from None
    if owner != os.getuid():
        raise AltegioValidationError(
            f"{directory} belongs to another user, so the rate limit cannot be shared there safely.",
            errors={"rate_limit_url": ["set it to a redis:// URL, or set TMPDIR to a directory of your own"]},
            hint="Nothing was sent.",
        )
    return directory


#: Parts of SQLite's messages about the disk or the folder; any other message is about the file.
_READ_ONLY = ("readonly", "unable to open")
_DISK_FAULTS = (*_READ_ONLY, "full", "disk I/O error")
_PERMANENT_ERRNOS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)


def _file_error(where: object, error: Exception) -> AltegioNotSentError:
    """Return the error for a file of the rate limit that cannot be created, read or written."""
    hint = "Set TMPDIR to a directory that this user can write to, or `rate_limit_url` to a Redis URL."
    if isinstance(error, sqlite3.Error) and not any(fault in str(error) for fault in _DISK_FAULTS):
        hint = "Delete the file; it holds only the times of recent requests."
    reason = getattr(error, "strerror", None) or error
    failed = AltegioNotSentError(
        f"the file of the shared rate limit ({where}) cannot be used: {reason}.", hint=f"Nothing was sent. {hint}"
    )
    is_read_only = any(fault in str(error) for fault in _READ_ONLY)
    failed.transient = not is_read_only and getattr(error, "errno", None) not in _PERMANENT_ERRNOS
    return failed


class MemorySlotStore:
    """Keeps slots in memory, for the threads of one process.

    :param clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = count()
        self._taken: dict[int, float] = {}
        self._not_before = self._spaced_until = float("-inf")

    def take(self, rates: Sequence[Rate], spaced: Rate) -> tuple[float, int | str]:
        """Take a slot now, or return how long to wait; see :class:`SlotStore`."""
        with self._lock:
            now = self._clock()
            if now < self._spaced_until and spaced.seconds:
                rates = [*rates, spaced]
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
        """Give a slot the current time."""
        with self._lock:
            if key in self._taken:
                self._taken[int(key)] = self._clock()

    def pause(self, seconds: float, spaced_seconds: float) -> None:
        """Give no slots for a while; see :class:`SlotStore`."""
        with self._lock:
            end = self._clock() + seconds
            self._not_before = max(self._not_before, end)
            self._spaced_until = max(self._spaced_until, end + spaced_seconds)

    def close(self) -> None:
        """Do nothing: no file or socket is open."""


class FileSlotStore:
    """Keeps slots in a SQLite file, for all processes of one host. SQLite's write lock makes each call atomic.

    The times are those of the monotonic clock, which all processes of a host share and nobody can set back. It begins
    anew when the host restarts, so times in the future are dropped.

    :param path: the file; it is created if it is missing.
    :param clock: returns monotonic seconds, the same for all that share the file.
    :raises AltegioNotSentError: from any call: the file is damaged, or its disk is full or read-only.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        with self._typed_errors():
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        with self._typed_errors():
            # Nothing here need survive a crash of the host, so nothing waits for the disk.
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.execute("PRAGMA journal_mode=MEMORY")
        with self._transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS slot (key INTEGER PRIMARY KEY, at REAL NOT NULL)")
            self._connection.execute("CREATE INDEX IF NOT EXISTS slot_at ON slot (at)")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS budget_pause (one INTEGER PRIMARY KEY, not_before REAL, spaced_until REAL)"
            )

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _file_error(self._path, error) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._typed_errors(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                # After a failed COMMIT too, else each later BEGIN would fail.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def take(self, rates: Sequence[Rate], spaced: Rate) -> tuple[float, int | str]:
        """Take a slot now, or return how long to wait; see :class:`SlotStore`."""
        with self._transaction():
            now = self._clock()
            not_before, spaced_until = self._pauses(now)
            if now < spaced_until and spaced.seconds:
                rates = [*rates, spaced]
            self._connection.execute("DELETE FROM slot WHERE at > ?", (now,))
            wait = seconds_to_wait(self._nth_latest, now, rates, not_before)
            if wait > 0:
                return wait, ""
            longest = max((rate.seconds for rate in rates), default=0.0)
            # Other clients may keep longer windows in the same file; an hour is longer than any.
            self._connection.execute("DELETE FROM slot WHERE at < ?", (now - max(longest, 3600.0),))
            key = self._connection.execute("INSERT INTO slot (at) VALUES (?)", (now,)).lastrowid
            assert key is not None  # noqa: S101 - an INSERT has a row id
            return 0.0, key

    def _nth_latest(self, n: int) -> float | None:
        row = self._connection.execute("SELECT at FROM slot ORDER BY at DESC LIMIT 1 OFFSET ?", (n - 1,)).fetchone()
        return None if row is None else row[0]

    def _pauses(self, now: float) -> tuple[float, float]:
        row = self._connection.execute("SELECT not_before, spaced_until FROM budget_pause").fetchone()
        # A pause is never longer than 15 minutes; a longer one was written before a restart of the host.
        if row is None or row[1] > now + 900:
            return float("-inf"), float("-inf")
        return float(row[0]), float(row[1])

    def restamp(self, key: int | str) -> None:
        """Give a slot the current time."""
        with self._transaction():
            self._connection.execute("UPDATE slot SET at = ? WHERE key = ?", (self._clock(), key))

    def pause(self, seconds: float, spaced_seconds: float) -> None:
        """Give no slots for a while; see :class:`SlotStore`."""
        with self._transaction():
            now = self._clock()
            not_before, spaced_until = self._pauses(now)
            end = max(not_before, now + seconds)
            self._connection.execute(
                "INSERT OR REPLACE INTO budget_pause VALUES (1, ?, ?)",
                (end, max(spaced_until, now + seconds + spaced_seconds)),
            )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()


# The store's clock is that of Redis, read inside the script, so that the clocks of the hosts may differ.
_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
"""
_TAKE = (
    _NOW
    + """
local pauses = redis.call('HMGET', KEYS[2], 'not_before', 'spaced_until')
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
local pauses = redis.call('HMGET', KEYS[2], 'not_before', 'spaced_until')
local until_ = now + tonumber(ARGV[1])
local spaced = until_ + tonumber(ARGV[2])
redis.call('HSET', KEYS[2], 'not_before', string.format('%.0f', math.max(tonumber(pauses[1] or '0'), until_)))
redis.call('HSET', KEYS[2], 'spaced_until', string.format('%.0f', math.max(tonumber(pauses[2] or '0'), spaced)))
return redis.call('PEXPIRE', KEYS[2], 7200000)
"""
)


class RedisSlotStore:
    """Keeps slots in a sorted set in Redis, for all hosts behind one IP address. A script makes each call atomic.

    A Redis Cluster is recognised by its first response, and used as a cluster from then on.

    :param url: ``redis://…``, ``rediss://…`` or ``unix://…``; the URL of any node of a cluster.
    :param name: the key of the budget; its part in braces selects the node of a cluster.
    :raises AltegioValidationError: the URL is invalid, or the ``redis`` package is missing.
    :raises AltegioNotSentError: from any other call: Redis failed; the text says why.
    """

    def __init__(self, url: Secret | str, name: str) -> None:
        self._url = Secret(url)
        self._redis: Any = _redis_at(self._url)
        self._keys = [name, f"{name}:pause"]
        self._member = f"{uuid.uuid4().hex}:"
        self._numbers = count()
        self._register()

    def _register(self) -> None:
        self._scripts = {script: self._redis.register_script(script) for script in (_TAKE, _RESTAMP, _PAUSE)}

    def _run(self, script: str, *arguments: int | str) -> Any:
        try:
            try:
                return self._scripts[script](keys=self._keys, args=arguments)
            except Exception as error:
                # Before redis 6 a client for one server raises a ResponseError.
                if type(error).__name__ != "MovedError" and not str(error).startswith("MOVED "):
                    raise
            self._become_cluster()
            return self._scripts[script](keys=self._keys, args=arguments)
        except Exception as error:
            failed = _redis_error(error)
        # Not in the block above: the caught exception may hold the connection, with the password.
        raise failed

    def _become_cluster(self) -> None:
        alone = self._redis
        self._redis = _redis_at(self._url, is_cluster=True)
        self._register()
        alone.close()

    def take(self, rates: Sequence[Rate], spaced: Rate) -> tuple[float, int | str]:
        """Take a slot now, or return how long to wait; see :class:`SlotStore`."""
        member = f"{self._member}{next(self._numbers)}"
        windows = [value for rate in (*rates, spaced) for value in (rate.limit, _microseconds(rate.seconds))]
        wait = self._run(_TAKE, *windows, member)
        return (wait / 1e6, "") if wait > 0 else (0.0, member)

    def restamp(self, key: int | str) -> None:
        """Give a slot the current time."""
        self._run(_RESTAMP, key)

    def pause(self, seconds: float, spaced_seconds: float) -> None:
        """Give no slots for a while; see :class:`SlotStore`."""
        self._run(_PAUSE, _microseconds(seconds), _microseconds(spaced_seconds))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


class _RedisFailure(NamedTuple):
    """A failure of Redis: the name of redis-py's exception, what it means, what to do, and whether it may pass."""

    exception: str
    meaning: str
    hint: str
    retryable: bool = True


_CHECK_RUNNING = "Check `rate_limit_url`, and whether Redis is running."
_CHECK_LOGIN = "Check the user and the password in `rate_limit_url`."
#: The first that matches an exception or one of its bases is used.
_REDIS_FAILURES = (
    _RedisFailure("AuthenticationError", "Redis refuses the password, or requires one", _CHECK_LOGIN, False),
    _RedisFailure(
        "AuthenticationWrongNumberOfArgsError", "Redis refuses the password, or requires one", _CHECK_LOGIN, False
    ),
    _RedisFailure("AuthorizationError", "Redis refuses the user", _CHECK_LOGIN, False),
    _RedisFailure(
        "NoPermissionError",
        "the user lacks a permission",
        "Allow it EVALSHA and SCRIPT LOAD on the keys altegio-rate-limit:*.",
        False,
    ),
    _RedisFailure(
        "OutOfMemoryError",
        "Redis is out of memory",
        "Raise its `maxmemory` or free memory; the rate limit needs less than a megabyte.",
    ),
    _RedisFailure("BusyLoadingError", "Redis is still loading its data", "Wait until it is ready."),
    _RedisFailure(
        "ReadOnlyError", "this Redis is a read-only replica", "Set `rate_limit_url` to the address of the primary."
    ),
    _RedisFailure("ClusterDownError", "the Redis Cluster is down", "Check the nodes of the cluster."),
    _RedisFailure("RedisClusterException", "the Redis Cluster cannot be reached", "Check the nodes of the cluster."),
    _RedisFailure("TimeoutError", "Redis did not answer in time", "Check `rate_limit_url` and the load of Redis."),
    _RedisFailure("ConnectionError", "Redis cannot be reached", _CHECK_RUNNING),
    _RedisFailure("OSError", "Redis cannot be reached", _CHECK_RUNNING),
    _RedisFailure("ResponseError", "Redis refuses the command", "Use Redis 5 or newer, and allow scripts."),
)
_OTHER_FAILURE = _RedisFailure("Exception", "Redis failed", "Check `rate_limit_url`.")


def _redis_error(error: Exception) -> AltegioNotSentError:
    bases = [base.__name__ for base in type(error).__mro__]
    if "unauthenticated" in str(error):  # the answer of Redis 7 to a long command of a client without a password
        bases.insert(0, "AuthenticationError")
    fault = next((fault for fault in _REDIS_FAILURES if fault.exception in bases), _OTHER_FAILURE)
    failed = AltegioNotSentError(
        f"the shared rate limit cannot be used: {fault.meaning} ({bases[0]}).", hint=f"Nothing was sent. {fault.hint}"
    )
    failed.transient = fault.retryable
    return failed


def _redis_at(url: Secret, *, is_cluster: bool = False) -> Any:
    """Return a client of Redis. It sends nothing yet, except to a cluster.

    :raises AltegioValidationError: redis-py is missing, or the URL is invalid. Neither the text nor the cause holds any
        part of the URL, because it may have a password.
    """
    if find_spec("redis") is None:
        raise argument_error(
            "rate_limit_url", "needs the redis package", "Run pip install 'airflow-provider-altegio[redis]'."
        )
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # One immediate retry, for a connection that broke while it was idle; the retries of the request do the rest. A
    # retry may take two slots for one request, which is safe.
    options: dict[str, Any] = {"socket_timeout": 10, "socket_connect_timeout": 10, "retry": Retry(NoBackoff(), 1)}
    if is_cluster:
        return redis.RedisCluster.from_url(url.reveal(), **options)  # type: ignore[no-untyped-call, unused-ignore]
    with suppress(ValueError, AttributeError, TypeError):
        client = redis.Redis.from_url(url.reveal(), **options)
        client.connection_pool.make_connection()  # it does not connect, but refuses unknown options
        return client
    raise argument_error("rate_limit_url", "must be a URL of Redis such as redis://host:6379/0, rediss://… or unix://…")


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
