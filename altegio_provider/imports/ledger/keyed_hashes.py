"""The keyed hashes in the ledger, and the storage of their secret.

A plain hash of a phone can be reversed within minutes, because all phones of a country can be tried. So the ledger
holds HMACs, keyed with a secret of 32 random bytes that each ledger has of its own. The rows without the secret reveal
no personal data.

By default the secret is in the ledger's database, in the table ``altegio_ledger_secret``. With the environment variable
``ALTEGIO_LEDGER_KEY`` it is encrypted with that key, so that a copy of the whole database does not reveal it either.
The variable holds a Fernet key. To replace a key, set several, separated by commas: the first one encrypts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random_secrets
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from altegio_provider.imports.ledger.schema import LedgerError, secrets

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

__all__ = ["KEY_VARIABLE", "PREFIX", "KeyedHasher", "load_hasher"]

#: The environment variable with the key that encrypts the secret.
KEY_VARIABLE = "ALTEGIO_LEDGER_KEY"
#: The prefix of keyed hashes. Plain hashes of an older ledger never have it.
PREFIX = "2:"
_HEX_DIGITS = 62
#: Keyed hashes that are kept in memory: some batches of rows.
_CACHED = 4_096
_PLAIN, _ENCRYPTED = "secret", "encrypted"
_HOW_TO_MAKE = (
    "create one with python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
)


class KeyedHasher:
    """Computes keyed hashes from plain hashes of rows.

    :param secret: 32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # The same rows are claimed, recorded and read within a short time.
        self._cached = lru_cache(_CACHED)(self._of)

    def of(self, plain: str) -> str:
        """Return the keyed hash of a plain hash.

        :param plain: the plain hash.
        """
        return self._cached(plain)

    def _of(self, plain: str) -> str:
        return PREFIX + hmac.digest(self._secret, plain.encode(), hashlib.sha256).hex()[:_HEX_DIGITS]


def load_hasher(connection: sa.Connection, key: str | None) -> KeyedHasher:
    """Read the ledger's secret, or create it if it is missing. The transaction must exclude all others.

    A secret that is not encrypted, or encrypted with an older key, is encrypted with the first key.

    :param connection: the connection, in a transaction.
    :param key: Fernet keys, separated by commas; ``None`` if the secret is not encrypted.
    :raises LedgerError: the secret is encrypted, and the key is missing or wrong.
    """
    found = {row.name: row.value for row in connection.execute(sa.select(secrets.c.name, secrets.c.value))}
    if _ENCRYPTED in found:
        token = found[_ENCRYPTED]
        secret, is_of_an_old_key = _decrypted(token, key)
        if is_of_an_old_key:
            _store(connection, secret, key)
        return KeyedHasher(secret)
    secret = base64.b64decode(found[_PLAIN]) if _PLAIN in found else random_secrets.token_bytes(32)
    if _PLAIN not in found or key:
        _store(connection, secret, key)
    return KeyedHasher(secret)


def _store(connection: sa.Connection, secret: bytes, key: str | None) -> None:
    name, value = _PLAIN, base64.b64encode(secret).decode()
    if key:
        name, value = _ENCRYPTED, _fernets(key)[0].encrypt(secret).decode()
    connection.execute(sa.delete(secrets))
    connection.execute(sa.insert(secrets).values(name=name, value=value))


def _decrypted(token: str, key: str | None) -> tuple[bytes, bool]:
    """Return the secret, and whether it must be encrypted again."""
    from cryptography.fernet import InvalidToken

    if not key:
        raise LedgerError(
            f"the secret of the ledger is encrypted: set {KEY_VARIABLE} on every worker to the key that encrypted it. "
            "Without the key the ledger's rows cannot be recognised, so nothing was sent."
        )
    for number, fernet in enumerate(_fernets(key)):
        try:
            return fernet.decrypt(token), number > 0
        except InvalidToken:
            continue
    raise LedgerError(
        f"{KEY_VARIABLE} is not the key that encrypted the secret of the ledger: set it to that key. "
        "Without the key the ledger's rows cannot be recognised, so nothing was sent."
    )


def _fernets(key: str) -> list[Fernet]:
    from cryptography.fernet import Fernet

    try:
        return [Fernet(one.strip()) for one in key.split(",")]
    except ValueError:
        raise LedgerError(f"{KEY_VARIABLE} is not a Fernet key (44 characters): {_HOW_TO_MAKE}") from None
