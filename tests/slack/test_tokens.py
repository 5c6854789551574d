"""Tokens that are replaced in their files while the bot runs, and tokens that the bot cannot work with."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from slack_sdk.errors import SlackApiError

from bot.app import CannotStart, authenticate
from bot.listeners.payloads import OurApp
from bot.redaction import FileSecret, Secret
from bot.sandbox.slack.ids import ALICE, APP_ID, APP_TOKEN, BOT_TOKEN, MIGRATIONS, TEAM_ID
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.workspace import Json
from bot.slack.client import DirectClient
from bot.slack.errors import Denied
from bot.slack.transport import new_client
from bot.slack.websocket import new_address

NEW_BOT_TOKEN = "xoxb-sandbox-new-bot-token"
NEW_APP_TOKEN = "xapp-1-A0SANDBOX1-sandbox-new-app-token"
FOREIGN_APP_TOKEN = "xapp-1-A0FOREIGN1-sandbox-app-token"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(BOT_TOKEN, encoding="ascii")
    return path


def client_of(slack: SlackStandIn, file: Path) -> DirectClient:
    """A client of a token in a file, as `serve` makes it."""
    client = new_client(FileSecret("SLACK_BOT_TOKEN_FILE", str(file)), slack.api_url)
    authenticate(client, None)
    return client


def rotate(slack: SlackStandIn, **changes: object) -> None:
    """Replaces the bot token. The new one belongs to the same bot user, but for the changes."""
    slack.api.bot_tokens[NEW_BOT_TOKEN] = slack.api.bot_tokens.pop(BOT_TOKEN) | changes


def calls(slack: SlackStandIn) -> list[str]:
    return [call.path for call in slack.call_log.since()]


def test_a_refused_call_is_repeated_with_the_token_that_is_in_the_file_now(slack: SlackStandIn, file: Path) -> None:
    client = client_of(slack, file)
    rotate(slack)
    file.write_text(f"{NEW_BOT_TOKEN}\n", encoding="ascii")
    client.chat_postMessage(channel=MIGRATIONS, text="words")
    assert [message.text for message in slack.workspace.messages] == ["words"]
    assert client.denial is None
    slack.call_log.clear()
    client.users_info(user=ALICE)
    assert calls(slack) == ["users.info"], "the new token is kept"


def test_a_client_that_shares_the_token_reads_it_again_as_well(slack: SlackStandIn, file: Path) -> None:
    first, second = client_of(slack, file), client_of(slack, file)
    rotate(slack)
    file.write_text(NEW_BOT_TOKEN, encoding="ascii")
    for client in (first, second):
        assert client.users_info(user=ALICE)["ok"]


def test_a_refused_call_is_not_repeated_while_the_file_is_the_same(slack: SlackStandIn, file: Path) -> None:
    client = client_of(slack, file)
    rotate(slack)
    slack.call_log.clear()
    with pytest.raises(SlackApiError, match="invalid_auth"):
        client.users_info(user=ALICE)
    assert calls(slack) == ["users.info"]
    file.write_text(NEW_BOT_TOKEN, encoding="ascii")
    assert client.users_info(user=ALICE)["ok"], "the file is read at each refusal"


@pytest.mark.parametrize("foreign", [{"team_id": "T0OTHER001"}, {"user_id": "U0OTHERBOT"}])
def test_the_token_of_another_workspace_or_app_is_named_and_not_used(
    slack: SlackStandIn, file: Path, foreign: Json, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(slack, file)
    rotate(slack, **foreign)
    file.write_text(NEW_BOT_TOKEN, encoding="ascii")
    for _ in range(2):
        with pytest.raises(SlackApiError, match="invalid_auth"):
            client.chat_postMessage(channel=MIGRATIONS, text="words")
    assert slack.workspace.messages == []
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith(
        "Slack refuses the bot's token, and the one in its file belongs to another app or workspace: T0"
    )
    assert NEW_BOT_TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "SLACK_BOT_TOKEN_FILE is the path of an empty file"), ("xoxb-refused-as-well", "invalid_auth")],
)
def test_a_file_without_a_usable_token_is_named_once_and_read_again_later(
    slack: SlackStandIn, file: Path, content: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(slack, file)
    rotate(slack)
    file.write_text(content, encoding="ascii")
    for _ in range(2):
        with pytest.raises(SlackApiError, match="invalid_auth"):
            client.users_info(user=ALICE)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"Slack refuses the bot's token, and the one in its file can't be used: {reason}"]
    file.write_text(NEW_BOT_TOKEN, encoding="ascii")
    assert client.users_info(user=ALICE)["ok"]


def test_a_refusal_that_is_not_about_the_token_reads_no_file(slack: SlackStandIn, file: Path) -> None:
    client = client_of(slack, file)
    slack.workspace.scopes -= {"users:read"}
    slack.api.bot_tokens[NEW_BOT_TOKEN] = slack.api.bot_tokens[BOT_TOKEN]
    file.write_text(NEW_BOT_TOKEN, encoding="ascii")
    slack.call_log.clear()
    with pytest.raises(SlackApiError, match="missing_scope"):
        client.users_info(user=ALICE)
    assert calls(slack) == ["users.info"]


def test_the_app_level_token_is_read_again_when_a_socket_is_opened(slack: SlackStandIn, tmp_path: Path) -> None:
    path = tmp_path / "app-token"
    path.write_text(APP_TOKEN, encoding="ascii")
    client = new_client(FileSecret("SLACK_APP_TOKEN_FILE", str(path)), slack.api_url)
    assert new_address(client).startswith("ws://127.0.0.1:")
    slack.api.app_tokens = {NEW_APP_TOKEN, FOREIGN_APP_TOKEN}
    path.write_text(FOREIGN_APP_TOKEN, encoding="ascii")
    with pytest.raises(Denied, match="invalid_auth"):
        new_address(client)
    path.write_text(NEW_APP_TOKEN, encoding="ascii")
    assert new_address(client).startswith("ws://127.0.0.1:")


def start(slack: SlackStandIn, app_token: str | None = APP_TOKEN) -> OurApp:
    client = new_client(Secret(BOT_TOKEN), slack.api_url)
    return authenticate(client, Secret(app_token) if app_token else None)[0]


def test_the_tokens_of_one_app_are_accepted(slack: SlackStandIn) -> None:
    assert start(slack) == start(slack, None) == OurApp(TEAM_ID, APP_ID)


def test_the_tokens_of_two_apps_are_told_apart(slack: SlackStandIn) -> None:
    with pytest.raises(CannotStart) as raised:
        start(slack, FOREIGN_APP_TOKEN)
    assert str(raised.value) == (
        "Slack says that SLACK_BOT_TOKEN and SLACK_APP_TOKEN belong to different apps (A0SANDBOX1 and A0FOREIGN1). "
        "Copy both tokens from the same Slack app."
    )


@pytest.mark.parametrize("bot", [{"id": "B0TASKBOT1"}, {"app_id": None}, {"app_id": ""}])
def test_an_app_that_slack_does_not_name_is_named_by_the_app_level_token_or_unknown(
    slack: SlackStandIn, bot: Json
) -> None:
    slack.api.bot = bot
    assert start(slack).app_id == APP_ID
    assert start(slack, "xapp-without-an-id").app_id == ""
    assert start(slack, None).app_id == ""


@pytest.mark.parametrize(
    "changes", [{"is_enterprise_install": True, "team_id": "E0SANDBOX1"}, {"team_id": None}, {"team_id": ""}]
)
def test_the_token_of_a_whole_organization_is_refused(slack: SlackStandIn, changes: Json) -> None:
    slack.api.bot_tokens[BOT_TOKEN] |= changes
    with pytest.raises(CannotStart) as raised:
        start(slack)
    assert str(raised.value) == (
        "Slack says that SLACK_BOT_TOKEN is for a whole organization, but the bot works in one workspace "
        "(is_enterprise_install). Install the Slack app in one workspace, and set SLACK_BOT_TOKEN to the bot token of "
        "that workspace."
    )


def test_a_missing_scope_at_the_start_is_named(slack: SlackStandIn) -> None:
    slack.workspace.scopes = frozenset()
    with pytest.raises(CannotStart) as raised:
        start(slack)
    missing = "Slack requires a scope that the app doesn't have (missing_scope). Add it under OAuth & Permissions"
    assert str(raised.value).startswith(missing)
