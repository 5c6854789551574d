"""Decides whether the bot could receive a command and store it, and names what is wrong: /readyz.

`bot.health` serves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bot.health import TimedProbe
from bot.slack.client import DirectClient
from bot.slack.errors import translating_errors
from bot.slack.users import Users
from bot.store.database import Store

DATABASE_PROBE_SECONDS = 1.0
# How long /readyz waits for Slack while Slack refuses the token, and how often the token is tried then.
TOKEN_PROBE_SECONDS = 1.0
TOKEN_AGAIN_SECONDS = 5.0


class Readiness:
    """The checks of one process.

    Arguments:
        transport_problem: why Slack cannot reach the bot, or None.
    """

    def __init__(
        self, store: Store, client: DirectClient, people: Users, transport_problem: Callable[[], str | None]
    ) -> None:
        self._store = store
        self._client = client
        self._people = people
        self._transport_problem = transport_problem
        self._database_probe = TimedProbe(store.ping, DATABASE_PROBE_SECONDS)
        self._write_probe = TimedProbe(store.check_write, DATABASE_PROBE_SECONDS)
        self._token_probe = TimedProbe(self._check_token, TOKEN_PROBE_SECONDS)
        self._token_tried_at = 0.0

    def problem(self) -> str | None:
        """What keeps the bot from receiving and storing a command, or None."""
        problem = self._transport_problem()
        if problem:
            return problem
        if self._token_probe.problem() and (denial := self._client.denial):
            return f"Slack {denial.problem} ({denial.code}): {denial.fix}"
        problem = self._database_probe.problem()
        if problem:
            return f"the database does not answer ({problem})"
        problem = self._write_probe.problem()
        return f"the database cannot be written ({self._store.last_write.problem or problem})" if problem else None

    def details(self) -> list[str]:
        """What is wrong although the bot is ready: what Slack refuses, and user groups that it does not have."""
        denials = [
            f"Slack {denial.problem} ({denial.code} at {method}): {denial.fix}"
            for method, denial in self._people.denials.items()
        ]
        return denials + [
            f"user group {group_id} is disabled or deleted in Slack, so it counts as empty: enable it there, or remove "
            "it from bot.toml"
            for group_id in self._people.all_unavailable()
        ]

    def _check_token(self) -> None:
        """Does nothing while Slack accepts the token. Otherwise tries it again every 5 s.

        Raises:
            SlackError: Slack refuses the token, or does not answer.
        """
        if self._client.denial is None:
            return
        if time.monotonic() - self._token_tried_at >= TOKEN_AGAIN_SECONDS:
            self._token_tried_at = time.monotonic()
            with translating_errors():
                self._client.auth_test()
        if self._client.denial is not None:
            raise self._client.denial
