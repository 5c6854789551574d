"""The system of a soak: two replicas on PostgreSQL, a proxy in front of each service, and how each fault is made."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from random import Random

from sqlalchemy.engine import make_url

from bot.sandbox.huawei.credentials import ARCHIVE, CALLERS, SOURCE_AK
from bot.sandbox.ports import free_port
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import caller_path
from tests.soak.plan import DATABASE, Break, Outage
from tests.soak.stories import WRONG_SK
from tests.store.test_connections import make_read_only, make_writable
from tests.support.chaos import ANSWERS, Chaos, ChaosProxy, Fault
from tests.support.postgres import Postgres


class System:
    """The sandbox with two replicas. They reach every service through a proxy.

    Attributes:
        proxies: by service; OMS has one for each project.
        secret_ids: every secret id of the bot so far.

    Arguments:
        seed: decides which requests and connections a fault meets.
        wrong_keys: so many buckets have a wrong source key in Vault: `wrong-0`, `wrong-1` and so on.
    """

    def __init__(self, seed: int, wrong_keys: int) -> None:
        self.proxies: dict[str, ChaosProxy] = {}
        self.secret_ids: list[str] = []
        self._outages: Counter[str] = Counter()
        with ExitStack() as stack:
            self._chaos = Chaos()
            stack.callback(self._chaos.stop)
            server = Postgres().start()
            stack.callback(server.stop)
            self.sandbox = Sandbox(database_url=server.new_database(), projects=2)
            stack.callback(self.sandbox.close)
            self.sandbox.open()
            # Slack's own limits are tested elsewhere. Here they would make the end of 60 requests take many minutes.
            self.sandbox.slack.api.enforces_rate_limits = False
            self.sandbox.vault.write(caller_path(ARCHIVE), CALLERS["password"])
            self._start_proxies(seed)
            self._write_settings(wrong_keys)
            self._rotate()
            self.sandbox.start_bot()
            self.sandbox.start_bot(free_port())
            self.close = stack.pop_all().close

    @property
    def injected(self) -> Counter[str]:
        """How many connections and requests each fault of each service has met."""
        found = Counter(self._outages)
        for name, proxy in self.proxies.items():
            found.update({f"{name}: {fault}": number for fault, number in proxy.injected.items()})
        found["PUTs answered with an error, or whose answer was lost"] = sum(
            proxy.met_puts for proxy in self.proxies.values()
        )
        return found

    @property
    def has_dead_connections(self) -> bool:
        """Whether a replica still waits at a connection to Slack that the network has forgotten."""
        return self.proxies["slack"].forgotten > 0

    def puts(self, group_id: str) -> int:
        """How many PUTs that start or retry a group have reached OMS, by the count of the proxies."""
        return sum(
            number
            for proxy in self.proxies.values()
            for line, number in proxy.forwarded.items()
            if line.startswith("PUT ") and group_id in line and not line.endswith("/stop")
        )

    def break_(self, one: Break) -> None:
        """Begins a fault."""
        match one.kind:
            case Outage.FAILOVER:
                make_read_only(self.sandbox.database_url)
                self._outages[f"{DATABASE}: failover"] += 1
            case Outage.ROTATION:
                self._rotate()
                self._outages["vault: rotated token"] += 1
            case Fault() as fault:
                for proxy in self._proxies_of(one.service):
                    self._chaos.begin(proxy, fault)

    def repair(self, one: Break) -> None:
        """Ends a fault. A rotated token needs no repair."""
        match one.kind:
            case Outage.FAILOVER:
                make_writable(self.sandbox.database_url)
            case Fault():
                for proxy in self._proxies_of(one.service):
                    self._chaos.end(proxy)

    def _proxies_of(self, service: str) -> list[ChaosProxy]:
        """The proxies of a service. Each project has an OMS."""
        return [proxy for name, proxy in self.proxies.items() if name.split()[0] == service]

    def audit(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs `taskgroup-bot audit verify` or `audit export`."""
        return subprocess.run(
            [sys.executable, "-m", "bot", "audit", command],
            env=self.sandbox.environment(),
            cwd=self.sandbox.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    def _start_proxies(self, seed: int) -> None:
        sandbox = self.sandbox
        ports = {
            "slack": sandbox.slack.server.port,
            "vault": sandbox.vault.server.port,
            "oms of media": sandbox.oms_by_project["media"].server.port,
            "oms of archive": sandbox.oms_by_project["archive"].server.port,
            DATABASE: make_url(sandbox.database_url).port or 0,
        }
        for name, port in ports.items():
            answers = ANSWERS.get(name.split()[0])
            self.proxies[name] = self._chaos.proxy(port, Random(f"{seed} {name}"), answers)

    def _write_settings(self, wrong_keys: int) -> None:
        sandbox = self.sandbox
        urls = {name: f"http://127.0.0.1:{proxy.port}" for name, proxy in self.proxies.items()}
        database_url = make_url(sandbox.database_url).set(port=self.proxies[DATABASE].port)
        sandbox.slack.address = urls["slack"]
        self._secret_id_path = sandbox.directory / "secret-id"
        sandbox.extra_environment = {
            "VAULT_ADDR": urls["vault"],
            "VAULT_SECRET_ID": "",
            "VAULT_SECRET_ID_FILE": str(self._secret_id_path),
            "DATABASE_URL": database_url.render_as_string(hide_password=False),
        }
        path = sandbox.directory / "bot.toml"
        toml = path.read_text(encoding="utf-8")
        for name, oms in sandbox.oms_by_project.items():
            toml = toml.replace(oms.server.url, urls[f"oms of {name}"])
        wrong = "".join(f'"wrong-{n}" = "oms/media/source/wrong-{n}", ' for n in range(wrong_keys))
        for n in range(wrong_keys):
            sandbox.vault.write(f"oms/media/source/wrong-{n}", {"ak": SOURCE_AK, "sk": WRONG_SK})
        toml = toml.replace("source = { ", f"source = {{ {wrong}", 1)
        toml = toml.replace("[projects.archive.vault]", "approvals = 2\n[projects.archive.vault]")
        path.write_text(toml, encoding="utf-8")

    def _rotate(self) -> None:
        """Writes a new secret id to the file. Then revokes the former one and every token of the bot."""
        root = self.sandbox.vault.as_root()
        self.secret_ids.append(self.sandbox.vault.login("bot").secret_id)
        self._secret_id_path.write_text(self.secret_ids[-1], encoding="utf-8")
        for old in self.secret_ids[-2:-1]:
            root.auth.approle.destroy_secret_id("bot", old)
        for accessor in root.list("auth/token/accessors")["data"]["keys"]:
            if "approle" in root.auth.token.lookup_accessor(accessor)["data"]["path"]:
                root.auth.token.revoke_accessor(accessor)
