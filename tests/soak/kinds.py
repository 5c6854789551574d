"""The kinds of requests of a soak, each with its group, what people do with it, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.domain.policy import Refusal
from bot.domain.request import Request, State
from bot.sandbox.huawei.credentials import SOURCE_AK, SOURCE_SK
from bot.sandbox.huawei.group import MIGRATION_FAILED, PAUSED, Group
from tests.soak.stories import Story, World, has_voted

# How long OMS shows the old status of a group that was started.
_STATUS_LAGS = (1, 8, 0, 6)


def approved(story: Story) -> None:
    story.type(lambda: "network is back")
    story.approve(story.approver)
    story.ends(State.DONE)


def approved_by_form(story: Story) -> None:
    story.request_by_form()
    story.approve(story.approver)
    story.ends(State.DONE)


def denied(story: Story) -> None:
    story.type()
    story.deny(story.approver)
    story.ends(State.DENIED)


def cancelled(story: Story) -> None:
    story.type()
    story.press(story.requester, "cancel", lambda request: request.state is not State.PENDING)
    story.ends(State.CANCELLED)


def quorum(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.approve(story.second)
    story.ends(State.DONE)


def withdrawn(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.press(story.approver, "withdraw", lambda request: not has_voted(request, story.approver))
    story.approve(story.second)
    story.approve(story.approver)
    story.ends(State.DONE)


def retried(story: Story) -> None:
    story.type(lambda: "the source works again")
    story.approve(story.approver)
    story.ends(State.DONE)


def paused(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.waits_for("moving", lambda request: request.state is State.MOVING)
    story.pause(story.approver)
    story.ends(State.PAUSED_AGAIN)


def scheduled(story: Story) -> None:
    def at() -> str:
        zone = ZoneInfo(str(story.world.sandbox.workspace.users[story.requester]["tz"]))
        # The next full minute, or the one after it if that is too close to be approved before.
        start = datetime.now(zone) + timedelta(seconds=85)
        return f"at={start:%H:%M}"

    story.type(at)
    story.approve(story.approver)
    story.ends(State.DONE)


def fails_later(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.ends(State.FAILED)


def wrong_key(story: Story) -> None:
    """OMS refuses the first PUT with an error code. Somebody corrects the key in Vault and presses Retry."""
    story.type()
    story.approve(story.approver)
    story.waits_for("refused by OMS", _is_refused_by_oms)
    vault = story.world.sandbox.vault
    vault.write(f"oms/media/source/{story.group.bucket}", {"ak": SOURCE_AK, "sk": SOURCE_SK})
    story.press(story.requester, "retry", lambda request: not _is_refused_by_oms(request))
    story.ends(State.DONE)


def _is_refused_by_oms(request: Request) -> bool:
    return request.state is State.NOT_STARTED and request.problem is not None and request.problem.code == "OMS.1014"


def no_approver(story: Story) -> None:
    """The requester, who is no approver, presses Approve and is refused. Then an approver approves."""
    story.type()
    refusals = story.world.truth.refusals
    story.press(
        story.requester,
        "approve",
        lambda _: any(one.why == Refusal.NOT_AN_APPROVER for one in refusals(story.requester)),
    )
    story.approve(story.approver)
    story.ends(State.DONE)


@dataclass(frozen=True)
class Kind:
    """A kind of request.

    Arguments:
        tell: what people do, and how it ends.
        project: `media` needs one approval, `archive` two.
        starts: how often OMS starts the group.
        changes: of the group.
    """

    tell: Callable[[Story], None]
    project: str = "media"
    starts: int = 1
    changes: Mapping[str, object] = field(default_factory=dict)

    def new_story(self, world: World, number: int) -> Story:
        """A story with a new group."""
        changes = dict(self.changes)
        if self.tell is wrong_key:
            changes["bucket"] = f"wrong-{number}"
        group = Group(
            f"50a50a50-0000-4000-8000-{number:012d}",
            self.tell.__name__.replace("_", " "),
            status_lag=timedelta(seconds=_STATUS_LAGS[number % len(_STATUS_LAGS)]),
            **{"status": PAUSED, "bytes_per_second": 1_000_000_000, **changes},  # type: ignore[arg-type]
        )
        return Story(world, number, self.project, group)


_FAILED: Mapping[str, object] = {
    "status": MIGRATION_FAILED,
    "error": ("TRF.0157", "Source service error."),
    "complete_bytes": 9_600_000_000,
    "bytes_per_second": 60_000_000,
    "failed_objects": 37,
    "records_failed_objects": True,
}

KINDS = (
    Kind(approved),
    Kind(approved_by_form),
    Kind(denied, starts=0),
    Kind(cancelled, starts=0),
    Kind(quorum, "archive"),
    Kind(withdrawn, "archive"),
    Kind(retried, changes=_FAILED),
    Kind(paused, changes={"bytes_per_second": 10_000_000}),
    Kind(scheduled),
    Kind(fails_later, changes={"fails_later": ("TRF.0152", "The source AK/SK has no rights.")}),
    Kind(wrong_key),
    Kind(no_approver),
)
