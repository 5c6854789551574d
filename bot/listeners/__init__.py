"""Listens to Slack: stores payloads in the inbox and acknowledges them. `bot.jobs` does the work.

There is a module for each kind of payload, as in Bolt's templates. `payloads` parses payloads, `receiver` stores them,
and `responder` sends the answers that do not fit into an acknowledgement.
"""

from __future__ import annotations

import logging
import re

from slack_bolt import Ack, App, BoltResponse

from bot.listeners import actions, commands, events, views
from bot.listeners.middleware import PayloadMiddleware
from bot.listeners.payloads import OurApp
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.ui import replies

log = logging.getLogger(__name__)


def register_listeners(app: App, our_app: OurApp, receiver: Receiver, responder: Responder, command_name: str) -> None:
    """Registers a listener for every payload that Slack can send.

    Bolt runs the first listener that matches, so each module registers its catch-all listener last. In Socket Mode,
    Bolt does not acknowledge a payload without a listener.

    Arguments:
        our_app: the workspace and app whose payloads are accepted.
        command_name: the slash command, such as `/resume-taskgroup`.
    """
    app.middleware(PayloadMiddleware(our_app, receiver, responder))
    commands.register(app, receiver, responder, command_name)
    actions.register(app, receiver, responder)
    views.register(app, receiver)
    events.register(app, receiver)
    # The manifest has no shortcut, and the views have no select menu with external options.
    app.shortcut(re.compile(".*"))(acknowledge_shortcut)
    app.options(re.compile(".*"))(offer_no_options)
    app.error(report_error)


def acknowledge_shortcut(ack: Ack) -> None:
    """Acknowledges a shortcut that someone added to the app in Slack."""
    ack()


def offer_no_options(ack: Ack) -> None:
    """Answers a request for the options of a select menu. The bot has no menu that requests options."""
    ack(options=[])


def report_error(error: Exception) -> BoltResponse:
    """Logs an exception of a listener, and acknowledges its payload with a message to the person.

    The status is 200, because for any other status Slack shows its own error instead of this text.
    """
    log.error("a listener raised an exception", exc_info=error)
    return BoltResponse(status=200, body=replies.COMMAND_NOT_STORED)
