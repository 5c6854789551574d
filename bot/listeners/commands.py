"""The slash command: what it cannot be is refused in the ack, what it asks for is written down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App

from bot.domain.command import Help, InvalidCommand, OpenForm, ResumeGroups, ShowList, ShowStatus, parse
from bot.listeners.background import open_form
from bot.listeners.receiver import Receiver
from bot.slack.messenger import Messenger
from bot.store.inbox import Kind, Message
from bot.ui import modals, replies


def register(app: App, receiver: Receiver, messenger: Messenger, command: str) -> None:
    """Listens for the command."""

    def handle(ack: Ack, body: Mapping[str, Any]) -> None:
        if not receiver.is_ours(body):
            receiver.reject_foreign(body)
            ack(replies.FOREIGN_PAYLOAD)
            return
        match parse(str(body.get("text") or ""), command):
            case InvalidCommand(sentence):
                ack(sentence)
            case Help():
                ack(replies.help_text(command))
            case OpenForm():
                open_form(messenger, receiver, modals.REQUEST_TITLE, _message(body, Kind.OPEN_REQUEST))
                ack()
            case ResumeGroups():
                _take(ack, receiver, body, Kind.CREATE_REQUEST)
            case ShowList():
                _take(ack, receiver, body, Kind.LIST)
            case ShowStatus():
                _take(ack, receiver, body, Kind.STATUS)

    def another(ack: Ack) -> None:
        ack(f"This bot answers to `{command}`. Nothing was asked.")

    app.command(command)(handle)
    app.command(re.compile(".*"))(another)


def _take(ack: Ack, receiver: Receiver, body: Mapping[str, Any], kind: Kind) -> None:
    taken = receiver.take(_message(body, kind))
    ack() if taken else ack(replies.COMMAND_NOT_STORED)


def _message(body: Mapping[str, Any], kind: Kind) -> Message:
    return Message(
        kind=kind,
        key=str(body["trigger_id"]),
        person=str(body["user_id"]),
        team_id=str(body["team_id"]),
        channel=str(body.get("channel_id") or ""),
        text=str(body.get("text") or ""),
        response_url=str(body.get("response_url") or ""),
    )
