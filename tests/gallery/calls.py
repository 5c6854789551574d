"""Calls the functions of `bot.ui` with sample arguments, so that a new function appears in the gallery by itself.

A parameter gets the sample with its name. `SPECIAL` replaces samples for one function, `VARIANTS` adds more calls.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, get_type_hints

import bot.ui
from bot.domain.command import InvalidCommand, ShowList, UsageError
from bot.domain.digest import Digest
from bot.domain.policy import Refusal
from bot.domain.request import Verb
from bot.domain.start_time import NoStart, StartProblem
from bot.domain.task_group import GroupKind, GroupStatus, SubTasks, TaskGroup
from bot.domain.watched_group import Activity, Movement, Reading, Trouble, WatchedGroup
from bot.ui import home, lists
from bot.ui.home import HomeContent, HomeSection, home_sections
from bot.ui.lists import GroupsOfProject
from bot.ui.modals import GroupChoice
from tests.gallery.alerts import ALERTS, alert_of
from tests.gallery.reader import ZONE
from tests.gallery.report import REPORT
from tests.gallery.requests import (
    ANNOUNCEMENTS,
    LEADS,
    PROBLEM,
    REQUESTS,
    SELF_APPROVAL,
    TWO_APPROVALS,
    VOTED,
    failed_group,
    pending,
)
from tests.support.values import GROUP, GROUP_ID, NOON, POLICY, person

LINK = "https://example.slack.com/archives/C0TEST0001/p1"

#: The modules that lay out blocks or format values. Their texts appear on the cards, or on the page of the terminal.
LAYOUT = {
    "blocks",
    "buttons",
    "card",
    "formatting",
    "movement",
    "progress",
    "report_facts",
    "report_file",
    "state_texts",
    "states",
    "status",
}

#: The argument for every parameter of this name.
SAMPLES: Mapping[str, Any] = {
    "alert": alert_of(Trouble.PAUSED),
    "all_rows": 12_345,
    "bucket": "photos-prod",
    "channel": "C0TEST0001",
    "choices": [GroupChoice("media", GROUP_ID, "nightly images · media · paused, 40 %")],
    "clock": "02:30",
    "code": "restricted_action",
    "command": "/resume-taskgroup",
    "console_url": "https://console.huaweicloud.com/oms/",
    "error": "connection refused",
    "explained": None,
    "failed": [failed_group()],
    "failures": "Project archive couldn't be searched. OMS gave no clear answer.",
    "group": GROUP,
    "group_id": GROUP_ID,
    "group_ids": [GROUP_ID],
    "groups": [GROUP, failed_group()],
    "help_text": "(the text of help)",
    "is_close_to_lock": True,
    "known": None,
    "latest": (NOON + timedelta(hours=8)).astimezone(ZONE),
    "limit": "24h",
    "lines": ["(a line for each open request)"],
    "max_shown": 20,
    "meaning": "Vault is sealed.",
    "message_ts": "1.0",
    "missing": (("UCAROL00", LEADS),),
    "new_rows": 12,
    "number": 12,
    "newest_hash": "3f" * 32,
    "next_step": "Unseal Vault.",
    "notify": (LEADS,),
    "now": NOON.astimezone(ZONE),
    "path": "secret/oms/media/caller",
    "paused": [GROUP],
    "permalink": LINK,
    "person": "UBOB0000",
    "policy": POLICY,
    "problem": PROBLEM,
    "problems": {},
    "project": "media",
    "projects": ["media", "archive"],
    "reason": "network is back",
    "reference": "F-7K3F2Q",
    "removed_votes": 1,
    "report": REPORT,
    "refusal": Refusal.NOT_AN_APPROVER,
    "region": "ap-southeast-3",
    "regions": {"media": "ap-southeast-3", "archive": "eu-west-101"},
    "remark": "(remarks, for example that the groups of a project can't be listed)",
    "request": pending(TWO_APPROVALS),
    "request_id": "R-00000001",
    "requests": {GROUP_ID: "R-00000001"},
    "retry_hint": "",
    "seconds": 8.0,
    "service": "OMS",
    "setting": "oms_url",
    "slots": (("UCAROL00", LEADS),),
    "slow_below": 20_000_000,
    "text": "(a text)",
    "title": "(a title)",
    "typed": "/resume-taskgroup",
    "typed_name": "meida",
    "unreadable": 1,
    "until": NOON + timedelta(days=1),
    "url": "https://oms.ap-southeast-3.myhuaweicloud.com",
    "verb": Verb.RETRY,
    "vault_path": "secret/oms/media/source",
    "voters": ["UCAROL00"],
    "wanted": (NOON + timedelta(hours=10)).astimezone(ZONE),
    "zone": "Europe/Berlin",
}

_RETRY = REQUESTS["Pending, retry, choice of all or failed objects"]

_MOVING = replace(
    GROUP, status=GroupStatus.MONITORING, sub_tasks=SubTasks(10, waiting=5, executing=2, failed=1, complete=2)
)
_MOVEMENTS = [
    Movement(Activity.MOVING, 20_000_000, NOON - timedelta(minutes=20)),
    Movement(Activity.LISTING),
    Movement(Activity.QUEUED),
    Movement(Activity.RESTORING, still_since=NOON - timedelta(hours=1)),
    Movement(Activity.STALLED, still_since=NOON - timedelta(minutes=20)),
    Movement(
        Activity.MOVING,
        1_000_000,
        NOON - timedelta(minutes=30),
        slow_since=NOON - timedelta(minutes=20),
        is_slow=True,
    ),
]


def _groups_of(project: str, more: Sequence[GroupKind] = (), unreadable: int = 0) -> GroupsOfProject:
    of_kind: Mapping[GroupKind, Sequence[Reading]] = {
        GroupKind.FAILED: [Reading(failed_group(), NOON, None)] * 2,
        GroupKind.RUNNING: [Reading(_MOVING, NOON, movement) for movement in _MOVEMENTS],
        GroupKind.PAUSED: [Reading(GROUP, NOON, None)],
    }
    return GroupsOfProject(project, NOON, of_kind, more, unreadable)


def _watched(group: TaskGroup, movement: Movement) -> WatchedGroup:
    return WatchedGroup(f"0/{group.group_id}", "media", group, NOON, NOON, movement)


_STOPPED = Movement(Activity.STOPPED)
_STATUSES_AT_END = (GroupStatus.COMPLETED, GroupStatus.WAITING_FOR_DELETION, GroupStatus.DELETED)
_LISTED = [
    lists.open_requests(["(a line for each open request)"] * 2),
    lists.groups(_groups_of("media", more=[GroupKind.FAILED], unreadable=1), {GROUP_ID: "R-00000001"}, ShowList(1)),
    lists.groups(_groups_of("archive"), {}, ShowList(1, GroupKind.PAUSED, ("nightly",))),
]
_CAROL = person("UCAROL00")
_HOME = home_sections(
    HomeContent(
        [pending(), REQUESTS["Moving, with speed"], replace(pending(), requester="UCAROL00")],
        [REQUESTS["Denied, with a reason"]],
        1,
        [_watched(_MOVING, movement) for movement in _MOVEMENTS] + [_watched(failed_group(), _STOPPED)],
    ),
    _CAROL,
    {"media": POLICY},
)
_DIGEST = Digest(
    "media",
    NOON,
    done=(Reading(replace(GROUP, status=GroupStatus.COMPLETED), NOON, None),),
    failed=(Reading(failed_group(), NOON, None),),
    paused=(Reading(GROUP, NOON, None),),
    deleted=(Reading(replace(GROUP, status=GroupStatus.DELETED), NOON, None),),
    running=(Reading(_MOVING, NOON, _MOVEMENTS[0]),),
    waiting=(pending(),),
)
_NAMED = [
    lists.groups(GroupsOfProject("media", NOON, {}), {}, ShowList(1, None, ("nightly",))),
    lists.filters("/resume-taskgroup"),
]
_EMPTY = [lists.open_requests([]), lists.groups(GroupsOfProject("media", NOON, {}), {}, ShowList(1))]

#: The arguments of one function that differ from `SAMPLES`.
SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "failure_causes.causes_line": {"request": REQUESTS["Failed, for three reasons"]},
    "failure_causes.causes_summary": {"request": REQUESTS["Failed, for three reasons"]},
    "failure_causes.failed_list_line": {"request": REQUESTS["Failed, for three reasons"]},
    "digest.digest_text": {"digest": _DIGEST},
    "home.home_sections": {"content": HomeContent([]), "person": _CAROL, "policies": {}},
    "lists.groups": {"found": _groups_of("media"), "command": ShowList(1)},
    "lists.page": {"sections": _LISTED, "command": ShowList(1), "typed": "/resume-taskgroup", "max_characters": 1_500},
    "watched_group.group_line": {
        "reading": Reading(_MOVING, NOON, _MOVEMENTS[0]),
        "requests": {GROUP_ID: "R-00000001"},
    },
    "watched_group.running_details": {"reading": Reading(_MOVING, NOON, _MOVEMENTS[0])},
    "watched_group.stopped_status": {"reading": Reading(failed_group(), NOON, _STOPPED, NOON)},
    "watched_group.running_status": {"reading": Reading(_MOVING, NOON, _MOVEMENTS[0])},
    "home.home_view": {"sections": [*_HOME, HomeSection("Other open requests", (), 12)], "permalinks": {}},
    "lists.fit": {"sections": _LISTED},
    "thread.announcement_line": {"old": ANNOUNCEMENTS[0][0], "new": ANNOUNCEMENTS[0][1]},
    "thread.pause_failed": {"request": REQUESTS["Moving, pause failed"]},
    "thread.key_changed": {"request": REQUESTS["Pending again, signing key is new"]},
    "thread.scope_changed": {"request": _RETRY},
    "receipts.receipt": {"request": replace(_RETRY, policy=TWO_APPROVALS)},
    "refusals.refusal_text": {"request": _RETRY},
    "replies.denied": {"request": REQUESTS["Denied, with a reason"]},
    "start_time.no_start": {"reason": NoStart(StartProblem.NOT_ALLOWED)},
    "usage.invalid_command": {"invalid": InvalidCommand(UsageError.NO_GROUP_ID, "nightly")},
    "usage.invalid_reason": {"invalid": InvalidCommand(UsageError.REASON_TOO_LONG, "559")},
    "refusals.slack_denied": {
        "problem": "has revoked the bot's token",
        "code": "token_revoked",
        "fix": "reinstall the Slack app, then set SLACK_BOT_TOKEN to its new bot token",
        "outcome": "Nothing changed.",
    },
    "refusals.not_resumable": {"group": replace(GROUP, status=GroupStatus.COMPLETED)},
    "refusals.key_not_text": {"keys": "ak and sk"},
    "refusals.missing_key": {"missing": "ak and sk"},
}

#: More calls of one function: what differs from its first call.
VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "alert.alert_message": ALERTS,
    "alert.muted": ({"until": None},),
    "lists.fit": (
        {"sections": _EMPTY},
        {"sections": _LISTED, "max_characters": 500},
        {"sections": [lists.groups_not_listed("media", lists.no_answer("media", 8.0))]},
    ),
    "lists.page": (
        {"command": ShowList(2, GroupKind.FAILED, ("nightly",))},
        {"sections": _NAMED, "command": ShowList(1, None, ("nightly",))},
        {"sections": _EMPTY, "command": ShowList(2)},
    ),
    "watched_group.running_details": tuple({"reading": Reading(_MOVING, NOON, one)} for one in _MOVEMENTS[1:]),
    "watched_group.group_line": tuple(
        {"reading": reading}
        for reading in (
            *(Reading(_MOVING, NOON, one) for one in _MOVEMENTS[1:]),
            Reading(replace(GROUP, status=GroupStatus.WAITING), NOON, Movement(Activity.LISTING)),
            Reading(failed_group(), NOON, _STOPPED, NOON),
            *(Reading(replace(GROUP, status=one), NOON, _STOPPED, NOON) for one in _STATUSES_AT_END),
        )
    ),
    "watched_group.stopped_status": (
        {"reading": Reading(GROUP, NOON, _STOPPED, NOON), "verb": Verb.RESUME, "problem": None},
        *(
            {"reading": Reading(replace(GROUP, status=one), NOON, _STOPPED, NOON), "verb": None, "problem": None}
            for one in _STATUSES_AT_END
        ),
    ),
    "home.home_view": ({"sections": [], "remark": home.MAY_BE_INCOMPLETE},),
    "failure_causes.causes_line": ({"request": REQUESTS["Moving, sub-tasks failed"]},),
    "modals.request_form": (
        {"choices": [], "projects": ["media"], "remark": ""},
        {"choices": [], "remark": "", "group": GROUP, "project": "media"},
    ),
    "receipts.receipt": ({"request": REQUESTS["Approved"]}, {"request": _RETRY}),
    "refusals.not_resumable": tuple(
        {"group": replace(GROUP, status=one)}
        for one in (GroupStatus.WAITING, GroupStatus.EXECUTING, GroupStatus.MONITORING, *_STATUSES_AT_END[1:])
    ),
    "refusals.no_quorum": (
        {"policy": SELF_APPROVAL},
        {"policy": SELF_APPROVAL, "reason": ""},
    ),
    "replies.already_open_by_you": ({"request": REQUESTS["Moving, with speed"]},),
    "replies.denied": ({"request": REQUESTS["Denied, without a reason"]},),
    "replies.request_created": ({"request": pending(start_at=NOON + timedelta(hours=2)), "permalink": None},),
    "start_time.no_start": tuple({"reason": NoStart(problem, NOON + timedelta(hours=2))} for problem in StartProblem),
    "start_time.start_terms": (
        {"request": pending(start_at=NOON + timedelta(hours=2))},
        {"request": pending(start_at=NOON + timedelta(hours=20))},
    ),
    "start_time.start_taken": (
        {"request": pending(start_at=NOON + timedelta(hours=2))},
        {"request": pending(start_at=NOON + timedelta(hours=20))},
    ),
    "usage.invalid_command": tuple({"invalid": InvalidCommand(error, "nightly")} for error in UsageError),
    "thread.announcement_line": tuple({"old": old, "new": new} for old, new in ANNOUNCEMENTS[1:]),
    "thread.half_time_reminder": ({"request": VOTED, "missing": ((LEADS,),)},),
}


class NoSample(LookupError):
    """`SAMPLES` has no argument for a parameter."""


def text_modules() -> Iterator[ModuleType]:
    """The modules of `bot.ui` whose functions and constants are sentences."""
    for module in pkgutil.iter_modules(bot.ui.__path__):
        if module.name not in LAYOUT:
            yield import_module(f"bot.ui.{module.name}")


def functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions that a module defines, in their order."""
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            yield f"{module.__name__.rsplit('.', 1)[1]}.{name}", value


def constants(module: ModuleType) -> Iterator[str]:
    """The public constants of a module that are sentences."""
    for name, value in vars(module).items():
        if name.isupper() and not name.startswith("_") and type(value) is str and " " in value:
            yield value


def results(name: str, function: Callable[..., Any]) -> list[Any]:
    """What a function returns for the samples and variants. For an enum, one result for each member it accepts."""
    found: list[Any] = []
    for changes in ({}, *VARIANTS.get(name, ())):
        for members in _enum_members(function):
            try:
                result = call(function, **{**SPECIAL.get(name, {}), **changes, **members})
            except KeyError:
                if not members:
                    raise
                continue  # The function documents that it has no text for this member.
            if result not in found:
                found.append(result)
    return found


def call(function: Callable[..., Any], **given: Any) -> Any:
    """Calls a function with these arguments, as far as it has such parameters, and samples for the others.

    Raises:
        NoSample: a parameter has neither a given argument, nor a default, nor a sample.
    """
    arguments: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in given:
            arguments[parameter.name] = given[parameter.name]
        elif parameter.default is inspect.Parameter.empty:
            if parameter.name not in SAMPLES:
                place = f"{function.__module__}.{function.__name__}"
                raise NoSample(f"Add a sample for `{parameter.name}` of {place} to tests/gallery/calls.py.")
            arguments[parameter.name] = SAMPLES[parameter.name]
    positional = [
        arguments.pop(parameter.name)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY and parameter.name in arguments
    ]
    return function(*positional, **arguments)


def _enum_members(function: Callable[..., Any]) -> list[dict[str, Enum]]:
    """For a function with a parameter of an enum: each member as the argument. Otherwise one call without any."""
    for name, hint in get_type_hints(function).items():
        if name not in ("return", "retry_hint") and inspect.isclass(hint) and issubclass(hint, Enum):
            return [{name: member} for member in hint]
    return [{}]
