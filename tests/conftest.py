"""What tests share: databases of both kinds, and the town that the real bot lives in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from bot.sandbox.system import Sandbox
from bot.store import database
from bot.store.database import Store, open_store
from tests.support.postgres import Postgres

# How long one example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres().start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bot.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a lock waits longer than a slow machine holds up whoever has it."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 20.0)


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., Sandbox]]:
    towns: list[Sandbox] = []

    def build(**options: object) -> Sandbox:
        sandbox = Sandbox(**options)  # type: ignore[arg-type]
        towns.append(sandbox)
        return sandbox.open()

    yield build
    for sandbox in towns:
        sandbox.close()


@pytest.fixture
def sandbox(new_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """A town on SQLite with the bot running in it."""
    built = new_sandbox()
    built.start_bot()
    return built
