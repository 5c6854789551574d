"""The Slack stand-in refuses what Slack refuses: each strictness is broken through the real slack_sdk."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier

from bot.sandbox.call_log import CallLog
from bot.sandbox.slack import server
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.user_actions import UserActions
from bot.sandbox.slack.workspace import demo_workspace
from tests.sandbox.app import App
from tests.support.wire import answering, ok, recording

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "x",
    "title": {"type": "plain_text", "text": "x"},
    "blocks": [SECTION],
}
HOME: dict[str, Any] = {"type": "home", "blocks": [SECTION]}


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[SlackStandIn]:
    stand_in = SlackStandIn(demo_workspace(clock), CallLog())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()


def client(slack: SlackStandIn, token: str = w.BOT_TOKEN) -> WebClient:
    return WebClient(token=token, base_url=slack.api_url, retry_handlers=[])


def refused(error: str, call: Any) -> None:
    with pytest.raises(SlackApiError) as raised:
        call()
    assert raised.value.response["error"] == error


def test_tokens_and_scopes(slack: SlackStandIn) -> None:
    refused("invalid_auth", lambda: client(slack, "xoxb-wrong").auth_test())
    refused("not_allowed_token_type", lambda: client(slack).apps_connections_open(app_token=w.BOT_TOKEN))
    slack.workspace.scopes = frozenset({"chat:write"})
    refused("missing_scope", lambda: client(slack).users_info(user=w.ALICE))
    refused("unknown_method", lambda: client(slack).api_call("chat.nothing"))


def test_channels(slack: SlackStandIn) -> None:
    for channel, error in ((w.GENERAL, "not_in_channel"), (w.OLD, "is_archived"), ("C0NOWHERE1", "channel_not_found")):
        refused(error, lambda channel=channel: client(slack).chat_postMessage(channel=channel, text="x"))


def test_messages_that_are_not_there_or_not_ours(slack: SlackStandIn) -> None:
    refused("message_not_found", lambda: client(slack).chat_update(channel=w.MIGRATIONS, ts="1.2", text="x"))
    theirs = slack.workspace.add_message(w.MIGRATIONS, w.ALICE, "x", [], None)
    refused("cant_update_message", lambda: client(slack).chat_update(channel=w.MIGRATIONS, ts=theirs.ts, text="y"))
    refused("thread_not_found", lambda: client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x", thread_ts="1.2"))


def test_sizes(slack: SlackStandIn) -> None:
    ts = client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x")["ts"]
    refused("msg_too_long", lambda: client(slack).chat_update(channel=w.MIGRATIONS, ts=ts, text="x" * 4001))
    refused("no_text", lambda: client(slack).chat_postMessage(channel=w.MIGRATIONS, text=""))
    section = SECTION
    for blocks in (
        [section] * 51,
        [section | {"text": {"type": "mrkdwn", "text": "x" * 3001}}],
        [section | {"fields": [section["text"]] * 11}],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "actions", "elements": []}],
        [section | {"accessory": {"type": "users_select", "action_id": "which"}}],
        [section | {"block_id": "a"}, section | {"block_id": "a"}],
        [{"type": "nonsense"}],
    ):
        refused(
            "invalid_blocks",
            lambda blocks=blocks: client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x", blocks=blocks),
        )


OPTION = {"text": {"type": "plain_text", "text": "x"}, "value": "x"}
SELECT = {"type": "static_select", "action_id": "which", "options": [OPTION]}
RADIO = SELECT | {"type": "radio_buttons"}
CONFIRM = {key: {"type": "plain_text", "text": "x"} for key in ("title", "text", "confirm", "deny")}
LONG_OPTION = OPTION | {"text": {"type": "plain_text", "text": "x" * 76}}


@pytest.mark.parametrize(
    "element",
    [
        SELECT | {"options": []},
        SELECT | {"options": [OPTION] * 101},
        SELECT | {"options": [LONG_OPTION]},
        SELECT | {"options": [OPTION | {"text": {"type": "mrkdwn", "text": "x"}}]},
        SELECT | {"options": [OPTION | {"value": "x" * 151}]},
        SELECT | {"options": [OPTION | {"value": ""}]},
        SELECT | {"options": [OPTION | {"description": {"type": "plain_text", "text": "x" * 76}}]},
        SELECT | {"initial_option": OPTION | {"value": "another"}},
        SELECT | {"placeholder": {"type": "plain_text", "text": "x" * 151}},
        SELECT | {"action_id": "x" * 256},
        SELECT | {"confirm": {"title": {"type": "plain_text", "text": "x" * 101}}},
        SELECT | {"confirm": CONFIRM | {"style": "loud"}},
        SELECT | {"option_groups": [{"label": {"type": "plain_text", "text": "x"}, "options": [OPTION]}]},
        {"type": "static_select", "action_id": "which", "option_groups": []},
        {
            "type": "static_select",
            "action_id": "which",
            "option_groups": [{"label": {"type": "plain_text", "text": "x" * 76}, "options": [OPTION]}],
        },
        RADIO | {"options": [OPTION] * 11},
        RADIO | {"placeholder": {"type": "plain_text", "text": "x"}},
        {"type": "timepicker", "action_id": "which", "initial_time": "24:00"},
        {"type": "users_select", "action_id": "which"},
    ],
)
def test_selects_and_radio_buttons(slack: SlackStandIn, element: dict[str, Any]) -> None:
    def post(element: dict[str, Any]) -> None:
        blocks = [{"type": "actions", "elements": [element]}]
        client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x", blocks=blocks)

    refused("invalid_blocks", lambda: post(element))
    trigger = slack.workspace.new_trigger(w.ALICE)
    block = {"type": "input", "label": {"type": "plain_text", "text": "x"}, "element": element}
    view = MODAL | {"submit": {"type": "plain_text", "text": "x"}, "blocks": [block]}
    refused("invalid_arguments", lambda: client(slack).views_open(trigger_id=trigger, view=view))
    post(SELECT | {"options": [OPTION | {"value": str(number)} for number in range(100)]})
    post(SELECT | {"confirm": CONFIRM | {"style": "danger"}})
    post(RADIO | {"options": [OPTION | {"text": {"type": "mrkdwn", "text": "x"}}] * 10})


def test_a_trigger_serves_once_for_three_seconds(slack: SlackStandIn, clock: Clock) -> None:
    view = MODAL
    trigger = slack.workspace.new_trigger(w.ALICE)
    client(slack).views_open(trigger_id=trigger, view=view)
    refused("exchanged_trigger_id", lambda: client(slack).views_open(trigger_id=trigger, view=view))
    late = slack.workspace.new_trigger(w.ALICE)
    clock.time += timedelta(seconds=3.1)
    refused("expired_trigger_id", lambda: client(slack).views_open(trigger_id=late, view=view))
    refused("invalid_trigger_id", lambda: client(slack).views_open(trigger_id="made.up", view=view))
    fresh = slack.workspace.new_trigger(w.ALICE)
    long_title = view | {"title": {"type": "plain_text", "text": "x" * 25}}
    refused("invalid_arguments", lambda: client(slack).views_open(trigger_id=fresh, view=long_title))


def test_a_view_is_updated_only_as_it_was_last_seen(slack: SlackStandIn) -> None:
    bot = client(slack)
    opened = bot.views_open(trigger_id=slack.workspace.new_trigger(w.ALICE), view=MODAL)["view"]
    changed = bot.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL)["view"]
    assert (changed["id"], changed["hash"] != opened["hash"]) == (opened["id"], True)
    refused("hash_conflict", lambda: bot.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL))
    bot.views_update(view_id=opened["id"], view=MODAL)
    refused("not_found", lambda: bot.views_update(view_id="V0NOWHERE1", view=MODAL))
    refused("invalid_arguments", lambda: bot.views_update(view_id=opened["id"], view=HOME))
    refused("invalid_arguments", lambda: bot.views_update(view_id=opened["id"], view=MODAL | {"blocks": "x"}))
    padded = MODAL | {"blocks": [SECTION | {"text": {"type": "mrkdwn", "text": "x" * 3000}}] * 90}
    refused("view_too_large", lambda: bot.views_update(view_id=opened["id"], view=padded))


def test_app_home_is_published_for_one_person(slack: SlackStandIn) -> None:
    bot = client(slack)
    first = bot.views_publish(user_id=w.ALICE, view=HOME)["view"]
    second = bot.views_publish(user_id=w.ALICE, view=HOME, hash=first["hash"])["view"]
    assert first["id"] == second["id"]
    refused("hash_conflict", lambda: bot.views_publish(user_id=w.ALICE, view=HOME, hash=first["hash"]))
    refused("invalid_arguments", lambda: bot.views_publish(user_id="U0NOBODY01", view=HOME))
    refused("invalid_arguments", lambda: bot.views_publish(user_id=w.ALICE, view=MODAL))
    refused("invalid_arguments", lambda: bot.views_publish(user_id=w.ALICE, view=HOME | {"title": MODAL["title"]}))
    refused("invalid_arguments", lambda: bot.views_publish(user_id=w.ALICE, view=HOME | {"blocks": [SECTION] * 101}))
    assert UserActions(slack).home_of(w.BOB) is None


def test_rates_of_views(slack: SlackStandIn, clock: Clock) -> None:
    for _ in range(100):
        client(slack).views_publish(user_id=w.ALICE, view=HOME)
    refused("ratelimited", lambda: client(slack).views_publish(user_id=w.ALICE, view=HOME))
    clock.time += timedelta(seconds=1)
    client(slack).views_publish(user_id=w.ALICE, view=HOME)


def test_a_response_url_serves_five_times_for_thirty_minutes(slack: SlackStandIn, clock: Clock) -> None:
    url = slack.answer_url(w.ALICE, w.MIGRATIONS)
    assert [requests.post(url, json={"text": "x"}, timeout=5).status_code for _ in range(6)] == [200] * 5 + [404]
    late = slack.answer_url(w.ALICE, w.MIGRATIONS)
    clock.time += timedelta(minutes=31)
    assert requests.post(late, json={"text": "x"}, timeout=5).status_code == 404


def test_rates(slack: SlackStandIn, clock: Clock) -> None:
    for _ in range(5):
        client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x")
    with pytest.raises(SlackApiError) as raised:
        client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x")
    assert raised.value.response.status_code == 429
    assert raised.value.response.headers["Retry-After"] == "1"
    clock.time += timedelta(seconds=1)
    client(slack).chat_postMessage(channel=w.MIGRATIONS, text="x")


@pytest.mark.parametrize(
    ("ask", "most"),
    [
        (lambda slack, ts: client(slack).users_info(user=w.ALICE), 100),
        (lambda slack, ts: client(slack).usergroups_users_list(usergroup=w.APPROVERS_GROUP), 20),
        (lambda slack, ts: client(slack).chat_update(channel=w.MIGRATIONS, ts=ts, text="y"), 50),
    ],
    ids=["users.info", "usergroups.users.list", "chat.update"],
)
def test_rates_of_each_method(slack: SlackStandIn, clock: Clock, ask: Any, most: int) -> None:
    ts = slack.workspace.add_message(w.MIGRATIONS, w.BOT_USER_ID, "x", [], None).ts
    for _ in range(most):
        ask(slack, ts)
    refused("ratelimited", lambda: ask(slack, ts))
    clock.time += timedelta(minutes=1)
    ask(slack, ts)


def test_no_bot_has_direct_messages_and_who_was_deactivated_still_has(slack: SlackStandIn) -> None:
    refused("cannot_dm_bot", lambda: client(slack).chat_postMessage(channel=w.BOT_USER_ID, text="x"))
    client(slack).chat_postMessage(channel=w.FRANK, text="x")


def test_an_ack_that_takes_too_long_is_none(slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.ACK_SECONDS == 3.0
    monkeypatch.setattr(server, "ACK_SECONDS", 0.2)
    app = App(slack)
    app.is_silent = True
    assert UserActions(slack).type(w.ALICE, "help").failure == "operation_timeout"
    assert "operation_timeout" in slack.workspace.told(w.ALICE)[-1]
    app.close()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        slack.request_url = f"http://127.0.0.1:{mute.getsockname()[1]}/slack/events"
        assert UserActions(slack).type(w.ALICE, "help").failure == "operation_timeout"
    monkeypatch.setattr(server, "ACK_SECONDS", 3.0)
    assert UserActions(slack).type(w.ALICE, "help").failure == "dispatch_failed", "nobody listens any more"


def test_what_is_delivered_by_http_is_signed_and_answered_with_200(slack: SlackStandIn) -> None:
    with recording(ok(b'{"text": "here"}')) as (url, received):
        slack.request_url = f"{url}/slack/events"
        assert UserActions(slack).type(w.ALICE, "help").payload == {"text": "here"}
        assert slack.workspace.told(w.ALICE) == ["here"]
    head, _, body = received[0].decode().partition("\r\n\r\n")
    sent = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    verifier = SignatureVerifier(w.SIGNING_SECRET)
    assert verifier.is_valid(body, sent["X-Slack-Request-Timestamp"], sent["X-Slack-Signature"])
    with answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n") as url:
        slack.request_url = f"{url}/slack/events"
        assert UserActions(slack).type(w.ALICE, "help").failure == "dispatch_failed"


def test_an_eleventh_connection_is_refused(slack: SlackStandIn) -> None:
    apps = [App(slack) for _ in range(10)]
    refused("too_many_websockets", lambda: client(slack).apps_connections_open(app_token=w.APP_TOKEN))
    for app in apps:
        app.close()


def test_without_an_app_a_command_fails_at_once(slack: SlackStandIn) -> None:
    assert UserActions(slack).type(w.ALICE, "help").failure == "dispatch_failed"
    assert "dispatch_failed" in slack.workspace.told(w.ALICE)[0]


def test_a_websocket_ticket_serves_once(slack: SlackStandIn) -> None:
    url = client(slack).apps_connections_open(app_token=w.APP_TOKEN)["url"].replace("ws://", "http://")
    assert requests.get(url, timeout=5).status_code == 400, "no WebSocket handshake"
    assert requests.get(url, timeout=5).status_code == 404
