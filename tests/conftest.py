"""Fixtures that all tests share: databases of both kinds, and sandboxes with the real bot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from bot.redaction import Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.slack.demo_workspace import demo_workspace
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.system import Sandbox
from bot.store import connections
from bot.store.database import Store, open_store
from bot.store.state_keys import StateKeys
from tests.support.postgres import Postgres

# The time that one example takes depends on the machine more than on the code.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

STATE_KEY = Secret("a key of these tests, 32 characters or more")
STATE_KEYS = StateKeys(lambda: STATE_KEY)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres().start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bot.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url, keys=STATE_KEYS)
    yield opened
    opened.close()


@pytest.fixture
def slow_database_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises the timeout for database locks, because a slow machine can hold a lock for a long time."""
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_SECONDS", 20.0)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """The simulated Slack, without a bot."""
    stand_in = SlackStandIn(demo_workspace(lambda: datetime.now(UTC)), CallLog())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Builds and opens sandboxes, without a bot. Closes them after the test."""
    built: list[Sandbox] = []

    def build(**options: object) -> Sandbox:
        sandbox = Sandbox(**options)  # type: ignore[arg-type]
        built.append(sandbox)
        return sandbox.open()

    yield build
    for sandbox in built:
        sandbox.close()


@pytest.fixture
def sandbox(new_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """An open sandbox, with the bot on SQLite."""
    opened = new_sandbox()
    opened.start_bot()
    return opened
