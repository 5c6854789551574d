"""An identity is refused three times in five minutes at most, despite retries, new versions, lost and late answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.domain.circuit_breaker import (
    MAX_REFUSALS,
    PROBE_LEASE,
    REFUSALS_COUNT_FOR,
    BreakerState,
    BreakerStep,
    CircuitBreaker,
    CredentialVersion,
    Verdict,
    is_close_to_lock,
    is_quiet,
    next_step,
    with_probe,
    with_retry_allowed,
    with_verdict,
)
from tests.support.values import NOON

SECOND = timedelta(seconds=1)
PATH = "secret/caller"
NEW = CircuitBreaker("one", PATH, 1)
V1, V2 = CredentialVersion(1), CredentialVersion(2)


def refused(breaker: CircuitBreaker, version: CredentialVersion = V1, at: datetime = NOON) -> CircuitBreaker:
    """After a probe that was refused."""
    probing = with_probe(breaker, version, at)
    assert probing != breaker
    return with_verdict(probing, version, Verdict.REFUSED, at, at, "APIG.0301")


def accepted(breaker: CircuitBreaker, version: CredentialVersion = V1, at: datetime = NOON) -> CircuitBreaker:
    probing = with_probe(breaker, version, at)
    return with_verdict(probing, version, Verdict.ACCEPTED, at, at)


def test_a_new_identity_is_half_open_and_one_probe_closes_it() -> None:
    assert NEW.state is BreakerState.HALF_OPEN
    assert next_step(NEW, V1, NOON) is BreakerStep.PROBE
    probing = with_probe(NEW, V1, NOON)
    assert next_step(probing, V1, NOON + SECOND) is BreakerStep.WAIT
    closed = with_verdict(probing, V1, Verdict.ACCEPTED, NOON + SECOND, NOON)
    assert next_step(closed, V1, NOON + SECOND) is BreakerStep.SEND
    assert is_quiet(closed, NOON + SECOND), "an accepted probe is no refusal"


def test_a_closed_circuit_breaker_is_not_changed_by_calls_that_are_not_refused() -> None:
    closed = accepted(NEW)
    assert with_probe(closed, V1, NOON) == closed
    for verdict in (Verdict.ACCEPTED, Verdict.UNRELATED, Verdict.UNKNOWN):
        assert with_verdict(closed, V1, verdict, NOON, None) == closed


def test_the_first_refusal_opens_it_and_each_refusal_counts() -> None:
    closed = accepted(NEW)
    once = with_verdict(closed, V1, Verdict.REFUSED, NOON, None, "APIG.0301")
    assert (once.state, once.code, len(once.refused_at)) == (BreakerState.OPEN, "APIG.0301", 1)
    assert next_step(once, V1, NOON) is BreakerStep.FAIL
    twice = with_verdict(once, V1, Verdict.REFUSED, NOON + SECOND, None, "APIG.0301")
    assert len(twice.refused_at) == 2


def test_a_refused_probe_counts_once() -> None:
    assert refused(NEW).refused_at == (NOON,)


def test_it_stays_open_until_vault_has_another_version_or_a_person_retries() -> None:
    opened = refused(NEW)
    assert next_step(opened, V1, NOON + timedelta(days=9)) is BreakerStep.FAIL
    assert next_step(opened, V2, NOON) is BreakerStep.PROBE
    assert next_step(with_retry_allowed(opened, NOON, NOON), V1, NOON) is BreakerStep.PROBE


def test_a_retry_by_a_person_changes_nothing_unless_it_is_open_and_not_close_to_the_lock() -> None:
    closed, probing = accepted(NEW), with_probe(NEW, V1, NOON)
    for unchanged in (NEW, closed, probing):
        assert with_retry_allowed(unchanged, NOON, NOON) == unchanged
    opened = refused(NEW)
    for _ in range(MAX_REFUSALS - 1):
        opened = refused(with_retry_allowed(opened, NOON, NOON))
    assert is_close_to_lock(opened, NOON)
    assert with_retry_allowed(opened, NOON, NOON) == opened
    later = NOON + REFUSALS_COUNT_FOR
    assert with_retry_allowed(opened, later, later).state is BreakerState.HALF_OPEN


def test_one_request_of_a_person_allows_one_refused_call_however_often_it_is_handled() -> None:
    opened, asked_at, later = refused(NEW), NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)
    assert with_retry_allowed(opened, later, asked_at).state is BreakerState.HALF_OPEN
    tried = replace(opened, refused_at=(*opened.refused_at, later))
    assert with_retry_allowed(tried, later, asked_at) == tried
    assert with_retry_allowed(tried, later, later).state is BreakerState.HALF_OPEN, "another request of a person"


def test_a_version_that_was_not_accepted_is_probed_even_if_another_was_accepted() -> None:
    assert next_step(accepted(NEW), V2, NOON) is BreakerStep.PROBE


def test_after_three_refusals_another_version_waits_five_minutes() -> None:
    opened = NEW
    for number in range(MAX_REFUSALS):
        opened = refused(opened, CredentialVersion(number))
    assert next_step(opened, CredentialVersion(9), NOON) is BreakerStep.FAIL
    assert next_step(opened, CredentialVersion(9), NOON + REFUSALS_COUNT_FOR) is BreakerStep.PROBE


@pytest.mark.parametrize(("verdict", "count"), [(Verdict.UNRELATED, 0), (Verdict.UNKNOWN, 1)])
def test_a_probe_stops_counting_unless_its_answer_is_unknown(verdict: Verdict, count: int) -> None:
    after = with_verdict(with_probe(NEW, V1, NOON), V1, verdict, NOON, NOON)
    assert (after.state, len(after.refused_at)) == (BreakerState.HALF_OPEN, count)
    assert next_step(after, V1, NOON) is BreakerStep.PROBE


def test_a_probe_that_was_lost_is_followed_by_another_and_stays_counted() -> None:
    probing, later = with_probe(NEW, V1, NOON), NOON + PROBE_LEASE
    assert next_step(probing, V1, later - SECOND) is BreakerStep.WAIT
    second = with_probe(probing, V1, later)
    assert second.refused_at == (NOON, later)
    late = with_verdict(second, V1, Verdict.UNKNOWN, later, NOON)
    assert next_step(late, V1, later) is BreakerStep.WAIT, "the second probe is still under way"
    assert with_verdict(second, V1, Verdict.ACCEPTED, later, NOON).refused_at == (later,)


def test_three_probes_without_an_answer_stop_calls_without_a_refusal_code() -> None:
    tried = refused(NEW)
    tried = with_retry_allowed(tried, NOON, NOON)
    for _ in range(MAX_REFUSALS - 1):
        tried = with_verdict(with_probe(tried, V1, NOON), V1, Verdict.UNKNOWN, NOON, NOON)
    assert next_step(tried, V1, NOON) is BreakerStep.FAIL
    assert tried.code == ""


def test_without_versions_the_content_is_compared_and_unknown_content_is_not_trusted() -> None:
    """KV version 1 has no versions."""
    same, other, unknown = (CredentialVersion(None, judged) for judged in (True, False, None))
    new = CircuitBreaker("one", PATH, None)
    closed, opened = accepted(new, unknown), refused(new, unknown)
    assert [next_step(closed, version, NOON) for version in (same, other, unknown)] == [
        BreakerStep.SEND,
        BreakerStep.PROBE,
        BreakerStep.PROBE,
    ]
    assert [next_step(opened, version, NOON) for version in (same, other, unknown)] == [
        BreakerStep.FAIL,
        BreakerStep.PROBE,
        BreakerStep.FAIL,
    ]


def test_refusals_at_all_paths_count_together_and_suspend_only_their_own_path() -> None:
    elsewhere = (NOON, NOON)
    assert next_step(replace(accepted(NEW), refused_elsewhere=elsewhere), V1, NOON) is BreakerStep.SEND
    assert next_step(replace(NEW, refused_elsewhere=elsewhere), V1, NOON) is BreakerStep.PROBE
    opened = replace(refused(NEW), refused_elsewhere=elsewhere)
    assert is_close_to_lock(opened, NOON)
    assert not is_close_to_lock(opened, NOON + REFUSALS_COUNT_FOR)


def test_a_probe_without_versions_leaves_an_accepted_identity_in_use_for_others() -> None:
    """After a restart on KV version 1, a process does not know whether the credential changed."""
    unknown, same = CredentialVersion(None), CredentialVersion(None, True)
    probing = with_probe(accepted(CircuitBreaker("one", PATH, None), unknown), unknown, NOON)
    assert next_step(probing, same, NOON) is BreakerStep.SEND
    assert next_step(probing, unknown, NOON) is BreakerStep.WAIT
    unanswered = with_verdict(probing, unknown, Verdict.UNKNOWN, NOON, NOON)
    assert (unanswered.state, unanswered.refused_at) == (BreakerState.CLOSED, ())


def test_a_clock_that_is_ahead_makes_nobody_wait_and_its_refusals_do_not_count() -> None:
    ahead = with_probe(NEW, V1, NOON + timedelta(hours=1))
    assert next_step(ahead, V1, NOON) is BreakerStep.PROBE
    assert not is_close_to_lock(replace(NEW, refused_at=(NOON + timedelta(hours=1),) * 3), NOON)


@dataclass(frozen=True)
class Sent:
    """A call that is under way."""

    version: CredentialVersion
    at: datetime
    is_probe: bool


class Calls(RuleBasedStateMachine):
    """Calls by several replicas, retries by people, new versions in Vault, killed processes, and late answers."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.breaker = NEW
        self.version = 1
        self.under_way: list[Sent] = []
        # The send times of the probes that were, or may have been, refused.
        self.probes: list[datetime] = []
        self.refusals: list[datetime] = []
        self.proven: int | None = None

    @rule(seconds=st.sampled_from([0, 1, 30, 61, 120, 301]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule()
    def vault_has_another_version(self) -> None:
        self.version += 1

    @rule()
    def a_person_retries(self) -> None:
        self.breaker = with_retry_allowed(self.breaker, self.now, self.now)

    @rule(age=st.sampled_from([0, 0, 0, 1]))
    def a_call_begins(self, age: int) -> None:
        self.now += timedelta(microseconds=1)
        version = CredentialVersion(max(1, self.version - age))
        step = next_step(self.breaker, version, self.now)
        self.breaker = with_probe(self.breaker, version, self.now)
        if step is BreakerStep.SEND:
            assert version.version == self.proven
        elif step is BreakerStep.PROBE:
            assert len(self.recent(self.refusals + self.probes)) < MAX_REFUSALS
            leases = [sent.at + PROBE_LEASE for sent in self.under_way if sent.is_probe]
            assert all(until <= self.now for until in leases), "one probe at a time"
            self.probes.append(self.now)
        else:
            return
        self.under_way.append(Sent(version, self.now, step is BreakerStep.PROBE))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def a_call_ends(self, data: st.DataObject, verdict: Verdict) -> None:
        sent = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(sent)
        probed_at = sent.at if sent.is_probe else None
        self.breaker = with_verdict(self.breaker, sent.version, verdict, self.now, probed_at, "APIG.0301")
        if sent.is_probe and verdict in (Verdict.ACCEPTED, Verdict.UNRELATED):
            self.probes.remove(sent.at)
        if verdict is Verdict.REFUSED:
            self.proven = None
            if not sent.is_probe:
                self.refusals.append(self.now)
        elif verdict is Verdict.ACCEPTED and sent.is_probe:
            self.proven = sent.version.version

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_process_is_killed(self, data: st.DataObject) -> None:
        self.under_way.remove(data.draw(st.sampled_from(self.under_way)))

    @invariant()
    def no_five_minutes_hold_more_than_three_refused_probes(self) -> None:
        for begin in self.probes:
            within = [at for at in self.probes if timedelta() <= at - begin < REFUSALS_COUNT_FOR]
            assert len(within) <= MAX_REFUSALS

    def recent(self, times: list[datetime]) -> list[datetime]:
        return [at for at in times if self.now - at < REFUSALS_COUNT_FOR]


TestCalls = Calls.TestCase


def test_refusals_that_no_longer_count_are_removed() -> None:
    opened = refused(NEW)
    later = NOON + REFUSALS_COUNT_FOR
    again = refused(replace(opened, state=BreakerState.HALF_OPEN), V1, later)
    assert again.refused_at == (later,)
