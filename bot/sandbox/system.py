"""All stand-ins together, and the real `serve` as a process of its own between them.

The sandbox shows it, `--play` and the tests act in it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import requests

from bot.sandbox.call_log import CallLog
from bot.sandbox.child import Child
from bot.sandbox.credentials import MEDIA
from bot.sandbox.faults import Faults
from bot.sandbox.oms_server import OmsStandIn
from bot.sandbox.oms_state import OmsState, archive_state, media_state
from bot.sandbox.ports import free_port
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.user_actions import UserActions
from bot.sandbox.slack.workspace import demo_workspace
from bot.sandbox.vault import SandboxVault
from bot.sandbox.vault_paths import caller_path, destination_path, source_paths

READY_SECONDS = 60.0
LOG_LINES = 20

DEMO_WORLDS = {"media": media_state, "archive": archive_state}


def utc_now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Slack, OMS and Vault on loopback ports, and the bot that serves them.

    Arguments:
        port: of Slack's stand-in and the page; 0 takes a free one.
        database_url: of the bot; a SQLite file of its own by default.
        two_identities: the bot has a second Vault identity for the release of keys.
        projects: 1 is media; 2 adds archive, in another region.
        settings: more lines of the project media in bot.toml.
    """

    def __init__(
        self,
        port: int = 0,
        database_url: str | None = None,
        *,
        two_identities: bool = False,
        projects: int = 1,
        settings: str = "",
    ) -> None:
        self.call_log = CallLog()
        # Met by whichever project is called next; each has its own besides.
        self.faults = Faults()
        self.worlds = {name: DEMO_WORLDS[name](utc_now) for name in list(DEMO_WORLDS)[:projects]}
        self.clouds = {
            name: OmsStandIn(world, self.call_log, common=self.faults) for name, world in self.worlds.items()
        }
        self.vault = SandboxVault(self.call_log, slots=tuple(world.place for world in self.worlds.values()))
        self.workspace = demo_workspace(utc_now)
        self.slack = SlackStandIn(self.workspace, self.call_log, port)
        self.people = UserActions(self.slack)
        self.directory = Path(tempfile.mkdtemp(prefix="taskgroup-bot-"))
        self.database_url = database_url or f"sqlite:///{self.directory / 'bot.sqlite'}"
        self.ops_port = free_port()
        self.more_environment: dict[str, str] = {}
        self.rules: frozenset[str] = frozenset()
        self._two_identities = two_identities
        self._settings = settings
        self._bots: list[Child] = []
        self.log_path = self.directory / "bot.log"

    @property
    def world(self) -> OmsState:
        """Of the project media."""
        return self.worlds["media"]

    @property
    def oms(self) -> OmsStandIn:
        """Of the project media."""
        return self.clouds["media"]

    def open(self) -> Sandbox:
        """Starts the stand-ins."""
        self.slack.server.start()
        for cloud in self.clouds.values():
            cloud.server.start()
        self.vault.start()
        self._write_toml()
        return self

    def close(self) -> None:
        """Ends the bot and the stand-ins."""
        self._end_bots()
        self.slack.server.stop()
        for cloud in self.clouds.values():
            cloud.server.stop()
        self.vault.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_over(self) -> None:
        """The demo world anew, and a bot that remembers nothing. A database that was given is left as it is.

        Raises:
            RuntimeError: the bot did not become ready.
        """
        self._end_bots()
        self.rules = frozenset()
        self._write_toml()
        for path in self.directory.glob("bot.sqlite*"):
            path.unlink()
        for name, world in self.worlds.items():
            world.start_over(DEMO_WORLDS[name](utc_now).groups)
        self.faults.clear()
        for cloud in self.clouds.values():
            cloud.calm()
            cloud.delay_seconds = 0.0
        if self.vault.is_sealed:
            self.vault.unseal()
        self.slack.outage.status = None
        self.workspace.start_over()
        self.call_log.start_over()
        self.start_bot()

    def set_rules(self, rules: frozenset[str]) -> None:
        """Other rules in every project: these lines besides the usual ones. A bot that runs is started again with them.

        Raises:
            RuntimeError: the bot did not become ready.
        """
        self.rules = rules
        self._write_toml()
        if self._bots and self.bot_exit is None:
            self._end_bots()
            self.start_bot()

    def environment(self) -> dict[str, str]:
        """What the bot is started with."""
        main = self.vault.login("main" if self._two_identities else "bot")
        found = {
            "PATH": os.environ.get("PATH", ""),
            "SLACK_BOT_TOKEN": w.BOT_TOKEN,
            "SLACK_APP_TOKEN": w.APP_TOKEN,
            "SLACK_API_URL": self.slack.api_url,
            "VAULT_ADDR": self.vault.url,
            "VAULT_ROLE_ID": main.role_id,
            "VAULT_SECRET_ID": main.secret_id,
            "DATABASE_URL": self.database_url,
            "BOT_CONFIG": str(self.directory / "bot.toml"),
            "PORT": "0",
            "OPS_PORT": str(self.ops_port),
            "PYTHONUNBUFFERED": "1",
        }
        if self._two_identities:
            release = self.vault.login("release")
            found |= {"VAULT_RELEASE_ROLE_ID": release.role_id, "VAULT_RELEASE_SECRET_ID": release.secret_id}
        return found | self.more_environment

    def start_bot(self, ops_port: int | None = None) -> subprocess.Popen[bytes]:
        """Starts the real bot, and returns when it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; with the end of its log.
        """
        environment = self.environment()
        port = ops_port or self.ops_port
        environment["OPS_PORT"] = str(port)
        with self.log_path.open("ab") as log:
            child = Child([sys.executable, "-m", "bot", "serve"], environment, log, log, self.directory)
        self._bots.append(child)
        bot = child.process
        deadline = time.monotonic() + READY_SECONDS
        with requests.Session() as session:
            session.trust_env = False
            while time.monotonic() < deadline and bot.poll() is None:
                try:
                    if session.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200:
                        return bot
                except requests.exceptions.RequestException:
                    pass
                time.sleep(0.02)
        raise RuntimeError(f"the bot did not become ready:\n{self.end_of_log()}")

    @property
    def bot_exit(self) -> int | None:
        """The exit code of the newest bot, once it has ended."""
        newest = next(reversed(self._bots), None)
        if newest is None or newest.process.poll() is None:
            return None
        newest.end()
        return newest.process.returncode

    def stop_bot(self) -> int:
        """SIGTERM to the newest bot; its exit code."""
        bot = self._bots[-1].process
        bot.send_signal(signal.SIGTERM)
        return bot.wait(timeout=15)

    def kill_bot(self) -> None:
        """SIGKILL to the newest bot."""
        self._bots[-1].end()

    def _end_bots(self) -> None:
        # First: a bot that is ended on purpose is not one that ended.
        ending, self._bots = self._bots, []
        for bot in ending:
            bot.end()

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8") if self.log_path.exists() else ""

    def end_of_log(self) -> str:
        """The last lines that the bot wrote."""
        return "\n".join(self.log().splitlines()[-LOG_LINES:])

    def wait_until(self, holds: Callable[[], bool], timeout_seconds: float = 30.0, what: str = "it") -> None:
        """Returns as soon as something holds.

        Raises:
            TimeoutError: it did not come to hold; with the end of the bot's log.
        """
        deadline = time.monotonic() + timeout_seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come about in {timeout_seconds:.0f} s\n{self.end_of_log()}")
            time.sleep(0.01)

    def _write_toml(self) -> None:
        projects = [self._project_toml(cloud) for cloud in self.clouds.values()]
        toml = "\n".join(('command = "/resume-taskgroup"', *projects))
        (self.directory / "bot.toml").write_text(toml, encoding="utf-8")

    def _project_toml(self, cloud: OmsStandIn) -> str:
        place = cloud.world.place
        rules = "\n".join(sorted(self.rules))
        sources = ", ".join(f'"{bucket}" = "{path}"' for bucket, path in source_paths(place).items())
        return f"""
[projects.{place.name}]
region = "{place.region}"
project_id = "{place.project_id}"
channel = "{w.MIGRATIONS}"
requesters = ["*"]
approvers = ["{w.CAROL}", "{w.APPROVERS_GROUP}"]
oms_url = "{cloud.server.url}"
iam_url = "{cloud.server.url}"
{self._settings if place is MEDIA else ""}
{rules}
[projects.{place.name}.vault]
mount = "secret"
caller = "{caller_path(place)}"
source = {{ {sources} }}
destination = "{destination_path(place)}"
"""
