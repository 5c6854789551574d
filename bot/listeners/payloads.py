"""Parses Slack's payloads into inbox messages. Pure.

A payload of any shape becomes a message, or a `MalformedPayload`; nothing here raises. Characters that databases refuse
are replaced in all texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.domain.command import ResumeGroups, ShowList, ShowStatus
from bot.domain.ids import is_group_key, is_request_id
from bot.redaction import visible
from bot.store.inbox import Kind, Message

MAX_SCOPE_CHARACTERS = 150

Payload = Mapping[str, Any]

_SLACK_ID = re.compile(r"[A-Z0-9]{1,20}")
# Where the payload has an id that is the same in a redelivery, by the type of the payload. A command has no type.
# For a form it is the id of the view, so that a form counts once, even if it is submitted several times.
_KEY_PATHS = {"view_submission": ("view", "id"), "event_callback": ("event_id",)}
_DEFAULT_KEY_PATH = ("trigger_id",)


@dataclass(frozen=True)
class OurApp:
    """The workspace and the Slack app that this bot serves.

    Arguments:
        app_id: empty if it is not known. Slack signs payloads for one app alone, so then every app id is accepted.
    """

    team_id: str
    app_id: str


@dataclass(frozen=True)
class MalformedPayload:
    """A payload that cannot become a message. `missing` names the required fields that are absent or invalid."""

    missing: tuple[str, ...]


def is_from(our_app: OurApp, body: Payload) -> bool:
    """Whether a payload comes from this app, through its installation in this workspace.

    The person may belong to another workspace, which is in the same Enterprise organization or shares a channel with
    this workspace. What the person may do is decided when the person is looked up.
    """
    return our_app.team_id in _workspaces(body) and our_app.app_id in ("", _slack_id(body, "api_app"))


def person_in(body: Payload) -> str:
    """The user id of the person who caused a payload; empty if there is none."""
    return _slack_id(body, "user")


def to_message(
    body: Payload, kind: Kind, command: ResumeGroups | ShowList | ShowStatus | None = None
) -> Message | MalformedPayload:
    """Turns a command, a click, a submitted form or an event into an inbox message.

    Arguments:
        command: the parsed command, or the values of the request form as a command.
    """
    key_path = _KEY_PATHS.get(text_at(body, "type"), _DEFAULT_KEY_PATH)
    key, person, team_id = text_at(body, *key_path), _slack_id(body, "user"), _slack_id(body, "team")
    request_id, channel, message_ts = _origin(body)
    required = {".".join(key_path): key, "user": person, "team": team_id}
    if kind is Kind.DENY:
        required["view.private_metadata"] = request_id
    missing = tuple(name for name, value in required.items() if not value)
    if missing:
        return MalformedPayload(missing)
    return Message(
        kind,
        key,
        person,
        team_id,
        channel,
        command=command,
        request_id=request_id,
        group_key=group_key_in(body),
        message_ts=message_ts,
        response_url=text_at(body, "response_url"),
        scope=_scope(body),
        reason=form_text(body, "reason").strip() if kind is Kind.DENY else "",
        trigger_id=text_at(body, "trigger_id"),
    )


def to_foreign_message(body: Payload, now: datetime) -> Message:
    """The message that records a rejected payload. Keeps only the ids of the payload, or `unknown`.

    All payloads that one workspace and app send within one minute have the same key, and so become one row. This keeps
    them from filling the inbox and the audit chain.
    """
    person, team_id, app_id = (_slack_id(body, name) or "unknown" for name in ("user", "team", "api_app"))
    key = f"foreign {team_id} {app_id} {now:%Y-%m-%dT%H:%M}"
    return Message(Kind.FOREIGN_PAYLOAD, key, person, team_id, app_id=app_id)


def text_at(body: object, *path: str) -> str:
    """The text at a path of keys; empty if there is no text."""
    for key in path:
        body = body.get(key) if isinstance(body, Mapping) else None
    return visible(body) if isinstance(body, str) else ""


def form_text(body: Payload, block_id: str) -> str:
    """The text that was entered in a block of a form."""
    return text_at(body, "view", "state", "values", block_id, "text", "value")


def form_choice(body: Payload, block_id: str) -> str:
    """The option or the time that was selected in a block of a form."""
    element = ("view", "state", "values", block_id, block_id)
    return text_at(body, *element, "selected_time") or text_at(body, *element, "selected_option", "value")


def _workspaces(body: Payload) -> set[str]:
    """The workspaces that a payload names, except that of the person.

    In a shared channel, `team` is the workspace of the app for a button, and that of the person for a form, which has
    the workspace of the app in the view. An event has it in `context_team_id` or `authorizations`.
    """
    authorizations = body.get("authorizations")
    installed = [text_at(one, "team_id") for one in authorizations] if isinstance(authorizations, list) else []
    in_view = text_at(body, "view", "app_installed_team_id")
    return {_slack_id(body, "team"), in_view, text_at(body, "context_team_id"), *installed}


def _origin(body: Payload) -> tuple[str, str, str]:
    """The request id, the channel and the message (`ts`) that a payload belongs to; each empty if there is none.

    The deny form has all three in its metadata. The value of a button on a card is a request id. The value of a choice
    is the selected option, and its block id begins with the request id.
    """
    if text_at(body, "type") == "view_submission":
        metadata = text_at(body, "view", "private_metadata").split(" ")
        request_id, channel, message_ts = metadata if len(metadata) == 3 else ("", "", "")
        return (request_id, channel, message_ts) if is_request_id(request_id) else ("", "", "")
    control = _clicked_control(body)
    value = text_at(control, "value") or text_at(control, "block_id").partition(" ")[0]
    return (
        value if is_request_id(value) else "",
        text_at(body, "channel_id") or text_at(body, "container", "channel_id"),
        text_at(body, "container", "message_ts"),
    )


def group_key_in(body: Payload) -> str:
    """The key of the task group that is the value of a clicked button; empty if there is none."""
    value = text_at(_clicked_control(body), "value")
    return value if is_group_key(value) else ""


def _clicked_control(body: Payload) -> Payload:
    """The button or choice that was clicked; empty if the payload has none. Slack sends one at a time."""
    actions = body.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else None
    return first if isinstance(first, Mapping) else {}


def _scope(body: Payload) -> str:
    """The scope that was selected in the message at the click."""
    state = body.get("state")
    blocks = state.get("values") if isinstance(state, Mapping) else None
    for block in blocks.values() if isinstance(blocks, Mapping) else ():
        chosen = text_at(block, "scope", "selected_option", "value")
        if chosen:
            return chosen[:MAX_SCOPE_CHARACTERS]
    return ""


def _slack_id(body: Payload, name: str) -> str:
    """The id of a team, a user or an app, from the field where this kind of payload has it; empty if there is none."""
    part = body.get(name)
    event = body.get("event")
    found = (
        body.get(f"{name}_id")
        or (part.get("id") if isinstance(part, Mapping) else part)
        or (event.get(name) if isinstance(event, Mapping) else None)
    )
    return found if isinstance(found, str) and _SLACK_ID.fullmatch(found) else ""
