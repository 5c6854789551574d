"""The payload that Slack sends to the app for each user action.

Its delivery is left to `server`, the action itself to `user_actions`.
"""

from __future__ import annotations

import secrets

from bot.sandbox.slack.elements import state_values
from bot.sandbox.slack.ids import APP_ID, BOT_USER_ID, TEAM_ID
from bot.sandbox.slack.workspace import EphemeralMessage, Json, OpenView, PostedMessage, Workspace, direct_channel


def command(workspace: Workspace, person: str, channel: str, name: str, text: str, response_url: str) -> Json:
    """A slash command."""
    return {
        "token": "legacy",
        "team_id": TEAM_ID,
        "team_domain": "sandbox",
        "channel_id": channel,
        "channel_name": workspace.channels[channel].name,
        "user_id": person,
        "user_name": workspace.users[person]["name"],
        "command": name,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": workspace.new_trigger(person),
    }


def action_in_message(
    workspace: Workspace, person: str, posted: PostedMessage | EphemeralMessage, action: Json, response_url: str
) -> Json:
    """A press or a choice in a message. Of a message that only one person sees, Slack does not send the content."""
    is_ephemeral = isinstance(posted, EphemeralMessage)
    choices = {} if isinstance(posted, EphemeralMessage) else posted.choices.get(person, {})
    content: Json = {}
    if isinstance(posted, PostedMessage):
        content = {"message": {"ts": posted.ts, "text": posted.text, "blocks": posted.blocks, "user": posted.user}}
    return _interaction(workspace, person, "block_actions") | {
        "container": {
            "type": "message",
            "message_ts": posted.ts,
            "channel_id": posted.channel,
            "is_ephemeral": is_ephemeral,
        },
        "channel": {"id": posted.channel, "name": workspace.channels[posted.channel].name},
        **content,
        "state": {"values": state_values(posted.blocks, choices)},
        "response_url": response_url,
        "actions": [action | {"action_ts": posted.ts}],
    }


def action_in_view(workspace: Workspace, person: str, opened: OpenView, action: Json) -> Json:
    """A press or a choice in a modal or App Home. It has no message, channel and response_url, but the view."""
    return _interaction(workspace, person, "block_actions") | {
        "container": {"type": "view", "view_id": opened.id},
        "view": opened.as_json(),
        "actions": [action | {"action_ts": _stamp(workspace)}],
    }


def submission(workspace: Workspace, person: str, opened: OpenView) -> Json:
    """The submission of a modal. Unlike that of an action, its team is the workspace of the person."""
    team = {"id": workspace.users[person]["team_id"], "domain": "sandbox"}
    changes = {"team": team, "view": opened.as_json(), "response_urls": []}
    return _interaction(workspace, person, "view_submission") | changes


def home_opened(workspace: Workspace, person: str) -> Json:
    """The event app_home_opened."""
    event: Json = {
        "type": "app_home_opened",
        "user": person,
        "channel": direct_channel(person),
        "tab": "home",
        "event_ts": _stamp(workspace),
    }
    home = workspace.homes.get(person)
    if home is not None:
        event["view"] = home.as_json()
    return {
        "token": "legacy",
        "team_id": TEAM_ID,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(workspace.now().timestamp()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM_ID,
                "user_id": BOT_USER_ID,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def _interaction(workspace: Workspace, person: str, kind: str) -> Json:
    user = workspace.users[person]
    organization = user.get("enterprise_user")
    return {
        "type": kind,
        "team": {"id": TEAM_ID, "domain": "sandbox"},
        "enterprise": {"id": organization["enterprise_id"], "name": "Sandbox"} if organization else None,
        "is_enterprise_install": False,
        "user": {"id": person, "username": user["name"], "team_id": user["team_id"]},
        "api_app_id": APP_ID,
        "token": "legacy",
        "trigger_id": workspace.new_trigger(person),
    }


def _stamp(workspace: Workspace) -> str:
    return f"{workspace.now().timestamp():.6f}"
