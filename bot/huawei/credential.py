"""Reads a credential of the bot from Vault: an access key, a user name and password, or a ready token.

Holds it in memory and reads it again once it is a minute old. What is called with it is left to `identity`.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.huawei.errors import UnusableIdentity
from bot.huawei.signing import AccessKey, Credential, IamToken, PasswordUser
from bot.redaction import JsonSecret, Secret

log = logging.getLogger(__name__)

MAX_AGE = timedelta(minutes=1)
KINDS = {AccessKey: "an access key", PasswordUser: "a username and password", IamToken: "an IAM token"}
# The values that make one credential.
_COMBINATIONS = (("ak", "sk"), ("username", "password", "domain"), ("token",))
_NAMES = ("security_token", *(name for names in _COMBINATIONS for name in names))
# A signature made with anything else is refused, and some refusals lock the key for everybody.
_ONE_WORD = ("ak", "sk", "security_token", "token")


# Reads a secret, given its mount and path in Vault: its version, None on KV version 1, and its values by their names.
ReadSecret = Callable[[str, str], tuple[int | None, Mapping[str, Secret]]]


@dataclass(frozen=True)
class LoadedCredential:
    """A credential, and where in Vault it is.

    Attributes:
        path: its Vault path, with the mount.
        version: its version there; None on KV version 1.
        fingerprint: identifies the identity: the same for a user with another password, and for an access key at
            another path. Made from nothing that is secret.
    """

    path: str
    version: int | None
    credential: Credential
    fingerprint: str


def load_credential(read_secret: ReadSecret, mount: str, path: str) -> LoadedCredential:
    """The credential at a Vault path.

    White space around a value is removed, because `vault kv put x sk=@file` keeps the end of a line. Blanks around a
    password are part of it.

    Raises:
        UnusableIdentity: a value is missing or is not text, or a key or token holds characters that no key or token
            has.
        Exception: what `read_secret` raises.
    """
    version, found = read_secret(mount, path)
    full_path = f"{mount}/{path}"
    for name in _NAMES:
        # A number is taken as its digits, because `vault kv put` with a JSON file stores such a key as a number.
        if isinstance(found.get(name), JsonSecret):
            raise UnusableIdentity(
                full_path, f"{name} at {full_path} in Vault is a JSON value, not text.", f"Write {name} there as text."
            )
    values = {name: value.stripped("\r\n" if name == "password" else None) for name, value in found.items()}
    for name in _ONE_WORD:
        if values.get(name) and not values[name].is_one_word:
            raise UnusableIdentity(
                full_path,
                f"{name} at {full_path} in Vault contains spaces or characters that no key or token has.",
                f"Write {name} there again.",
            )
    credential = _credential_in(values)
    if credential is None:
        raise _incomplete(values, full_path)
    return LoadedCredential(full_path, version, credential, _fingerprint(credential, full_path))


def _credential_in(values: Mapping[str, Secret]) -> Credential | None:
    """The credential that these values make; None if one of them is missing or empty."""

    def has(*names: str) -> bool:
        return all(values.get(name) for name in names)

    if has("ak", "sk"):
        return AccessKey(values["ak"], values["sk"], values.get("security_token") or None)
    if has("username", "password", "domain"):
        # The name and the account are no secrets, and the login needs them in plain text.
        return PasswordUser(values["username"].reveal(), values["password"], values["domain"].reveal())
    if has("token"):
        return IamToken(values["token"])
    return None


def _incomplete(values: Mapping[str, Secret], full_path: str) -> UnusableIdentity:
    for names in _COMBINATIONS:
        missing = " and ".join(name for name in names if not values.get(name))
        present = " and ".join(name for name in names if values.get(name))
        if present:
            sentence = f"The secret at {full_path} in Vault has {present}, but no {missing}."
            return UnusableIdentity(full_path, sentence, f"Write {missing} there.")
    return UnusableIdentity(
        full_path,
        f"The secret at {full_path} in Vault has none of: ak and sk; username, password and domain; token.",
        "Write the bot's Huawei Cloud access key there.",
    )


def _fingerprint(credential: Credential, path: str) -> str:
    match credential:
        case AccessKey():
            words = ["access key", credential.ak.reveal()]
        case PasswordUser():
            words = ["user", credential.domain, credential.name]
        case IamToken():
            # All of a token is secret, so that its path has to identify it.
            words = ["token", path]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


class CredentialSource:
    """The credential at one Vault path, held in memory. Threads share it.

    Arguments:
        read_error: what `read_secret` raises if Vault does not give the secret.
    """

    def __init__(
        self, mount: str, path: str, read_secret: ReadSecret, read_error: type[Exception], now: Callable[[], datetime]
    ) -> None:
        self.path = f"{mount}/{path}"
        self._load = partial(load_credential, read_secret, mount, path)
        self._read_error = read_error
        self._now = now
        self._lock = threading.Lock()
        self._latest: LoadedCredential | None = None
        self._read_at: datetime | None = None
        self._read_again_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._failure: Exception | None = None

    @property
    def latest(self) -> LoadedCredential | None:
        """The credential that was read last, however old it is; None before the first."""
        return self._latest

    def current(self) -> LoadedCredential:
        """The credential as it was in Vault within the last minute, or the latest if Vault does not give another.

        Raises:
            Exception: as `load_credential`, if there was none before. Threads that wait for the first reading share its
                failure, so that their waits do not add up while Vault does not answer.
        """
        latest = self._latest
        if latest is None:
            began = self._now()
            with self._lock:
                if self._failure is not None and self._failed_at is not None and self._failed_at > began:
                    raise self._failure.with_traceback(None)
                return self._latest or self._read()
        if self._read_again_at is not None and self._now() < self._read_again_at:
            return latest
        # While one thread reads, the others go on with what there is.
        if not self._lock.acquire(blocking=False):
            return latest
        try:
            return self._read()
        except (self._read_error, UnusableIdentity) as error:
            log.warning("cannot read the identity at %s again, so the last one stays in use: %s", self.path, error)
            self._read_again_at = self._now() + MAX_AGE
            return latest
        finally:
            self._lock.release()

    def read_since(self, moment: datetime) -> LoadedCredential:
        """The credential as it was in Vault at this moment or later.

        Raises:
            Exception: as `load_credential`.
        """
        with self._lock:
            if self._latest is not None and self._read_at is not None and self._read_at >= moment:
                return self._latest
            return self._read()

    def expire(self) -> None:
        """The next call reads the credential again."""
        self._read_again_at = None

    def _read(self) -> LoadedCredential:
        began = self._now()
        try:
            found = self._load()
        except (self._read_error, UnusableIdentity) as error:
            self._failed_at, self._failure = self._now(), error
            raise
        if self._latest != found:
            self._latest = found
        self._read_at, self._read_again_at = began, began + MAX_AGE
        return self._latest
