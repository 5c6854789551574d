"""The one place where the parts are put together, and where `serve` starts, waits and stops."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn

from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.config.settings import Config
from bot.domain.policy import approver_names
from bot.health import GracePeriod, HealthServer, TimedProbe
from bot.jobs import inbox_dispatcher, maintenance, request_dispatcher
from bot.jobs.active_claims import ActiveClaims
from bot.jobs.context import Context
from bot.jobs.identity.callers import Callers
from bot.jobs.notify import cards, notices
from bot.jobs.worker import Worker
from bot.listeners import register_listeners
from bot.listeners.payloads import OurApp
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.metrics import CONNECTED
from bot.redaction import LogFilter
from bot.shutdown import Shutdown
from bot.slack.errors import SLACK_EXCEPTIONS, error_label, no_answer_reason
from bot.slack.messenger import Messenger
from bot.slack.transport import HttpTransport, SocketTransport, Transport, new_app, new_client
from bot.slack.users import Users
from bot.store import queue, tables
from bot.store.database import Store, open_store
from bot.store.queue import Claim
from bot.vault.client import Vault
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

GRACE_SECONDS = 8.0
HARD_STOP_SECONDS = 9.0
AWAY_SECONDS = 120.0
PING_SECONDS = 1.0
SWITCH_SECONDS = 0.0005


class CannotStart(Exception):
    """`serve` cannot begin; its message is for a person."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def set_up_logging(level: str) -> None:
    """One handler, on stderr, that scrubs every record; the libraries that log bodies are kept quiet."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(LogFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("slack_bolt", "slack_sdk", "urllib3", "hvac", "waitress", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def new_vault(config: Config) -> Vault:
    environment = config.environment
    return Vault(
        environment.vault_address,
        environment.vault_identity,
        environment.vault_release_identity,
        namespace=environment.vault_namespace,
        ca=environment.vault_ca,
    )


def group_names(config: Config) -> list[str]:
    """The user groups that the settings name."""
    names = [
        name
        for project in config.projects.values()
        for name in (*project.requesters, *approver_names(project.policy))
        if name.startswith("S")
    ]
    return sorted(set(names))


def who_we_are(client: WebClient) -> tuple[OurApp, AuthorizeResult]:
    """The workspace, the app and the bot that the token belongs to.

    Raises:
        CannotStart: Slack does not tell.
    """
    try:
        me = client.auth_test()
        bot = client.bots_info(bot=me["bot_id"])["bot"]
    except SLACK_EXCEPTIONS as error:
        raise _no_slack(error, "SLACK_BOT_TOKEN", "Copy it again from your app") from None
    who = AuthorizeResult(
        enterprise_id=me.get("enterprise_id"),
        team_id=me["team_id"],
        bot_token=client.token,
        bot_id=me["bot_id"],
        bot_user_id=me["user_id"],
    )
    return OurApp(me["team_id"], bot["app_id"]), who


class Service:
    """The bot, put together: started once, stopped once."""

    def __init__(self, config: Config) -> None:
        environment = config.environment
        client = new_client(environment.slack_bot_token, environment.slack_api_url)
        where, who = who_we_are(client)
        self.store: Store = open_store(environment.database_url.reveal())
        owner = f"{os.uname().nodename[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        if self.store.is_sqlite:
            with self.store.write() as connection:
                queue.release_all(connection)
        vault = new_vault(config)
        messenger = Messenger(client)
        active_claims = ActiveClaims()
        self._context = Context(
            store=self.store,
            projects=config.projects,
            command=config.command,
            vault=vault,
            callers=Callers(vault, config.projects, self.store, utc_now),
            people=Users(client, where.team_id, group_names(config), time.monotonic),
            messenger=messenger,
            owner=owner,
            active_claims=active_claims,
            now=utc_now,
        )
        self._worker = Worker(
            self.store,
            owner,
            utc_now,
            {
                tables.inbox.name: lambda claim: inbox_dispatcher.handle_message(self._context, claim),
                tables.requests.name: lambda claim: request_dispatcher.advance_request(self._context, claim),
                tables.cards.name: lambda claim: cards.update_card(self._context, claim),
                tables.notices.name: lambda claim: notices.send_notice(self._context, claim),
                tables.chores.name: lambda claim: maintenance.run_task(self._context, claim),
            },
            self._report_bug,
            active_claims,
        )
        app = new_app(environment.slack_bot_token, environment.slack_api_url, environment.slack_signing_secret, who)
        receiver = Receiver(self.store, owner, utc_now, self._worker.submit)
        # Bolt's client has the short timeout that a form needs, which has to open within 3 s.
        responder = Responder(Messenger(app.client), receiver)
        register_listeners(app, where, receiver, responder, config.command)
        with _listening("PORT", environment.port):
            self._transport: Transport = (
                SocketTransport(app, environment.slack_app_token)
                if environment.slack_app_token
                else HttpTransport(app, environment.slack_signing_secret, environment.port)
            )
        CONNECTED.set_function(lambda: self._transport.is_connected)
        with _listening("OPS_PORT", environment.ops_port):
            self._ops = HealthServer(environment.ops_port, self._why_not_live, self._why_not_ready)
        self._logins = {"Vault login": environment.vault_identity}
        if environment.vault_release_identity is not None:
            self._logins["Vault login for the release of keys"] = environment.vault_release_identity
        self._grace_period = GracePeriod(AWAY_SECONDS, time.monotonic)
        self._probe = TimedProbe(self.store.ping, PING_SECONDS)

    def start(self, shutdown: Shutdown) -> None:
        """Begins, or leaves off when the process is to end.

        Raises:
            CannotStart: Slack does not let it connect. What was begun has ended.
        """
        self._ops.start()
        self._worker.start()
        try:
            self._transport.start(shutdown.asked)
        except SLACK_EXCEPTIONS as error:
            self.stop()
            fix = "Make one with the scope connections:write, under Basic Information of your app"
            raise _no_slack(error, "SLACK_APP_TOKEN", fix) from None
        log.info("serving")
        # Beside it: while Vault is away people can be told so, and requests wait for approval as ever.
        threading.Thread(target=self._tell_of_logins, name="vault", daemon=True).start()

    def stop(self) -> None:
        """Takes nothing new, gives what is in hand its grace; what is left is in the database."""
        self._transport.stop()
        if not self._worker.stop(GRACE_SECONDS):
            log.warning("stopped with work in hand; it goes on at the next start")
        self._ops.stop()

    def _tell_of_logins(self) -> None:
        for what, identity in self._logins.items():
            try:
                self._context.vault.token_terms(identity)
            except VaultError as fault:
                log.warning("%s: %s %s", what, fault.sentence, fault.next_step)

    def _report_bug(self, claim: Claim, reference: str) -> None:
        match claim.queue:
            case tables.inbox.name:
                inbox_dispatcher.report_bug(self._context, claim, reference)
            case tables.requests.name:
                request_dispatcher.report_bug(self._context, claim, reference)
            case tables.cards.name:
                cards.report_bug(self._context, claim, reference)
            case _:
                pass  # Of a notice or a chore nobody could be told but by another; the log has it.

    def _why_not_live(self) -> str | None:
        if not self._worker.is_alive:
            return "the loop has ended"
        if self._grace_period.is_over(self._transport.is_connected):
            return "Slack has not been connected for two minutes"
        return None

    def _why_not_ready(self) -> str | None:
        if not self._transport.is_connected:
            return "Slack is not connected"
        problem = self._probe.problem()
        return f"the database does not answer ({problem})" if problem else None


@contextmanager
def _listening(name: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotStart(f"nothing can listen on port {port} ({error.strerror}). Set another {name}.") from None


def _no_slack(error: Exception, token: str, fix: str) -> CannotStart:
    silence = no_answer_reason(error)
    if silence is not None:
        return CannotStart(f"Slack {silence.said} ({error_label(error)}). {silence.fix[0].upper()}{silence.fix[1:]}.")
    return CannotStart(f"Slack does not accept {token} ({error_label(error)}). {fix}.")


def serve(config: Config, shutdown: Shutdown) -> NoReturn:
    """Runs until the process is to end, and ends it, within 10 s, whatever still hangs.

    Raises:
        CannotStart: see there.
    """
    service = Service(config)
    shutdown.grace_seconds = HARD_STOP_SECONDS
    service.start(shutdown)
    # What was loaded at the start stays: the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    # Who computes gives way to the thread that Slack waits for sooner than after Python's 5 ms.
    sys.setswitchinterval(SWITCH_SECONDS)
    shutdown.asked.wait()
    service.stop()
    # Only now: a log that nobody reads would hold up all that comes before it.
    log.info("stopped")
    logging.shutdown()
    # Threads that still wait for an answer from outside would keep the process; what they do is durable.
    os._exit(0)
