"""The Slack stand-in rejects what Slack rejects. Most calls are made by the real slack_sdk."""

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
from bot.sandbox.slack.demo_workspace import demo_workspace
from bot.sandbox.slack.ids import (
    ALICE,
    APP_TOKEN,
    APPROVERS_GROUP,
    BOB,
    BOT_TOKEN,
    BOT_USER_ID,
    FRANK,
    GENERAL,
    MIGRATIONS,
    OLD_MIGRATIONS,
    SIGNING_SECRET,
)
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.user_actions import UserActions
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


def client(slack: SlackStandIn, token: str = BOT_TOKEN) -> WebClient:
    return WebClient(token=token, base_url=slack.api_url, retry_handlers=[])


def assert_error(error: str, call: Any) -> None:
    with pytest.raises(SlackApiError) as raised:
        call()
    assert raised.value.response["error"] == error


def test_wrong_tokens_missing_scopes_and_unknown_methods_are_rejected(slack: SlackStandIn) -> None:
    assert_error("invalid_auth", lambda: client(slack, "xoxb-wrong").auth_test())
    assert_error("not_allowed_token_type", lambda: client(slack).apps_connections_open(app_token=BOT_TOKEN))
    slack.workspace.scopes = frozenset({"chat:write"})
    assert_error("missing_scope", lambda: client(slack).users_info(user=ALICE))
    assert_error("unknown_method", lambda: client(slack).api_call("chat.nothing"))


def test_the_bot_posts_only_to_open_channels_it_is_in(slack: SlackStandIn) -> None:
    for channel, error in (
        (GENERAL, "not_in_channel"),
        (OLD_MIGRATIONS, "is_archived"),
        ("C0NOWHERE1", "channel_not_found"),
    ):
        assert_error(error, lambda channel=channel: client(slack).chat_postMessage(channel=channel, text="x"))


def test_only_existing_messages_of_the_bot_can_be_updated(slack: SlackStandIn) -> None:
    assert_error("message_not_found", lambda: client(slack).chat_update(channel=MIGRATIONS, ts="1.2", text="x"))
    foreign = slack.workspace.add_message(MIGRATIONS, ALICE, "x", [], None)
    assert_error("cant_update_message", lambda: client(slack).chat_update(channel=MIGRATIONS, ts=foreign.ts, text="y"))
    assert_error(
        "thread_not_found", lambda: client(slack).chat_postMessage(channel=MIGRATIONS, text="x", thread_ts="1.2")
    )


def test_messages_and_blocks_have_limits(slack: SlackStandIn) -> None:
    ts = client(slack).chat_postMessage(channel=MIGRATIONS, text="x")["ts"]
    assert_error("msg_too_long", lambda: client(slack).chat_update(channel=MIGRATIONS, ts=ts, text="x" * 4001))
    assert_error("no_text", lambda: client(slack).chat_postMessage(channel=MIGRATIONS, text=""))
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
        assert_error(
            "invalid_blocks",
            lambda blocks=blocks: client(slack).chat_postMessage(channel=MIGRATIONS, text="x", blocks=blocks),
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
def test_selects_and_radio_buttons_have_limits(slack: SlackStandIn, element: dict[str, Any]) -> None:
    def post(element: dict[str, Any]) -> None:
        blocks = [{"type": "actions", "elements": [element]}]
        client(slack).chat_postMessage(channel=MIGRATIONS, text="x", blocks=blocks)

    assert_error("invalid_blocks", lambda: post(element))
    trigger = slack.workspace.new_trigger(ALICE)
    block = {"type": "input", "label": {"type": "plain_text", "text": "x"}, "element": element}
    view = MODAL | {"submit": {"type": "plain_text", "text": "x"}, "blocks": [block]}
    assert_error("invalid_arguments", lambda: client(slack).views_open(trigger_id=trigger, view=view))
    post(SELECT | {"options": [OPTION | {"value": str(number)} for number in range(100)]})
    post(SELECT | {"confirm": CONFIRM | {"style": "danger"}})
    post(RADIO | {"options": [OPTION | {"text": {"type": "mrkdwn", "text": "x"}}] * 10})


def test_a_trigger_is_valid_once_for_three_seconds(slack: SlackStandIn, clock: Clock) -> None:
    view = MODAL
    trigger = slack.workspace.new_trigger(ALICE)
    client(slack).views_open(trigger_id=trigger, view=view)
    assert_error("exchanged_trigger_id", lambda: client(slack).views_open(trigger_id=trigger, view=view))
    late = slack.workspace.new_trigger(ALICE)
    clock.time += timedelta(seconds=3.1)
    assert_error("expired_trigger_id", lambda: client(slack).views_open(trigger_id=late, view=view))
    assert_error("invalid_trigger_id", lambda: client(slack).views_open(trigger_id="made.up", view=view))
    fresh = slack.workspace.new_trigger(ALICE)
    long_title = view | {"title": {"type": "plain_text", "text": "x" * 25}}
    assert_error("invalid_arguments", lambda: client(slack).views_open(trigger_id=fresh, view=long_title))


def test_a_view_is_not_updated_with_an_old_hash(slack: SlackStandIn) -> None:
    bot = client(slack)
    opened = bot.views_open(trigger_id=slack.workspace.new_trigger(ALICE), view=MODAL)["view"]
    changed = bot.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL)["view"]
    assert (changed["id"], changed["hash"] != opened["hash"]) == (opened["id"], True)
    assert_error("hash_conflict", lambda: bot.views_update(view_id=opened["id"], hash=opened["hash"], view=MODAL))
    bot.views_update(view_id=opened["id"], view=MODAL)
    assert_error("not_found", lambda: bot.views_update(view_id="V0NOWHERE1", view=MODAL))
    assert_error("invalid_arguments", lambda: bot.views_update(view_id=opened["id"], view=HOME))
    assert_error("invalid_arguments", lambda: bot.views_update(view_id=opened["id"], view=MODAL | {"blocks": "x"}))
    padded = MODAL | {"blocks": [SECTION | {"text": {"type": "mrkdwn", "text": "x" * 3000}}] * 90}
    assert_error("view_too_large", lambda: bot.views_update(view_id=opened["id"], view=padded))


def test_app_home_is_published_for_one_person(slack: SlackStandIn) -> None:
    bot = client(slack)
    first = bot.views_publish(user_id=ALICE, view=HOME)["view"]
    second = bot.views_publish(user_id=ALICE, view=HOME, hash=first["hash"])["view"]
    assert first["id"] == second["id"]
    assert_error("hash_conflict", lambda: bot.views_publish(user_id=ALICE, view=HOME, hash=first["hash"]))
    assert_error("invalid_arguments", lambda: bot.views_publish(user_id="U0NOBODY01", view=HOME))
    assert_error("invalid_arguments", lambda: bot.views_publish(user_id=ALICE, view=MODAL))
    assert_error("invalid_arguments", lambda: bot.views_publish(user_id=ALICE, view=HOME | {"title": MODAL["title"]}))
    assert_error("invalid_arguments", lambda: bot.views_publish(user_id=ALICE, view=HOME | {"blocks": [SECTION] * 101}))
    assert UserActions(slack).home_view(BOB) is None


def test_views_have_a_rate_limit(slack: SlackStandIn, clock: Clock) -> None:
    for _ in range(100):
        client(slack).views_publish(user_id=ALICE, view=HOME)
    assert_error("ratelimited", lambda: client(slack).views_publish(user_id=ALICE, view=HOME))
    clock.time += timedelta(minutes=1)
    client(slack).views_publish(user_id=ALICE, view=HOME)


def test_a_response_url_is_valid_five_times_for_thirty_minutes(slack: SlackStandIn, clock: Clock) -> None:
    url = slack.response_url(ALICE, MIGRATIONS)
    assert [requests.post(url, json={"text": "x"}, timeout=5).status_code for _ in range(6)] == [200] * 5 + [404]
    late = slack.response_url(ALICE, MIGRATIONS)
    clock.time += timedelta(minutes=31)
    assert requests.post(late, json={"text": "x"}, timeout=5).status_code == 404


def test_a_method_takes_no_more_calls_in_any_minute_than_documented(slack: SlackStandIn, clock: Clock) -> None:
    ts = slack.workspace.add_message(MIGRATIONS, BOT_USER_ID, "x", [], None).ts
    taken: list[datetime] = []
    refused = None
    for _ in range(130):
        try:
            client(slack).chat_update(channel=MIGRATIONS, ts=ts, text="y")
            taken.append(clock.time)
        except SlackApiError as error:
            refused = refused or (clock.time, int(error.response.headers["Retry-After"]))
        clock.time += timedelta(seconds=1)
    for at in taken:
        assert sum(timedelta() <= at - other < timedelta(minutes=1) for other in taken) <= 50
    assert len(taken) == 50 + 50 + 10, "in two minutes and 10 s"
    assert refused is not None
    at, seconds = refused
    assert min(one for one in taken if one > at) == at + timedelta(seconds=seconds), "as Retry-After says"


def test_posts_have_a_rate_limit_for_each_channel(slack: SlackStandIn, clock: Clock) -> None:
    for _ in range(5):
        client(slack).chat_postMessage(channel=MIGRATIONS, text="x")
    with pytest.raises(SlackApiError) as raised:
        client(slack).chat_postMessage(channel=MIGRATIONS, text="x")
    assert raised.value.response.status_code == 429
    assert raised.value.response.headers["Retry-After"] == "1"
    clock.time += timedelta(seconds=1)
    client(slack).chat_postMessage(channel=MIGRATIONS, text="x")


@pytest.mark.parametrize(
    ("call", "most"),
    [
        (lambda slack, ts: client(slack).users_info(user=ALICE), 100),
        (lambda slack, ts: client(slack).usergroups_users_list(usergroup=APPROVERS_GROUP), 20),
        (lambda slack, ts: client(slack).chat_update(channel=MIGRATIONS, ts=ts, text="y"), 50),
    ],
    ids=["users.info", "usergroups.users.list", "chat.update"],
)
def test_other_methods_have_a_rate_limit(slack: SlackStandIn, clock: Clock, call: Any, most: int) -> None:
    ts = slack.workspace.add_message(MIGRATIONS, BOT_USER_ID, "x", [], None).ts
    for _ in range(most):
        call(slack, ts)
    assert_error("ratelimited", lambda: call(slack, ts))
    clock.time += timedelta(minutes=1)
    call(slack, ts)


def test_direct_messages_reach_a_deactivated_user_but_not_a_bot(slack: SlackStandIn) -> None:
    assert_error("cannot_dm_bot", lambda: client(slack).chat_postMessage(channel=BOT_USER_ID, text="x"))
    client(slack).chat_postMessage(channel=FRANK, text="x")


def test_a_late_ack_does_not_count(slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.ACK_SECONDS == 3.0
    monkeypatch.setattr(server, "ACK_SECONDS", 0.2)
    app = App(slack)
    app.is_silent = True
    assert UserActions(slack).type(ALICE, "help").failure == "operation_timeout"
    assert "operation_timeout" in slack.workspace.private_texts(ALICE)[-1]
    app.close()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slack.request_url = f"http://127.0.0.1:{silent.getsockname()[1]}/slack/events"
        assert UserActions(slack).type(ALICE, "help").failure == "operation_timeout"
    monkeypatch.setattr(server, "ACK_SECONDS", 3.0)
    assert UserActions(slack).type(ALICE, "help").failure == "dispatch_failed", "the port is closed"


def test_a_delivery_by_http_is_signed_and_needs_a_200(slack: SlackStandIn) -> None:
    with recording(ok(b'{"text": "here"}')) as (url, received):
        slack.request_url = f"{url}/slack/events"
        assert UserActions(slack).type(ALICE, "help").payload == {"text": "here"}
        assert slack.workspace.private_texts(ALICE) == ["here"]
    head, _, body = received[0].decode().partition("\r\n\r\n")
    sent = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    verifier = SignatureVerifier(SIGNING_SECRET)
    assert verifier.is_valid(body, sent["X-Slack-Request-Timestamp"], sent["X-Slack-Signature"])
    with answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n") as url:
        slack.request_url = f"{url}/slack/events"
        assert UserActions(slack).type(ALICE, "help").failure == "dispatch_failed"


def test_an_eleventh_connection_is_rejected(slack: SlackStandIn) -> None:
    apps = [App(slack) for _ in range(10)]
    assert_error("too_many_websockets", lambda: client(slack).apps_connections_open(app_token=APP_TOKEN))
    for app in apps:
        app.close()


def test_without_an_app_a_command_fails_at_once(slack: SlackStandIn) -> None:
    assert UserActions(slack).type(ALICE, "help").failure == "dispatch_failed"
    assert "dispatch_failed" in slack.workspace.private_texts(ALICE)[0]


def test_a_websocket_ticket_is_valid_once(slack: SlackStandIn) -> None:
    url = client(slack).apps_connections_open(app_token=APP_TOKEN)["url"].replace("ws://", "http://")
    assert requests.get(url, timeout=5).status_code == 400, "the ticket is valid, the request is no WebSocket handshake"
    assert requests.get(url, timeout=5).status_code == 404
