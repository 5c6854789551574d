"""Looks before asking anybody: may this person ask, which project, how the group stands, would the keys be there.

Everything here is refused with one sentence to whoever asked; asking itself is left to `ask`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.policy import Person, Refusal, requester_refusal
from bot.domain.request import KeyCheck, Plan, Verb
from bot.domain.task_group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.huawei.error_catalogue import NOT_FOUND
from bot.huawei.errors import HuaweiError, Rejected, Service, Suspended, UnusableIdentity
from bot.huawei.required_keys import DESTINATION_KEYS, SECURITY_TOKEN, RequiredKeys, missing_keys, source_keys
from bot.jobs.context import Context
from bot.jobs.current_settings import slots_without_candidates
from bot.jobs.problems import RetryHint, explain
from bot.slack.errors import LookupFailed
from bot.ui import refusals
from bot.vault.errors import VaultError, VaultErrorKind

log = logging.getLogger(__name__)

PROJECTS_AT_ONCE = 8


class CannotCreate(Exception):
    """Why nobody is asked, in a sentence for the person who typed."""


class CannotCreateNow(CannotCreate):
    """The same, where what is in the way may pass by itself."""


@dataclass(frozen=True)
class Found:
    """A group, and the project that it is in: its name in the settings and its id at Huawei Cloud."""

    project: str
    project_id: str
    group: TaskGroup


@dataclass(frozen=True)
class Failure:
    """Why a project could not be asked for a group."""

    said: str
    may_pass: bool


def projects_of(context: Context, person: Person, named: str | None) -> Sequence[str]:
    """The projects in which this person may ask; the named one alone, if one was named.

    Raises:
        CannotAsk: none. CannotAskNow: so long as Slack does not tell who is in the user groups.
    """
    reasons = {name: requester_refusal(project.policy, person) for name, project in context.projects.items()}
    mine = [name for name, reason in reasons.items() if reason is None]
    if named is not None:
        if named in mine:
            return [named]
        raise CannotCreate(refusals.no_such_project(named, mine))
    if mine:
        return mine
    if Refusal.GROUPS_UNKNOWN in reasons.values():
        raise CannotCreateNow(refusals.GROUPS_UNKNOWN)
    raise CannotCreate(refusals.NOT_A_REQUESTER)


def look_everywhere(context: Context, projects: Sequence[str], group_id: str) -> tuple[list[Found], list[Failure]]:
    """The group as it is now, wherever it is, and why which projects could not be asked: all are asked at once."""
    if len(projects) == 1:
        looks = [_look(context, projects[0], group_id)]
    else:
        with ThreadPoolExecutor(min(len(projects), PROJECTS_AT_ONCE), "look") as pool:
            looks = list(pool.map(lambda name: _look(context, name, group_id), projects))
    return [look for look in looks if isinstance(look, Found)], [look for look in looks if isinstance(look, Failure)]


def find_group(context: Context, projects: Sequence[str], group_id: str) -> Found:
    """The group as it is now, and in which of the projects it is.

    Raises:
        CannotAsk: none has it, several have it, one could not be asked, or its project is in the settings twice.
        CannotAskNow: one could not be asked, and that may pass.
    """
    found, failures = look_everywhere(context, projects, group_id)
    said = " ".join(failure.said for failure in failures)
    could_not = CannotCreateNow if all(failure.may_pass for failure in failures) else CannotCreate
    for one in found:
        _refuse_second_table(context, one)
    if len(found) > 1:
        raise CannotCreate(refusals.group_in_several_projects(group_id, [one.project for one in found]))
    if found and not failures:
        return found[0]
    if found:
        raise could_not(refusals.group_maybe_in_several_projects(group_id, found[0].project, said))
    if failures:
        raise could_not(f"{refusals.group_not_read(group_id, said)} {refusals.NOTHING_ASKED}")
    raise CannotCreate(f"{nowhere(context, projects, group_id)} {refusals.NOTHING_ASKED}")


def nowhere(context: Context, projects: Sequence[str], group_id: str) -> str:
    """That none of the projects has the group."""
    return refusals.group_not_found(group_id, {name: context.projects[name].region for name in projects})


def _refuse_second_table(context: Context, found: Found) -> None:
    """Of two tables of one project, whoever asks would choose who approves. Neither is named to who may not see it.

    Raises:
        CannotAsk: another table is of the same Huawei Cloud project, or might be and cannot tell.
        CannotAskNow: it cannot tell, and what is in the way may pass.
    """
    for name, project in context.projects.items():
        # An id is of one region: where it is left out, only a table of the same region can come to the same.
        if name == found.project or not (
            project.project_id or project.region == context.projects[found.project].region
        ):
            continue
        try:
            is_same = context.identity.project_id(name) == found.project_id
        except (HuaweiError, VaultError) as fault:
            log.warning("whether %s and %s are one project cannot be told: %s", name, found.project, fault)
            could_not = CannotCreateNow if _may_pass(fault) else CannotCreate
            raise could_not(refusals.maybe_duplicate_project(found.project, project.region)) from None
        if is_same:
            log.error("%s and %s are the same Huawei Cloud project: keep one table for it", name, found.project)
            raise CannotCreate(refusals.duplicate_project(found.project))


def _look(context: Context, name: str, group_id: str) -> Found | Failure | None:
    """The group, or None when this project does not have it, or why it could not be asked."""
    try:
        project_id = context.identity.project_id(name)
        return Found(name, project_id, context.identity.call(name, lambda oms: oms.show(group_id)))
    except Rejected as refused:
        answer = refused.answer
        is_missing = answer.code in NOT_FOUND or (answer.http_status == 404 and not answer.code.startswith("APIG."))
        return None if is_missing and refused.service is Service.OMS else _failure(context, name, refused)
    except (HuaweiError, VaultError) as fault:
        return _failure(context, name, fault)


def _failure(context: Context, name: str, fault: HuaweiError | VaultError) -> Failure:
    problem = explain(fault, context.projects[name].plan(name, "", None), RetryHint.CREATE_REQUEST, "")
    return Failure(refusals.project_not_asked(name, problem), _may_pass(fault))


def _may_pass(fault: HuaweiError | VaultError) -> bool:
    """Whether another try may well succeed though nobody corrects anything, and does no harm."""
    if isinstance(fault, VaultError):
        return fault.kind not in (VaultErrorKind.LOGIN, VaultErrorKind.FORBIDDEN, VaultErrorKind.MISSING)
    return not isinstance(fault, Rejected | Suspended | UnusableIdentity)


def verb_for(group: TaskGroup) -> Verb:
    """What may be asked for a group that stands so.

    Raises:
        CannotAsk: nothing; it says how the group stands.
    """
    if group.status is GroupStatus.PAUSED:
        return Verb.RESUME
    if group.status in FAILED_STATUSES:
        return Verb.RETRY
    raise CannotCreate(refusals.not_resumable(group.status, group.group_id))


def plan_for(context: Context, found: Found) -> Plan:
    """What would be called and read.

    Raises:
        CannotAsk: the settings name no path for the keys that the group's bucket needs.
    """
    group, project = found.group, context.projects[found.project]
    if source_keys(group).is_empty:
        return project.plan(found.project, found.project_id, None)
    source_path = project.source_path(group.source.bucket)
    if source_path is None:
        raise CannotCreate(refusals.no_source_path(group.source.bucket, found.project))
    return project.plan(found.project, found.project_id, source_path)


def check_keys(context: Context, plan: Plan, group: TaskGroup) -> tuple[KeyCheck, ...]:
    """Which keys are at the paths that would be read.

    Raises:
        CannotAsk: the bot may not read one, or it lacks a key. CannotAskNow: Vault cannot be asked.
    """
    wanted: dict[str, list[RequiredKeys]] = {}
    if plan.source_path is not None:
        wanted.setdefault(plan.source_path, []).append(source_keys(group))
    wanted.setdefault(plan.destination_path, []).append(DESTINATION_KEYS)
    return tuple(_check(context, plan, path, needs) for path, needs in wanted.items())


def _check(context: Context, plan: Plan, path: str, needs: Sequence[RequiredKeys]) -> KeyCheck:
    try:
        check = context.vault.check(plan.vault_mount, path)
    except VaultError as fault:
        could_not = CannotCreateNow if _may_pass(fault) else CannotCreate
        raise could_not(refusals.keys_not_checked(fault.sentence, fault.next_step)) from None
    if check.keys is None:
        return check
    vault_path = f"{plan.vault_mount}/{path}"
    missing = " and ".join(filter(None, (missing_keys(one, check.keys) for one in needs)))
    if missing:
        raise CannotCreate(refusals.missing_key(vault_path, missing))
    if SECURITY_TOKEN in check.keys:
        raise CannotCreate(refusals.temporary_key(vault_path))
    return check


def refuse_without_quorum(context: Context, found: Found, requester: str, reason: str) -> None:
    """
    Raises:
        CannotAsk: too few others could ever approve. CannotAskNow: Slack does not tell who could.
    """
    policy = context.projects[found.project].policy
    try:
        missing = slots_without_candidates(context, policy, policy, requester, reason)
    except LookupFailed:
        raise CannotCreateNow(refusals.APPROVERS_UNKNOWN) from None
    if missing:
        raise CannotCreate(refusals.no_quorum(found.project, policy, missing, reason))


def start_at(context: Context, person: str, at: tuple[int, int] | None, expires_at: datetime) -> datetime | None:
    """The next time that the person's own clock shows `at`.

    Raises:
        CannotAsk: the request would have expired by then. CannotAskNow: Slack does not tell what it shows.
    """
    if at is None:
        return None
    try:
        zone = context.people.time_zone(person)
    except LookupFailed:
        raise CannotCreateNow(refusals.TIME_ZONE_UNKNOWN) from None
    now = context.now()
    local = now.astimezone(zone)
    wanted = local.replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    if wanted <= local:
        wanted += timedelta(days=1)
    if wanted >= expires_at:
        latest = (expires_at - timedelta(microseconds=1)).astimezone(zone)
        raise CannotCreate(refusals.start_after_expiry(wanted, latest, local, zone.key))
    return wanted.astimezone(now.tzinfo)
