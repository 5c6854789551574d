"""Socket Mode: keeps one WebSocket to Slack open, and hands its payloads to the Bolt app.

How a socket is opened is left to `bot.slack.websocket`, what the app does with a payload to `bot.listeners`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from slack_bolt import App
from slack_bolt.adapter.socket_mode.internals import run_bolt_app, send_response
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.sync.client import ClientConnection

from bot.net.session import Route
from bot.slack.client import DirectClient
from bot.slack.errors import Denied, RateLimited, Unavailable, explanation
from bot.slack.websocket import PING_SECONDS, Message, lasting_problem, open_websocket, parse, quiet_log

log = logging.getLogger(__name__)

# The threads that handle payloads, in order of arrival. Each waits up to 2 s while the database does not answer.
WORKERS = 10
STOP_SECONDS = 1.0
# A socket that has been replaced is closed when no message has arrived for this time, so that all are acknowledged.
RETIRE_SECONDS = 10.0
# The waits before a socket is opened again grow from 1 s, until a socket is open for longer than this.
STABLE_SECONDS = 30.0
MAX_WAIT_SECONDS = 30.0
# The wait after a refusal that lasts until people change the app, and after a 429 that names no time.
LASTING_SECONDS = 60.0
RATE_LIMIT_SECONDS = 30.0
NOT_CONNECTED = "Slack is not connected"


@dataclass(eq=False)
class _Link:
    """A socket on which Slack said hello.

    Attributes:
        is_replaced: another thread opens the next socket, or has opened it.
    """

    websocket: ClientConnection
    opened_at: float
    is_replaced: bool = False


class _Acknowledger(BaseSocketModeClient):
    """The part of a Socket Mode client with which Bolt sends acknowledgements."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self.logger = quiet_log
        self._send = send

    def send_message(self, message: str) -> None:
        self._send(message)


class SocketTransport:
    """Socket Mode. One thread reads the socket, and opens the next one when it ends.

    Payloads are handled by a few other threads, so that none waits until the one before it is acknowledged.

    Arguments:
        client: calls the Web API with the app-level token.
        route: how Slack is reached.
        ping_seconds: how often a ping is sent. A socket without a pong for three times this time is replaced.
    """

    def __init__(
        self,
        app: App,
        client: DirectClient,
        route: Route,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._app = app
        self._client = client
        self._route = route
        self._ping_seconds = ping_seconds
        self._workers = ThreadPoolExecutor(WORKERS, "socket-payload")
        self._stopped = threading.Event()
        self._current: _Link | None = None
        # Why the last attempt to open a socket failed, or why Slack ended the socket.
        self._problem: Denied | Unavailable | None = None
        # Since a socket was last open for long: how often one was opened or could not be, and the problem in the log.
        self._tries = 0
        self._logged_code = ""

    def start(self, shutdown: threading.Event) -> None:
        """Opens the socket. Afterwards it is replaced when it ends, until `stop`.

        Arguments:
            shutdown: ends a wait for Slack's rate limit.

        Raises:
            Denied: Slack does not accept the token, or does not let this app connect.
            Unavailable: Slack does not answer.
        """
        while not shutdown.is_set():
            try:
                self._current = self._open()
            except RateLimited as error:
                shutdown.wait(_wait_of(error))
            else:
                self._start_thread(self._current)
                return

    def stop(self) -> None:
        """Receives nothing more. Waits at most 1 s for acknowledgements in progress and for the socket to close."""
        self._stopped.set()
        if self._current is not None:
            closing = threading.Thread(target=self._close, args=(self._current,), name="socket-close", daemon=True)
            closing.start()
            closing.join(STOP_SECONDS)

    @property
    def is_connected(self) -> bool:
        """Whether Slack said hello on a socket that is still open."""
        return self._current is not None and self._current.websocket.state is State.OPEN

    @property
    def problem(self) -> str | None:
        """Why the bot is not connected, and the fix where there is one; None if it is connected."""
        if self.is_connected:
            return None
        problem = self._problem
        return f"{NOT_CONNECTED}. {explanation(problem, self._client.base_url)}" if problem else NOT_CONNECTED

    def _start_thread(self, link: _Link | None) -> None:
        threading.Thread(target=self._serve, args=(link,), name="socket", daemon=True).start()

    def _serve(self, link: _Link | None) -> None:
        """Reads a socket to its end, opens the next one, and so on, until another thread does so."""
        while link := link or self._reopen():
            problem = self._read(link)
            if link.is_replaced:
                return
            self._reset_waits(link)
            if problem is not None:
                self._report(problem)
            link = None

    def _reopen(self) -> _Link | None:
        """Opens a socket, as often as necessary. None after `stop`."""
        while not self._stopped.wait(self._wait()):
            self._tries += 1
            try:
                self._current = self._open()
            except (Denied, Unavailable) as error:
                self._report(error)
            except Exception as error:
                # Without this thread, no socket would be opened again.
                log.exception("Socket Mode failed")
                self._report(Unavailable(type(error).__name__))
            else:
                self._problem = None
                log.info("Socket Mode is connected again")
                return self._current
        return None

    def _wait(self) -> float:
        if isinstance(self._problem, Denied):
            return LASTING_SECONDS
        if isinstance(self._problem, RateLimited):
            return _wait_of(self._problem)
        return min(2.0 ** (self._tries - 1), MAX_WAIT_SECONDS) if self._tries else 0.0

    def _reset_waits(self, link: _Link) -> None:
        if time.monotonic() - link.opened_at > STABLE_SECONDS:
            self._tries, self._logged_code = 0, ""

    def _report(self, problem: Denied | Unavailable) -> None:
        """Keeps a problem for /readyz. Logs it, unless the last problem in the log has the same code."""
        self._problem = problem
        if problem.code != self._logged_code:
            self._logged_code = problem.code
            level = logging.ERROR if isinstance(problem, Denied) else logging.WARNING
            log.log(level, "%s. %s", NOT_CONNECTED, explanation(problem, self._client.base_url))

    def _open(self) -> _Link:
        websocket = open_websocket(self._client, self._route, self._ping_seconds)
        return _Link(websocket, time.monotonic())

    def _read(self, link: _Link) -> Denied | Unavailable | None:
        """Reads the messages of a socket until it ends, or is not needed anymore. Returns why it ended, if known."""
        try:
            while not self._stopped.is_set():
                try:
                    message = parse(link.websocket.recv(RETIRE_SECONDS))
                except TimeoutError:
                    if link.is_replaced and self._current is not link:
                        break
                    continue
                if message.get("type") == "disconnect":
                    self._replace(link, message)
                else:
                    self._submit(link, message)
        except ConnectionClosed as error:
            log.info("the Socket Mode connection ended: %s", error)
        except (Denied, Unavailable) as problem:
            return problem
        except Exception as error:
            # Without this thread, no socket would be opened again.
            log.exception("Socket Mode failed")
            return Unavailable(type(error).__name__)
        finally:
            self._close(link)
        return None

    def _replace(self, link: _Link, message: Message) -> None:
        """Opens the next socket while this one is read, because Slack closes this one some seconds later.

        Raises:
            Denied: Slack accepts no other socket.
        """
        problem = lasting_problem(message.get("reason"))
        if problem is not None:
            raise problem
        if not link.is_replaced:
            link.is_replaced = True
            self._reset_waits(link)
            self._start_thread(None)

    def _submit(self, link: _Link, message: Message) -> None:
        request = SocketModeRequest.from_dict(message) if isinstance(message.get("payload"), dict) else None
        if request is None:
            log.warning("ignored a Socket Mode message without a payload")
            return
        # The workers take nothing after `stop`.
        with suppress(RuntimeError):
            self._workers.submit(self._handle, link, request)

    def _handle(self, link: _Link, request: SocketModeRequest) -> None:
        acknowledger = _Acknowledger(partial(self._send, link))
        try:
            send_response(acknowledger, request, run_bolt_app(self._app, request), time.time())
        except Exception as error:  # noqa: BLE001, a worker would keep it to itself
            # Its message may contain a part of the payload.
            log.error("a payload was not acknowledged (%s)", type(error).__name__)

    def _send(self, link: _Link, text: str) -> None:
        """Sends an acknowledgement on the socket of its payload, or on the next socket if that one has ended."""
        try:
            link.websocket.send(text)
        except ConnectionClosed:
            if self._current is None or self._current is link:
                raise
            self._current.websocket.send(text)

    def _close(self, link: _Link) -> None:
        """Closes a socket. After `stop`, acknowledgements in progress are sent first."""
        if self._stopped.is_set():
            self._workers.shutdown(cancel_futures=True)
        link.websocket.close()


def _wait_of(error: RateLimited) -> float:
    """How long to wait after a 429; at least a second, whatever it says."""
    return RATE_LIMIT_SECONDS if error.retry_after_seconds is None else max(error.retry_after_seconds, 1.0)
