"""Every payload that Slack sends through Bolt is either stored or refused in the acknowledgement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from sqlalchemy import select

from bot.domain.command import ResumeGroups, ShowList, ShowStatus
from bot.listeners import register_listeners
from bot.listeners.payloads import OurApp
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.listeners.views import FORM_NOT_STORED
from bot.redaction import Secret
from bot.slack.messenger import Messenger
from bot.slack.transport import new_app, new_client
from bot.store import inbox, tables
from bot.store.database import Store, open_store
from bot.store.inbox import Kind, Message
from bot.ui import replies
from tests.support.executors import InlineExecutor
from tests.support.values import NOON
from tests.support.wire import answering, ok

TEAM, APP = "T0TEST0001", "A0TEST0001"
GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"
FOREIGN: list[dict[str, Any]] = [{"team": {"id": "T0OTHER001"}, "team_id": "T0OTHER001"}, {"api_app_id": "A0OTHER001"}]
COMMON = {"team": {"id": TEAM}, "team_id": TEAM, "api_app_id": APP, "user": {"id": "UALICE00"}, "trigger_id": "1"}


class BoltApp:
    """A Bolt app with the listeners, and its inbox."""

    def __init__(self, store: Store, slack: str) -> None:
        self.store = store
        token, who = Secret("xoxb-1"), AuthorizeResult(enterprise_id=None, team_id=TEAM, bot_id="B1", bot_user_id="U1")
        self.app: App = new_app(token, f"{slack}/api/", None, who)
        receiver = Receiver(store, "me", lambda: NOON, lambda claim: None, 20.0)
        responder = Responder(Messenger(new_client(token, f"{slack}/api/")), receiver, InlineExecutor())
        register_listeners(self.app, OurApp(TEAM, APP), receiver, responder, "/resume-taskgroup")

    def send(self, **body: Any) -> str:
        """Returns the body of the acknowledgement. The responder has sent its answers by then."""
        response = self.app.dispatch(BoltRequest(body=COMMON | body, mode="socket_mode"))
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

    def stored(self) -> list[Message]:
        with self.store.read() as connection:
            numbers = connection.execute(select(tables.inbox.c.id).order_by(tables.inbox.c.id)).scalars().all()
            return [inbox.get(connection, number).message for number in numbers]


@pytest.fixture
def opened() -> Iterator[str]:
    with answering(ok(b'{"ok": true, "view": {"id": "V9"}}')) as url:
        yield url


@pytest.fixture
def bolt_app(tmp_path: Path, opened: str) -> Iterator[BoltApp]:
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    yield BoltApp(store, opened)
    store.close()


def typed(**texts: str) -> dict[str, Any]:
    return {block: {"text": {"type": "plain_text_input", "value": text}} for block, text in texts.items()}


def picked(value: str, name: str = "pick") -> dict[str, Any]:
    return {name: {name: {"type": "static_select", "selected_option": {"value": value} if value else None}}}


def at(time: str | None) -> dict[str, Any]:
    return {"at": {"at": {"type": "timepicker", "selected_time": time}}}


EVERYTHING: list[Callable[..., str]] = [
    lambda bolt_app, **more: bolt_app.type(f"{GROUP} why", **more),
    lambda bolt_app, **more: bolt_app.type("", **more),
    lambda bolt_app, **more: bolt_app.press("approve", "R-00000001", **more),
    lambda bolt_app, **more: bolt_app.press("deny", "R-00000001", **more),
    lambda bolt_app, **more: bolt_app.submit("request_form", typed(group=GROUP), **more),
    lambda bolt_app, **more: bolt_app.submit("deny_form", typed(reason="no"), "R-00000001 C1 1.2", **more),
    lambda bolt_app, **more: bolt_app.send(
        type="event_callback",
        event_id="E1",
        event={"type": "app_home_opened", "user": "UALICE00", "tab": "home"},
        **more,
    ),
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("number", range(len(EVERYTHING)))
def test_a_foreign_payload_is_refused_and_recorded(bolt_app: BoltApp, number: int, foreign: dict[str, Any]) -> None:
    response = EVERYTHING[number](bolt_app, **foreign)
    EVERYTHING[number](bolt_app, **foreign)
    [message] = bolt_app.stored()
    assert message == Message(
        Kind.FOREIGN_PAYLOAD,
        message.key,
        "UALICE00",
        foreign.get("team_id", TEAM),
        app_id=foreign.get("api_app_id", APP),
    )
    if number in (0, 1, 4, 5):
        assert replies.FOREIGN_PAYLOAD in response


def test_every_payload_of_this_app_is_stored_with_its_kind(bolt_app: BoltApp) -> None:
    for number, send in enumerate(EVERYTHING):
        # A trigger_id of its own for each, as Slack gives it.
        send(bolt_app, trigger_id=str(number))
        if number in (4, 5):
            with bolt_app.store.write() as connection:
                connection.execute(tables.inbox.update().where(tables.inbox.c.key == "V1").values(key=f"V-{number}"))
    assert [(message.kind, message.request_id, message.view_id) for message in bolt_app.stored()] == [
        (Kind.CREATE_REQUEST, "", ""),
        (Kind.OPEN_REQUEST, "", "V9"),
        (Kind.APPROVE, "R-00000001", ""),
        (Kind.OPEN_DENY, "R-00000001", "V9"),
        (Kind.CREATE_REQUEST, "", ""),
        (Kind.DENY, "R-00000001", ""),
        (Kind.HOME, "", ""),
    ]
    assert {message.person for message in bolt_app.stored()} == {"UALICE00"}


def test_a_button_that_names_no_request_has_no_request_id_and_a_long_choice_is_cut(bolt_app: BoltApp) -> None:
    bolt_app.press("approve", "../../etc", trigger_id="1")
    choice = {"type": "radio_buttons", "action_id": "scope", "block_id": "R-00000001 all objects"}
    state = {"values": {"b": {"scope": {"selected_option": {"value": "x" * 151}}}}}
    bolt_app.press("scope", "", actions=[choice], state=state, trigger_id="2")
    first, second = bolt_app.stored()
    assert (first.request_id, first.channel, first.message_ts, first.scope) == ("", "C1", "1.2", "")
    assert (second.kind, second.request_id, second.scope) == (Kind.CHOOSE_SCOPE, "R-00000001", "x" * 150)


@pytest.mark.parametrize("metadata", ["", "R-00000001", "R-00000001 C1 1.2 more", "nonsense C1 1.2"])
def test_a_deny_form_that_names_no_request_is_refused_and_recorded(bolt_app: BoltApp, metadata: str) -> None:
    assert replies.FOREIGN_PAYLOAD in bolt_app.submit("deny_form", typed(reason="no"), metadata)
    assert [message.kind for message in bolt_app.stored()] == [Kind.FOREIGN_PAYLOAD]


def test_a_command_is_stored_parsed(bolt_app: BoltApp) -> None:
    bolt_app.type(f"{GROUP} {OTHER} project=media at=22:05 a &lt;b&gt; &amp; c", trigger_id="1")
    bolt_app.type("list", trigger_id="2")
    bolt_app.type(f"status {GROUP}", trigger_id="3")
    assert [(message.kind, message.command) for message in bolt_app.stored()] == [
        (Kind.CREATE_REQUEST, ResumeGroups((GROUP, OTHER), "a <b> & c", "media", (22, 5))),
        (Kind.LIST, ShowList(1)),
        (Kind.STATUS, ShowStatus(group_id=GROUP)),
    ]


@pytest.mark.parametrize(
    ("text", "looking_up"),
    [
        (f"{GROUP} why", "Looking up group 00878453…"),
        (f"{GROUP} {OTHER} why", "Looking up 2 groups…"),
        (f"status {GROUP}", "Looking up group 00878453…"),
        ("status R-00000001", "Looking up R-00000001…"),
        ("status nightly images", "Looking up open requests and groups…"),
        ("list", "Looking up open requests and groups…"),
    ],
)
def test_the_acknowledgement_of_a_stored_command_says_what_is_looked_up_until_it_is_answered(
    bolt_app: BoltApp, text: str, looking_up: str
) -> None:
    assert bolt_app.type(text) == looking_up
    assert bolt_app.type(text) == looking_up, "a redelivery before the answer, whose first acknowledgement was lost"
    with bolt_app.store.write() as connection:
        assert inbox.mark_decided(connection, "1")
    assert bolt_app.type(text) == "", "a redelivery after the answer"
    assert len(bolt_app.stored()) == 1


@pytest.mark.parametrize("text", ["nonsense", "help"])
def test_a_command_that_asks_for_nothing_is_answered_in_the_acknowledgement(bolt_app: BoltApp, text: str) -> None:
    assert "/resume-taskgroup" in bolt_app.type(text)
    assert "This bot's command is `/resume-taskgroup`." in bolt_app.send(command="/another", text=text)
    assert bolt_app.stored() == []


@pytest.mark.parametrize(
    ("values", "command"),
    [
        (picked(f"media {GROUP}") | typed(reason="a <b> & c"), ResumeGroups((GROUP,), "a <b> & c", "media")),
        (picked(f"media {GROUP}") | typed(reason="at=22:00 works"), ResumeGroups((GROUP,), "at=22:00 works", "media")),
        (
            typed(group=f" https://console.huaweicloud.com/{OTHER} ", reason=" why\nnot "),
            ResumeGroups((OTHER,), "why not"),
        ),
        (
            typed(group=OTHER, reason="why") | picked("archive", "project") | at("22:30"),
            ResumeGroups((OTHER,), "why", "archive", (22, 30)),
        ),
        (
            picked(f"media {GROUP}") | picked("media", "project") | at("07:05"),
            ResumeGroups((GROUP,), "", "media", (7, 5)),
        ),
        (
            typed(group=OTHER) | picked("archive", "project"),
            ResumeGroups((OTHER,), "", "archive"),
        ),
        (typed(group=OTHER) | picked("", "project") | at(None), ResumeGroups((OTHER,), "")),
        (typed(group=f"\ufeff*“{OTHER.upper().replace('-', '–')}”*, "), ResumeGroups((OTHER,), "")),
    ],
)
def test_a_submitted_request_form_is_stored_as_a_command(
    bolt_app: BoltApp, values: dict[str, Any], command: ResumeGroups
) -> None:
    assert bolt_app.submit("request_form", values) == ""
    [message] = bolt_app.stored()
    assert (message.kind, message.command) == (Kind.CREATE_REQUEST, command)


@pytest.mark.parametrize(
    ("values", "block"),
    [
        ({}, "group"),
        (typed(group="nonsense"), "group"),
        (typed(group=GROUP, reason=f"also {OTHER}"), "reason"),
        (typed(group=GROUP, reason="x" * 501), "reason"),
        (picked(f"media {GROUP}") | picked("archive", "project"), "project"),
        (picked(f"media {GROUP}") | typed(group=OTHER), "group"),
        (picked(f"media {GROUP}") | typed(group="nonsense"), "group"),
    ],
)
def test_an_error_in_the_form_is_shown_at_its_block(bolt_app: BoltApp, values: dict[str, Any], block: str) -> None:
    response = json.loads(bolt_app.submit("request_form", values))
    assert (response["response_action"], list(response["errors"])) == ("errors", [block])
    assert bolt_app.stored() == []


def test_an_id_typed_beside_a_picked_group_is_refused_at_its_field(bolt_app: BoltApp) -> None:
    response = json.loads(bolt_app.submit("request_form", picked(f"media {GROUP}") | typed(group=GROUP)))
    assert response["errors"] == {"group": "Pick a group or type an id, not both."}
    assert bolt_app.stored() == []


def test_opening_the_messages_tab_of_the_app_is_not_stored(bolt_app: BoltApp) -> None:
    bolt_app.open("messages")
    assert bolt_app.stored() == []


def test_a_person_whose_command_or_form_was_discarded_is_told_at_once(bolt_app: BoltApp) -> None:
    def store_discarded(key: str) -> None:
        message = Message(Kind.LIST, key, "U1", TEAM, trigger_id="1")
        with bolt_app.store.write() as connection:
            connection.execute(tables.inbox.delete())
            assert inbox.put(connection, message, "another process", NOON)
            connection.execute(tables.inbox.update().values(mark=inbox.DISCARDED))

    store_discarded("1")
    assert bolt_app.type(f"{GROUP} why") == replies.COMMAND_NOT_STORED
    for callback, values in (("request_form", typed(group=GROUP)), ("deny_form", typed(reason="no"))):
        store_discarded("V1")
        assert FORM_NOT_STORED in bolt_app.submit(callback, values, "R-00000001 C1 1.2")
        assert bolt_app.submit(callback, values, "R-00000001 C1 1.2", trigger_id="2") == "", "submitted again"


@pytest.mark.parametrize(("error", "is_told"), [("exchanged_trigger_id", False), ("expired_trigger_id", True)])
def test_a_click_that_is_delivered_twice_opens_one_form_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, is_told: bool
) -> None:
    replied: list[str] = []
    monkeypatch.setattr(Messenger, "answer", lambda _, url, text: replied.append(text))
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    with answering(ok(json.dumps({"ok": False, "error": error}).encode())) as url:
        bolt_app = BoltApp(store, url)
        assert bolt_app.type("") == ""
        assert replied == ([replies.FORM_DID_NOT_OPEN] if is_told else [])
        assert bolt_app.stored() == []
    store.close()


@pytest.mark.parametrize(
    ("action", "reply"),
    [({"action_id": "unknown"}, replies.UNKNOWN_CONTROL), ({"action_id": "approve"}, replies.CLICK_NOT_STORED)],
)
def test_only_the_person_sees_the_answer_to_a_click_that_is_not_stored(
    bolt_app: BoltApp, monkeypatch: pytest.MonkeyPatch, action: dict[str, str], reply: str
) -> None:
    replied: list[tuple[str, str]] = []
    monkeypatch.setattr(Messenger, "answer", lambda _, url, text: replied.append((url, text)))
    assert bolt_app.press("", "R-00000001", actions=[action], user={"id": "no id"}, response_url="https://x") == ""
    assert replied == [("https://x", reply)]
    assert bolt_app.stored() == []


def test_only_the_person_sees_the_answer_to_a_foreign_click(bolt_app: BoltApp, monkeypatch: pytest.MonkeyPatch) -> None:
    replied: list[str] = []
    monkeypatch.setattr(Messenger, "answer", lambda _, url, text: replied.append(text))
    for action_id in ("approve", "deny", "unknown"):
        assert bolt_app.press(action_id, "R-00000001", **FOREIGN[0]) == ""
    assert replied == [replies.FOREIGN_PAYLOAD] * 3


def test_payloads_without_a_listener_are_acknowledged(bolt_app: BoltApp) -> None:
    assert json.loads(bolt_app.submit("another_form", {})) == {"response_action": "clear"}
    assert bolt_app.send(type="view_closed", view={"id": "V1", "callback_id": "deny_form"}) == ""
    assert bolt_app.send(type="shortcut", callback_id="one") == ""
    assert bolt_app.send(type="event_callback", event={"type": "app_mention", "user": "UALICE00"}) == ""
    options = bolt_app.send(type="block_suggestion", action_id="one", block_id="b", value="x")
    assert json.loads(options) == {"options": []}
    assert bolt_app.stored() == []


def test_a_foreign_payload_without_a_listener_is_acknowledged_and_recorded(bolt_app: BoltApp) -> None:
    foreign = FOREIGN[0]
    assert json.loads(bolt_app.submit("another_form", {}, **foreign)) == {"response_action": "clear"}
    options = bolt_app.send(type="block_suggestion", action_id="one", block_id="b", value="x", **foreign)
    assert json.loads(options) == {"options": []}
    assert bolt_app.send(type="shortcut", callback_id="one", **foreign) == ""
    [message] = bolt_app.stored()
    assert message.kind is Kind.FOREIGN_PAYLOAD


def test_a_listener_that_raises_is_logged_and_the_person_is_told(
    bolt_app: BoltApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Receiver, "accept", lambda *_: 1 / 0)
    assert bolt_app.type("list") == replies.COMMAND_NOT_STORED
    assert "a listener raised an exception" in caplog.text
