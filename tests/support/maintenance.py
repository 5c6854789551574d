"""Runs maintenance tasks: in this process, or in one that is killed before the commit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from bot.clients import new_identity
from bot.config.bot_toml import BotToml
from bot.config.settings import example
from bot.huawei.circuit_breaker import InMemoryRows
from bot.jobs import maintenance
from bot.jobs.active_claims import ActiveClaims
from bot.jobs.context import Context
from bot.jobs.maintenance import Task
from bot.redaction import Secret
from bot.sandbox.slack.ids import BOT_TOKEN, MIGRATIONS, TEAM_ID
from bot.slack.messenger import Messenger
from bot.slack.transport import new_client
from bot.slack.users import Users
from bot.store import audit, tables
from bot.store.database import Store, open_store
from bot.store.queue import Claim
from bot.vault.client import Vault
from bot.vault.login import VaultToken


def maintenance_context(store: Store, now: Callable[[], datetime], slack_url: str) -> Context:
    """The context of a bot with two projects. Its Vault cannot be reached."""
    media = BotToml.model_validate(tomllib.loads(example())).projects["media"]
    projects = {"media": media.model_copy(update={"channel": MIGRATIONS}), "photos": media}
    client = new_client(Secret(BOT_TOKEN), slack_url)
    vault = Vault("http://127.0.0.1:1", VaultToken(Secret("not-a-token")))
    return Context(
        store=store,
        projects=projects,
        command="/resume-taskgroup",
        vault=vault,
        identity=new_identity(vault, projects, InMemoryRows(), now),
        people=Users(client, TEAM_ID, lambda: 0.0),
        messenger=Messenger(client),
        owner="one",
        active_claims=ActiveClaims(),
        now=now,
        keep=timedelta(days=400),
    )


def die_before_commit(database_url: str, now: datetime) -> None:
    """Runs a process that anchors the newest hash and is killed before its transaction commits."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", __name__, database_url, now.isoformat()]
    assert subprocess.run(command, cwd=root, check=False).returncode == -signal.SIGKILL


def _anchor_and_die(database_url: str, now: str) -> None:
    append_all = audit.append_all

    def append_and_die(*arguments: object) -> None:
        append_all(*arguments)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    audit.append_all = append_and_die  # type: ignore[assignment]
    moment = datetime.fromisoformat(now)
    context = maintenance_context(open_store(database_url), lambda: moment, "http://127.0.0.1:1/api/")
    maintenance.run_task(context, Claim(tables.maintenance.name, Task.ANCHOR.value, 0))


if __name__ == "__main__":
    _anchor_and_die(*sys.argv[1:])
