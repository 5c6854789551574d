"""A request from asking to the end, and the values it is made of.

What may happen to it is in `votes` and `next_step`; how it is kept is left to `bot.store`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bot.domain.task_group import Progress, Scope, TaskGroup


class Verb(StrEnum):
    RESUME = "resume"
    RETRY = "retry"


class State(StrEnum):
    """Where a request is. The first eight are open: the group has at most one request in them."""

    PENDING = "pending"
    APPROVED = "approved"
    SENDING = "sending"
    UNKNOWN = "unknown"
    NOT_STARTED = "not started"
    ACCEPTED = "accepted"
    MOVING = "moving"
    PAUSING = "pausing"
    DONE = "done"
    FAILED = "failed"
    PAUSED_AGAIN = "paused again"
    NOT_FOLLOWED = "no longer followed"
    APPROVAL_EXPIRED = "approval expired"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
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


@dataclass(frozen=True)
class Plan:
    """What would be called, and which keys would be read, as the settings stood when it was asked.

    Compared with the settings in force before anything is read or sent: a difference voids the request.
    `source_path` is None for a group whose source needs no key.
    """

    project: str
    region: str
    project_id: str
    oms_url: str
    iam_url: str
    vault_mount: str
    caller_path: str
    source_path: str | None
    destination_path: str


@dataclass(frozen=True)
class Policy:
    """Who may ask and who must approve, as the settings stood when it was asked.

    `requesters` and the members of `places` are Slack user ids (`U…`, `W…`) and user group ids (`S…`);
    `requesters` may be `*`, every full member of the workspace. A quorum fills every place with a
    person of its own: `approvals = 2` of a flat list is that list as two places.
    """

    requesters: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...]
    self_approval: bool


@dataclass(frozen=True)
class KeyCheck:
    """What Vault said at preflight of one path: its version and which keys are there, never their values.

    `version` is None on KV version 1, `keys` is None where Vault could not be asked.
    """

    path: str
    version: int | None
    keys: tuple[str, ...] | None


@dataclass(frozen=True)
class Problem:
    """What went wrong, for a person: whose answer, its code, its words, what it means, what to do, whose side."""

    where: str
    code: str
    message: str
    meaning: str
    next_step: str
    huawei_request_id: str | None = None
    reference: str | None = None
    side: str = ""


@dataclass(frozen=True)
class Decision:
    """Who decided, when and, for a denial, why."""

    people: tuple[str, ...]
    at: datetime
    reason: str = ""


@dataclass(frozen=True)
class VoteProgress:
    """How a vote stands that is not decided: whose approvals count, and for each free place who could still fill it.

    As of the last vote, when everybody who had voted was looked up.
    """

    people: tuple[str, ...]
    missing: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Attempt:
    """One attempt at the PUT. The approval opens number 1, and each press of Retry opens the next.

    `tries` counts the calls that certainly started nothing; the same attempt is then sent again, after `not_before`.
    `sent_at` and `before` (the group's progress) are stored before the PUT, `answered_at` and `huawei_request_id` after
    OMS accepted it. `unanswered_at` is when the bot stopped waiting for a clear reply.
    """

    number: int
    opened_by: str
    opened_at: datetime
    tries: int = 0
    not_before: datetime | None = None
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    unanswered_at: datetime | None = None
    before: Progress | None = None
    huawei_request_id: str | None = None


@dataclass(frozen=True)
class Pause:
    """Somebody wants the group paused; `before` is how the request stood, and stands again if it comes to nothing.

    `sent_at` is when OMS accepted it, `failure` why it came to nothing.
    """

    person: str
    at: datetime
    before: State
    sent_at: datetime | None = None
    failure: Problem | None = None


@dataclass(frozen=True)
class LastSeen:
    """What the last SHOW told."""

    at: datetime
    progress: Progress


@dataclass(frozen=True)
class Request:
    """One row. Every change makes a new one with a higher `version`; the card shows a version.

    `asked_with` is the key of the message that asked. `scope` is what a retry migrates again, None for other verbs.
    `is_elsewhere` says that the group runs, or ran, because somebody outside this bot started it.
    `decision` is the approval, `ending` who denied or cancelled it, approved or not.
    `tally` is None until somebody votes; `reminders` counts those whose time has passed.
    """

    id: str
    team_id: str
    verb: Verb
    plan: Plan
    policy: Policy
    channel: str
    group: TaskGroup
    keys: tuple[KeyCheck, ...]
    requester: str
    reason: str
    created_at: datetime
    expires_at: datetime
    state: State
    version: int = 1
    start_at: datetime | None = None
    origin_key: str = ""
    scope: Scope | None = None
    started_elsewhere: bool = False
    vote_progress: VoteProgress | None = None
    reminders: int = 0
    decision: Decision | None = None
    ending: Decision | None = None
    attempt: Attempt | None = None
    last_seen: LastSeen | None = None
    pause: Pause | None = None
    problem: Problem | None = None
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def group_key(self) -> str:
        """What two requests may not have open at once."""
        return f"{self.plan.project_id}/{self.group.group_id}"

    def with_state(self, state: State, *, at: datetime, problem: Problem | None = None) -> Request:
        """The request in another state; one that is no longer open has ended at this moment."""
        ended_at = None if state in OPEN_STATES else at
        return replace(self, state=state, problem=problem, ended_at=ended_at)


@dataclass(frozen=True)
class Vote:
    """One approval by one person."""

    person: str
    team_id: str
    at: datetime
