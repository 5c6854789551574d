"""The App Home view: the requests and groups that matter to its reader first, a button for a new one, and the help.

Pure. `bot.jobs.ask.app_home` decides what a person may see and publishes the view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from slack_sdk.models.blocks import Block, ButtonElement
from slack_sdk.models.views import View

from bot.domain.approvals import awaits_approval_by
from bot.domain.policy import Person
from bot.domain.request import FOLLOWED_STATES, Policy, Request, State
from bot.domain.task_group import DELETED_STATUSES, FAILED_STATUSES, STATUSES_OF_KIND, GroupKind, GroupStatus
from bot.domain.watched_group import WatchedGroup
from bot.ui import movement
from bot.ui.blocks import TIME_BLOCK, actions, button, context_block, header, section
from bot.ui.formatting import escape_mrkdwn, local_time
from bot.ui.replies import with_link
from bot.ui.status import status_text
from bot.ui.watched_group import group_line

# A view has 100 blocks at most (Slack's reference for views). The six sections and the rest need 16 other blocks.
MAX_LINES = 80
#: A running group that was last read longer ago than this is shown with the time of that reading.
RECENT_READING = timedelta(minutes=2)

NO_OPEN_REQUESTS = "There are no open requests."
PERSON_UNKNOWN = "Slack couldn't confirm who you are. Press Refresh in a minute."
GROUPS_UNKNOWN = "Slack couldn't tell which user groups you're in. Press Refresh in a minute."
MAY_BE_INCOMPLETE = "Slack couldn't tell which user groups you're in, so requests may be missing here."

# In these states the group may be running.
_RUNNING_STATES = FOLLOWED_STATES | {State.SENDING, State.UNKNOWN}

Item = Request | WatchedGroup


@dataclass(frozen=True)
class HomeContent:
    """The requests and groups that the reader may see.

    Attributes:
        open_requests: oldest first.
        ended: the newest requests that ended recently, newest first.
        all_ended: how many requests ended recently.
        watched: the groups that run, or that stopped recently.
        paused_with_bot: the keys of the groups that a person paused with the bot.
    """

    open_requests: Sequence[Request]
    ended: Sequence[Request] = ()
    all_ended: int = 0
    watched: Sequence[WatchedGroup] = ()
    paused_with_bot: Collection[str] = ()


@dataclass(frozen=True)
class HomeSection:
    """A heading of App Home and the requests and groups below it."""

    title: str
    items: tuple[Item, ...]  # those that are shown
    total: int  # the number of items, including those that are not shown


def home_sections(content: HomeContent, person: Person, policies: Mapping[str, Policy]) -> tuple[HomeSection, ...]:
    """Sorts requests and groups by what matters to a person. Leaves out empty sections.

    A request is in the first section that fits: the person's approval is needed, the person is the requester, there is
    trouble, the group may be running, other requests. The person's own request is in two sections if there is trouble,
    so that the total of Trouble is right. A group is shown only if none of these requests shows its current status.
    Shows at most `MAX_LINES` requests and groups, those of the first sections first.

    Arguments:
        policies: the current policy of each project.
    """
    by_section: dict[str, list[Item]] = {
        "Waiting for your approval": [],
        "Your requests": [],
        "Running": [],
        "Trouble": [],
        "Other open requests": [],
        "Ended in the last 24 hours": [],
    }
    to_approve, own, running, trouble, other, ended = by_section.values()
    waiting: list[Request] = []
    mine: list[Request] = []
    for request in content.open_requests:
        if awaits_approval_by(request, person, policies.get(request.plan.project)):
            waiting.append(request)
            continue
        is_trouble = request.state is State.NOT_STARTED or bool(movement.trouble(movement.last_reading(request)))
        if request.requester == person.id:
            mine.append(request)
        if is_trouble:
            trouble.append(request)
        elif request.requester != person.id:
            (running if request.state in _RUNNING_STATES else other).append(request)
    waiting.sort(key=lambda request: request.expires_at)
    # A request that was not started needs its requester.
    mine.sort(key=lambda request: request.state is not State.NOT_STARTED)
    to_approve += waiting
    own += mine
    shown = {request.group_key for request in content.open_requests if request.state in _RUNNING_STATES}
    has_newer = {request.group_key for request in content.open_requests}
    by_key = {group.key: group for group in content.watched}
    for request in content.ended:
        if request.state not in _STATUSES_AT_END:
            ended.append(request)
        elif request.group_key not in has_newer:
            has_newer.add(request.group_key)
            is_current = _is_current(request, by_key.get(request.group_key))
            (trouble if is_current and _ended_in_trouble(request) else ended).append(request)
            shown |= {request.group_key} if is_current else set()
    for group in content.watched:
        if group.key in shown:
            continue
        if _is_in_trouble(group, content.paused_with_bot):
            trouble.append(group)
        else:
            (running if group.group.status in STATUSES_OF_KIND[GroupKind.RUNNING] else ended).append(group)
    found, lines_left = [], MAX_LINES
    totals = {"Ended in the last 24 hours": len(ended) + content.all_ended - len(content.ended)}
    for title, items in by_section.items():
        if items:
            found.append(HomeSection(title, tuple(items[:lines_left]), totals.get(title, len(items))))
            lines_left -= len(found[-1].items)
    return tuple(found)


# In these states a request followed its group to the end: the statuses that the group then has.
_STATUSES_AT_END: Mapping[State, frozenset[GroupStatus]] = {
    State.DONE: frozenset({GroupStatus.COMPLETED}),
    State.FAILED: FAILED_STATUSES | DELETED_STATUSES,
    State.PAUSED_AGAIN: frozenset({GroupStatus.PAUSED}),
}


def _is_current(request: Request, group: WatchedGroup | None) -> bool:
    """Whether a request that has ended shows how its group is now. The group may have been started or deleted since."""
    if group is None or request.ended_at is None or group.seen_at <= request.ended_at:
        return True
    return group.group.status in _STATUSES_AT_END[request.state]


def _ended_in_trouble(request: Request) -> bool:
    """Whether the group failed, or was paused outside the bot."""
    if request.state is State.FAILED:
        return request.group.status not in DELETED_STATUSES
    return request.state is State.PAUSED_AGAIN and request.pause is None


def _is_in_trouble(group: WatchedGroup, paused_with_bot: Collection[str]) -> bool:
    """Whether the group failed, was paused outside the bot, or is stalled or slow."""
    if group.group.status is GroupStatus.PAUSED:
        return group.key not in paused_with_bot
    return group.group.status in FAILED_STATUSES or bool(movement.trouble(group.reading))


def home_view(
    sections: Sequence[HomeSection],
    permalinks: Mapping[str, str],
    command: str,
    help_text: str,
    now: datetime,
    remark: str = "",
) -> View:
    """App Home for a person who may see at least one project.

    Arguments:
        permalinks: of the posted cards, by request id.
        command: the slash command, with its slash.
        remark: mrkdwn above the requests; empty for none.
    """
    label = "New request to resume or retry a task group"
    new_request = button("New request", "request", None, accessibility_label=label)
    blocks: list[Block] = [actions("home", new_request, _refresh_button()), _as_of(now)]
    if remark:
        blocks.append(section(remark))
    for one in sections:
        blocks += _section_blocks(one, permalinks, command, now)
    if not sections:
        blocks.append(section(NO_OPEN_REQUESTS))
    return View(type="home", blocks=[*blocks, section(help_text)])


def _section_blocks(one: HomeSection, permalinks: Mapping[str, str], command: str, now: datetime) -> list[Block]:
    blocks: list[Block] = [header(f"{one.title} ({one.total})")]
    for item in one.items:
        if isinstance(item, Request):
            blocks.append(section(with_link(status_text(item), permalinks.get(item.id))))
        else:
            blocks.append(section(_group_text(item, now)))
    hidden = one.total - len(one.items)
    if hidden:
        blocks.append(context_block(f"and {hidden} more; type `{command} list`"))
    return blocks


def _group_text(watched: WatchedGroup, now: datetime) -> str:
    is_old = watched.runs and now - watched.seen_at > RECENT_READING
    as_of = f", as of {local_time(watched.seen_at)}" if is_old else ""
    return f"{group_line(watched.reading)}, project {escape_mrkdwn(watched.project)}{as_of}"


def empty_home_view(text: str) -> View:
    """App Home for a person who may see nothing there. `text` gives the reason."""
    return View(type="home", blocks=[section(text)])


def failed_home_view(text: str, now: datetime) -> View:
    """App Home while it is not known what the person may see. `text` gives the reason."""
    return View(type="home", blocks=[section(text), actions("home", _refresh_button()), _as_of(now)])


def _refresh_button() -> ButtonElement:
    return button("Refresh", "refresh", None, accessibility_label="Refresh this page")


def _as_of(now: datetime) -> Block:
    return context_block(f"As of {local_time(now)}", TIME_BLOCK)
