"""Finds out which workspace and which Slack app the tokens belong to. Raises `Denied` for tokens the bot cannot use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slack_sdk.web import SlackResponse

from bot.redaction import Secret
from bot.slack.client import DirectClient, app_id_in, owner_in
from bot.slack.errors import Denied, SlackError, Unavailable, translating_errors

_ONE_WORKSPACE = "install the Slack app in one workspace, and set SLACK_BOT_TOKEN to the bot token of that workspace"


def authenticate(client: DirectClient) -> SlackResponse:
    """The answer of auth.test: the workspace and the bot user of a bot token. The client remembers the owner.

    Raises:
        Denied: Slack does not accept the token, or it is not the token of one workspace.
        Unavailable: Slack does not answer.
    """
    with _naming_token():
        me = client.auth_test()
    # Slack's field for an app that is installed in a whole Enterprise organization.
    if me.get("is_enterprise_install") or not me.get("team_id"):
        problem = "says that SLACK_BOT_TOKEN is for a whole organization, but the bot works in one workspace"
        raise Denied("is_enterprise_install", problem, _ONE_WORKSPACE)
    client.owner = owner_in(me)
    return me


def app_id_of(client: DirectClient, me: SlackResponse, app_token: Secret | None) -> str:
    """The id of the Slack app; empty if neither Slack nor the app-level token contains it.

    Arguments:
        me: the answer of auth.test.

    Raises:
        Denied: the tokens belong to two apps, or Slack refuses the call.
        Unavailable: Slack does not answer.
    """
    with _naming_token():
        bot = client.bots_info(bot=str(me.get("bot_id"))).get("bot") or {}
    bot_app, app = str(bot.get("app_id") or ""), app_id_in(app_token) if app_token else None
    if app and bot_app and app != bot_app:
        problem = "says that SLACK_BOT_TOKEN and SLACK_APP_TOKEN belong to different apps"
        raise Denied(f"{bot_app} and {app}", problem, "copy both tokens from the same Slack app")
    return bot_app or app or ""


@contextmanager
def _naming_token() -> Iterator[None]:
    """Raises `Denied` or `Unavailable` for every error of a call."""
    try:
        with translating_errors():
            yield
    except Unavailable:
        raise
    except SlackError as error:
        if isinstance(error, Denied) and not error.is_about_token:
            raise
        raise Denied(error.code, "doesn't accept SLACK_BOT_TOKEN", "copy it again from your Slack app") from None
