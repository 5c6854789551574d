"""Decides whether the bot could receive a command and store it, and names what is wrong: /readyz.

`bot.health` serves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from bot.health import TimedProbe
from bot.slack.client import DirectClient
from bot.slack.errors import SlackError, translating_errors
from bot.slack.users import Users
from bot.store.database import Store
from bot.store.faults import fault_of

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
        self._database_probe = TimedProbe("the database", self._database_problem, DATABASE_PROBE_SECONDS)
        self._token_probe = TimedProbe("Slack", self._token_problem, TOKEN_PROBE_SECONDS)
        self._token_tried_at = 0.0

    def problem(self) -> str | None:
        """What keeps the bot from receiving and storing a command, or None."""
        if problem := self._transport_problem():
            return problem
        if self._client.denial is not None and (problem := self._token_probe.problem()):
            return problem
        return self._database_probe.problem()

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

    def _token_problem(self) -> str | None:
        """How Slack refuses the token, or None. Tries the token again every 5 s."""
        if time.monotonic() - self._token_tried_at >= TOKEN_AGAIN_SECONDS:
            self._token_tried_at = time.monotonic()
            with suppress(SlackError), translating_errors():
                self._client.auth_test()
        denial = self._client.denial
        return f"Slack {denial.problem} ({denial.code}): {denial.fix}" if denial else None

    def _database_problem(self) -> str | None:
        """Why a query fails, or why the last write failed, or None."""
        try:
            self._store.ping()
        except SQLAlchemyError as error:
            return fault_of(error) or f"the database does not answer ({type(error).__name__})"
        return self._store.write_fault()
