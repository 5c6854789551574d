"""Listens to Slack: stores every payload in the inbox and acknowledges it. The work is left to `bot.jobs`.

There is a module for each kind of payload, as in Bolt's own templates. `payloads` reads what Slack sends, `receiver`
stores it, and `responder` sends what cannot be sent with the acknowledgement.
"""

from __future__ import annotations

import logging
import re

from slack_bolt import Ack, App, BoltResponse

from bot.listeners import actions, commands, events, views
from bot.listeners.middleware import ForeignPayloadMiddleware
from bot.listeners.payloads import OurApp
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.ui import replies

log = logging.getLogger(__name__)


def register_listeners(app: App, ours: OurApp, receiver: Receiver, responder: Responder, command_name: str) -> None:
    """Registers a listener for every payload that Slack can send.

    Bolt runs the first listener that matches, so each module registers the one for everything else last. In Socket
    Mode a payload without a listener is not acknowledged at all.

    Arguments:
        ours: the workspace and app whose payloads are listened to.
        command_name: the slash command, such as `/resume-taskgroup`.
    """
    app.middleware(ForeignPayloadMiddleware(ours, receiver, responder))
    commands.register(app, receiver, responder, command_name)
    actions.register(app, receiver, responder)
    views.register(app, receiver)
    events.register(app, receiver)
    # Neither is in the manifest or in a view of the bot.
    app.shortcut(re.compile(".*"))(acknowledge_shortcut)
    app.options(re.compile(".*"))(offer_no_options)
    app.error(report_error)


def acknowledge_shortcut(ack: Ack) -> None:
    """Acknowledges a shortcut of the app's configuration at Slack that the bot does not know."""
    ack()


def offer_no_options(ack: Ack) -> None:
    """Answers a select that asks for its options, none of which the bot has made."""
    ack(options=[])


def report_error(error: Exception) -> BoltResponse:
    """Answers for a listener that raised an exception, which is a bug.

    The status is 200 because Slack shows an error of its own for any other, and the person would not see this text.
    """
    log.error("a listener raised an exception", exc_info=error)
    return BoltResponse(status=200, body=replies.COMMAND_NOT_STORED)
