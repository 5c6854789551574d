"""The keys that authenticate rows of the database, so that a row that someone else wrote has no effect.

Each authenticated row has a column `mac`: the id of a key, a blank, and the HMAC-SHA-256 of the row under this key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from bot.domain.request_record import Authenticity
from bot.redaction import Secret

#: Execution option of the connections: the keys of their store.
STATE_KEYS = "state_keys"
_INFO = b"taskgroup-bot state key"
_KEY_ID_DIGITS = 8

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True)
class _Key:
    id: str
    value: bytes = field(repr=False)


class StateKeys:
    """The current key, which signs, and former keys, which are only checked.

    Arguments:
        current: returns the secret of the current key, such as the bot token, or None if there is no key. When it
            returns another secret, the key before becomes a former one.
        former: the secret of a former key.
    """

    def __init__(self, current: Callable[[], Secret | None] = lambda: None, former: Secret | None = None) -> None:
        self._current = current
        self._secret: Secret | None = None
        self._keys: tuple[_Key, ...] = (_derive(former),) if former else ()
        self._lock = threading.Lock()
        # Now, because another secret may replace this one before a row is signed or checked.
        self._newest_first()

    @property
    def has_current(self) -> bool:
        return self._current() is not None

    @property
    def ids(self) -> list[str]:
        """The ids of the known keys. The `mac` of a row begins with the id of its key."""
        return [key.id for key in self._newest_first()]

    def sign(self, *fields: object) -> str | None:
        """The `mac` of a row with these fields; None without a key.

        Arguments:
            fields: the name of the table, then what the row says, as JSON values. They are signed as a JSON array, so
                that text cannot be moved from one field to the next.
        """
        return _mac(self._newest_first()[0], fields) if self.has_current else None

    def check(self, mac: object, *fields: object) -> Authenticity:
        """Whether the bot wrote a row with this `mac` and these fields, which are as for `sign`."""
        if not isinstance(mac, str):
            return Authenticity.UNKNOWN_KEY
        key = next((key for key in self._newest_first() if key.id == mac.partition(" ")[0]), None)
        if key is None:
            return Authenticity.UNKNOWN_KEY
        is_ours = hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(key, fields).encode())
        return Authenticity.AUTHENTIC if is_ours else Authenticity.FORGED

    def _newest_first(self) -> tuple[_Key, ...]:
        secret = self._current()
        if secret is not None and secret is not self._secret:
            with self._lock:
                current = _derive(secret)
                self._keys = (current, *(key for key in self._keys if key != current))
                self._secret = secret
        return self._keys


def state_keys(connection: Connection) -> StateKeys:
    """The keys of the store that this connection belongs to."""
    keys: StateKeys = connection.get_execution_options()[STATE_KEYS]
    return keys


def _derive(secret: Secret) -> _Key:
    """The key of a secret: HKDF (RFC 5869) with SHA-256, without salt."""
    pseudorandom = hmac.digest(bytes(hashlib.sha256().digest_size), secret.reveal().encode(), "sha256")
    value = hmac.digest(pseudorandom, _INFO + b"\x01", "sha256")
    return _Key(hashlib.sha256(_INFO + value).hexdigest()[:_KEY_ID_DIGITS], value)


def _mac(key: _Key, fields: tuple[object, ...]) -> str:
    return f"{key.id} {hmac.digest(key.value, _encode(fields).encode(), 'sha256').hex()}"
