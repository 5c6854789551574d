"""What the audit rows of a request prove, and the hash of what people approve."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.audit_events import AuditEvent
from bot.domain.request import OPEN_STATES, Attempt, Decision, KeyCheck, Policy, Problem, Request, State, Verb
from bot.domain.request_record import (
    UNSENT_STATES,
    Authenticity,
    RecordedEvent,
    RequestRecord,
    ask_again,
    fingerprint,
)
from bot.domain.task_group import ErrorReason, GroupStatus, Scope
from tests.support.values import GROUP, HALF, NOON, PLAN, POLICY, request

CAROL, DAVE = "UCAROL00", "UDAVE000"
TWO = Policy(("*",), ((CAROL, DAVE),) * 2, self_approval=False)
PENDING = request()


def event(name: AuditEvent, actor: str = "bot", **detail: object) -> RecordedEvent:
    return RecordedEvent(name.value, actor, NOON, {key.replace("_", " "): value for key, value in detail.items()})


def state(new: State) -> RecordedEvent:
    return event(AuditEvent.PUT_SETTLED, state=new.value)


def created(pending: Request = PENDING) -> RecordedEvent:
    needed = len(pending.policy.slots)
    facts = {"fingerprint": fingerprint(pending), "approvals_needed": needed, "state": "pending"}
    return event(AuditEvent.REQUEST_CREATED, "UALICE00", **facts)


def approval(*people: str, number: int = 1) -> tuple[RecordedEvent, ...]:
    votes = [event(AuditEvent.VOTE_ADDED, person) for person in people]
    opened = {"number": number, "approved_by": list(people), "state": "approved"}
    return (*votes, event(AuditEvent.ATTEMPT_OPENED, people[-1], **opened))


def sending(number: int = 1) -> RecordedEvent:
    return event(AuditEvent.PUT_SENDING, number=number, state="sending")


def record(*events: RecordedEvent) -> RequestRecord:
    found = RequestRecord()
    for one in events:
        found = found.with_event(one)
    return found


def approved(*people: str, pending: Request = PENDING, number: int = 1) -> Request:
    attempt = Attempt(number, people[-1], NOON)
    return replace(pending, decision=Decision(people, NOON), attempt=attempt).with_state(State.APPROVED, at=NOON)


def test_the_fingerprint_of_a_request_is_the_same_in_every_version() -> None:
    # If this value changes, an upgrade makes all open requests void.
    assert fingerprint(PENDING) == "2b09e4b73d0941646bbb3980664af38f7d94d12f959fa4089626859beb469d7e"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "R-00000002"},
        {"team_id": "T0OTHER001"},
        {"verb": Verb.RETRY},
        {"scope": Scope.FAILED_OBJECTS},
        {"plan": replace(PLAN, source_path="other")},
        {"plan": replace(PLAN, console_url="https://other.example")},
        {"group": replace(GROUP, group_id="11111111-3402-4a86-9e2a-5d5217cd35b2")},
        {"group": replace(GROUP, description="test")},
        {"group": replace(GROUP, source=replace(GROUP.source, bucket="test"))},
        {"group": replace(GROUP, destination=replace(GROUP.destination, bucket="test"))},
        {"group": replace(GROUP, settings=())},
        {"keys": (KeyCheck("test", 7, ("ak", "sk")),)},
        {"policy": replace(POLICY, self_approval=True)},
        {"requester": DAVE},
        {"reason": "other"},
        {"channel": "C0OTHER001"},
        {"created_at": NOON + timedelta(seconds=1)},
        {"start_at": NOON + timedelta(hours=1)},
        {"expires_at": NOON + timedelta(hours=9)},
    ],
    ids=str,
)
def test_another_request_has_another_fingerprint(changes: dict[str, object]) -> None:
    assert fingerprint(request(**changes)) != fingerprint(PENDING)  # type: ignore[arg-type]


def test_what_happens_to_a_request_does_not_change_its_fingerprint() -> None:
    reading = replace(
        GROUP,
        status=GroupStatus.MIGRATION_FAILED,
        progress=replace(HALF, complete_bytes=5),
        error=ErrorReason("TRF.0151", "words"),
        description="another name",
    )
    for later in (
        PENDING.with_reading(reading),
        approved(CAROL),
        replace(PENDING, version=7, reminders=2, problem=Problem("", "", "", "words", "")),
    ):
        assert fingerprint(later) == fingerprint(PENDING)


def test_an_approved_request_is_authentic_with_the_approvals_it_needs() -> None:
    two = request(policy=TWO)
    assert record(created(), *approval(CAROL)).authenticity(approved(CAROL)) is Authenticity.AUTHENTIC
    one_vote = record(created(two), *approval(CAROL))
    assert one_vote.authenticity(approved(CAROL, pending=two)) is Authenticity.FORGED
    both = record(created(two), *approval(CAROL, DAVE))
    assert both.authenticity(approved(CAROL, DAVE, pending=two)) is Authenticity.AUTHENTIC


@pytest.mark.parametrize("unsent", [State.APPROVED, State.NOT_STARTED])
@pytest.mark.parametrize("people", [(DAVE,), (CAROL, DAVE), ()])
def test_other_people_in_the_decision_than_those_who_approved_are_forged(
    unsent: State, people: tuple[str, ...]
) -> None:
    found = record(created(), *approval(CAROL), state(unsent))
    authentic = approved(CAROL).with_state(unsent, at=NOON)
    assert found.authenticity(authentic) is Authenticity.AUTHENTIC
    assert found.authenticity(replace(authentic, decision=Decision(people, NOON))) is Authenticity.FORGED
    assert found.authenticity(replace(authentic, decision=None)) is Authenticity.FORGED


@pytest.mark.parametrize("over", [State.MOVING, *sorted(frozenset(State) - OPEN_STATES)])
@pytest.mark.parametrize("unsent", sorted(UNSENT_STATES))
def test_nothing_is_sent_after_the_group_moved_or_the_request_ended(over: State, unsent: State) -> None:
    found = record(created(), *approval(CAROL), sending(), state(over))
    put_back = approved(CAROL).with_state(unsent, at=NOON)
    assert found.authenticity(put_back) is Authenticity.FORGED
    later = found.with_event(state(State.UNKNOWN)).with_event(state(unsent))
    assert later.authenticity(put_back) is Authenticity.FORGED, "the bot was made to write that it is unsent"
    assert later.with_other_row(Authenticity.UNKNOWN_KEY).authenticity(put_back) is Authenticity.FORGED
    again = later.with_event(approval(CAROL, number=2)[-1]).with_event(sending(2))
    assert again.has_unapproved_put


def test_an_attempt_that_started_nothing_can_be_followed_by_another() -> None:
    pausing = (state(State.ACCEPTED), state(State.PAUSING), state(State.ACCEPTED))
    found = record(created(), *approval(CAROL), sending(), *pausing, state(State.NOT_STARTED))
    assert found.authenticity(approved(CAROL).with_state(State.NOT_STARTED, at=NOON)) is Authenticity.AUTHENTIC
    retried = found.with_event(approval(CAROL, number=2)[-1])
    assert retried.authenticity(approved(CAROL, number=2)) is Authenticity.AUTHENTIC
    assert not retried.with_event(sending(2)).has_unapproved_put
    assert retried.with_event(sending(1)).has_unapproved_put, "the first attempt sent its call before"


def test_rows_with_an_unknown_key_are_not_called_forged_if_they_can_explain_the_request() -> None:
    found = record(created()).with_other_row(Authenticity.UNKNOWN_KEY)
    assert found.authenticity(PENDING) is Authenticity.UNKNOWN_KEY, "an approval may have been withdrawn"
    assert found.authenticity(approved(CAROL)) is Authenticity.UNKNOWN_KEY
    asked_again = found.with_event(replace(created(), name=AuditEvent.REQUEST_ASKED_AGAIN.value))
    assert asked_again.authenticity(PENDING) is Authenticity.AUTHENTIC
    chosen = replace(PENDING, scope=Scope.FAILED_OBJECTS)
    retry = record(created(replace(chosen, scope=Scope.ALL_OBJECTS))).with_other_row(Authenticity.UNKNOWN_KEY)
    assert retry.authenticity(chosen) is Authenticity.UNKNOWN_KEY, "the scope may have been chosen meanwhile"
    other_group = replace(PENDING, group=replace(GROUP, group_id="11111111-3402-4a86-9e2a-5d5217cd35b2"))
    assert found.authenticity(other_group) is Authenticity.FORGED
    assert RequestRecord().with_other_row(Authenticity.UNKNOWN_KEY).authenticity(PENDING) is Authenticity.UNKNOWN_KEY
    assert RequestRecord().authenticity(PENDING) is Authenticity.FORGED, "the bot writes no request without a row"


def test_a_request_that_is_asked_again_has_no_approvals_and_the_current_policy() -> None:
    scheduled = replace(approved(CAROL), start_at=NOON + timedelta(hours=12), reminders=0)
    again = ask_again(scheduled, TWO, NOON + timedelta(hours=6))
    assert (again.state, again.decision, again.vote_progress, again.policy) == (State.PENDING, None, None, TWO)
    assert again.expires_at == scheduled.approval_valid_until == again.approval_valid_until
    assert again.attempt == scheduled.attempt, "a later attempt has the next number"


@pytest.mark.parametrize(
    ("removal", "removed"),
    [
        (event(AuditEvent.VOTE_WITHDRAWN, CAROL), {CAROL}),
        (event(AuditEvent.APPROVAL_VOID, void_approvals=[CAROL]), {CAROL}),
        (replace(created(), name=AuditEvent.REQUEST_SCOPE_CHOSEN.value), {CAROL, DAVE}),
        (replace(created(), name=AuditEvent.REQUEST_ASKED_AGAIN.value), {CAROL, DAVE}),
        (event(AuditEvent.VOTE_ADDED, CAROL), set()),
        (created(), set()),
    ],
)
def test_an_approval_received_before_approvals_were_removed_has_no_effect(
    removal: RecordedEvent, removed: set[str]
) -> None:
    found = record(created(), event(AuditEvent.VOTE_ADDED, CAROL), removal)
    before = NOON - timedelta(seconds=1)
    assert {person for person in (CAROL, DAVE) if found.is_removed(person, before)} == removed
    assert {person for person in (CAROL, DAVE) if found.is_removed(person, None)} == removed
    assert not any(found.is_removed(person, NOON) for person in (CAROL, DAVE))
