"""Listens to buttons and choices, on messages and in App Home. `bot.jobs` decides whether a click counts."""

from __future__ import annotations

import re
from functools import partial

from slack_bolt import Ack, App

from bot.listeners.payloads import Payload, group_key_in, to_message
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.store.inbox import Kind
from bot.ui import replies

# By `action_id`: clicks on a message that are stored in the inbox, and clicks that open a form.
STORED_ACTIONS = {
    "approve": Kind.APPROVE,
    "cancel": Kind.CANCEL,
    "withdraw": Kind.WITHDRAW,
    "scope": Kind.CHOOSE_SCOPE,
    "retry": Kind.RETRY,
    "mute": Kind.MUTE_FOR_A_DAY,
    "mute_until_it_moves": Kind.MUTE_UNTIL_IT_MOVES,
}
FORM_ACTIONS = {"deny": Kind.OPEN_DENY, "request": Kind.OPEN_REQUEST}


def register(app: App, receiver: Receiver, responder: Responder) -> None:
    """Registers a listener for each button and choice, and one for unknown ones."""
    for action_id, kind in STORED_ACTIONS.items():
        app.action(action_id)(partial(store_action, receiver, responder, kind))
    for action_id, kind in FORM_ACTIONS.items():
        app.action(action_id)(partial(open_form, responder, kind))
    app.action("pause")(partial(store_pause, receiver, responder))
    app.action("refresh")(partial(refresh_home, receiver))
    app.action(re.compile(".*"))(partial(refuse_unknown_action, responder))


def store_action(receiver: Receiver, responder: Responder, kind: Kind, ack: Ack, body: Payload) -> None:
    """Stores a click, or tells the person that it was not stored."""
    if not receiver.accept(to_message(body, kind)):
        responder.reply(body, replies.CLICK_NOT_STORED)
    ack()


def store_pause(receiver: Receiver, responder: Responder, ack: Ack, body: Payload) -> None:
    """Stores a click on Pause: on a card, or below the status of a group."""
    store_action(receiver, responder, Kind.PAUSE_GROUP if group_key_in(body) else Kind.PAUSE, ack, body)


def open_form(responder: Responder, kind: Kind, ack: Ack, body: Payload) -> None:
    """Opens the form of the button."""
    responder.open_form(body, kind)
    ack()


def refresh_home(receiver: Receiver, ack: Ack, body: Payload) -> None:
    """Stores that Refresh was pressed in App Home. If it is not stored, App Home keeps its content."""
    receiver.accept(to_message(body, Kind.HOME))
    ack()


def refuse_unknown_action(responder: Responder, ack: Ack, body: Payload) -> None:
    """Answers a click on a button that this version of the bot does not have."""
    responder.reply(body, replies.UNKNOWN_CONTROL)
    ack()
