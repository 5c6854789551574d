"""The App Home view: the open requests that matter to its reader first, a button for a new one, and the help.

Pure. `bot.jobs.ask.queries` decides what a person may see and publishes the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from slack_sdk.models.blocks import Block, ButtonElement
from slack_sdk.models.views import View

from bot.domain.approvals import awaits_approval_by
from bot.domain.policy import Person
from bot.domain.request import Policy, Request, State
from bot.ui.blocks import actions, button, context_block, header, section
from bot.ui.formatting import local_time
from bot.ui.replies import with_link
from bot.ui.status import status_text

# A view has 100 blocks at most (Slack's reference of views). The four sections and the rest need 12 other blocks.
MAX_LINES = 80

NO_OPEN_REQUESTS = "There are no open requests."
PERSON_UNKNOWN = "Slack couldn't confirm who you are. Press Refresh in a minute."
GROUPS_UNKNOWN = "Slack couldn't tell which user groups you're in. Press Refresh in a minute."
MAY_BE_INCOMPLETE = "Slack couldn't tell which user groups you're in, so requests may be missing here."

# In these states the group may be running.
_RUNNING_STATES = frozenset({State.SENDING, State.UNKNOWN, State.ACCEPTED, State.MOVING, State.PAUSING})


@dataclass(frozen=True)
class HomeSection:
    """A heading of App Home and the requests below it."""

    title: str
    requests: tuple[Request, ...]  # those that are shown
    total: int  # the number of requests, including those that are not shown


def home_sections(
    requests: Sequence[Request], person: Person, policies: Mapping[str, Policy]
) -> tuple[HomeSection, ...]:
    """Sorts open requests by what matters to a person. Leaves out empty sections.

    A request is in the first section that fits: the person's approval is needed, the person is the requester, the group
    may be running, other requests. Shows at most `MAX_LINES` requests, those of the first sections first.

    Arguments:
        requests: the open requests that the person may see, oldest first.
        policies: the current policy of each project.
    """
    sorted_requests: dict[str, list[Request]] = {
        "Waiting for your approval": [],
        "Your requests": [],
        "Running": [],
        "Other open requests": [],
    }
    to_approve, own, running, other = sorted_requests.values()
    for request in requests:
        if awaits_approval_by(request, person, policies.get(request.plan.project)):
            to_approve.append(request)
        elif request.requester == person.id:
            own.append(request)
        elif request.state in _RUNNING_STATES:
            running.append(request)
        else:
            other.append(request)
    to_approve.sort(key=lambda request: request.expires_at)
    # A request that was not started needs its requester.
    own.sort(key=lambda request: request.state is not State.NOT_STARTED)
    found, lines_left = [], MAX_LINES
    for title, of_section in sorted_requests.items():
        if of_section:
            found.append(HomeSection(title, tuple(of_section[:lines_left]), len(of_section)))
            lines_left -= len(found[-1].requests)
    return tuple(found)


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
        blocks += _section_blocks(one, permalinks, command)
    if not sections:
        blocks.append(section(NO_OPEN_REQUESTS))
    return View(type="home", blocks=[*blocks, section(help_text)])


def _section_blocks(one: HomeSection, permalinks: Mapping[str, str], command: str) -> list[Block]:
    blocks: list[Block] = [header(f"{one.title} ({one.total})")]
    blocks += [section(with_link(status_text(request), permalinks.get(request.id))) for request in one.requests]
    hidden = one.total - len(one.requests)
    if hidden:
        blocks.append(context_block(f"and {hidden} more; type `{command} list`"))
    return blocks


def empty_home_view(text: str) -> View:
    """App Home for a person who may see nothing there. `text` gives the reason."""
    return View(type="home", blocks=[section(text)])


def failed_home_view(text: str, now: datetime) -> View:
    """App Home while it is not known what the person may see. `text` gives the reason."""
    return View(type="home", blocks=[section(text), actions("home", _refresh_button()), _as_of(now)])


def _refresh_button() -> ButtonElement:
    return button("Refresh", "refresh", None, accessibility_label="Refresh this page")


def _as_of(now: datetime) -> Block:
    return context_block(f"As of {local_time(now)}")
