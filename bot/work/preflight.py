"""Looks before asking anybody: may this person ask, which project, how the group stands, would the keys be there.

Everything here is refused with one sentence to whoever asked; asking itself is left to `intake`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.oms.catalogue import NOT_FOUND
from bot.oms.errors import OmsError, Refused
from bot.request.command import shown
from bot.request.group import GroupStatus, TaskGroup
from bot.request.model import KeyCheck, Plan
from bot.request.policy import Person, Refusal, why_not_requester
from bot.slack.answers import MAY_NOT_ASK, not_paused
from bot.slack.people import SlackCannotBeAsked
from bot.slack.words import list_of, needed, plain
from bot.vault_faults import VaultFault
from bot.work.caller import KeyRests
from bot.work.quorum import out_of_reach
from bot.work.tools import Tools
from bot.work.trouble import trouble_of

RESUMABLE_TYPES = frozenset({"PREFIX", "LIST"})
OTHER_CREDENTIALS = frozenset({"GOOGLE", "AZURE", "URLSOURCE"})


class CannotAsk(Exception):
    """Why nobody is asked, in a sentence for the person who typed."""


@dataclass(frozen=True)
class Found:
    """A group, and the project that it is in."""

    project: str
    group: TaskGroup


def projects_of(tools: Tools, person: Person, named: str | None) -> Sequence[str]:
    """The projects in which this person may ask; the named one alone, if one was named.

    Raises:
        CannotAsk: none.
    """
    refusals = {name: why_not_requester(project.policy, person) for name, project in tools.projects.items()}
    mine = [name for name, refusal in refusals.items() if refusal is None]
    if named is not None:
        if named in mine:
            return [named]
        hint = f" You may ask in {list_of(mine)}." if mine else ""
        raise CannotAsk(f"There is no project `{shown(named)}` in which you may ask.{hint} Nothing was asked.")
    if mine:
        return mine
    if Refusal.GROUPS_UNKNOWN in refusals.values():
        raise CannotAsk("Slack does not tell just now who is in the user groups. Please try again in a minute.")
    raise CannotAsk(MAY_NOT_ASK)


def find_group(tools: Tools, projects: Sequence[str], group_id: str) -> Found:
    """The group as it is now, and in which of the projects it is.

    Raises:
        CannotAsk: none has it, several have it, or one could not be asked.
    """
    found: list[Found] = []
    failures: list[str] = []
    for name in projects:
        try:
            tools.callers.a_person_asks(name)
            found.append(Found(name, tools.callers.call(name, lambda oms: oms.show(group_id))))
        except Refused as refused:
            if refused.answer.code not in NOT_FOUND and refused.answer.http_status != 404:
                failures.append(_failure(tools, name, refused))
        except (OmsError, VaultFault, KeyRests) as fault:
            failures.append(_failure(tools, name, fault))
    if len(found) > 1:
        names = list_of(one.project for one in found)
        raise CannotAsk(f"Group `{group_id}` is in {names}. Type it again with `project=NAME`. Nothing was asked.")
    if found and not failures:
        return found[0]
    if failures:
        raise CannotAsk(f"Group `{group_id}`: {' '.join(failures)} Nobody was asked.")
    where = list_of(f"{name} ({tools.projects[name].region})" for name in projects)
    raise CannotAsk(f"There is no task group `{group_id}` in {where}. Check the id and the region. Nothing was asked.")


def _failure(tools: Tools, name: str, fault: VaultFault | OmsError | KeyRests) -> str:
    plan = tools.projects[name].plan(name, "*") or _plan_without_source(tools, name)
    trouble = trouble_of(fault, plan)
    code = f"{trouble.code}: " if trouble.code else ""
    said = f" ({plain(trouble.message, 200)})" if trouble.message else ""
    reference = f" Huawei request id {trouble.huawei_request_id}." if trouble.huawei_request_id else ""
    next_step = trouble.next_step.replace("press Retry", "ask again")
    return f"project {name}: {code}{trouble.meaning}{said}{reference} Next: {next_step}"


def _plan_without_source(tools: Tools, name: str) -> Plan:
    project = tools.projects[name]
    vault = project.vault
    return Plan(
        name, project.region, project.project_id, project.oms_address, vault.mount, vault.caller, "", vault.destination
    )


def refuse_unless_paused(group: TaskGroup) -> None:
    """
    Raises:
        CannotAsk: the group's status does not call for resuming.
    """
    if group.status is not GroupStatus.PAUSED:
        raise CannotAsk(not_paused(group.status, group.group_id))


def plan_for(tools: Tools, found: Found) -> Plan:
    """What would be called and read.

    Raises:
        CannotAsk: the group needs other credentials than access keys, or the settings name no path for its bucket.
    """
    group = found.group
    if (
        group.task_type not in RESUMABLE_TYPES
        or group.source.cloud_type in OTHER_CREDENTIALS
        or group.cdn_authentication not in (None, "NONE")
    ):
        raise CannotAsk(
            f"Group `{group.group_id}` is of type {plain(group.task_type)} from {plain(group.source.cloud_type)}. This "
            "bot resumes groups of type PREFIX and LIST with access keys on both sides; resume this one in the "
            "console. Nothing was asked."
        )
    plan = tools.projects[found.project].plan(found.project, group.source.bucket)
    if plan is None:
        raise CannotAsk(
            f"bot.toml names no Vault path for the source bucket {plain(group.source.bucket)}. Add it to "
            f"projects.{found.project}.vault.source. Nothing was asked."
        )
    return plan


def check_keys(tools: Tools, plan: Plan) -> tuple[KeyCheck, ...]:
    """Which keys are at the two paths.

    Raises:
        CannotAsk: the bot may not read one, or it lacks a key.
    """
    checks = []
    for path in dict.fromkeys((plan.source_path, plan.destination_path)):
        try:
            check = tools.vault.check(plan.vault_mount, path)
        except VaultFault as fault:
            raise CannotAsk(f"{fault.sentence} Next: {fault.next_step} Then ask again. Nobody was asked.") from None
        missing = [name for name in ("ak", "sk") if check.keys is not None and name not in check.keys]
        if missing:
            raise CannotAsk(
                f"`{plan.vault_mount}/{path}` in Vault has no key {list_of(missing)}. Write it there, then ask again. "
                "Nobody was asked."
            )
        checks.append(check)
    return tuple(checks)


def refuse_without_quorum(tools: Tools, found: Found, requester: str, reason: str) -> None:
    """
    Raises:
        CannotAsk: too few others could ever approve, or Slack does not tell who could.
    """
    policy = tools.projects[found.project].policy
    try:
        missing = out_of_reach(tools, policy, requester, reason)
    except SlackCannotBeAsked:
        raise CannotAsk(
            "Slack does not tell just now who could approve this. Please try again in a minute. Nothing was asked."
        ) from None
    if not missing:
        return
    own, next_step = "your own approval does not count", "Add"
    if policy.self_approval and reason.strip():
        own = "your own approval alone is not enough"
    elif policy.self_approval:
        own, next_step = "your own approval needs a reason", "Ask again with a reason, or add"
    raise CannotAsk(
        f"Nobody but you could approve this: no other full member is left for {needed(missing)}, and {own}. "
        f"{next_step} approvers to projects.{found.project} in bot.toml. Nothing was asked."
    )


def start_at(tools: Tools, person: str, at: tuple[int, int] | None, expires_at: datetime) -> datetime | None:
    """The next time that the person's own clock shows `at`.

    Raises:
        CannotAsk: the request would have expired by then.
    """
    if at is None:
        return None
    try:
        zone = tools.people.zone(person)
    except SlackCannotBeAsked:
        raise CannotAsk("Slack does not tell your time zone just now. Please try again in a minute.") from None
    now = tools.now()
    local = now.astimezone(zone)
    wanted = local.replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    if wanted <= local:
        wanted += timedelta(days=1)
    if wanted >= expires_at:
        raise CannotAsk(f"{at[0]:02}:{at[1]:02} ({zone.key}) comes after the request expires. Nothing was asked.")
    return wanted.astimezone(now.tzinfo)
