"""Sample values of the domain: a paused group, a request for it, people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.policy import AccountKind, Person
from bot.domain.request import Attempt, Decision, KeyCheck, LastSeen, Plan, Policy, Problem, Request, State, Verb
from bot.domain.task_group import Destination, GroupStatus, Progress, Source, TaskGroup

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TEAM = "T0TEST0001"
GROUP_ID = "00878453-3402-4a86-9e2a-5d5217cd35b2"
PLAN = Plan(
    "media",
    "ap-southeast-3",
    "0" * 32,
    "https://oms.example",
    "https://iam.example",
    "secret",
    "caller",
    "source",
    "destination",
)
POLICY = Policy(("*",), (("UCAROL00",),), self_approval=False)
HALF = Progress(10_000_000_000, 4_000_000_000, 1000, 400)
GROUP = TaskGroup(
    GROUP_ID,
    GroupStatus.PAUSED,
    "PREFIX",
    "nightly images",
    Source("photos-prod", "AWS", "us-east-1"),
    Destination("photos-archive", "ap-southeast-3", ""),
    HALF,
    False,
    "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE",
    None,
    None,
    settings=(("dst_node.bucket", "photos-archive"), ("src_node.bucket", "photos-prod")),
)


def person(
    user_id: str, *groups: str, account_kind: AccountKind = AccountKind.FULL, groups_known: bool = True
) -> Person:
    return Person(user_id, TEAM, account_kind, frozenset(groups), groups_known)


def request(state: State = State.PENDING, number: int = 1, **changes: object) -> Request:
    """A request in this state, created at noon by alice and decided at once by carol. `changes` replaces fields."""
    pending = Request(
        id=f"R-{number:08d}",
        team_id=TEAM,
        verb=Verb.RESUME,
        plan=PLAN,
        policy=POLICY,
        channel="C0TEST0001",
        group=GROUP,
        keys=(KeyCheck("source", 7, ("ak", "sk")), KeyCheck("destination", None, None)),
        requester="UALICE00",
        reason="network is back",
        created_at=NOON,
        expires_at=NOON + timedelta(hours=8),
        state=State.PENDING,
    )
    if state is State.PENDING:
        return replace(pending, **changes)  # type: ignore[arg-type]
    if state in (State.DENIED, State.CANCELLED):
        ended = replace(pending, ending=Decision(("UCAROL00",), NOON)).with_state(state, at=NOON)
        return replace(ended, **changes)  # type: ignore[arg-type]
    decided = replace(
        pending,
        decision=Decision(("UCAROL00",), NOON),
        attempt=Attempt(1, "UCAROL00", NOON, sent_at=NOON, answered_at=NOON, before=HALF),
        last_seen=LastSeen(NOON, HALF),
    )
    problem = None
    if state in (State.NOT_STARTED, State.FAILED, State.PAUSED_AGAIN):
        problem = Problem("OMS", "OMS.0072", "words", "It may not. Nothing was started.", "Grant it.", "abc123")
    return replace(decided.with_state(state, at=NOON, problem=problem), **changes)  # type: ignore[arg-type]
