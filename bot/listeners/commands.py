"""Listens to the slash command. Refuses an invalid command in the acknowledgement, stores other commands."""

from __future__ import annotations

import re
from functools import partial

from slack_bolt import Ack, App

from bot.domain.command import Help, InvalidCommand, OpenForm, ResumeGroups, ShowList, ShowStatus, parse
from bot.listeners.payloads import MalformedPayload, Payload, text_at, to_message
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.store.inbox import Kind, Message
from bot.ui import replies, usage


def register(app: App, receiver: Receiver, responder: Responder, command_name: str) -> None:
    """Registers a listener for the command in bot.toml, and one for any other command of the app."""
    app.command(command_name)(partial(handle_command, receiver, responder, command_name))
    app.command(re.compile(".*"))(partial(refuse_other_command, command_name))


def handle_command(receiver: Receiver, responder: Responder, command_name: str, ack: Ack, body: Payload) -> None:
    """Answers a command in the acknowledgement, opens the form, or stores the command for a worker."""
    match parse(text_at(body, "text")):
        case InvalidCommand() as invalid:
            ack(usage.invalid_command(invalid, command_name))
        case Help():
            ack(replies.help_text(command_name))
        case OpenForm():
            responder.open_form(body, Kind.OPEN_REQUEST)
            ack()
        case ResumeGroups() as command:
            _accept(receiver, ack, to_message(body, Kind.CREATE_REQUEST, command))
        case ShowList():
            _accept(receiver, ack, to_message(body, Kind.LIST))
        case ShowStatus() as command:
            _accept(receiver, ack, to_message(body, Kind.STATUS, command))


def refuse_other_command(command_name: str, ack: Ack) -> None:
    """Answers a command that is configured for the app in Slack, but not in bot.toml."""
    ack(f"This bot answers to `{command_name}`. Nothing was asked.")


def _accept(receiver: Receiver, ack: Ack, message: Message | MalformedPayload) -> None:
    if receiver.accept(message):
        ack()
    else:
        ack(replies.COMMAND_NOT_STORED)
