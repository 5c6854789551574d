"""What Slack sends to the app for each thing that somebody does, shaped as Slack shapes it.

Sending it is left to `server`, and who does what to `acting`.
"""

from __future__ import annotations

import secrets

from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.elements import state_values
from bot.sandbox.slack.workspace import Json, OpenView, Posted, Workspace


def command(workspace: Workspace, person: str, channel: str, name: str, text: str, answer_url: str) -> Json:
    """Of a slash command."""
    return {
        "token": "legacy",
        "team_id": w.TEAM_ID,
        "team_domain": "sandbox",
        "channel_id": channel,
        "channel_name": workspace.channels[channel].name,
        "user_id": person,
        "user_name": workspace.users[person]["name"],
        "command": name,
        "text": text,
        "api_app_id": w.APP_ID,
        "is_enterprise_install": "false",
        "response_url": answer_url,
        "trigger_id": workspace.new_trigger(person),
    }


def action_in_message(workspace: Workspace, person: str, posted: Posted, action: Json, answer_url: str) -> Json:
    """Of a button or a choice in a message."""
    return _interaction(workspace, person, "block_actions") | {
        "container": {
            "type": "message",
            "message_ts": posted.ts,
            "channel_id": posted.channel,
            "is_ephemeral": False,
        },
        "channel": {"id": posted.channel, "name": workspace.channels[posted.channel].name},
        "message": {"ts": posted.ts, "text": posted.text, "blocks": posted.blocks, "user": posted.user},
        "state": {"values": state_values(posted.blocks, posted.choices.get(person, {}))},
        "response_url": answer_url,
        "actions": [action | {"action_ts": posted.ts}],
    }


def action_in_view(workspace: Workspace, person: str, opened: OpenView, action: Json) -> Json:
    """Of a button or a choice in a form or in App Home: the view instead of message, channel and response_url."""
    return _interaction(workspace, person, "block_actions") | {
        "container": {"type": "view", "view_id": opened.id},
        "view": opened.as_json(),
        "actions": [action | {"action_ts": _stamp(workspace)}],
    }


def submission(workspace: Workspace, person: str, opened: OpenView) -> Json:
    """Of a form that is sent in."""
    return _interaction(workspace, person, "view_submission") | {"view": opened.as_json(), "response_urls": []}


def home_opened(workspace: Workspace, person: str) -> Json:
    """Of App Home, opened: an event."""
    event: Json = {
        "type": "app_home_opened",
        "user": person,
        "channel": f"D{person[1:]}",
        "tab": "home",
        "event_ts": _stamp(workspace),
    }
    home = workspace.homes.get(person)
    if home is not None:
        event["view"] = home.as_json()
    return {
        "token": "legacy",
        "team_id": w.TEAM_ID,
        "api_app_id": w.APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(workspace.now().timestamp()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": w.TEAM_ID,
                "user_id": w.BOT_USER_ID,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def _interaction(workspace: Workspace, person: str, kind: str) -> Json:
    return {
        "type": kind,
        "team": {"id": w.TEAM_ID, "domain": "sandbox"},
        "enterprise": None,
        "is_enterprise_install": False,
        "user": {"id": person, "username": workspace.users[person]["name"], "team_id": w.TEAM_ID},
        "api_app_id": w.APP_ID,
        "token": "legacy",
        "trigger_id": workspace.new_trigger(person),
    }


def _stamp(workspace: Workspace) -> str:
    return f"{workspace.now().timestamp():.6f}"
