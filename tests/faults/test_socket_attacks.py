"""What a member sends through Slack costs nobody else a command: bursts, long messages, split frames, control frames.

The bot runs as a process, with the Web API of the sandbox. The WebSocket is played byte by byte.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from bot.sandbox.slack import payloads
from bot.sandbox.slack.ids import APP_ID, BOB, CAROL, MIGRATIONS, TEAM_ID
from bot.sandbox.slack.server import ACK_SECONDS
from bot.sandbox.system import Sandbox
from bot.slack.websocket import MAX_MESSAGE_BYTES
from tests.support.slack_socket import RawSlack, frame, raw_slack

Json = dict[str, Any]
NUMBERS = itertools.count(1)
LONGEST_TEXT = "x " * 1_500
EMPTY = Frame(Opcode.CONT, b"", False).serialize(mask=False)
PING, PONG = (Frame(opcode, b"x" * 125).serialize(mask=False) for opcode in (Opcode.PING, Opcode.PONG))


@dataclass
class Attacked:
    """The bot, and the socket that it has open."""

    sandbox: Sandbox
    slack: RawSlack

    def new_member(self) -> str:
        """A full member who has sent nothing so far."""
        member = f"U0MEMBER{next(NUMBERS)}"
        self.sandbox.workspace.users[member] = self.sandbox.workspace.users[BOB] | {"id": member}
        return member

    def command(self, person: str, text: str) -> Json:
        workspace = self.sandbox.workspace
        url = self.sandbox.slack.response_url(person, MIGRATIONS)
        return envelope(
            "slash_commands", payloads.command(workspace, person, MIGRATIONS, "/resume-taskgroup", text, url)
        )

    def click(self, person: str) -> Json:
        """A press of a button of an unknown request, in a message with a long text."""
        action = {"type": "button", "action_id": "approve", "block_id": "buttons", "value": "R-22222222"}
        message = {"ts": "1.1", "text": LONGEST_TEXT, "blocks": []}
        container = {"type": "message", "message_ts": "1.1", "channel_id": MIGRATIONS}
        return interaction(person, "block_actions", actions=[action], message=message, container=container)

    def form(self, person: str) -> Json:
        """A form that the bot has not opened, with the longest text in each of five fields, as Slack escapes it."""
        values = {f"block {number}": {"input": {"value": "\U0001f4a5" * 3_000}} for number in range(5)}
        view = {"id": f"V{next(NUMBERS)}", "type": "modal", "callback_id": "deny_form", "state": {"values": values}}
        return interaction(person, "view_submission", view=view)

    def seconds_until_acknowledged(self, message: Json) -> float:
        """Sends a message. Returns how long the bot takes to acknowledge it."""
        [peer] = self.slack.peers
        sent_at = time.monotonic()
        peer.send(message)
        self.wait_for([message])
        return time.monotonic() - sent_at

    def wait_for(self, messages: list[Json]) -> None:
        """Waits until the bot has acknowledged these messages, on the one socket that it has opened."""
        [peer] = self.slack.peers
        ids = {message["envelope_id"] for message in messages}
        self.sandbox.wait_until(lambda: ids <= set(peer.acks), 60, "the acknowledgements")


def envelope(kind: str, payload: Json) -> Json:
    return {"envelope_id": str(next(NUMBERS)), "type": kind, "payload": payload, "accepts_response_payload": True}


def interaction(person: str, kind: str, **fields: object) -> Json:
    user, trigger = {"id": person, "team_id": TEAM_ID}, f"1.{next(NUMBERS)}"
    common = {"type": kind, "team": {"id": TEAM_ID}, "user": user, "api_app_id": APP_ID, "trigger_id": trigger}
    return envelope("interactive", common | fields)


def in_frames(message: Json, characters: int, between: bytes = b"") -> bytes:
    """A message that is split into frames, with other frames between them."""
    data = json.dumps(message).encode()
    parts = [data[at : at + characters] for at in range(0, len(data), characters)]
    frames = [
        Frame(Opcode.CONT if number else Opcode.TEXT, part, number == len(parts) - 1).serialize(mask=False)
        for number, part in enumerate(parts)
    ]
    return between.join(frames)


@pytest.fixture(scope="module")
def attacked() -> Iterator[Attacked]:
    sandbox = Sandbox()
    try:
        with raw_slack() as slack:
            sandbox.open()
            sandbox.extra_environment = {"SLACK_API_URL": sandbox.slack.api_url}
            sandbox.slack.address = f"http://127.0.0.1:{slack.port}"
            sandbox.start_bot()
            sandbox.slack.address = None
            yield Attacked(sandbox, slack)
    finally:
        sandbox.close()


def commands(*texts: str) -> Callable[[Attacked], list[Json]]:
    """Commands of one member with these texts."""

    def send(attacked: Attacked) -> list[Json]:
        member = attacked.new_member()
        return [attacked.command(member, text) for text in texts]

    return send


def clicks(attacked: Attacked) -> list[Json]:
    member = attacked.new_member()
    return [attacked.click(member) for _ in range(1_000)]


def forms(attacked: Attacked) -> list[Json]:
    member = attacked.new_member()
    return [attacked.form(member) for _ in range(50)]


#: The messages of a member, and how each is split into frames.
ATTACKS: dict[str, tuple[Callable[[Attacked], list[Json]], Callable[[Json], bytes]]] = {
    "1,000 commands of 3,000 characters": (commands(*[LONGEST_TEXT] * 1_000), frame),
    "1,000 commands that are stored, or refused as too many": (commands(*["list"] * 1_000), frame),
    "1,000 clicks": (clicks, frame),
    "50 forms of 180 kB": (forms, frame),
    "a message as long as the bot accepts": (commands("x" * (MAX_MESSAGE_BYTES - 1_000)), frame),
    "characters that databases refuse": (commands("\0" * 3_000, "\ud800" * 3_000, "status \0\ud800"), frame),
    "frames of one character": (commands(LONGEST_TEXT), lambda message: in_frames(message, 1)),
    "frames of one character, with control frames between them": (
        commands(LONGEST_TEXT),
        lambda message: in_frames(message, 1, PING + PONG),
    ),
    "empty frames": (commands(LONGEST_TEXT), lambda message: in_frames(message, 3, EMPTY)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_command_of_another_person_is_answered_in_time(attacked: Attacked, attack: str) -> None:
    new_messages, split = ATTACKS[attack]
    messages = new_messages(attacked)
    workspace = attacked.sandbox.workspace
    replies_before = len(workspace.private_texts(CAROL))
    [peer] = attacked.slack.peers
    peer.send_bytes(b"".join(map(split, messages)))
    assert attacked.seconds_until_acknowledged(attacked.command(CAROL, "list")) < ACK_SECONDS
    attacked.sandbox.wait_until(
        lambda: any("nightly images" in text for text in workspace.private_texts(CAROL)[replies_before:]),
        what="the answer",
    )
    attacked.wait_for(messages)
