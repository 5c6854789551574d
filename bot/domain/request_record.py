"""Folds the audit rows of a request into what they prove: what people approve, who approved it, what was sent.

Pure. `bot.store.audit` reads the rows and checks who wrote them. Before keys are read, the request must agree with its
record, because everybody who can write to the database can change the request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.domain.audit_events import AuditEvent
from bot.domain.request import OPEN_STATES, Policy, Request, State, Vote
from bot.domain.schedule import reminders_at
from bot.domain.task_group import Scope

#: The states in which nothing is sent. A request in another state is settled and followed whatever its record says.
UNSENT_STATES = frozenset({State.PENDING, State.APPROVED, State.NOT_STARTED})
#: These events have the fingerprint of what people approve from then on. Earlier approvals no longer count.
VOTING_EVENTS = frozenset({AuditEvent.REQUEST_CREATED, AuditEvent.REQUEST_SCOPE_CHOSEN, AuditEvent.REQUEST_ASKED_AGAIN})
#: A message that repeats a refused one within this time is decided as usual.
REFUSAL_REPEATS_WITHIN = timedelta(minutes=1)


class Authenticity(StrEnum):
    """Whether the bot wrote a row. The value goes into the audit."""

    #: The bot wrote the row.
    AUTHENTIC = "authentic"
    #: The row names a key that the bot knows, but the bot did not write it like this.
    FORGED = "forged"
    #: The row names no key, or an unknown key: the bot may have written it before it had this key.
    UNKNOWN_KEY = "unknown key"


@dataclass(frozen=True)
class RefusedMessages:
    """The messages about a request that one audit row covers: of one person and kind, received in one minute."""

    person: str
    kind: str
    minute: str  # ISO 8601, without seconds
    why: str


@dataclass(frozen=True)
class RecordedEvent:
    """An audit row of a request that the bot wrote."""

    name: str  # a value of `AuditEvent`
    actor: str
    at: datetime
    detail: Mapping[str, object]

    @property
    def refused(self) -> RefusedMessages | None:
        """The messages that this event covers; None if it is no refusal, or a refusal by an earlier version."""
        if self.name != AuditEvent.ACTION_REFUSED or "minute" not in self.detail:
            return None
        return RefusedMessages(self.actor, *(str(self.detail.get(name, "")) for name in ("kind", "minute", "why")))


@dataclass(frozen=True)
class RequestRecord:
    """What the audit rows of one request prove. Only rows that the bot wrote count."""

    fingerprint: str = ""  # of what people approve; empty if no row has it
    approvals_needed: int = 0
    votes: tuple[Vote, ...] = ()  # in the order of voting
    void_approvals: frozenset[str] = frozenset()  # the people whose approvals the bot said no longer count
    all_removed_at: datetime | None = None  # when the approvals of all people were last removed
    removed_at: Mapping[str, datetime] = field(default_factory=dict)  # by person, when their approval was last removed
    attempt: int = 0  # the number of the last attempt
    approved_by: tuple[str, ...] = ()  # the people whose approvals that attempt has
    state: State | None = None
    is_over: bool = False  # whether the group moved or the request ended, so that nothing is sent anymore
    messages: frozenset[str] = frozenset()  # the `record_key`s of the answered messages; set by `bot.store.audit`
    refusals: frozenset[RefusedMessages] = frozenset()  # also set by `bot.store.audit`
    has_forged_row: bool = False
    has_unknown_row: bool = False  # since the last row with a fingerprint
    has_unapproved_put: bool = False  # a PUT without the approvals it needs, or the second one of an attempt

    @property
    def has_quorum(self) -> bool:
        """Whether enough people approved what the last attempt sends, and none of them withdrew."""
        approved_by = set(self.approved_by)
        return len(approved_by) >= self.approvals_needed and approved_by <= {vote.person for vote in self.votes}

    def is_removed(self, person: str, received_at: datetime | None) -> bool:
        """Whether an approval has no effect, because approvals of this person were removed after it was received.

        Otherwise, a person who can write to the database could hold back an approval until the person withdraws.

        Arguments:
            received_at: when the bot stored the approval; None if that is not known, which is before any other time.
        """
        removals = [at for at in (self.all_removed_at, self.removed_at.get(person)) if at is not None]
        return any(received_at is None or received_at < at for at in removals)

    def is_repeated_refusal(self, person: str, kind: str, received_at: datetime | None, now: datetime) -> bool:
        """Whether a message may have been refused before without an audit row of its own.

        Such a message has no effect if its mark is removed: a message of the same person and kind from the same minute
        was refused, and it was received more than `REFUSAL_REPEATS_WITHIN` ago.
        """
        if received_at is None or now - received_at <= REFUSAL_REPEATS_WITHIN:
            return False
        of = (person, kind, minute_of(received_at))
        return any((refusal.person, refusal.kind, refusal.minute) == of for refusal in self.refusals)

    def with_event(self, event: RecordedEvent) -> RequestRecord:
        """The record after one more row. Leaves `messages` and `refusals` as they are: copying them is too slow."""
        detail, record = event.detail, self
        if "fingerprint" in detail:
            record = replace(
                record,
                fingerprint=str(detail["fingerprint"]),
                approvals_needed=_number(detail.get("approvals needed")),
                votes=(),
                void_approvals=frozenset(),
                all_removed_at=None if event.name == AuditEvent.REQUEST_CREATED else event.at,
                has_unknown_row=False,
            )
        match event.name:
            case AuditEvent.VOTE_ADDED:
                vote = Vote(event.actor, str(detail.get("team", "")), event.at)
                record = replace(record, votes=(*record.votes, vote))
            case AuditEvent.VOTE_WITHDRAWN:
                record = record._without_votes_of([event.actor], event.at)
            case AuditEvent.ATTEMPT_OPENED:
                people = detail.get("approved by")
                approved_by = tuple(map(str, people)) if isinstance(people, list) else ()
                record = replace(record, attempt=_number(detail.get("number")), approved_by=approved_by)
            case AuditEvent.PUT_SENDING:
                is_next = record.state is State.APPROVED and detail.get("number") == record.attempt
                is_approved = is_next and record.has_quorum and not record.is_over
                record = replace(record, has_unapproved_put=record.has_unapproved_put or not is_approved)
        void = detail.get("void approvals")
        if isinstance(void, list):
            record = replace(record, void_approvals=record.void_approvals | set(map(str, void)))
            record = record._without_votes_of(void, event.at)
        name = detail.get("state")
        if isinstance(name, str) and name in _STATES:
            state = State(name)
            is_over = record.is_over or state is State.MOVING or state not in OPEN_STATES
            record = replace(record, state=state, is_over=is_over)
        return record

    def _without_votes_of(self, people: Sequence[str], at: datetime) -> RequestRecord:
        remaining = tuple(vote for vote in self.votes if vote.person not in people)
        return replace(self, votes=remaining, removed_at={**self.removed_at, **dict.fromkeys(people, at)})

    def with_other_row(self, authenticity: Authenticity) -> RequestRecord:
        """The record after one more row, which is forged or has an unknown key."""
        if authenticity is Authenticity.FORGED:
            return replace(self, has_forged_row=True)
        return replace(self, has_unknown_row=True)

    def authenticity(self, request: Request) -> Authenticity:
        """Whether a request is what the bot stored.

        For a request in one of the `UNSENT_STATES`, `AUTHENTIC` also means that the group has not moved since its
        creation. For an approved request, it means that the people in its decision approved it, that they are enough,
        and that its attempt sent nothing.
        """
        agrees = self.fingerprint == fingerprint(request) and self.state is request.state
        if request.state is State.PENDING:
            agrees = agrees and self._has_votes_of(request)
        if request.state in (State.APPROVED, State.NOT_STARTED):
            people = request.decision.people if request.decision is not None else ()
            is_last = request.attempt is not None and request.attempt.number == self.attempt
            agrees = agrees and is_last and people == self.approved_by and self.has_quorum
        if self.has_forged_row or (self.is_over and request.state in UNSENT_STATES):
            return Authenticity.FORGED
        # An unknown row may be a withdrawal.
        if agrees and not self.has_unknown_row:
            return Authenticity.AUTHENTIC
        # What the unknown rows can have changed: the state, the approvals and the scope. If the start is unknown, all.
        scopes = (request.scope, *Scope) if self.has_unknown_row else ()
        may_agree = not self.fingerprint or self.fingerprint in {fingerprint(replace(request, scope=s)) for s in scopes}
        return Authenticity.UNKNOWN_KEY if self.has_unknown_row and may_agree else Authenticity.FORGED

    def _has_votes_of(self, request: Request) -> bool:
        """Whether the approvals that a pending request shows are in the record, and it does not show too many."""
        progress, is_void_recorded = request.vote_progress, set(request.void_approvals) <= self.void_approvals
        if progress is None:
            return is_void_recorded
        names = {name for slot in request.policy.slots for name in slot}
        return (
            is_void_recorded
            and set(progress.people) <= {vote.person for vote in self.votes}
            and {name for slot in progress.missing for name in slot} <= names
            and len(progress.missing) + len(set(progress.people)) >= len(request.policy.slots)
        )


_STATES = frozenset(State)
# The fields of `TaskGroup` that change while nobody changes what the group migrates.
_CHANGING = frozenset({"status", "progress", "error", "sub_tasks", "failed_list"})


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def fingerprint(request: Request) -> str:
    """A hash of what people approve: verb, scope, plan, group, keys, policy, requester, channel, start and expiry.

    It covers what the card shows, so that nobody can show people one migration and have another one approved. If it
    changes with a version of the bot, all open requests count as forged. So a new field of `Plan`, `TaskGroup`,
    `KeyCheck` or `Policy` must not change the hash while it has its default value.
    """
    group = {name: value for name, value in asdict(request.group).items() if name not in _CHANGING}
    facts = (
        request.id,
        request.team_id,
        request.verb,
        request.scope,
        asdict(request.plan),
        group,
        [asdict(key) for key in request.keys],
        asdict(request.policy),
        request.requester,
        request.reason,
        request.channel,
        _utc(request.created_at),
        _utc(request.start_at),
        _utc(request.approval_valid_until),
    )
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def minute_of(at: datetime) -> str:
    """The minute of a time in UTC, as in `RefusedMessages`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M}"


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def ask_again(request: Request, policy: Policy, now: datetime) -> Request:
    """The request pending without votes, because it is not known who approved it. People can vote until its end.

    Arguments:
        policy: the project's policy now. The one in the request may be forged.
    """
    pending = replace(
        request,
        policy=policy,
        expires_at=request.approval_valid_until,
        scope_chosen_by=None,
        vote_progress=None,
        decision=None,
        void_approvals=(),
    ).with_state(State.PENDING, at=now)
    # Reminders that were due while the request was approved are not sent later.
    return replace(pending, reminders=max(request.reminders, sum(at <= now for at in reminders_at(pending))))
