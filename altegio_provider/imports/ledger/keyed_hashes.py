"""The keyed hashes that stand in the ledger, and where their secret is.

A phone number has few enough digits that all of them can be tried: a plain hash of one can be reversed within minutes.
So what stands in the ledger are HMACs, keyed with a secret of 32 random bytes that each ledger has of its own. Who has
the rows without the secret learns nothing from them.

By default the secret is in the ledger's database, in the table ``altegio_ledger_secret``. With the environment variable
``ALTEGIO_LEDGER_KEY`` it is there too, but encrypted with that key, so that a copy of the whole database is not enough
either. The variable holds a Fernet key; several, separated by commas, while one replaces another (the first encrypts).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random_secrets
from typing import TYPE_CHECKING

import sqlalchemy as sa

from altegio_provider.imports.ledger.schema import LedgerError, secrets

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

__all__ = ["KEY_VARIABLE", "PREFIX", "KeyedHasher", "load_hasher"]

#: The environment variable that may hold the key of the secret.
KEY_VARIABLE = "ALTEGIO_LEDGER_KEY"
#: What every keyed hash begins with, which no plain one of an older ledger does.
PREFIX = "2:"
_HEX_DIGITS = 62
_PLAIN, _ENCRYPTED = "secret", "encrypted"
_HOW_TO_MAKE = (
    "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())' makes such a key"
)


class KeyedHasher:
    """Turns hashes of rows into keyed ones.

    :param secret: 32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, plain: str) -> str:
        """Return the keyed hash of a hash, as it stands in the ledger."""
        return PREFIX + hmac.digest(self._secret, plain.encode(), hashlib.sha256).hex()[:_HEX_DIGITS]


def load_hasher(connection: sa.Connection, key: str | None) -> KeyedHasher:
    """Read the ledger's secret, or make it where it is missing, in a transaction that excludes all others.

    A secret that is not encrypted yet, or with an older key, is encrypted with the key that is given.

    :param key: of the secret: Fernet keys, separated by commas; ``None`` where there is none.
    :raises LedgerError: the secret is encrypted, and the key is missing or another one.
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
    """The secret, and whether it has to be encrypted anew."""
    from cryptography.fernet import InvalidToken

    if not key:
        raise LedgerError(
            f"the secret of the ledger is encrypted: set {KEY_VARIABLE} on every worker to the key that it was "
            "encrypted with. Without it the ledger's rows cannot be recognised, so nothing is sent."
        )
    for number, fernet in enumerate(_fernets(key)):
        try:
            return fernet.decrypt(token), number > 0
        except InvalidToken:
            continue
    raise LedgerError(
        f"{KEY_VARIABLE} is not the key that the secret of the ledger was encrypted with. "
        "Without it the ledger's rows cannot be recognised, so nothing is sent."
    )


def _fernets(key: str) -> list[Fernet]:
    from cryptography.fernet import Fernet

    try:
        return [Fernet(one.strip()) for one in key.split(",")]
    except ValueError:
        raise LedgerError(f"{KEY_VARIABLE} is not a Fernet key (44 characters): {_HOW_TO_MAKE}") from None
