"""Everything that the page shows to one person, as JSON. Acting on it is left to `desk`."""

from __future__ import annotations

from typing import Any

from bot.sandbox.call_log import Call
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.elements import state_values
from bot.sandbox.slack.workspace import OpenView, Posted
from bot.sandbox.switches import FAULTS, RULES, planned
from bot.sandbox.system import Sandbox

CALLS_SHOWN = 400

Json = dict[str, Any]


def state_of(sandbox: Sandbox, person: str) -> Json:
    """The state as one person sees it."""
    workspace = sandbox.workspace
    home = workspace.homes.get(person)
    with workspace.lock:
        direct = f"D{person[1:]}"
        return {
            "bot_exit": sandbox.bot_exit,
            "people": [
                {"id": user["id"], "name": user["name"], "kind": _kind(user)}
                for user in workspace.users.values()
                if not user["is_bot"]
            ],
            "names": {user_id: user["name"] for user_id, user in workspace.users.items()}
            | {w.APPROVERS_GROUP: "migration-leads"}
            | {channel.id: channel.name for channel in workspace.channels.values()},
            "channels": [
                {"id": one.id, "name": one.name, "archived": one.archived, "bot": w.BOT_USER_ID in one.members}
                for one in workspace.channels.values()
                if not one.id.startswith("D")
            ],
            "messages": [
                _message(one, person)
                for one in workspace.messages
                if not one.channel.startswith("D") or one.channel == direct
            ],
            "privates": [
                {"channel": one.channel, "text": one.text, "at": one.at.timestamp()}
                for one in workspace.privates
                if one.person == person
            ],
            "views": [_view(one) for one in workspace.views.values() if one.person == person],
            "home": _view(home) if home is not None else None,
            "projects": [
                {"name": name, "region": world.place.region, "groups": world.listed(None)}
                for name, world in sandbox.worlds.items()
            ],
            "vault": _reads(sandbox),
            "calls": [_call(sandbox, call) for call in sandbox.call_log.since()[-CALLS_SHOWN:]],
            "rules": {name: rule.is_on(sandbox) for name, rule in RULES.items()},
            "faults": {name: fault.is_on(sandbox) for name, fault in FAULTS.items()},
            "planned": planned(sandbox),
        }


def _message(posted: Posted, person: str) -> Json:
    return {
        "ts": posted.ts,
        "channel": posted.channel,
        "text": posted.text,
        "blocks": posted.blocks,
        "values": state_values(posted.blocks, posted.choices.get(person, {})),
        "thread_ts": posted.thread_ts,
    }


def _view(opened: OpenView) -> Json:
    view = opened.as_json()
    return {"id": opened.id, "hash": opened.hash, "view": opened.view, "values": view["state"]["values"]}


def _reads(sandbox: Sandbox) -> Json:
    """How often the keys at each path were read."""
    read = [call.path for call in sandbox.call_log.since() if call.service == "vault" and call.method == "GET"]
    return {path: sum(one.endswith(f"/data/{path}") for one in read) for path in sandbox.vault.paths}


def _call(sandbox: Sandbox, call: Call) -> Json:
    path = call.path
    for name, world in sandbox.worlds.items():
        path = path.replace(world.place.project_id, name)
    return {
        "number": call.number,
        "service": call.service,
        "method": call.method,
        "path": path,
        "status": call.status,
        "note": call.note,
    }


def _kind(user: Json) -> str:
    for flag, words in (("is_stranger", "other organisation"), ("is_restricted", "guest"), ("deleted", "deactivated")):
        if user.get(flag):
            return words
    return {w.CAROL: "approver", w.DAVE: "approver, by group"}.get(str(user["id"]), "full member")
