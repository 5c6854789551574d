"""OMS, IAM and Vault, and bots that call: in this process, or in one of their own that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bot.config import Project
from bot.identity import VaultAppRole
from bot.oms.errors import Refused
from bot.redaction import Secret
from bot.sandbox import oms_world as ow
from bot.sandbox.journal import Call, Journal
from bot.sandbox.oms_server import OmsStandIn
from bot.sandbox.oms_world import NIGHTLY_IMAGES, demo_world
from bot.sandbox.vault import SandboxVault
from bot.store.engine import Store, open_store
from bot.vault import Vault
from bot.work.caller import Callers, KeyRests
from bot.work.guard import Guard

PATH = "oms/media/caller"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def project(oms_url: str, **settings: object) -> Project:
    return Project.model_validate(
        {
            "region": ow.REGION,
            "project_id": ow.PROJECT_ID,
            "channel": "C0123456789",
            "approvers": ["U0123456789"],
            "oms_url": oms_url,
            "iam_url": oms_url,
            "vault": {"caller": PATH, "source": "oms/media/source", "destination": "oms/media/destination"},
        }
        | settings
    )


class Place:
    """OMS, IAM and Vault, and a bot that calls."""

    def __init__(self, vault: SandboxVault, store: Store, oms: OmsStandIn, journal: Journal, clock: Clock) -> None:
        self.vault, self.store, self.oms, self.journal, self.clock = vault, store, oms, journal, clock

    def callers(self, names: Sequence[str] = ("media",), store: Store | None = None, **settings: object) -> Callers:
        """As after a start: nothing is held in memory. With a store of its own it is another replica."""
        login = self.vault.login("bot")
        projects = {name: project(self.oms.server.url, **settings) for name in names}
        vault = Vault(self.vault.url, VaultAppRole(login.role_id, Secret(login.secret_id)))
        return Callers(vault, projects, store or self.store, self.clock)

    def comes_as(self, kind: str, **more: str) -> None:
        self.vault.write(PATH, ow.CALLERS[kind] | more)

    def calls(self, service: str) -> list[Call]:
        return [call for call in self.journal.since() if call.service == service]

    def refusals(self) -> int:
        return [call.status for call in self.journal.since()].count(401)


@contextmanager
def open_place(vault: SandboxVault, database_url: str) -> Iterator[Place]:
    clock, journal = Clock(), Journal()
    oms = OmsStandIn(demo_world(clock), journal)
    oms.server.start()
    with closing(open_store(database_url)) as store:
        yield Place(vault, store, oms, journal, clock)
    oms.server.stop()


def show(callers: Callers, name: str = "media") -> str:
    return callers.call(name, lambda oms: oms.show(NIGHTLY_IMAGES)).group_id


def all_at_once(asks: Sequence[Callable[[], object]]) -> list[str]:
    """What came of each, sorted: `well`, or the name of the error."""
    ends: list[str] = []
    begin = threading.Barrier(len(asks))

    def one(ask: Callable[[], object]) -> None:
        begin.wait()
        try:
            ask()
        except (Refused, KeyRests) as error:
            ends.append(type(error).__name__)
        else:
            ends.append("well")

    threads = [threading.Thread(target=one, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ends)


def dies_of_the_answer(place: Place, database_url: str) -> None:
    """A process that starts, calls, is refused, and is killed before it can write that down."""
    login = place.vault.login("bot")
    words = (place.vault.url, login.role_id, login.secret_id, place.oms.server.url, database_url)
    root = Path(__file__).parents[2]
    process = subprocess.run([sys.executable, "-m", __name__, *words], cwd=root, check=False)
    assert process.returncode == -signal.SIGKILL


def _call_and_die(vault_url: str, role_id: str, secret_id: str, oms_url: str, database_url: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    Guard.refused = die  # type: ignore[assignment, method-assign]
    vault = Vault(vault_url, VaultAppRole(role_id, Secret(secret_id)))
    show(Callers(vault, {"media": project(oms_url)}, open_store(database_url), lambda: datetime.now(UTC)))


if __name__ == "__main__":
    _call_and_die(*sys.argv[1:])
