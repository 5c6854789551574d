"""A request to resume or retry one task group, and the values in it.

`decisions` decides which actions are allowed, `schedule` computes the next step, `bot.store` stores requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.announcements import Announced
from bot.domain.failure_causes import FailureCauses
from bot.domain.problem import Problem as Problem  # a part of `Request`, imported from here
from bot.domain.task_group import Progress, Scope, TaskGroup
from bot.domain.watched_group import Movement

# How long after its start time (`at=`) a request can still be started.
START_WITHIN = timedelta(hours=1)


class Verb(StrEnum):
    """The OMS call of a request. The status of the group at the creation of the request determines it."""

    #: StartTaskGroup: starts a paused group.
    RESUME = "resume"
    #: RetryTaskGroup: starts a failed group again.
    RETRY = "retry"


class State(StrEnum):
    """The state of a request. The first eight states are open: a group has at most one open request.

    Each comment describes the state, the next step, and the states that can follow. The bot moves a request from
    SENDING, UNKNOWN, ACCEPTED, MOVING or PAUSING to NOT_FOLLOWED if bot.toml no longer contains its project or its
    address.
    """

    #: The card is posted and the approvers vote. Ends in APPROVED when every slot is filled, in DENIED or CANCELLED
    #: by a person, in EXPIRED at `expires_at`, or in VOID if the current settings give another plan.
    PENDING = "pending"

    #: The quorum is complete and nothing was sent. The bot sends the PUT as soon as it is due: at once, at `start_at`,
    #: or after a delay if Vault, OMS or Slack failed in a way that may pass. Ends in SENDING; in PENDING again if an
    #: approval no longer counts; in VOID if the settings or the group changed; in NOT_STARTED if Vault or OMS refuses,
    #: or the keys cannot work; in ACCEPTED or DONE if someone else started the group; in CANCELLED by a person; in
    #: APPROVAL_EXPIRED at `approval_valid_until`.
    APPROVED = "approved"

    #: Committed before the PUT, so the PUT may have been sent. Only the worker that stored this state sends it. The
    #: answer leads to ACCEPTED, NOT_STARTED or UNKNOWN, or back to APPROVED if nothing was started and the bot tries
    #: again. Another worker that finds a request in this state moves it to UNKNOWN.
    SENDING = "sending"

    #: The PUT may or may not have taken effect. The bot reads the group until this is known. Ends like ACCEPTED if
    #: the group changed, or in NOT_STARTED if it is unchanged for a minute.
    UNKNOWN = "unknown"

    #: Nothing was started; `problem` says why. The approval still holds. Retry leads to APPROVED with a new
    #: attempt, another scope back to PENDING, Cancel to CANCELLED. Otherwise it ends in APPROVAL_EXPIRED at
    #: `approval_valid_until`.
    NOT_STARTED = "not started"

    #: OMS accepted the call, or someone else started the group, and no progress is known yet. The bot reads the
    #: group. Ends in MOVING, in NOT_STARTED if the group's status is unchanged for a minute, in PAUSING by a person,
    #: or in DONE, FAILED or PAUSED_AGAIN.
    ACCEPTED = "accepted"

    #: More bytes or objects were migrated or skipped since the PUT. The bot reads the group until it ends in DONE,
    #: FAILED or PAUSED_AGAIN, or in PAUSING by a person.
    MOVING = "moving"

    #: A person pressed Pause. The bot sends the call and reads the group. Ends in PAUSED_AGAIN, in DONE or FAILED, or
    #: back in the state before if the group is not paused.
    PAUSING = "pausing"

    #: Ended: OMS shows the group as completed.
    DONE = "done"

    #: Ended: OMS shows the group as failed, or the group was deleted. A new request can retry a failed group.
    FAILED = "failed"

    #: Ended: the group was paused after it ran, by the Pause button or outside the bot. A new request can resume it.
    PAUSED_AGAIN = "paused again"

    #: Ended: bot.toml no longer has the project, or names another OMS address or project id for it, so the bot cannot
    #: read the group. The migration itself continues.
    NOT_FOLLOWED = "no longer followed"

    #: Ended: approved, but not started before `approval_valid_until`.
    APPROVAL_EXPIRED = "approval expired"

    #: Ended: an approver denied it while it was pending.
    DENIED = "denied"

    #: Ended: the requester or an approver cancelled it before anything was sent.
    CANCELLED = "cancelled"

    #: Ended: `expires_at` came before the quorum was complete.
    EXPIRED = "expired"

    #: Ended before anything was sent: the settings or the group changed after the request was created.
    VOID = "void"


OPEN_STATES = frozenset(
    {
        State.PENDING,
        State.APPROVED,
        State.SENDING,
        State.UNKNOWN,
        State.NOT_STARTED,
        State.ACCEPTED,
        State.MOVING,
        State.PAUSING,
    }
)

#: OMS accepted the PUT, and the bot follows the group to its end.
FOLLOWED_STATES = frozenset({State.ACCEPTED, State.MOVING, State.PAUSING})


@dataclass(frozen=True)
class Plan:
    """The URLs to call and the Vault paths to read, from the settings at the creation of the request.

    The bot compares it with the current settings before it reads keys or sends the PUT. A difference voids the request.
    """

    project: str  # its name in bot.toml
    region: str  # such as `ap-southeast-3`
    project_id: str  # the project's id at Huawei Cloud
    oms_url: str  # base URLs, without a path
    iam_url: str
    vault_mount: str  # the mount of the KV secrets engine; the paths below are within it
    caller_path: str  # the bot's own credential at Huawei Cloud
    source_path: str | None  # the keys of the source; None if the source needs none
    destination_path: str  # the keys of the destination
    # The page of OMS in the Huawei Cloud console, for links; empty if unknown. A difference voids no request.
    console_url: str = field(default="", compare=False)


@dataclass(frozen=True)
class Policy:
    """Who may create a request and who must approve it.

    A quorum is complete when every slot is filled by a different person. `approvals = 2` with one list of approvers
    gives that list as two slots.
    """

    requesters: tuple[str, ...]  # Slack user ids (U…, W…) and user group ids (S…), or `*` for every full member
    slots: tuple[tuple[str, ...], ...]  # for each slot, the user ids and user group ids that may fill it
    self_approval: bool  # whether the requester's own approval counts


@dataclass(frozen=True)
class KeyCheck:
    """The keys at one Vault path when the request was created. The bot does not read their values then."""

    path: str
    version: int | None  # of the secret; None on KV version 1
    keys: tuple[str, ...] | None  # the names of the keys; None if Vault did not list them
    objects: tuple[str, ...] = ()  # the names of the keys whose value is a JSON object instead of text


@dataclass(frozen=True)
class Decision:
    """Who approved, denied or cancelled a request, and when."""

    people: tuple[str, ...]  # user ids, in the order of their votes
    at: datetime
    reason: str = ""  # of a denial


@dataclass(frozen=True)
class VoteProgress:
    """The votes of a pending request, as of the last vote. All voters were looked up then."""

    people: tuple[str, ...]  # the user ids whose votes count
    missing: tuple[tuple[str, ...], ...]  # for each open slot, the users and user groups that could fill it


@dataclass(frozen=True)
class Attempt:
    """One attempt to start the group. A PUT is repeated within an attempt only if it certainly did nothing."""

    number: int  # 1 for the attempt that the approval opens, one more for each Retry
    opened_by: str  # the user id of the last approver, or of the person who pressed Retry
    opened_at: datetime
    tries: int = 0  # how often Vault, IAM or OMS failed in a way that may pass, before anything was done
    not_before: datetime | None = None  # the earliest time of the next try; None if there was no such failure
    sent_at: datetime | None = None  # set by the compare-and-set before the PUT; None before
    answered_at: datetime | None = None  # when OMS accepted the PUT, or the group was found running; None before
    # When the PUT ended without an answer, or with a refusal because of the group's status: the bot reads the group.
    unanswered_at: datetime | None = None
    # The progress to compare later progress with: before the PUT, or after OMS reset the counters of a retried group.
    before: Progress | None = None
    huawei_request_id: str | None = None  # of the accepted PUT; None if the answer had none
    # Whether OMS may still start the group after the PUT of an earlier attempt, which it accepted or did not answer.
    follows_open_put: bool = False

    @property
    def may_take_effect(self) -> bool:
        """Whether OMS may still start the group, after this attempt or an earlier one of the same request."""
        return self.answered_at is not None or self.unanswered_at is not None or self.follows_open_put


@dataclass(frozen=True)
class Pause:
    """One click on Pause."""

    person: str  # the user id
    at: datetime
    before: State  # ACCEPTED or MOVING: the state to return to if the group is not paused
    sent_at: datetime | None = None  # when OMS accepted the call, or there was nothing to pause; None before
    failure: Problem | None = None  # why the group was not paused; None if nothing failed


@dataclass(frozen=True)
class LastSeen:
    """The last reading of the group (ShowTaskGroup) after the PUT."""

    at: datetime
    progress: Progress
    movement: Movement | None = None  # None if only this reading is known


@dataclass(frozen=True)
class Request:
    """One request. Every change makes a new value, which `bot.store.requests` stores under the next `version`."""

    id: str  # such as `R-7K3F2QAB`
    team_id: str  # the Slack workspace
    verb: Verb
    plan: Plan  # as of creation
    policy: Policy  # as of creation
    channel: str  # the id of the channel with the card
    group: TaskGroup  # as last read
    keys: tuple[KeyCheck, ...]  # as of creation
    requester: str  # a user id
    reason: str  # as typed by the requester; may be empty
    created_at: datetime
    expires_at: datetime  # when voting ends
    state: State
    version: int = 1  # incremented by every change; a card that shows an older version is updated
    start_at: datetime | None = None  # the earliest time of the PUT (`at=`); None: as soon as it is approved
    origin_key: str = ""  # the key of the inbox message that created it
    scope: Scope | None = None  # what a retry migrates again; None for a resume
    scope_chosen_by: str | None = None  # the user id of the person who last changed `scope`; None if nobody did
    started_elsewhere: bool = False  # whether someone outside this bot started the group after the creation
    vote_progress: VoteProgress | None = None  # None before the first vote, and after the approval
    reminders: int = 0  # how many of `bot.domain.schedule.reminders_at` have passed
    decision: Decision | None = None  # the approval; None before
    ending: Decision | None = None  # who denied or cancelled it; None if nobody did
    # The user ids of the people whose approval counted and no longer does, until they or enough others approve.
    void_approvals: tuple[str, ...] = ()
    attempt: Attempt | None = None  # the current attempt; None before the approval
    last_seen: LastSeen | None = None  # None until the group is read after the PUT
    announced: Announced = field(default_factory=Announced)  # in the thread, about the movement of the group
    pause: Pause | None = None  # the last click on Pause; None if there was none
    problem: Problem | None = None  # the current problem; None if there is none
    failure_causes: FailureCauses | None = None  # why sub-tasks failed; None if the bot has not read that from OMS
    ended_at: datetime | None = None  # None while it is open

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def approval_valid_until(self) -> datetime:
        """When an approval expires: with the voting, but not before an hour has passed since the start time."""
        return self.expires_at if self.start_at is None else max(self.expires_at, self.start_at + START_WITHIN)

    @property
    def group_key(self) -> str:
        """Identifies the group within all projects. The store keeps at most one open request for each key."""
        return f"{self.plan.project_id}/{self.group.group_id}"

    def with_reading(self, group: TaskGroup) -> Request:
        """Returns the request with another reading of its group. What the group migrates stays as people approve it."""
        read = replace(
            self.group,
            status=group.status,
            progress=group.progress,
            error=group.error,
            sub_tasks=group.sub_tasks,
            failed_list=group.failed_list,
        )
        return replace(self, group=read)

    def with_state(self, state: State, *, at: datetime, problem: Problem | None = None) -> Request:
        """Returns the request in another state, with this problem or none. A state that is not open sets `ended_at`."""
        ended_at = None if state in OPEN_STATES else at
        return replace(self, state=state, problem=problem, ended_at=ended_at)


@dataclass(frozen=True)
class Vote:
    """One approval by one person."""

    person: str  # the user id
    team_id: str  # the workspace of the person
    at: datetime
