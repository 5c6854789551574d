"""Forms and replies never delay an acknowledgement, and a person whose form does not open is told."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.listeners.receiver import Receiver
from bot.listeners.responder import (
    MAX_PENDING,
    MAX_PENDING_FORMS,
    PERSON_BURST,
    PERSON_EVERY_SECONDS,
    UNKNOWN_BURST,
    UNKNOWN_EVERY_SECONDS,
    Responder,
)
from bot.redaction import Secret
from bot.sandbox.slack.ids import ALICE, BOB, CAROL
from bot.sandbox.system import Sandbox
from bot.slack.messenger import Messenger
from bot.slack.transport import new_client
from bot.store.database import Store
from bot.store.inbox import Kind
from bot.ui import replies
from tests.support.executors import InlineExecutor
from tests.support.sandbox import create_request, view_text, wait_for_reply, wait_for_view
from tests.support.values import NOON


def test_a_form_is_acknowledged_in_time_while_slack_is_slow_and_the_database_is_locked(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.slack.delay_seconds = 1.1
    with closing(sqlite3.connect(sandbox.directory / "bot.sqlite", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        # The first form waits longest: for Slack, for the database, and for Slack again.
        for person, ack in (
            (ALICE, sandbox.people.type(ALICE, "")),
            (CAROL, sandbox.people.press(CAROL, card, "deny")),
        ):
            assert ack.failure is None
            assert replies.FORM_NOT_STORED in view_text(sandbox, wait_for_view(sandbox, person))


def test_a_person_whose_form_does_not_open_is_told(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.slack.outage.answers["views.open"] = [500, 500]
    sandbox.people.type(BOB, "")
    sandbox.people.press(CAROL, card, "deny")
    for person in (BOB, CAROL):
        wait_for_reply(sandbox, person, replies.FORM_DID_NOT_OPEN)


class SlowSlack(Messenger):
    """Opens no form and sends no reply until it is released, and records both."""

    def __init__(self) -> None:
        super().__init__(new_client(Secret("xoxb-1"), "http://127.0.0.1:9/api/"))
        self.released = threading.Event()
        self.opened: list[str] = []
        self.replies: list[tuple[str, str]] = []

    def open_view(self, trigger_id: str, view: View) -> str:
        assert self.released.wait(20)
        self.opened.append(trigger_id)
        return f"V{trigger_id}"

    def answer(self, response_url: str, text: str, controls: Sequence[Block] = ()) -> None:
        assert self.released.wait(20)
        self.replies.append((response_url, text))


@contextmanager
def slow_responder(store: Store) -> Iterator[tuple[SlowSlack, Responder]]:
    """A responder for which Slack is slow until the block ends; then all answers are sent before this returns."""
    slack, threads = SlowSlack(), ThreadPoolExecutor(2)
    receiver = Receiver(store, "me", lambda: NOON, lambda claim: None, 20.0)
    yield slack, Responder(slack, receiver, threads)
    slack.released.set()
    threads.shutdown(wait=True)


def press(number: int, user_id: str = "UALICE00") -> dict[str, Any]:
    person = {"team": {"id": "T0TEST0001"}, "user": {"id": user_id}}
    return person | {"type": "block_actions", "trigger_id": f"{number}", "response_url": f"url {number}"}


def test_a_form_that_cannot_open_in_time_is_not_opened_and_the_person_is_told(store: Store) -> None:
    with slow_responder(store) as (slack, responder):
        for number in range(MAX_PENDING_FORMS + 2):
            responder.open_form(press(number), Kind.OPEN_REQUEST)
    assert sorted(slack.opened, key=int) == [str(number) for number in range(MAX_PENDING_FORMS)]
    late = (MAX_PENDING_FORMS, MAX_PENDING_FORMS + 1)
    assert slack.replies == [(f"url {number}", replies.TOO_MANY_FORMS) for number in late]


def test_replies_wait_for_a_slow_slack_up_to_a_limit_and_the_log_says_what_is_dropped(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with slow_responder(store) as (slack, responder):
        for number in range(MAX_PENDING + 1):
            responder.reply(press(number), "no")
    assert len(slack.replies) == MAX_PENDING
    assert "a reply was dropped" in caplog.text


def test_new_forms_open_once_pending_forms_have_opened(store: Store) -> None:
    slack = SlowSlack()
    slack.released.set()
    receiver = Receiver(store, "me", lambda: NOON, lambda claim: None, 20.0)
    responder = Responder(slack, receiver, InlineExecutor())
    for number in range(MAX_PENDING + 1):
        responder.open_form(press(number), Kind.OPEN_REQUEST)
    assert len(slack.opened) == MAX_PENDING + 1
    assert slack.replies == []


class Crowd:
    """A responder of people whom bot.toml does not name, except UNAMED000."""

    def __init__(self, store: Store) -> None:
        self.slack, self.seconds = SlowSlack(), 0.0
        self.slack.released.set()
        receiver = Receiver(store, "me", lambda: NOON, lambda claim: None, 20.0)
        self.responder = Responder(
            self.slack, receiver, InlineExecutor(), lambda person: person == "UNAMED000", lambda: self.seconds
        )
        self.number = 0

    def reply_to(self, user_id: str) -> str | None:
        """The reply to a person who opens a form; None if the form opens."""
        self.number += 1
        self.responder.open_form(press(self.number, user_id), Kind.OPEN_REQUEST)
        return None if self.slack.opened[-1:] == [str(self.number)] else self.slack.replies[-1][1]


def test_one_guest_cannot_use_up_the_forms_of_other_people(store: Store) -> None:
    crowd = Crowd(store)
    found = [crowd.reply_to("UGUEST000") for _ in range(60)]
    assert found == [None] * PERSON_BURST + [replies.TOO_MANY] * (60 - PERSON_BURST)
    assert crowd.reply_to("UMEMBER00") is None
    crowd.seconds += PERSON_EVERY_SECONDS
    assert [crowd.reply_to("UGUEST000") for _ in range(2)] == [None, replies.TOO_MANY]


def test_many_unknown_people_together_leave_the_forms_of_known_people_free(store: Store) -> None:
    crowd = Crowd(store)
    assert [crowd.reply_to(f"UGUEST{number:03}") for number in range(UNKNOWN_BURST)] == [None] * UNKNOWN_BURST
    assert crowd.reply_to("UMEMBER00") == replies.TOO_MANY_FORMS
    assert replies.TOO_MANY_FORMS == (
        "The bot is opening too many other forms. Nothing changed. Please try again in a minute."
    )
    assert [crowd.reply_to("UNAMED000") for _ in range(60)] == [None] * 60
    crowd.seconds += UNKNOWN_EVERY_SECONDS
    assert crowd.reply_to("UMEMBER00") is None


def test_a_malformed_click_opens_no_form_and_the_person_is_told(store: Store) -> None:
    with slow_responder(store) as (slack, responder):
        responder.open_form(press(1) | {"trigger_id": None}, Kind.OPEN_REQUEST)
    assert (slack.opened, slack.replies) == ([], [("url 1", replies.FORM_DID_NOT_OPEN)])


def test_a_click_that_is_delivered_twice_opens_one_form(store: Store) -> None:
    with slow_responder(store) as (slack, responder):
        for _ in range(2):
            responder.open_form(press(1), Kind.OPEN_REQUEST)
    assert (slack.opened, slack.replies) == (["1"], [])
