"""Checks before a request is created: the person, the project, the group's status, the keys, the approvers, the start.

Each check raises `CannotCreate` with the sentence for the person. Creating the request is left to `create_request`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from bot.domain.policy import Person, Refusal, account_refusal, requester_refusal
from bot.domain.request import START_WITHIN, KeyCheck, Plan, Verb
from bot.domain.start_time import NoStart, StartProblem, next_start
from bot.domain.task_group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.huawei.errors import HuaweiError
from bot.huawei.required_keys import (
    DESTINATION_KEYS,
    SECURITY_TOKEN,
    RequiredKeys,
    keys_not_text,
    missing_keys,
    source_keys,
)
from bot.jobs.ask.read_oms import Found, not_found_text, search, with_one_retry
from bot.jobs.context import Context, lookup_text
from bot.jobs.current_settings import slots_without_candidates
from bot.jobs.problems import may_pass
from bot.slack.errors import GroupsUnknown, LookupFailed
from bot.ui import refusals
from bot.ui.start_time import no_start
from bot.ui.usage import NO_REQUEST_CREATED
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)


class CannotCreate(Exception):
    """No request is created. The message of the exception is the answer to the person."""


class CannotCreateNow(CannotCreate):
    """As `CannotCreate`, for a cause that may pass by itself."""


def projects_of(context: Context, person: Person, named: str | None) -> Sequence[str]:
    """The projects in which this person may create requests.

    Arguments:
        named: the project that the person named. If given, no other project is returned.

    Raises:
        CannotCreate: there is no such project, or the person's account may not use the bot.
        CannotCreateNow: the person may have access, but Slack does not tell who is in the user groups.
    """
    outsider = account_refusal(person)
    if outsider is not None:
        raise CannotCreate(refusals.account_text(outsider))
    refused = {name: requester_refusal(project.policy, person) for name, project in context.projects.items()}
    allowed = [name for name, refusal in refused.items() if refusal is None]
    if named is not None:
        if named in allowed:
            return [named]
    elif allowed:
        return allowed
    if Refusal.GROUPS_UNKNOWN in refused.values():
        raise CannotCreateNow(lookup_text(context, GroupsUnknown(), refusals.GROUPS_UNKNOWN, NO_REQUEST_CREATED))
    if named is not None:
        raise CannotCreate(refusals.no_such_project(named, allowed))
    raise CannotCreate(refusals.NOT_A_REQUESTER)


def find_group(context: Context, projects: Sequence[str], group_id: str) -> Found:
    """Finds the one of these projects that has a group.

    The id of a group is a UUID, so a group is in one Huawei Cloud project. If it is found, a project that could not be
    searched can have it only as a second table of the same Huawei Cloud project, and such a project is refused.

    Raises:
        CannotCreate: no project that could be searched has it, several projects have it, or bot.toml has its project
            twice.
        CannotCreateNow: a project could not be searched or compared, for a cause that may pass by itself.
    """
    found, failures = search(context, projects, group_id)
    for one in found:
        _refuse_duplicate_project(context, one)
    if len(found) > 1:
        raise CannotCreate(refusals.group_in_several_projects(group_id, [one.project for one in found]))
    if found:
        return found[0]
    if not failures:
        raise CannotCreate(f"{not_found_text(context, projects, group_id)} {NO_REQUEST_CREATED}")
    cannot_create = CannotCreateNow if all(failure.may_pass for failure in failures) else CannotCreate
    text = " ".join(failure.text for failure in failures)
    raise cannot_create(f"{refusals.group_not_read(group_id, text)} {NO_REQUEST_CREATED}")


def _refuse_duplicate_project(context: Context, found: Found) -> None:
    """Refuses a Huawei Cloud project for which bot.toml has two tables.

    The person could otherwise choose by the name of the table who approves. The answer does not name the other table,
    which the person may not see.

    Raises:
        CannotCreate: another table has the same Huawei Cloud project, or this cannot be found out.
        CannotCreateNow: this cannot be found out, for a cause that may pass by itself.
    """
    for name, project in context.projects.items():
        # Huawei Cloud has a project in one region. A table without project_id is compared within its region only.
        if name == found.project or not (
            project.project_id or project.region == context.projects[found.project].region
        ):
            continue
        try:
            is_same = with_one_retry(partial(context.identity.project_id, name)) == found.project_id
        except (HuaweiError, VaultError) as error:
            log.warning("cannot tell whether %s and %s are one project: %s", name, found.project, error)
            cannot_create = CannotCreateNow if may_pass(error) else CannotCreate
            raise cannot_create(refusals.maybe_duplicate_project(found.project, project.region)) from None
        if is_same:
            log.error("%s and %s are the same Huawei Cloud project: keep one table for it", name, found.project)
            raise CannotCreate(refusals.duplicate_project(found.project))


def verb_for(group: TaskGroup) -> Verb:
    """Whether a group in this status is resumed or retried.

    Raises:
        CannotCreate: neither is possible.
        KeyError: the group is still pausing.
    """
    if group.status is GroupStatus.PAUSED:
        return Verb.RESUME
    if group.status in FAILED_STATUSES:
        return Verb.RETRY
    raise CannotCreate(refusals.not_resumable(group))


def plan_for(context: Context, found: Found) -> Plan:
    """The addresses, ids and Vault paths of a request for this group.

    Raises:
        CannotCreate: bot.toml has no Vault path for the keys of the source bucket.
    """
    group, project = found.group, context.projects[found.project]
    if source_keys(group).is_empty:
        return project.plan(found.project, found.project_id, None)
    source_path = project.source_path(group.source.bucket)
    if source_path is None:
        raise CannotCreate(refusals.no_source_path(group.source.bucket, found.project))
    return project.plan(found.project, found.project_id, source_path)


def check_keys(context: Context, plan: Plan, group: TaskGroup) -> tuple[KeyCheck, ...]:
    """Checks that the source and destination keys are in Vault, without reading their values.

    Raises:
        CannotCreate: the bot may not read a path, a key is missing, or an access key is temporary.
        CannotCreateNow: Vault did not answer.
    """
    required: dict[str, list[RequiredKeys]] = {}
    if plan.source_path is not None:
        required.setdefault(plan.source_path, []).append(source_keys(group))
    required.setdefault(plan.destination_path, []).append(DESTINATION_KEYS)
    return tuple(_check_path(context, plan, path, keys) for path, keys in required.items())


def _check_path(context: Context, plan: Plan, path: str, required: Sequence[RequiredKeys]) -> KeyCheck:
    try:
        check = context.vault.check(plan.vault_mount, path)
    except VaultError as error:
        cannot_create = CannotCreateNow if may_pass(error) else CannotCreate
        raise cannot_create(refusals.keys_not_checked(error.sentence, error.next_step)) from None
    if check.keys is None:
        return check
    vault_path = f"{plan.vault_mount}/{path}"
    missing = " and ".join(filter(None, (missing_keys(keys, check.keys) for keys in required)))
    if missing:
        raise CannotCreate(refusals.missing_key(vault_path, missing))
    not_text = " and ".join(filter(None, (keys_not_text(keys, check.keys, check.objects) for keys in required)))
    if not_text:
        raise CannotCreate(refusals.key_not_text(vault_path, not_text))
    if SECURITY_TOKEN in check.keys:
        raise CannotCreate(refusals.temporary_key(vault_path))
    return check


def refuse_without_quorum(context: Context, found: Found, requester: str, reason: str) -> None:
    """Checks that enough people could approve a request.

    Arguments:
        requester: the user id of the person who creates the request.
        reason: why they create it. Without a reason their own approval does not count.

    Raises:
        CannotCreate: too few people could approve it.
        CannotCreateNow: Slack does not tell who could.
    """
    policy = context.projects[found.project].policy
    try:
        missing = slots_without_candidates(context, policy, policy, requester, reason)
    except LookupFailed as error:
        raise CannotCreateNow(lookup_text(context, error, refusals.APPROVERS_UNKNOWN, NO_REQUEST_CREATED)) from None
    if missing:
        raise CannotCreate(refusals.no_quorum(found.project, policy, missing, reason))


def start_at(
    context: Context, person: str, at: tuple[int, int] | None, project: str, typed_at: datetime
) -> datetime | None:
    """When a request is to be sent: the next time that the clock in the person's time zone shows `at`.

    Arguments:
        person: the user id of the person.
        at: hour and minute; None for as soon as the request is approved.
        project: the project of the request, which limits how far ahead the start may be.
        typed_at: when the person typed the command.

    Raises:
        CannotCreate: the project does not allow that time, the clocks skip it, or it has passed.
        CannotCreateNow: Slack does not tell the person's time zone.
    """
    if at is None:
        return None
    try:
        zone = context.people.time_zone(person)
    except LookupFailed as error:
        raise CannotCreateNow(lookup_text(context, error, refusals.TIME_ZONE_UNKNOWN, NO_REQUEST_CREATED)) from None
    settings = context.projects[project]
    start = next_start(typed_at, zone, at, settings.schedule_limit)
    if isinstance(start, datetime) and start + START_WITHIN <= context.now():
        start = NoStart(StartProblem.PASSED, start)
    if isinstance(start, NoStart):
        raise CannotCreate(no_start(start, project, f"{at[0]:02d}:{at[1]:02d}", settings.schedule_ahead))
    return start
