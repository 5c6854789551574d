"""Builds the parts of the bot, and starts and stops them: `taskgroup-bot serve`."""

from __future__ import annotations

import errno
import gc
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

from slack_bolt import App
from slack_bolt.authorization import AuthorizeResult

from bot.clients import new_identity, new_vault, slack_route, utc_now
from bot.config.environment import Environment
from bot.config.settings import Settings
from bot.health import GracePeriod, HealthServer
from bot.jobs import inbox_dispatcher, maintenance, request_dispatcher
from bot.jobs.active_claims import ActiveClaims
from bot.jobs.context import Context
from bot.jobs.digest import schedule_digest
from bot.jobs.notify import cards, notices
from bot.jobs.watch import alerts, sweep
from bot.jobs.worker import Worker
from bot.listeners import register_listeners
from bot.listeners.payloads import OurApp
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.metrics import CONNECTED
from bot.net.session import Route
from bot.readiness import Readiness
from bot.redaction import Secret
from bot.shutdown import Shutdown
from bot.slack import installation
from bot.slack.client import DirectClient
from bot.slack.errors import Denied, Unavailable, explanation
from bot.slack.messenger import Messenger
from bot.slack.socket_mode import SocketTransport
from bot.slack.transport import ACK_SECONDS, HttpTransport, Transport, new_app, new_client
from bot.slack.users import Users
from bot.store import queue, sweeps, tables
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.database import open_store
from bot.store.queue import Claim
from bot.store.state_keys import StateKeys
from bot.vault.errors import VaultError
from bot.vault.login import VaultToken
from bot.vault.renewal import renew_until_stopped

log = logging.getLogger(__name__)

# Measured from the signal: the time for running jobs to end, and the time after which the process ends in any case.
GRACE_SECONDS = 8.0
HARD_STOP_SECONDS = 9.0
# /livez fails after Slack was disconnected for this time.
DISCONNECTED_SECONDS = 120.0
SWITCH_SECONDS = 0.0005


class CannotStart(Exception):
    """`serve` cannot start. The message gives the reason and the fix."""


def serve(settings: Settings, shutdown: Shutdown) -> NoReturn:
    """Runs the bot until `shutdown` is requested, then ends the process within 10 s.

    Raises:
        CannotStart: Slack does not let the bot connect, or a port is in use.
        CannotOpenDatabase: the database cannot be used.
    """
    service = Service(settings)
    shutdown.grace_seconds = HARD_STOP_SECONDS
    service.start(shutdown)
    # Objects that exist now live as long as the process, so the garbage collector can ignore them.
    gc.collect()
    gc.freeze()
    # The default is 5 ms. With less, a thread that has to acknowledge a payload waits less for computing threads.
    sys.setswitchinterval(SWITCH_SECONDS)
    shutdown.requested.wait()
    service.stop()
    # Last, because writing to a full pipe that nobody reads blocks.
    log.info("stopped")
    logging.shutdown()
    # sys.exit would wait for threads that are still in a call. Their jobs continue from the database.
    os._exit(0)


class Service:
    """All parts of one process. Started once and stopped once.

    Raises:
        CannotStart, CannotOpenDatabase: see `serve`.
    """

    def __init__(self, settings: Settings) -> None:
        environment = settings.environment
        token, api_url, route = environment.slack_bot_token, environment.slack_api_url, slack_route(settings.network)
        client = new_client(token, api_url, route=route)
        our_app, authorization = authenticate(client, environment.slack_app_token)
        self.context = open_context(settings, client, our_app.team_id)
        self._worker = _new_worker(self.context)
        app = new_app(token, api_url, environment.slack_signing_secret, authorization, route)
        receiver = Receiver(self.context.store, self.context.owner, utc_now, self._worker.submit)
        # A short timeout, because a form must open within 3 s.
        quick_client = new_client(token, api_url, ACK_SECONDS, route)
        quick_client.owner = client.owner
        responder = Responder(Messenger(quick_client), receiver, is_known=self.context.people.is_known)
        register_listeners(app, our_app, receiver, responder, settings.command)
        self._slack_api_url = client.base_url
        self._transport = _new_transport(environment, app, route)
        CONNECTED.set_function(lambda: self._transport.is_connected)
        ready = Readiness(self.context.store, client, self.context.people, lambda: self._transport.problem)
        with _listening_errors(environment.listen, "OPS_PORT", environment.ops_port):
            self._health = HealthServer(
                environment.ops_port, self._liveness_problem, ready.problem, ready.details, environment.listen
            )
        self._disconnected = GracePeriod(DISCONNECTED_SECONDS, time.monotonic)
        self._vault_logins = environment.vault.logins

    def start(self, shutdown: Shutdown) -> None:
        """Starts all parts. Returns early when `shutdown` is requested.

        Raises:
            CannotStart: Slack does not let the bot connect. All parts are stopped.
        """
        self._health.start()
        self._worker.start()
        try:
            self._transport.start(shutdown.requested)
        except (Denied, Unavailable) as error:
            self.stop()
            raise CannotStart(explanation(error, self._slack_api_url)) from None
        log.info("serving")
        keep_logins = partial(self._keep_vault_logins, shutdown.requested)
        threading.Thread(target=keep_logins, name="vault-logins", daemon=True).start()

    def stop(self) -> None:
        """Stops accepting payloads, and gives running jobs 8 s to end. Unfinished jobs continue at the next start."""
        self._transport.stop()
        if not self._worker.stop(GRACE_SECONDS):
            log.warning("stopped before all jobs ended; they continue at the next start")
        self._health.stop()

    def _keep_vault_logins(self, stopped: threading.Event) -> None:
        """Tries each login once, then renews a static token. In a thread, because the bot also starts without Vault."""
        for label, identity in self._vault_logins.items():
            if isinstance(identity, VaultToken):
                continue  # The renewal begins with a look-up.
            try:
                self.context.vault.try_login(identity)
            except VaultError as error:
                log.warning("%s: %s %s", label, error.sentence, error.next_step)
        renew_until_stopped(self.context.vault.renew_token, stopped)

    def _liveness_problem(self) -> str | None:
        if not self._worker.is_alive:
            return "the worker has ended"
        if self._disconnected.is_over(self._transport.is_connected):
            return "Slack has not been connected for two minutes"
        return None


def authenticate(client: DirectClient, app_token: Secret | None) -> tuple[OurApp, AuthorizeResult]:
    """The workspace and app of the tokens, and the authorization for Bolt.

    Raises:
        CannotStart: Slack does not accept the bot token, or does not answer, or the tokens belong to different apps.
    """
    try:
        me = installation.authenticate(client)
        our_app = OurApp(me["team_id"], installation.app_id_of(client, me, app_token))
    except (Denied, Unavailable) as error:
        raise CannotStart(explanation(error, client.base_url)) from None
    authorization = AuthorizeResult(
        enterprise_id=me.get("enterprise_id"),
        team_id=me["team_id"],
        bot_token=client.token,
        bot_id=me["bot_id"],
        bot_user_id=me["user_id"],
    )
    return our_app, authorization


def open_context(settings: Settings, client: DirectClient, team_id: str) -> Context:
    """Opens the database, and makes what the jobs need. Starts no thread.

    Raises:
        CannotOpenDatabase: the database cannot be used.
    """
    environment, database_url = settings.environment, settings.environment.database_url
    # A token that was read again signs from then on, and the one before is still checked.
    keys = StateKeys(lambda: environment.state_key or client.secret, environment.state_key_former)
    store = open_store(database_url.reveal(), lambda: database_url.current().reveal(), keys)
    rows = CircuitBreakers(store.read, store.write)
    with store.write() as connection:
        sweeps.set_projects(connection, settings.projects, utc_now())
    if store.is_sqlite:
        # Only one process uses a SQLite file, so every claim in it belongs to a process that has ended.
        with store.write() as connection:
            queue.release_all(connection)
        rows.end_probes()
    vault = new_vault(environment, settings.network)
    context = Context(
        store=store,
        projects=settings.projects,
        command=settings.command,
        vault=vault,
        identity=new_identity(vault, settings.projects, rows, utc_now, settings.network),
        people=Users(client, team_id, time.monotonic, settings.named_ids),
        messenger=Messenger(client),
        owner=f"{os.uname().nodename[:40]}-{os.getpid()}-{secrets.token_hex(4)}",
        active_claims=ActiveClaims(),
        now=utc_now,
        keep=settings.keep,
    )
    schedule_digest(context)
    return context


def _new_worker(context: Context) -> Worker:
    return Worker(
        context.store,
        context.owner,
        utc_now,
        {
            tables.inbox.name: partial(inbox_dispatcher.handle_message, context),
            tables.requests.name: partial(request_dispatcher.advance_request, context),
            tables.cards.name: partial(cards.update_card, context),
            tables.notices.name: partial(notices.send_notice, context),
            tables.alerts.name: partial(alerts.show_alert, context),
            tables.sweeps.name: partial(sweep.sweep_project, context),
            tables.maintenance.name: partial(maintenance.run_task, context),
        },
        partial(_report_bug, context),
        context.active_claims,
    )


def _report_bug(context: Context, claim: Claim, reference: str) -> None:
    match claim.queue:
        case tables.inbox.name:
            inbox_dispatcher.report_bug(context, claim, reference)
        case tables.requests.name:
            request_dispatcher.report_bug(context, claim, reference)
        case tables.cards.name:
            cards.report_bug(context, claim, reference)
        case _:
            pass  # For any other job there is nobody to notify. The log has the exception.


def _new_transport(environment: Environment, app: App, route: Route) -> Transport:
    if environment.slack_app_token:
        client = new_client(environment.slack_app_token, environment.slack_api_url, route=route)
        return SocketTransport(app, client, route)
    with _listening_errors(environment.listen, "PORT", environment.port):
        return HttpTransport(app, environment.slack_signing_secret, environment.port, environment.listen)


@contextmanager
def _listening_errors(address: str, name: str, port: int) -> Iterator[None]:
    """Raises `CannotStart` if the port is in use, or this machine does not have the address."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            problem, fix = f"address {address}", "LISTEN to an address of this machine"
        else:
            problem, fix = f"port {port}", f"{name} to another port"
        raise CannotStart(f"the bot can't listen on {problem} ({os.strerror(error.errno or 0)}). Set {fix}.") from None
