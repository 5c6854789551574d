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

from bot.config.bot_toml import Project
from bot.huawei.errors import Rejected
from bot.jobs.identity.callers import Callers
from bot.jobs.identity.guard import IdentityGuard, IdentitySuspended
from bot.redaction import Secret
from bot.sandbox.call_log import Call, CallLog
from bot.sandbox.huawei.credentials import CALLERS, PROJECT_ID, REGION
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import media_state
from bot.sandbox.vault import SandboxVault
from bot.store.database import Store, open_store
from bot.vault.client import Vault
from bot.vault.login import VaultAppRole

PATH = "oms/media/caller"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def project(oms_url: str, **settings: object) -> Project:
    return Project.model_validate(
        {
            "region": REGION,
            "project_id": PROJECT_ID,
            "channel": "C0123456789",
            "approvers": ["U0123456789"],
            "oms_url": oms_url,
            "iam_url": oms_url,
            "vault": {"caller": PATH, "source": "oms/media/source", "destination": "oms/media/destination"},
        }
        | settings
    )


class Bench:
    """OMS, IAM and Vault, and a bot that calls."""

    def __init__(self, vault: SandboxVault, store: Store, oms: OmsStandIn, call_log: CallLog, clock: Clock) -> None:
        self.vault, self.store, self.oms, self.call_log, self.clock = vault, store, oms, call_log, clock

    def callers(self, names: Sequence[str] = ("media",), store: Store | None = None, **settings: object) -> Callers:
        """As after a start: nothing is held in memory. With a store of its own it is another replica."""
        login = self.vault.login("bot")
        projects = {name: project(self.oms.server.url, **settings) for name in names}
        vault = Vault(self.vault.url, VaultAppRole(login.role_id, Secret(login.secret_id)))
        return Callers(vault, projects, store or self.store, self.clock)

    def write_caller(self, kind: str, **more: str) -> None:
        self.vault.write(PATH, CALLERS[kind] | more)

    def calls(self, service: str) -> list[Call]:
        return [call for call in self.call_log.since() if call.service == service]

    def refusals(self) -> int:
        return [call.status for call in self.call_log.since()].count(401)


@contextmanager
def open_bench(vault: SandboxVault, database_url: str) -> Iterator[Bench]:
    clock, call_log = Clock(), CallLog()
    oms = OmsStandIn(media_state(clock), call_log)
    oms.server.start()
    with closing(open_store(database_url)) as store:
        yield Bench(vault, store, oms, call_log, clock)
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
        except (Rejected, IdentitySuspended) as error:
            ends.append(type(error).__name__)
        else:
            ends.append("well")

    threads = [threading.Thread(target=one, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ends)


def dies_of_the_answer(place: Bench, database_url: str) -> None:
    """A process that starts, calls, is refused, and is killed before it can write that down."""
    login = place.vault.login("bot")
    words = (place.vault.url, login.role_id, login.secret_id, place.oms.server.url, database_url)
    root = Path(__file__).parents[2]
    process = subprocess.run([sys.executable, "-m", __name__, *words], cwd=root, check=False)
    assert process.returncode == -signal.SIGKILL


def _call_and_die(vault_url: str, role_id: str, secret_id: str, oms_url: str, database_url: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    IdentityGuard.refused = die  # type: ignore[assignment, method-assign]
    vault = Vault(vault_url, VaultAppRole(role_id, Secret(secret_id)))
    show(Callers(vault, {"media": project(oms_url)}, open_store(database_url), lambda: datetime.now(UTC)))


if __name__ == "__main__":
    _call_and_die(*sys.argv[1:])
