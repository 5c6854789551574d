"""The slash command: what it cannot be is refused in the ack, what it asks for is written down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App

from bot.handlers.beside import open_form
from bot.handlers.door import Door
from bot.request.command import Ask, Help, ListOpen, NotUnderstood, OpenForm, ShowStatus, parse
from bot.slack import answers, views
from bot.slack.posting import Posting
from bot.store.inbox import Kind, Message


def register(app: App, door: Door, posting: Posting, command: str) -> None:
    """Listens for the command."""

    def handle(ack: Ack, body: Mapping[str, Any]) -> None:
        if not door.is_ours(body):
            door.turn_away(body)
            ack(answers.NOT_OURS)
            return
        match parse(str(body.get("text") or ""), command):
            case NotUnderstood(sentence):
                ack(sentence)
            case Help():
                ack(answers.help_text(command))
            case OpenForm():
                open_form(posting, door, views.REQUEST_TITLE, _message(body, Kind.OPEN_REQUEST))
                ack()
            case Ask():
                _take(ack, door, body, Kind.ASK)
            case ListOpen():
                _take(ack, door, body, Kind.LIST)
            case ShowStatus():
                _take(ack, door, body, Kind.STATUS)

    def another(ack: Ack) -> None:
        ack(f"This bot answers to `{command}`. Nothing was asked.")

    app.command(command)(handle)
    app.command(re.compile(".*"))(another)


def _take(ack: Ack, door: Door, body: Mapping[str, Any], kind: Kind) -> None:
    taken = door.take(_message(body, kind))
    ack() if taken else ack(answers.NOT_TAKEN)


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
