"""The receipt for each accepted action."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.decisions import ActionKind
from bot.domain.request import Attempt, Policy, Request, State, VoteProgress
from bot.domain.task_group import Scope
from bot.ui.formatting import local_time
from bot.ui.receipts import receipt
from tests.support.values import NOON, request

LATER = NOON + timedelta(hours=1)
THREE = Policy(("*",), (("UCAROL00", "UDAVE000", "UERIN000"),) * 3, self_approval=False)
ONE_VOTE = VoteProgress(("UCAROL00",), (("UDAVE000", "UERIN000"),) * 2)
TWO_VOTES = VoteProgress(("UCAROL00", "UDAVE000"), (("UERIN000",),))


@pytest.mark.parametrize(
    ("kind", "changed", "removed_votes", "text"),
    [
        (
            ActionKind.APPROVE,
            request(policy=THREE, vote_progress=TWO_VOTES),
            0,
            'Your approval of "nightly images" is recorded. 1 more is needed.',
        ),
        (
            ActionKind.APPROVE,
            request(policy=THREE, vote_progress=ONE_VOTE),
            0,
            'Your approval of "nightly images" is recorded. 2 more are needed.',
        ),
        (
            ActionKind.APPROVE,
            request(State.APPROVED),
            0,
            'Your approval of "nightly images" is recorded. No more are needed.',
        ),
        (
            ActionKind.APPROVE,
            request(State.APPROVED, start_at=LATER),
            0,
            f'Your approval of "nightly images" is recorded. No more are needed. It starts {local_time(LATER)}.',
        ),
        (
            ActionKind.WITHDRAW,
            request(policy=THREE),
            1,
            'Your approval of "nightly images" is withdrawn. 3 approvals are needed now.',
        ),
        (
            ActionKind.WITHDRAW,
            request(policy=THREE, vote_progress=TWO_VOTES),
            1,
            'Your approval of "nightly images" is withdrawn. 1 approval is needed now.',
        ),
        (
            ActionKind.DENY,
            request(State.DENIED),
            0,
            'You denied the request for "nightly images". Nothing was started.',
        ),
        (
            ActionKind.CANCEL,
            request(State.CANCELLED),
            0,
            'You canceled the request for "nightly images". Nothing was started.',
        ),
        (ActionKind.RETRY, request(State.APPROVED), 0, 'Your retry of "nightly images" is recorded.'),
        (
            ActionKind.PAUSE,
            request(State.PAUSING),
            0,
            'Your pause of "nightly images" is recorded. The card shows when the group is paused.',
        ),
        (
            ActionKind.CHOOSE_SCOPE,
            request(scope=Scope.FAILED_OBJECTS),
            1,
            'Your choice for "nightly images" is recorded: only the failed objects. Earlier approvals no longer count.',
        ),
        (
            ActionKind.CHOOSE_SCOPE,
            request(scope=Scope.ALL_OBJECTS),
            0,
            'Your choice for "nightly images" is recorded: all objects.',
        ),
    ],
)
def test_an_accepted_action_has_a_receipt(kind: ActionKind, changed: Request, removed_votes: int, text: str) -> None:
    assert receipt(kind, changed, removed_votes) == text


def test_a_receipt_names_no_start_time_that_has_passed() -> None:
    late = request(State.APPROVED, start_at=NOON, attempt=Attempt(1, "UCAROL00", LATER))
    assert receipt(ActionKind.APPROVE, late, 0) == 'Your approval of "nightly images" is recorded. No more are needed.'


def test_a_cancellation_does_not_claim_that_nothing_was_started_while_a_put_can_take_effect() -> None:
    unclear = Attempt(1, "UCAROL00", NOON, sent_at=NOON, unanswered_at=NOON)
    text = receipt(ActionKind.CANCEL, request(State.CANCELLED, attempt=unclear), 0)
    assert text == 'You canceled the request for "nightly images".'
