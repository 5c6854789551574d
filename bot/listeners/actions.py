"""Listens to buttons and choices, on cards and in App Home. Whether a press counts is decided in `bot.jobs.decide`."""

from __future__ import annotations

import re
from functools import partial

from slack_bolt import Ack, App

from bot.listeners.payloads import Payload, to_message
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.store.inbox import Kind
from bot.ui import replies

# By `action_id`: what is stored in the inbox at once, and what opens a form first.
STORED_ACTIONS = {
    "approve": Kind.APPROVE,
    "cancel": Kind.CANCEL,
    "withdraw": Kind.WITHDRAW,
    "scope": Kind.CHOOSE_SCOPE,
    "retry": Kind.RETRY,
    "pause": Kind.PAUSE,
}
FORM_ACTIONS = {"deny": Kind.OPEN_DENY, "request": Kind.OPEN_REQUEST}


def register(app: App, receiver: Receiver, responder: Responder) -> None:
    """Registers a listener for each button and choice, and one for those that the bot does not know."""
    for action_id, kind in STORED_ACTIONS.items():
        app.action(action_id)(partial(store_action, receiver, responder, kind))
    for action_id, kind in FORM_ACTIONS.items():
        app.action(action_id)(partial(open_form, responder, kind))
    app.action(re.compile(".*"))(partial(refuse_unknown_action, responder))


def store_action(receiver: Receiver, responder: Responder, kind: Kind, ack: Ack, body: Payload) -> None:
    """Stores a press. A person whose press is not stored is told so."""
    if not receiver.accept(to_message(body, kind)):
        responder.reply(body, replies.CLICK_NOT_STORED)
    ack()


def open_form(responder: Responder, kind: Kind, ack: Ack, body: Payload) -> None:
    """Opens the form that the button stands for."""
    responder.open_form(body, kind)
    ack()


def refuse_unknown_action(responder: Responder, ack: Ack, body: Payload) -> None:
    """Answers a button that this version of the bot does not make."""
    responder.reply(body, replies.UNKNOWN_CONTROL)
    ack()
