"""Keeps the bot from locking an AppRole: a rejected secret id is not tried again, and few rejections are risked.

Vault locks a role for 15 minutes after five rejected logins within 15 minutes (documentation, "User lockout").
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bot.redaction import Secret
from bot.vault.errors import VaultError, VaultErrorKind

MAX_REJECTIONS = 3
REJECTIONS_COUNT_FOR_SECONDS = 15 * 60.0


class LoginGuard:
    """The logins of one role in this process. Threads share it.

    Arguments:
        monotonic: a clock in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._running = 0
        # The secret id that Vault accepted last. Any other one is tried by one login at a time.
        self._accepted: Secret | None = None
        # The rejections that count, oldest first: when, which secret id, and how Vault answered.
        self._rejections: list[tuple[float, Secret, VaultError]] = []
        self._failed_at = float("-inf")
        self._failure: VaultError | None = None

    @contextmanager
    def login(self, secret_id: Secret) -> Iterator[None]:
        """Allows the login in its block, or raises the error of an earlier login instead.

        A login whose rejection could be one too many waits for the logins in progress. If one of them gets no answer,
        the waiting login fails too, so that the waits do not add up while Vault does not answer.

        Arguments:
            secret_id: the secret id, or the token that wraps it.

        Raises:
            VaultError: this secret id was rejected less than 15 minutes ago, or three were (LOGIN). Or the login that
                was waited for failed.
        """
        began = self._monotonic()
        with self._changed:
            while not self._is_decided(secret_id, began):
                self._changed.wait()
            earlier = self._earlier_error(secret_id, began)
            if earlier is not None:
                raise earlier.copied()
            self._running += 1
        try:
            yield
        except VaultError as error:
            self._failed(secret_id, error)
            raise
        else:
            self._accepted = secret_id
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _is_decided(self, secret_id: Secret, began: float) -> bool:
        is_accepted = self._accepted == secret_id
        has_room = is_accepted and self._running + len(self._counting()) < MAX_REJECTIONS
        return has_room or not self._running or self._earlier_error(secret_id, began) is not None

    def _earlier_error(self, secret_id: Secret, began: float) -> VaultError | None:
        counting = self._counting()
        for rejected_at, rejected, error in counting:
            if rejected == secret_id:
                return self._not_asked(error, rejected_at, ", or as soon as the secret id is replaced")
        if len(counting) >= MAX_REJECTIONS:
            return self._not_asked(counting[-1][2], counting[0][0])
        return self._failure if self._failed_at > began else None

    def _not_asked(self, error: VaultError, rejected_at: float, or_once: str = "") -> VaultError:
        """The error of an earlier login. Adds that the bot did not log in again, and when the next login is possible.

        Arguments:
            rejected_at: when the rejection that prevents the login came.
        """
        seconds_left = rejected_at + REJECTIONS_COUNT_FOR_SECONDS - self._monotonic()
        # The next full minute, so that the time is not too early.
        after = datetime.now(UTC) + timedelta(seconds=seconds_left, minutes=1)
        note = (
            "The bot didn't try to log in again, because more rejected logins would lock the role. "
            f"It can log in again at {after:%H:%M} UTC{or_once}."
        )
        return VaultError(error.kind, error.path, error.sentence, f"{error.next_step} {note}")

    def _counting(self) -> list[tuple[float, Secret, VaultError]]:
        since = self._monotonic() - REJECTIONS_COUNT_FOR_SECONDS
        self._rejections = [one for one in self._rejections if one[0] > since]
        return self._rejections

    def _failed(self, secret_id: Secret, error: VaultError) -> None:
        with self._changed:
            now = self._monotonic()
            if error.kind is VaultErrorKind.LOGIN:
                self._rejections.append((now, secret_id, error))
            else:
                self._failed_at, self._failure = now, error
