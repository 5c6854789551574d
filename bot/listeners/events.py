"""Listens to the event that App Home was opened. `bot.jobs.ask` decides what the person may see there."""

from __future__ import annotations

import re
from functools import partial

from slack_bolt import Ack, App

from bot.listeners.payloads import Payload, text_at, to_message
from bot.listeners.receiver import Receiver
from bot.store.inbox import Kind


def register(app: App, receiver: Receiver) -> None:
    """Registers a listener for App Home, and one for any other event that the app is subscribed to."""
    app.event("app_home_opened")(partial(show_home, receiver))
    app.event(re.compile(".*"))(acknowledge_event)


def show_home(receiver: Receiver, ack: Ack, body: Payload) -> None:
    """Stores that App Home was opened. If it is not stored, App Home keeps its content."""
    if text_at(body, "event", "tab") == "home":
        receiver.accept(to_message(body, Kind.HOME))
    ack()


def acknowledge_event(ack: Ack) -> None:
    """Acknowledges an event that the bot does not need, so that Slack does not send it again."""
    ack()
