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
            looking_up = replies.looking_up_groups(command.group_ids)
            _accept(receiver, ack, to_message(body, Kind.CREATE_REQUEST, command), looking_up)
        case ShowList() as command:
            _accept(receiver, ack, to_message(body, Kind.LIST, command), replies.LOOKING_UP_LIST)
        case ShowStatus(request_id=str(request_id)) as command:
            _accept(receiver, ack, to_message(body, Kind.STATUS, command), replies.looking_up_request(request_id))
        case ShowStatus(group_id=str(group_id)) as command:
            _accept(receiver, ack, to_message(body, Kind.STATUS, command), replies.looking_up_groups([group_id]))
        case ShowStatus() as command:
            _accept(receiver, ack, to_message(body, Kind.STATUS, command), replies.LOOKING_UP_LIST)


def refuse_other_command(command_name: str, ack: Ack) -> None:
    """Answers a command that is configured for the app in Slack, but not in bot.toml."""
    ack(replies.other_command(command_name))


def _accept(receiver: Receiver, ack: Ack, message: Message | MalformedPayload, looking_up: str) -> None:
    """Stores a command, and tells the person in the acknowledgement that it is being looked at.

    The answer follows as a message of its own. A redelivery that arrives after it is acknowledged without a text.
    """
    accepted = receiver.accept(message)
    if accepted is None:
        ack(replies.COMMAND_NOT_STORED)
    else:
        ack("" if accepted.is_answered else looking_up)
