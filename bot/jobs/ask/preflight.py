"""Looks before asking anybody: may this person ask, which project, how the group stands, would the keys be there.

Everything here is refused with one sentence to whoever asked; asking itself is left to `ask`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.command import inline_text
from bot.domain.policy import Person, Refusal, requester_refusal
from bot.domain.request import KeyCheck, Plan, Verb
from bot.domain.task_group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.huawei.error_catalogue import NOT_FOUND
from bot.huawei.errors import HuaweiError, Rejected, Service
from bot.huawei.required_keys import DESTINATION_KEYS, SECURITY_TOKEN, RequiredKeys, missing_keys, source_keys
from bot.jobs.context import Context
from bot.jobs.current_settings import slots_without_candidates
from bot.jobs.identity.guard import IdentitySuspended
from bot.jobs.problems import RetryHint, explain
from bot.slack.errors import LookupFailed
from bot.ui.formatting import approvals_needed, escape_mrkdwn, join_words
from bot.ui.replies import NOT_A_REQUESTER, not_resumable
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
    refusals = {name: requester_refusal(project.policy, person) for name, project in context.projects.items()}
    mine = [name for name, refusal in refusals.items() if refusal is None]
    if named is not None:
        if named in mine:
            return [named]
        hint = f" You may ask in {join_words(mine)}." if mine else ""
        raise CannotCreate(f"There is no project `{inline_text(named)}` in which you may ask.{hint} Nothing was asked.")
    if mine:
        return mine
    if Refusal.GROUPS_UNKNOWN in refusals.values():
        raise CannotCreateNow("Slack does not tell just now who is in the user groups. Please try again in a minute.")
    raise CannotCreate(NOT_A_REQUESTER)


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
        names = join_words(one.project for one in found)
        raise CannotCreate(f"Group `{group_id}` is in {names}. Type it again with `project=NAME`. Nothing was asked.")
    if found and not failures:
        return found[0]
    if found:
        raise could_not(
            f"Group `{group_id}` is in {found[0].project}, but not every project could be asked. {said} "
            f"Type it again with `project={found[0].project}` if that is the one. Nothing was asked."
        )
    if failures:
        raise could_not(f"Group `{group_id}`: {said} Nothing was asked.")
    raise CannotCreate(f"{nowhere(context, projects, group_id)} Nothing was asked.")


def nowhere(context: Context, projects: Sequence[str], group_id: str) -> str:
    """That none of the projects has the group."""
    looked_in = ", ".join(f"{name} ({context.projects[name].region})" for name in projects)
    return f"No task group `{group_id}` in: {looked_in}. Check the id and the region."


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
            is_same = context.callers.project_id(name) == found.project_id
        except (HuaweiError, VaultError, IdentitySuspended) as fault:
            log.warning("whether %s and %s are one project cannot be told: %s", name, found.project, fault)
            could_not = CannotCreateNow if _may_pass(fault) else CannotCreate
            raise could_not(
                f"Whether project {found.project} is in bot.toml a second time, with other approvers, cannot be told "
                f"just now. Set project_id in every table of {project.region}, or try again later. Nothing was asked."
            ) from None
        if is_same:
            log.error("%s and %s are the same Huawei Cloud project: keep one table for it", name, found.project)
            raise CannotCreate(
                f"Project {found.project} is in bot.toml a second time, under another name, so its groups would have "
                "two sets of approvers. Keep one table for it. Nothing was asked."
            )


def _look(context: Context, name: str, group_id: str) -> Found | Failure | None:
    """The group, or None when this project does not have it, or why it could not be asked."""
    try:
        project_id = context.callers.project_id(name)
        return Found(name, project_id, context.callers.call(name, lambda oms: oms.show(group_id)))
    except Rejected as refused:
        answer = refused.answer
        is_missing = answer.code in NOT_FOUND or (answer.http_status == 404 and not answer.code.startswith("APIG."))
        return None if is_missing and refused.service is Service.OMS else _failure(context, name, refused)
    except (HuaweiError, VaultError, IdentitySuspended) as fault:
        return _failure(context, name, fault)


def _failure(context: Context, name: str, fault: VaultError | HuaweiError | IdentitySuspended) -> Failure:
    problem = explain(fault, context.projects[name].plan(name, "", None), RetryHint.CREATE_REQUEST, "")
    code = f"{problem.code}: " if problem.code else ""
    said = f" ({escape_mrkdwn(problem.message, 200)})" if problem.message else ""
    reference = f" Huawei request id {problem.huawei_request_id}." if problem.huawei_request_id else ""
    next_step = escape_mrkdwn(problem.next_step)
    sentence = f"project {name}: {code}{escape_mrkdwn(problem.meaning)}{said}{reference} Next: {next_step}"
    return Failure(sentence, _may_pass(fault))


def _may_pass(fault: VaultError | HuaweiError | IdentitySuspended) -> bool:
    """Whether another try may well succeed though nobody corrects anything, and does no harm."""
    if isinstance(fault, VaultError):
        return fault.kind not in (VaultErrorKind.LOGIN, VaultErrorKind.FORBIDDEN, VaultErrorKind.MISSING)
    return isinstance(fault, HuaweiError) and not isinstance(fault, Rejected)


def verb_for(group: TaskGroup) -> Verb:
    """What may be asked for a group that stands so.

    Raises:
        CannotAsk: nothing; it says how the group stands.
    """
    if group.status is GroupStatus.PAUSED:
        return Verb.RESUME
    if group.status in FAILED_STATUSES:
        return Verb.RETRY
    raise CannotCreate(not_resumable(group.status, group.group_id))


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
        raise CannotCreate(
            f"bot.toml names no Vault path for the source bucket {escape_mrkdwn(group.source.bucket)}. Add it to "
            f"projects.{found.project}.vault.source. Nothing was asked."
        )
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
        raise could_not(
            f"{escape_mrkdwn(fault.sentence)} Next: {escape_mrkdwn(fault.next_step)} Then ask again. Nothing was asked."
        ) from None
    if check.keys is None:
        return check
    where = f"`{plan.vault_mount}/{path}` in Vault"
    missing = " and ".join(filter(None, (missing_keys(one, check.keys) for one in needs)))
    if missing:
        raise CannotCreate(f"{where} has no key {missing}. Write it there, then ask again. Nothing was asked.")
    if SECURITY_TOKEN in check.keys:
        raise CannotCreate(
            f"{where} holds a temporary access key, and OMS takes no security token for source and destination. Write "
            "a permanent access key there, then ask again. Nothing was asked."
        )
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
        raise CannotCreateNow(
            "Slack does not tell just now who could approve this. Please try again in a minute. Nothing was asked."
        ) from None
    if not missing:
        return
    own, next_step = "your own approval does not count", "Add"
    if policy.self_approval and reason.strip():
        own = "your own approval alone is not enough"
    elif policy.self_approval:
        own, next_step = "your own approval needs a reason", "Ask again with a reason, or add"
    raise CannotCreate(
        f"Nobody but you could approve this: no other full member is left for {approvals_needed(missing)}, and {own}. "
        f"{next_step} approvers to projects.{found.project} in bot.toml. Nothing was asked."
    )


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
        raise CannotCreateNow("Slack does not tell your time zone just now. Please try again in a minute.") from None
    now = context.now()
    local = now.astimezone(zone)
    wanted = local.replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    has_passed = wanted <= local
    if has_passed:
        wanted += timedelta(days=1)
    if wanted >= expires_at:
        latest = (expires_at - timedelta(microseconds=1)).astimezone(zone)
        day = "today" if latest.date() == local.date() else "tomorrow"
        passed = "has passed today, and tomorrow it " if has_passed else ""
        raise CannotCreate(
            f"{at[0]:02}:{at[1]:02} ({zone.key}) {passed}comes after the request expires. The latest is "
            f"{latest:%H:%M} {day}. Nothing was asked."
        )
    return wanted.astimezone(now.tzinfo)
