"""What chores work with, in this process, or in one of its own that is killed in the middle of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bot.config import BotFile, example
from bot.identity import VaultToken
from bot.redaction import Secret
from bot.sandbox.slack import world as w
from bot.slack.people import People
from bot.slack.posting import Posting
from bot.slack.transport import new_client
from bot.store import audit
from bot.store.chores import Chore
from bot.store.claims import Claim
from bot.store.engine import Store, open_store
from bot.vault import Vault
from bot.work import chores
from bot.work.caller import Callers
from bot.work.held import Held
from bot.work.tools import Tools


def tools_for_chores(store: Store, now: Callable[[], datetime], slack_url: str) -> Tools:
    """Of a bot with two projects, whose Vault leads nowhere."""
    media = BotFile.model_validate(tomllib.loads(example())).projects["media"]
    projects = {"media": media.model_copy(update={"channel": w.MIGRATIONS}), "photos": media}
    client = new_client(Secret(w.BOT_TOKEN), slack_url)
    vault = Vault("http://127.0.0.1:1", VaultToken(Secret("leads-nowhere")))
    return Tools(
        store=store,
        projects=projects,
        command="/resume-taskgroup",
        vault=vault,
        callers=Callers(vault, projects, store, now),
        people=People(client, w.TEAM_ID, [], lambda: 0.0),
        posting=Posting(client),
        owner="one",
        held=Held(),
        now=now,
    )


def dies_before_the_commit(database_url: str, now: datetime) -> None:
    """A process that tells the newest hash, and is killed when all but the commit is done."""
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
    tools = tools_for_chores(open_store(database_url), lambda: moment, "http://127.0.0.1:1/api/")
    chores.work(tools, Claim("chores", Chore.ANCHOR.value, 0))


if __name__ == "__main__":
    _anchor_and_die(*sys.argv[1:])
