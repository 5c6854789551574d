"""What OMS's answer to a call makes of its request, in time and when others were quicker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.request import Attempt, AttemptState, Request, State
from bot.huawei.errors import Answer, HuaweiError, NotSent, Rejected, Throttled, TooLate, Unanswered
from bot.huawei.oms import Accepted
from bot.jobs.send.put_outcome import MAX_TRIES, Reply, outcome_of_late_reply, outcome_of_reply
from tests.support.values import NOON, request

SOON = NOON + timedelta(seconds=1)
DENIED = Rejected(Answer(403, "OMS.0072", "No permission", "", "abc"))
TOKEN_OVER = Rejected(Answer(401, "APIG.0307", "The token must be updated.", "", "abc"))
RUNNING = Rejected(Answer(400, "OMS.0065", "Already started", "", "abc"))
SLOW_DOWN = Answer(429, "APIG.0308", "The throttling threshold has been reached", "", "abc")
COMPLETE = Rejected(Answer(400, "OMS.0070", "Already complete", "", "abc"))


def sent(state: State = State.SENDING, tries: int = 0) -> tuple[Request, Attempt]:
    attempt = Attempt(1, "UCAROL00", NOON, tries=tries, sent_at=NOON)
    return request(state, attempt=attempt, last_seen=None), attempt


@pytest.mark.parametrize(
    ("reply", "state", "attempt_state"),
    [
        (Accepted("7f3c"), State.ACCEPTED, AttemptState.ANSWERED),
        (Throttled(1, SLOW_DOWN), State.APPROVED, AttemptState.READY),
        (NotSent("no address"), State.APPROVED, AttemptState.READY),
        (TooLate("held up"), State.APPROVED, AttemptState.READY),
        (TOKEN_OVER, State.APPROVED, AttemptState.READY),
        (RUNNING, State.UNKNOWN, AttemptState.UNKNOWN),
        (COMPLETE, State.UNKNOWN, AttemptState.UNKNOWN),
        (Unanswered("the connection broke"), State.UNKNOWN, AttemptState.UNKNOWN),
        (DENIED, State.NOT_STARTED, AttemptState.ANSWERED),
    ],
)
def test_every_answer_has_its_turn(reply: Reply, state: State, attempt_state: AttemptState) -> None:
    outcome = outcome_of_reply(*sent(), reply, SOON)
    assert (outcome.request.state, outcome.attempt_state) == (state, attempt_state)


@pytest.mark.parametrize("reply", [Throttled(1, SLOW_DOWN), NotSent("no address"), TooLate("held up"), TOKEN_OVER])
def test_what_was_not_sent_is_sent_again_three_times_and_no_more(reply: HuaweiError) -> None:
    for tries in range(MAX_TRIES):
        outcome = outcome_of_reply(*sent(tries=tries), reply, SOON)
        assert (outcome.attempt_state is AttemptState.READY) is (tries < MAX_TRIES - 1)
    assert outcome.request.state is State.NOT_STARTED


def test_it_is_sent_again_when_oms_allows_it_and_not_before() -> None:
    for reply, wait_seconds in (
        (Throttled(40, SLOW_DOWN), 40),
        (Throttled(None, SLOW_DOWN), 5),
        (NotSent("no address"), 5),
        (TOKEN_OVER, 0),
    ):
        attempt = outcome_of_reply(*sent(), reply, SOON).request.attempt
        assert attempt is not None
        assert attempt.not_before == SOON + timedelta(seconds=wait_seconds)
        assert (attempt.tries, attempt.sent_at) == (1, None)


@pytest.mark.parametrize("reply", [Accepted("7f3c"), DENIED, TooLate("held up"), RUNNING])
def test_a_late_answer_counts_while_nobody_knows_better(reply: Reply) -> None:
    unknown, attempt = sent(State.UNKNOWN)
    assert outcome_of_late_reply(unknown, attempt, reply, SOON) == outcome_of_reply(unknown, attempt, reply, SOON)


def test_a_late_answer_corrects_not_started_and_starts_nothing_by_itself() -> None:
    not_started, attempt = sent(State.NOT_STARTED)
    accepted = outcome_of_late_reply(not_started, attempt, Accepted("7f3c"), SOON)
    assert accepted is not None
    assert accepted.request.state is State.ACCEPTED
    refused = outcome_of_late_reply(not_started, attempt, DENIED, SOON)
    assert refused is not None
    assert refused.request.problem is not None
    assert refused.request.problem.code == "OMS.0072"
    for reply in (TooLate("held up"), Throttled(1, SLOW_DOWN), RUNNING):
        assert outcome_of_late_reply(not_started, attempt, reply, SOON) is None


def test_a_late_answer_changes_nothing_that_was_built_on_what_the_group_showed() -> None:
    for state in set(State) - {State.UNKNOWN, State.NOT_STARTED}:
        assert outcome_of_late_reply(*sent(state), Accepted("7f3c"), SOON) is None
    for state in State:
        assert outcome_of_late_reply(*sent(state), Unanswered("the connection broke"), SOON) is None
        made, attempt = sent(state)
        later = replace(made, attempt=replace(attempt, number=2))
        assert outcome_of_late_reply(later, attempt, Accepted("7f3c"), SOON) is None
