"""The sandbox itself: all stand-ins on loopback ports, and the real `taskgroup-bot serve` as a child process.

The control panel, the demo and the tests act in it.
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
from bot.sandbox.child_process import ChildProcess
from bot.sandbox.huawei.credentials import MEDIA
from bot.sandbox.huawei.faults import Faults
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import archive_state, media_state
from bot.sandbox.ports import free_port
from bot.sandbox.slack.demo_workspace import demo_workspace
from bot.sandbox.slack.ids import APP_TOKEN, APPROVERS_GROUP, BOT_TOKEN, CAROL, MIGRATIONS
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.user_actions import UserActions
from bot.sandbox.vault import SandboxVault, caller_path, destination_path, source_paths

READY_SECONDS = 60.0
LOG_LINES = 20

INITIAL_STATES = {"media": media_state, "archive": archive_state}


def utc_now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Slack, OMS and Vault on loopback ports, and the bot between them.

    `people` are the user actions in Slack, `oms` is OMS of the project media, `shared_faults` are met by the next call
    to OMS or IAM of any project, `extra_environment` is added to the environment of the bot.

    Arguments:
        port: of Slack and the control panel; 0 takes a free one.
        database_url: of the bot; by default a SQLite file in the directory of the sandbox.
        two_identities: whether the bot reads source and destination keys with a second Vault identity.
        projects: 1 is media; 2 adds archive, in another region.
        settings: more lines for the project media in bot.toml.
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
        self.shared_faults = Faults()
        self.oms_by_project = {
            name: OmsStandIn(INITIAL_STATES[name](utc_now), self.call_log, shared_faults=self.shared_faults)
            for name in list(INITIAL_STATES)[:projects]
        }
        self.vault = SandboxVault(
            self.call_log, projects=tuple(oms.state.project for oms in self.oms_by_project.values())
        )
        self.workspace = demo_workspace(utc_now)
        self.slack = SlackStandIn(self.workspace, self.call_log, port)
        self.people = UserActions(self.slack)
        self.directory = Path(tempfile.mkdtemp(prefix="taskgroup-bot-"))
        self.database_url = database_url or f"sqlite:///{self.directory / 'bot.sqlite'}"
        self.ops_port = free_port()
        self.extra_environment: dict[str, str] = {}
        self.rules: frozenset[str] = frozenset()
        self.log_path = self.directory / "bot.log"
        self._two_identities = two_identities
        self._settings = settings
        self._bots: list[ChildProcess] = []

    @property
    def oms(self) -> OmsStandIn:
        return self.oms_by_project["media"]

    def open(self) -> Sandbox:
        """Starts the stand-ins and writes bot.toml. The bot is started by `start_bot`."""
        self.slack.server.start()
        for oms in self.oms_by_project.values():
            oms.server.start()
        self.vault.start()
        self._write_toml()
        return self

    def close(self) -> None:
        """Ends the bot and the stand-ins, and removes the directory."""
        self._kill_bots()
        self.slack.server.stop()
        for oms in self.oms_by_project.values():
            oms.server.stop()
        self.vault.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def reset(self) -> None:
        """Returns to the initial state, and starts a bot with an empty database.

        A database that was given by its URL is left as it is.

        Raises:
            RuntimeError: the bot did not become ready.
        """
        self._kill_bots()
        self.rules = frozenset()
        self._write_toml()
        for path in self.directory.glob("bot.sqlite*"):
            path.unlink()
        self.shared_faults.clear()
        for name, oms in self.oms_by_project.items():
            oms.state.reset(INITIAL_STATES[name](utc_now).groups)
            oms.faults.clear()
            oms.delay_seconds = 0.0
        if self.vault.is_sealed:
            self.vault.unseal()
        self.slack.outage.status = None
        self.slack.api.takes_charts = True
        self.workspace.clear()
        self.call_log.clear()
        self.start_bot()

    def set_rules(self, rules: frozenset[str]) -> None:
        """Sets the lines that every project has in bot.toml besides the usual ones. Restarts the bot if it runs.

        Raises:
            RuntimeError: the bot did not become ready.
        """
        self.rules = rules
        self._write_toml()
        if self._bots and self.bot_exit_code is None:
            self._kill_bots()
            self.start_bot()

    def environment(self) -> dict[str, str]:
        """The environment of the bot, with a new secret id for each Vault login."""
        main = self.vault.login("main" if self._two_identities else "bot")
        found = {
            "PATH": os.environ.get("PATH", ""),
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_API_URL": self.slack.api_url,
            "VAULT_ADDR": self.vault.url,
            "VAULT_ROLE_ID": main.role_id,
            "VAULT_SECRET_ID": main.secret_id,
            "DATABASE_URL": self.database_url,
            "BOT_CONFIG": str(self.directory / "bot.toml"),
            "LISTEN": "127.0.0.1",
            "PORT": "0",
            "OPS_PORT": str(self.ops_port),
            "PYTHONUNBUFFERED": "1",
        }
        if self._two_identities:
            release = self.vault.login("release")
            found |= {"VAULT_RELEASE_ROLE_ID": release.role_id, "VAULT_RELEASE_SECRET_ID": release.secret_id}
        return found | self.extra_environment

    def start_bot(self, ops_port: int | None = None) -> subprocess.Popen[bytes]:
        """Starts a bot, and returns its process when it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; with the end of its log.
        """
        environment = self.environment()
        port = ops_port or self.ops_port
        environment["OPS_PORT"] = str(port)
        with self.log_path.open("ab") as log:
            child = ChildProcess([sys.executable, "-m", "bot", "serve"], environment, log, log, self.directory)
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
    def bot_exit_code(self) -> int | None:
        """The exit code of the newest bot, if it has ended."""
        newest = next(reversed(self._bots), None)
        if newest is None or newest.process.poll() is None:
            return None
        newest.kill()
        return newest.process.returncode

    def stop_bot(self) -> int:
        """Sends SIGTERM to the newest bot, and returns its exit code."""
        bot = self._bots[-1].process
        bot.send_signal(signal.SIGTERM)
        return bot.wait(timeout=15)

    def kill_bot(self) -> None:
        """Sends SIGKILL to the newest bot."""
        self._bots[-1].kill()

    def _kill_bots(self) -> None:
        # Forgets the bots before it kills them: `bot_exit_code` is about a bot that ended unexpectedly.
        killed, self._bots = self._bots, []
        for bot in killed:
            bot.kill()

    def log(self) -> str:
        """Everything that the bots have logged."""
        return self.log_path.read_text(encoding="utf-8") if self.log_path.exists() else ""

    def end_of_log(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log().splitlines()[-LOG_LINES:])

    def wait_until(self, holds: Callable[[], bool], timeout_seconds: float = 30.0, what: str = "the condition") -> None:
        """Returns as soon as a condition holds.

        Arguments:
            what: names the condition in the error.

        Raises:
            TimeoutError: it did not hold in time; with the end of the log.
        """
        deadline = time.monotonic() + timeout_seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_seconds:.0f} s in vain for {what}\n{self.end_of_log()}")
            time.sleep(0.01)

    def _write_toml(self) -> None:
        projects = [self._project_toml(oms) for oms in self.oms_by_project.values()]
        toml = "\n".join(('command = "/resume-taskgroup"', *projects))
        (self.directory / "bot.toml").write_text(toml, encoding="utf-8")

    def _project_toml(self, oms: OmsStandIn) -> str:
        project = oms.state.project
        rules = "\n".join(sorted(self.rules))
        sources = ", ".join(f'"{bucket}" = "{path}"' for bucket, path in source_paths(project).items())
        return f"""
[projects.{project.name}]
region = "{project.region}"
project_id = "{project.project_id}"
channel = "{MIGRATIONS}"
requesters = ["*"]
approvers = ["{CAROL}", "{APPROVERS_GROUP}"]
oms_url = "{oms.server.url}"
iam_url = "{oms.server.url}"
{self._settings if project is MEDIA else ""}
{rules}
[projects.{project.name}.vault]
mount = "secret"
caller = "{caller_path(project)}"
source = {{ {sources} }}
destination = "{destination_path(project)}"
"""
