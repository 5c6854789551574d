"""Folds the audit rows of a request into what they prove: what people approve, who approved it, what was sent.

Pure. `bot.store.audit` reads the rows and checks who wrote them. Before keys are read, the request must agree with its
record, because everybody who can write to the database can change the request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from bot.domain.audit_events import AuditEvent
from bot.domain.request import OPEN_STATES, Policy, Request, State, Vote
from bot.domain.schedule import reminders_at
from bot.domain.task_group import Scope

#: The states in which nothing is sent. A request in another state is settled and followed whatever its record says.
UNSENT_STATES = frozenset({State.PENDING, State.APPROVED, State.NOT_STARTED})
#: These events have the fingerprint of what people approve from then on. Earlier approvals no longer count.
VOTING_EVENTS = frozenset({AuditEvent.REQUEST_CREATED, AuditEvent.REQUEST_SCOPE_CHOSEN, AuditEvent.REQUEST_ASKED_AGAIN})


class Authenticity(StrEnum):
    """Whether the bot wrote a row. The value goes into the audit."""

    #: The bot wrote the row.
    AUTHENTIC = "authentic"
    #: The row names a key that the bot knows, but the bot did not write it like this.
    FORGED = "forged"
    #: The row names no key, or one that the bot does not know: it is older, or from before the key was changed.
    UNKNOWN_KEY = "unknown key"


@dataclass(frozen=True)
class RecordedEvent:
    """An audit row of a request that the bot wrote."""

    name: str  # a value of `AuditEvent`
    actor: str
    at: datetime
    detail: Mapping[str, object]


@dataclass(frozen=True)
class RequestRecord:
    """What the audit rows of one request prove. Only rows that the bot wrote count."""

    fingerprint: str = ""  # of what people approve; empty if no row has it
    approvals_needed: int = 0
    votes: tuple[Vote, ...] = ()  # in the order of voting
    attempt: int = 0  # the number of the last attempt
    approved_by: tuple[str, ...] = ()  # the people whose approvals that attempt has
    state: State | None = None
    is_over: bool = False  # whether the group moved or the request ended, so that nothing is sent anymore
    messages: frozenset[str] = frozenset()  # the `record_key`s of the messages that were answered
    has_forged_row: bool = False
    has_unknown_row: bool = False  # since the last row with a fingerprint
    has_unapproved_put: bool = False  # a PUT without the approvals it needs, or the second one of an attempt

    @property
    def has_quorum(self) -> bool:
        """Whether enough people approved what the last attempt sends, and none of them withdrew."""
        approved_by = set(self.approved_by)
        return len(approved_by) >= self.approvals_needed and approved_by <= {vote.person for vote in self.votes}

    def with_event(self, event: RecordedEvent) -> RequestRecord:
        """The record after one more row."""
        detail, record = event.detail, self
        if "fingerprint" in detail:
            record = replace(
                record,
                fingerprint=str(detail["fingerprint"]),
                approvals_needed=_number(detail.get("approvals needed")),
                votes=(),
                has_unknown_row=False,
            )
        match event.name:
            case AuditEvent.VOTE_ADDED:
                vote = Vote(event.actor, str(detail.get("team", "")), event.at)
                record = replace(record, votes=(*record.votes, vote))
            case AuditEvent.VOTE_WITHDRAWN:
                remaining = tuple(vote for vote in record.votes if vote.person != event.actor)
                record = replace(record, votes=remaining)
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
            record = replace(record, votes=tuple(vote for vote in record.votes if vote.person not in void))
        if "message" in detail:
            record = replace(record, messages=record.messages | {str(detail["message"])})
        name = detail.get("state")
        if isinstance(name, str) and name in _STATES:
            state = State(name)
            is_over = record.is_over or state is State.MOVING or state not in OPEN_STATES
            record = replace(record, state=state, is_over=is_over)
        return record

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
    ).with_state(State.PENDING, at=now)
    # Reminders that were due while the request was approved are not sent later.
    return replace(pending, reminders=max(request.reminders, sum(at <= now for at in reminders_at(pending))))
