"""OMS, IAM and Vault, and bots that call there: in this process, or in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bot.clients import new_identity, utc_now
from bot.config.bot_toml import Project
from bot.domain.circuit_breaker import CircuitBreaker
from bot.huawei.errors import Rejected, Suspended
from bot.huawei.identity import Identity
from bot.redaction import Secret
from bot.sandbox.call_log import Call, CallLog
from bot.sandbox.huawei.credentials import CALLERS, PROJECT_ID, REGION
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import media_state
from bot.sandbox.vault import SandboxVault
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.database import Store, open_store
from bot.vault.client import Vault
from bot.vault.login import VaultAppRole

PATH, OTHER_PATH = "oms/media/caller", "oms/archive/caller"


class Clock:
    """Moves on by a microsecond whenever it is read, as real time does, and else only when a test moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


def project(oms_url: str, **settings: object) -> Project:
    """A table of bot.toml whose OMS and IAM are at this address."""
    return Project.model_validate(
        {
            "region": REGION,
            "project_id": PROJECT_ID,
            "channel": "C0123456789",
            "approvers": ["U0123456789"],
            "oms_url": oms_url,
            "iam_url": oms_url,
            "vault": vault_paths(PATH),
        }
        | settings
    )


def vault_paths(caller: str) -> dict[str, str]:
    return {"caller": caller, "source": "oms/media/source", "destination": "oms/media/destination"}


class Cloud:
    """OMS, IAM and Vault, a database, and bots that call."""

    def __init__(self, vault: SandboxVault, store: Store, oms: OmsStandIn, call_log: CallLog, clock: Clock) -> None:
        self.vault, self.store, self.oms, self.call_log, self.clock = vault, store, oms, call_log, clock

    def identity(self, names: Sequence[str] = ("media",), store: Store | None = None, **settings: object) -> Identity:
        """As after a start: nothing is held in memory. With a store of its own it is another replica."""
        return self.identity_of({name: project(self.oms.server.url, **settings) for name in names}, store)

    def identity_of(
        self, projects: dict[str, Project], store: Store | None = None, vault: Vault | None = None
    ) -> Identity:
        """The same with these projects."""
        database = store or self.store
        rows = CircuitBreakers(database.read, database.write)
        return new_identity(vault or self.new_vault(), projects, rows, self.clock)

    def new_vault(self, url: str | None = None) -> Vault:
        """The bot's own way to Vault, or to an address that leads there."""
        login = self.vault.login("bot")
        return Vault(url or self.vault.url, VaultAppRole(login.role_id, Secret(login.secret_id)))

    def write_caller(self, kind: str, path: str = PATH, **more: str) -> None:
        """Writes an identity to Vault that is valid, unless `more` replaces a part of it."""
        self.vault.write(path, CALLERS[kind] | more)

    def refuse(self, calls: int = 50, seconds: float = 0.1) -> None:
        """From now on the identity is refused, with answers that take so long that calls overlap."""
        self.oms.delay_seconds = seconds
        self.oms.faults.add("show", *[Answer(401, "APIG.0301")] * calls)

    def calls(self, service: str) -> list[Call]:
        return [call for call in self.call_log.since() if call.service == service]

    def refusals(self) -> int:
        return [call.status for call in self.call_log.since()].count(401)

    def breakers(self) -> list[CircuitBreaker]:
        """What is stored of the identities that were last used at the usual path."""
        return list(CircuitBreakers(self.store.read, self.store.write).at_path(f"secret/{PATH}"))


@contextmanager
def open_cloud(vault: SandboxVault, database_url: str) -> Iterator[Cloud]:
    clock, call_log = Clock(), CallLog()
    oms = OmsStandIn(media_state(clock), call_log)
    oms.server.start()
    with closing(open_store(database_url)) as store:
        yield Cloud(vault, store, oms, call_log, clock)
    oms.server.stop()


def show(identity: Identity, name: str = "media") -> str:
    """A call that reads."""
    return identity.call(name, lambda oms: oms.show(NIGHTLY_IMAGES)).group_id


def all_at_once(calls: Sequence[Callable[[], object]]) -> list[str]:
    """How each call ended, sorted: `ok`, or the name of the error."""
    ends: list[str] = []
    begin = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        begin.wait()
        try:
            call()
        except (Rejected, Suspended) as error:
            ends.append(type(error).__name__)
        else:
            ends.append("ok")

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ends)


class Replica:
    """A process of its own, with threads that call once each."""

    def __init__(self, cloud: Cloud, database_url: str, threads: int) -> None:
        self._process = _start("call_when_told", cloud, database_url, str(threads))
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def ends(self) -> list[str]:
        """How each call ended."""
        said, _ = self._process.communicate(timeout=60)
        return said.split()


def killed_before_storing_a_refusal(cloud: Cloud, database_url: str) -> None:
    """A process that starts, calls, is refused, and is killed before it can store that."""
    process = _start("call_and_die", cloud, database_url)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def _start(role: str, cloud: Cloud, database_url: str, *more: str) -> subprocess.Popen[str]:
    login = cloud.vault.login("bot")
    words = (role, cloud.vault.url, login.role_id, login.secret_id, cloud.oms.server.url, database_url, *more)
    return subprocess.Popen(
        [sys.executable, "-m", __name__, *words],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class _DiesOfTheAnswer(CircuitBreakers):
    """Stores that a probe begins, and kills the process when its result is to be stored."""

    has_begun = False

    def update(self, new: CircuitBreaker, change: Callable[[CircuitBreaker], CircuitBreaker]) -> CircuitBreaker:
        if self.has_begun:
            os.kill(os.getpid(), signal.SIGKILL)
        self.has_begun = True
        return super().update(new, change)


def _main(role: str, vault_url: str, role_id: str, secret_id: str, oms_url: str, url: str, threads: str = "1") -> None:
    store = open_store(url)
    kind = _DiesOfTheAnswer if role == "call_and_die" else CircuitBreakers
    vault = Vault(vault_url, VaultAppRole(role_id, Secret(secret_id)))
    identity = new_identity(vault, {"media": project(oms_url)}, kind(store.read, store.write), utc_now)
    if role == "call_when_told":
        print("ready", flush=True)
        sys.stdin.readline()
    print(*all_at_once([partial(show, identity)] * int(threads)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
