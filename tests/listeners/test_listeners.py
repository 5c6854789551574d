"""What Slack sends, as Bolt gives it to the handlers: written down as it is, or refused in the ack, and never both."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from sqlalchemy import select

from bot.listeners import actions, commands, events, fallbacks, views
from bot.listeners.receiver import OurApp, Receiver
from bot.redaction import Secret
from bot.slack.messenger import Messenger
from bot.slack.transport import new_app, new_client
from bot.store import inbox, tables
from bot.store.database import Store, open_store
from bot.store.inbox import Kind, Message
from bot.ui import replies
from tests.support.values import NOON
from tests.support.wire import answering, ok

TEAM, APP = "T0TEST0001", "A0TEST0001"
GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"
FOREIGN = [{"team": {"id": "T0OTHER001"}, "team_id": "T0OTHER001"}, {"api_app_id": "A0OTHER001"}]
COMMON = {"team": {"id": TEAM}, "team_id": TEAM, "api_app_id": APP, "user": {"id": "UALICE00"}, "trigger_id": "1"}


class Place:
    """The handlers in a Bolt app, with a door to a database of their own."""

    def __init__(self, store: Store, slack: str) -> None:
        self.store = store
        token, who = Secret("xoxb-1"), AuthorizeResult(enterprise_id=None, team_id=TEAM, bot_id="B1", bot_user_id="U1")
        self.app: App = new_app(token, f"{slack}/api/", None, who)
        messenger = Messenger(new_client(token, f"{slack}/api/"))
        receiver = Receiver(store, OurApp(TEAM, APP), "me", lambda: NOON, lambda claim: None, 20.0)
        commands.register(self.app, receiver, messenger, "/resume-taskgroup")
        views.register(self.app, receiver, "/resume-taskgroup")
        actions.register(self.app, receiver, messenger)
        events.register(self.app, receiver)
        fallbacks.register(self.app)

    def send(self, **body: Any) -> str:
        """What the ack says, once what goes on beside it has ended."""
        response = self.app.dispatch(BoltRequest(body=COMMON | body, mode="socket_mode"))
        for thread in threading.enumerate():
            if thread.name == "beside":
                thread.join(20)
        assert response.status == 200
        return str(response.body or "")

    def type(self, text: str, **more: Any) -> str:
        return self.send(command="/resume-taskgroup", user_id="UALICE00", channel_id="C1", text=text, **more)

    def press(self, action_id: str, value: str, **more: Any) -> str:
        action = {"type": "button", "action_id": action_id, "block_id": "b", "value": value}
        where = {"channel_id": "C1", "message_ts": "1.2"}
        return self.send(type="block_actions", container=where, **{"actions": [action]} | more)

    def submit(self, callback_id: str, values: dict[str, Any], metadata: str = "", **more: Any) -> str:
        view = {"id": "V1", "type": "modal", "callback_id": callback_id, "private_metadata": metadata}
        return self.send(type="view_submission", view=view | {"state": {"values": values}}, **more)

    def open(self, tab: str, **more: Any) -> str:
        event = {"type": "app_home_opened", "user": "UALICE00", "tab": tab}
        return self.send(type="event_callback", event_id="E1", event=event, **more)

    def taken(self) -> list[Message]:
        with self.store.read() as connection:
            numbers = connection.execute(select(tables.inbox.c.id).order_by(tables.inbox.c.id)).scalars().all()
            return [inbox.get(connection, number)[0] for number in numbers]


@pytest.fixture
def opened() -> Iterator[str]:
    with answering(ok(b'{"ok": true, "view": {"id": "V9"}}')) as url:
        yield url


@pytest.fixture
def place(tmp_path: Path, opened: str) -> Iterator[Place]:
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    yield Place(store, opened)
    store.close()


def typed(**texts: str) -> dict[str, Any]:
    return {block: {"text": {"type": "plain_text_input", "value": text}} for block, text in texts.items()}


def picked(value: str, name: str = "pick") -> dict[str, Any]:
    return {name: {name: {"type": "static_select", "selected_option": {"value": value} if value else None}}}


def at(time: str | None) -> dict[str, Any]:
    return {"at": {"at": {"type": "timepicker", "selected_time": time}}}


EVERYTHING: list[Callable[..., str]] = [
    lambda place, **more: place.type(f"{GROUP} why", **more),
    lambda place, **more: place.type("", **more),
    lambda place, **more: place.press("approve", "R-00000001", **more),
    lambda place, **more: place.press("deny", "R-00000001", **more),
    lambda place, **more: place.submit("request_form", typed(group=GROUP), **more),
    lambda place, **more: place.submit("deny_form", typed(reason="no"), "R-00000001 C1 1.2", **more),
    lambda place, **more: place.send(
        type="event_callback",
        event_id="E1",
        event={"type": "app_home_opened", "user": "UALICE00", "tab": "home"},
        **more,
    ),
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("number", range(len(EVERYTHING)))
def test_what_is_of_another_workspace_or_app_is_no_order(place: Place, number: int, foreign: dict[str, Any]) -> None:
    said = EVERYTHING[number](place, **foreign)
    EVERYTHING[number](place, **foreign)
    [message] = place.taken()
    assert message == Message(
        Kind.FOREIGN_PAYLOAD,
        message.key,
        "UALICE00",
        foreign.get("team_id", TEAM),
        app_id=foreign.get("api_app_id", APP),
    )
    if number in (0, 1, 4, 5):
        assert replies.FOREIGN_PAYLOAD in said


def test_whatever_is_ours_is_taken_as_what_it_is(place: Place) -> None:
    for number, send in enumerate(EVERYTHING):
        # Slack's own key of each, as each comes once.
        send(place, trigger_id=str(number))
        if number in (4, 5):
            with place.store.write() as connection:
                connection.execute(tables.inbox.update().where(tables.inbox.c.key == "V1").values(key=f"V-{number}"))
    assert [(message.kind, message.request_id, message.view_id) for message in place.taken()] == [
        (Kind.CREATE_REQUEST, "", ""),
        (Kind.OPEN_REQUEST, "", "V9"),
        (Kind.APPROVE, "R-00000001", ""),
        (Kind.OPEN_DENY, "R-00000001", "V9"),
        (Kind.CREATE_REQUEST, "", ""),
        (Kind.DENY, "R-00000001", ""),
        (Kind.HOME, "", ""),
    ]
    assert {message.person for message in place.taken()} == {"UALICE00"}


def test_a_button_names_a_request_or_nothing_and_a_choice_is_kept_to_its_length(place: Place) -> None:
    place.press("approve", "../../etc", trigger_id="1")
    choice = {"type": "radio_buttons", "action_id": "scope", "block_id": "R-00000001 all objects"}
    state = {"values": {"b": {"scope": {"selected_option": {"value": "x" * 151}}}}}
    place.press("scope", "", actions=[choice], state=state, trigger_id="2")
    first, second = place.taken()
    assert (first.request_id, first.channel, first.message_ts, first.scope) == ("", "C1", "1.2", "")
    assert (second.kind, second.request_id, second.scope) == (Kind.CHOOSE_SCOPE, "R-00000001", "x" * 150)


@pytest.mark.parametrize("metadata", ["", "R-00000001", "R-00000001 C1 1.2 more", "nonsense C1 1.2"])
def test_a_deny_form_that_leads_to_no_request_denies_nothing(place: Place, metadata: str) -> None:
    assert replies.FOREIGN_PAYLOAD in place.submit("deny_form", typed(reason="no"), metadata)
    assert [message.kind for message in place.taken()] == [Kind.FOREIGN_PAYLOAD]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (picked(f"media {GROUP}") | typed(reason="a <b> & c"), f"{GROUP} project=media a &lt;b&gt; &amp; c"),
        (picked(f"media {GROUP}") | typed(group=OTHER), OTHER),
        (typed(group=f" https://console.huaweicloud.com/{OTHER} ", reason=" why\nnot "), f"{OTHER} why not"),
        (
            typed(group=OTHER, reason="why") | picked("archive", "project") | at("22:30"),
            f"{OTHER} project=archive at=22:30 why",
        ),
        (picked(f"media {GROUP}") | picked("media", "project") | at("07:05"), f"{GROUP} project=media at=07:05"),
        (typed(group=OTHER) | picked(f"media {GROUP}") | picked("archive", "project"), f"{OTHER} project=archive"),
        (typed(group=OTHER) | picked("", "project") | at(None), OTHER),
    ],
)
def test_what_is_typed_in_the_form_goes_before_what_is_picked(place: Place, values: dict[str, Any], text: str) -> None:
    assert place.submit("request_form", values) == ""
    [message] = place.taken()
    assert (message.kind, message.text) == (Kind.CREATE_REQUEST, text)


@pytest.mark.parametrize(
    ("values", "block"),
    [
        ({}, "group"),
        (typed(group="nonsense"), "group"),
        (typed(group=GROUP, reason=f"also {OTHER}"), "reason"),
        (picked(f"media {GROUP}") | picked("archive", "project"), "project"),
    ],
)
def test_what_cannot_be_right_in_the_form_is_said_where_it_is(place: Place, values: dict[str, Any], block: str) -> None:
    said = json.loads(place.submit("request_form", values))
    assert (said["response_action"], list(said["errors"])) == ("errors", [block])
    assert place.taken() == []


def test_app_home_is_shown_when_its_own_tab_is_opened(place: Place) -> None:
    place.open("messages")
    assert place.taken() == []


def test_what_was_not_written_down_is_said_at_once(place: Place) -> None:
    with place.store.write() as connection:
        connection.execute(tables.inbox.insert().values(key="gone", kind="ask", body={}, received_at=NOON))
        inbox.mark_once(connection, "gone", inbox.DISCARDED)
        connection.execute(tables.inbox.update().values(key="1"))
    assert place.type(f"{GROUP} why") == replies.COMMAND_NOT_STORED
    for callback, values in (("request_form", typed(group=GROUP)), ("deny_form", typed(reason="no"))):
        with place.store.write() as connection:
            connection.execute(tables.inbox.update().values(key="V1", body={"press": "1"}, mark=inbox.DISCARDED))
        assert "Not taken, please press again." in place.submit(callback, values, "R-00000001 C1 1.2")
        assert place.submit(callback, values, "R-00000001 C1 1.2", trigger_id="2") == "", "pressed again"


@pytest.mark.parametrize(("error", "is_told"), [("exchanged_trigger_id", False), ("expired_trigger_id", True)])
def test_the_same_press_delivered_twice_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, is_told: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Messenger, "answer", lambda _, url, text: said.append(text))
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    with answering(ok(json.dumps({"ok": False, "error": error}).encode())) as url:
        place = Place(store, url)
        assert place.type("") == ""
        assert said == ([replies.FORM_DID_NOT_OPEN] if is_told else [])
        assert place.taken() == []
    store.close()
