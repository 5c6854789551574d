"""Looks before asking anybody: may this person ask, which project, how the group stands, would the keys be there.

Everything here is refused with one sentence to whoever asked; asking itself is left to `ask`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.oms.catalogue import NOT_FOUND
from bot.oms.errors import OmsError, Refused, Service
from bot.oms.needs import DESTINATION_NEEDS, SECURITY_TOKEN, Needs, missing_keys, source_needs
from bot.request.command import shown
from bot.request.group import FAILED_STATUSES, GroupStatus, TaskGroup
from bot.request.model import KeyCheck, Plan, Verb
from bot.request.policy import Person, Refusal, why_not_requester
from bot.slack.answers import MAY_NOT_ASK, nothing_to_ask
from bot.slack.people import SlackCannotBeAsked
from bot.slack.words import list_of, needed, plain
from bot.vault_faults import VaultFault
from bot.work.caller import KeyRests
from bot.work.quorum import out_of_reach
from bot.work.tools import Tools
from bot.work.trouble import Then, trouble_of

log = logging.getLogger(__name__)

PROJECTS_AT_ONCE = 8


class CannotAsk(Exception):
    """Why nobody is asked, in a sentence for the person who typed."""


@dataclass(frozen=True)
class Found:
    """A group, and the project that it is in: its name in the settings and its id at Huawei Cloud."""

    project: str
    project_id: str
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
    """The group as it is now, and in which of the projects it is: all are asked at once.

    Raises:
        CannotAsk: none has it, several have it, one could not be asked, or its project is in the settings twice.
    """
    if len(projects) == 1:
        looks = [_look(tools, projects[0], group_id)]
    else:
        with ThreadPoolExecutor(min(len(projects), PROJECTS_AT_ONCE), "look") as pool:
            looks = list(pool.map(lambda name: _look(tools, name, group_id), projects))
    found = [look for look in looks if isinstance(look, Found)]
    failures = [look for look in looks if isinstance(look, str)]
    for one in found:
        _refuse_second_table(tools, one)
    if len(found) > 1:
        names = list_of(one.project for one in found)
        raise CannotAsk(f"Group `{group_id}` is in {names}. Type it again with `project=NAME`. Nothing was asked.")
    if found and not failures:
        return found[0]
    if found:
        raise CannotAsk(
            f"Group `{group_id}` is in {found[0].project}, but not every project could be asked. {' '.join(failures)} "
            f"Type it again with `project={found[0].project}` if that is the one. Nothing was asked."
        )
    if failures:
        raise CannotAsk(f"Group `{group_id}`: {' '.join(failures)} Nothing was asked.")
    looked_in = ", ".join(f"{name} ({tools.projects[name].region})" for name in projects)
    raise CannotAsk(f"No task group `{group_id}` in: {looked_in}. Check the id and the region. Nothing was asked.")


def _refuse_second_table(tools: Tools, found: Found) -> None:
    """Of two tables of one project, whoever asks would choose who approves. Neither is named to who may not see it.

    Raises:
        CannotAsk: another table is of the same Huawei Cloud project, or might be and cannot tell.
    """
    for name, project in tools.projects.items():
        # An id is of one region: where it is left out, only a table of the same region can come to the same.
        if name == found.project or not (project.project_id or project.region == tools.projects[found.project].region):
            continue
        try:
            is_same = tools.callers.project_id(name) == found.project_id
        except (OmsError, VaultFault, KeyRests) as fault:
            log.warning("whether %s and %s are one project cannot be told: %s", name, found.project, fault)
            raise CannotAsk(
                f"Whether project {found.project} is in bot.toml a second time, with other approvers, cannot be told "
                f"just now. Set project_id in every table of {project.region}, or try again later. Nothing was asked."
            ) from None
        if is_same:
            log.error("%s and %s are the same Huawei Cloud project: keep one table for it", name, found.project)
            raise CannotAsk(
                f"Project {found.project} is in bot.toml a second time, under another name, so its groups would have "
                "two sets of approvers. Keep one table for it. Nothing was asked."
            )


def _look(tools: Tools, name: str, group_id: str) -> Found | str | None:
    """The group, or None when this project does not have it, or why it could not be asked."""
    try:
        project_id = tools.callers.project_id(name)
        return Found(name, project_id, tools.callers.call(name, lambda oms: oms.show(group_id)))
    except Refused as refused:
        answer = refused.answer
        is_missing = answer.code in NOT_FOUND or (answer.http_status == 404 and not answer.code.startswith("APIG."))
        return None if is_missing and refused.service is Service.OMS else _failure(tools, name, refused)
    except (OmsError, VaultFault, KeyRests) as fault:
        return _failure(tools, name, fault)


def _failure(tools: Tools, name: str, fault: VaultFault | OmsError | KeyRests) -> str:
    trouble = trouble_of(fault, tools.projects[name].plan(name, "", None), Then.ASK, "")
    code = f"{trouble.code}: " if trouble.code else ""
    said = f" ({plain(trouble.message, 200)})" if trouble.message else ""
    reference = f" Huawei request id {trouble.huawei_request_id}." if trouble.huawei_request_id else ""
    return f"project {name}: {code}{plain(trouble.meaning)}{said}{reference} Next: {plain(trouble.next_step)}"


def verb_for(group: TaskGroup) -> Verb:
    """What may be asked for a group that stands so.

    Raises:
        CannotAsk: nothing; it says how the group stands.
    """
    if group.status is GroupStatus.PAUSED:
        return Verb.RESUME
    if group.status in FAILED_STATUSES:
        return Verb.RETRY
    raise CannotAsk(nothing_to_ask(group.status, group.group_id))


def plan_for(tools: Tools, found: Found) -> Plan:
    """What would be called and read.

    Raises:
        CannotAsk: the settings name no path for the keys that the group's bucket needs.
    """
    group, project = found.group, tools.projects[found.project]
    if source_needs(group).nothing:
        return project.plan(found.project, found.project_id, None)
    source_path = project.source_path(group.source.bucket)
    if source_path is None:
        raise CannotAsk(
            f"bot.toml names no Vault path for the source bucket {plain(group.source.bucket)}. Add it to "
            f"projects.{found.project}.vault.source. Nothing was asked."
        )
    return project.plan(found.project, found.project_id, source_path)


def check_keys(tools: Tools, plan: Plan, group: TaskGroup) -> tuple[KeyCheck, ...]:
    """Which keys are at the paths that would be read.

    Raises:
        CannotAsk: the bot may not read one, or it lacks a key.
    """
    wanted: dict[str, list[Needs]] = {}
    if plan.source_path is not None:
        wanted.setdefault(plan.source_path, []).append(source_needs(group))
    wanted.setdefault(plan.destination_path, []).append(DESTINATION_NEEDS)
    return tuple(_check(tools, plan, path, needs) for path, needs in wanted.items())


def _check(tools: Tools, plan: Plan, path: str, needs: Sequence[Needs]) -> KeyCheck:
    try:
        check = tools.vault.check(plan.vault_mount, path)
    except VaultFault as fault:
        raise CannotAsk(
            f"{plain(fault.sentence)} Next: {plain(fault.next_step)} Then ask again. Nothing was asked."
        ) from None
    if check.keys is None:
        return check
    where = f"`{plan.vault_mount}/{path}` in Vault"
    missing = " and ".join(filter(None, (missing_keys(one, check.keys) for one in needs)))
    if missing:
        raise CannotAsk(f"{where} has no key {missing}. Write it there, then ask again. Nothing was asked.")
    if SECURITY_TOKEN in check.keys:
        raise CannotAsk(
            f"{where} holds a temporary access key, and OMS takes no security token for source and destination. Write "
            "a permanent access key there, then ask again. Nothing was asked."
        )
    return check


def refuse_without_quorum(tools: Tools, found: Found, requester: str, reason: str) -> None:
    """
    Raises:
        CannotAsk: too few others could ever approve, or Slack does not tell who could.
    """
    policy = tools.projects[found.project].policy
    try:
        missing = out_of_reach(tools, policy, policy, requester, reason)
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
