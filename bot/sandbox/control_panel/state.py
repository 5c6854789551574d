"""Everything that the page shows to one person, as JSON. The actions of the page are left to `routes`."""

from __future__ import annotations

from typing import Any

from bot.sandbox.call_log import Call
from bot.sandbox.control_panel.planned_faults import planned_faults
from bot.sandbox.control_panel.switches import FAULTS, RULES
from bot.sandbox.huawei.console import actions_for
from bot.sandbox.huawei.oms_state import OmsState
from bot.sandbox.slack.elements import state_values
from bot.sandbox.slack.ids import APPROVERS_GROUP, BOT_USER_ID, CAROL, DAVE
from bot.sandbox.slack.workspace import OpenView, PostedMessage, direct_channel
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import caller_path

CALLS_SHOWN = 400

Json = dict[str, Any]


def state_for(sandbox: Sandbox, person: str) -> Json:
    """The state of the sandbox as one person sees it."""
    workspace = sandbox.workspace
    home = workspace.homes.get(person)
    with workspace.lock:
        return {
            "bot_exit_code": sandbox.bot_exit_code,
            "time_zone": workspace.users.get(person, {}).get("tz", "UTC"),
            "people": [
                {"id": user["id"], "name": user["name"], "kind": _kind(user)}
                for user in workspace.users.values()
                if not user["is_bot"]
            ],
            "names": {user_id: user["name"] for user_id, user in workspace.users.items()}
            | {APPROVERS_GROUP: "migration-leads"}
            | {channel.id: channel.name for channel in workspace.channels.values()},
            "channels": [
                {"id": one.id, "name": one.name, "archived": one.archived, "bot": BOT_USER_ID in one.members}
                for one in workspace.channels.values()
                if not one.id.startswith("D")
            ],
            "messages": [
                _message(one, person)
                for one in workspace.messages
                if not one.channel.startswith("D") or one.channel == direct_channel(person)
            ],
            "ephemerals": [
                {
                    "channel": one.channel,
                    "text": one.text,
                    "at": one.at.timestamp(),
                    "ts": one.ts,
                    "blocks": one.blocks,
                }
                for one in workspace.ephemerals
                if one.person == person
            ],
            "views": [_view(one) for one in workspace.views.values() if one.person == person],
            "home": _view(home) if home is not None else None,
            "projects": [
                {"name": name, "region": oms.state.project.region, "groups": _groups(oms.state)}
                for name, oms in sandbox.oms_by_project.items()
            ],
            "vault": _read_counts(sandbox),
            "calls": [_call(sandbox, call) for call in sandbox.call_log.since()[-CALLS_SHOWN:]],
            "rules": {name: rule.is_on(sandbox) for name, rule in RULES.items()},
            "faults": {name: fault.is_on(sandbox) for name, fault in FAULTS.items()},
            "planned": planned_faults(sandbox),
        }


def _groups(state: OmsState) -> list[Json]:
    """Every group as OMS lists it, with the buttons that someone in the console would have."""
    with state.lock:
        return [
            group | {"actions": actions_for(state.groups[str(group["group_id"])])} for group in state.list_groups(None)
        ]


def _message(posted: PostedMessage, person: str) -> Json:
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


def _read_counts(sandbox: Sandbox) -> list[Json]:
    """How often the bot has read each path in Vault, and whether the path holds the bot's own key at Huawei Cloud."""
    reads = [call.path for call in sandbox.call_log.since() if call.service == "vault" and call.method == "GET"]
    own = {caller_path(oms.state.project) for oms in sandbox.oms_by_project.values()}
    return [
        {"path": path, "is_own": path in own, "times": sum(read.endswith(f"/data/{path}") for read in reads)}
        for path in sandbox.vault.paths
    ]


def _call(sandbox: Sandbox, call: Call) -> Json:
    path = call.path
    for name, oms in sandbox.oms_by_project.items():
        path = path.replace(oms.state.project.project_id, name)
    return {
        "number": call.number,
        "service": call.service,
        "method": call.method,
        "path": path,
        "status": call.status,
        "note": call.note,
    }


def _kind(user: Json) -> str:
    for flag, words in (("is_stranger", "other organization"), ("is_restricted", "guest"), ("deleted", "deactivated")):
        if user.get(flag):
            return words
    return {CAROL: "approver", DAVE: "approver, by group"}.get(str(user["id"]), "full member")
