"""The sweep of a project: what it lists, what it stores, and which requests it makes due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bot.domain.request import Request, State
from bot.domain.task_group import GroupStatus
from bot.domain.watched_group import Activity, WatchedGroup
from bot.huawei import oms
from bot.huawei.wire_types import MAX_COUNT
from bot.jobs.watch.sweep import sweep_project
from bot.jobs.worker import Finished
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.group import COMPLETED, MIGRATION_FAILED, MONITORING, PAUSED, Group
from bot.sandbox.slack.ids import ALICE, CAROL
from bot.sandbox.system import Sandbox
from bot.store import alerts, groups, queue, sweeps, tables
from bot.store.inbox import Kind
from bot.store.queue import Claim, Queue
from tests.support.in_process import advance_once, context_at, context_of, create_request, press_button, stored_request
from tests.support.swept_project import SweptProject

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Project(SweptProject):
    def calls(self, act: Callable[[], object]) -> list[str]:
        """The calls to OMS in this time: `list` and `show`."""
        before = len(self.sandbox.call_log.since())
        act()
        found = [call for call in self.sandbox.call_log.since()[before:] if call.path.startswith("/v2/")]
        return ["list" if call.path.endswith("/taskgroups") else "show" for call in found]

    def stored(self, group: Group) -> WatchedGroup | None:
        with self.context.store.read() as connection:
            return groups.get(connection, f"{PROJECT_ID}/{group.id}")

    def seen(self, group: Group) -> WatchedGroup:
        found = self.stored(group)
        assert found is not None
        return found


@pytest.fixture
def project(new_sandbox: Callable[..., Sandbox], database_url: str) -> Iterator[Project]:
    sandbox = new_sandbox(database_url=database_url)
    with context_of(sandbox) as context:
        yield Project(sandbox, context)


def moving_request(project: Project, number: int) -> tuple[Request, Group]:
    """A request whose group moves, as the bot has seen."""
    made, posted = create_request(project.sandbox, project.context, number)
    group = project.oms.groups[made.group.group_id]
    group.bytes_per_second = 1_000_000
    group.status_lag = timedelta()
    press_button(project.context, Kind.APPROVE, CAROL, made, posted)
    project.context = context_at(project.context, project.context.now() + 4 * SECOND)
    advance_once(project.context, made.id)
    project.context = context_at(project.context, project.context.now() + 4 * SECOND)
    request = advance_once(project.context, made.id)
    assert request.state is State.MOVING
    return request, group


def test_a_sweep_costs_one_call_for_each_status_and_page(project: Project) -> None:
    for number in range(250):
        project.add_group(number)
    for number in range(1000, 1150):
        project.add_group(number, COMPLETED)
    # 10 statuses, two more pages of running groups, one more of complete ones.
    assert project.calls(project.sweep) == ["list"] * 13
    # The next sweep lists only the statuses 0, 1, 2, 3 and 7. Ended groups cost no calls.
    assert project.calls(lambda: project.sweep(30 * SECOND)) == ["list"] * 7


def test_the_groups_of_a_sweep_are_stored_but_not_those_that_had_ended_before(project: Project) -> None:
    running, failed = project.add_group(1), project.add_group(2, MIGRATION_FAILED)
    complete = project.add_group(3, COMPLETED)
    project.sweep()
    assert project.seen(running).group.status is GroupStatus.MONITORING
    assert project.seen(failed).group.status is GroupStatus.MIGRATION_FAILED
    assert project.stored(complete) is None


def test_the_rate_is_measured_from_the_bytes_between_two_sweeps(project: Project) -> None:
    group = project.add_group(1, bytes_per_second=20_000_000)
    project.sweep()
    assert project.seen(group).movement.rate is None
    project.sweep(10 * SECOND)
    rate = project.seen(group).movement.rate
    assert rate is not None
    assert rate == pytest.approx(20_000_000, rel=0.01)


def test_a_group_that_no_list_shows_is_read_before_it_counts_as_complete(project: Project) -> None:
    group = project.add_group(1)
    project.sweep()
    group.status = COMPLETED
    assert project.calls(lambda: project.sweep(30 * SECOND)) == ["list"] * 5 + ["show"]
    assert project.seen(group).group.status is GroupStatus.COMPLETED
    assert project.calls(lambda: project.sweep(30 * SECOND)) == ["list"] * 7, "with the failed groups"


def test_a_deleted_group_is_read_once_and_then_counts_as_deleted(project: Project) -> None:
    group = project.add_group(1)
    project.sweep()
    del project.oms.groups[group.id]
    assert project.calls(lambda: project.sweep(30 * SECOND)) == ["list"] * 5 + ["show"]
    assert project.seen(group).group.status is GroupStatus.DELETED
    assert "show" not in project.calls(lambda: project.sweep(30 * SECOND))


def test_an_incomplete_sweep_stores_nothing_and_is_repeated(project: Project) -> None:
    group = project.add_group(1)
    project.sweep()
    before = project.seen(group)
    project.sandbox.oms.faults.add("list", *[Answer(500, "OMS.0001", "Internal error.")] * 10)
    result = project.sweep(10 * SECOND)
    assert result == Finished(project.context.now() + 10 * SECOND)
    assert project.seen(group) == before
    project.sandbox.oms.faults.clear()
    project.sweep(10 * SECOND)
    assert project.seen(group).seen_at > before.seen_at


def test_a_throttled_sweep_waits_twice_as_long(project: Project) -> None:
    project.add_group(1)
    project.sweep()
    project.sandbox.oms.faults.add("list", *[Answer(429, "APIG.0308", "Too many requests.")] * 10)
    assert project.sweep(10 * SECOND) == Finished(project.context.now() + 20 * SECOND)
    assert project.sweep(20 * SECOND) == Finished(project.context.now() + 40 * SECOND)


def test_a_sweep_that_another_process_has_claimed_since_stores_nothing(project: Project) -> None:
    group = project.add_group(1)
    result = sweep_project(project.context, Claim(tables.sweeps.name, "media", 0))
    assert result == Finished()
    assert project.stored(group) is None


def test_another_replica_can_claim_a_sweep_whose_process_died(project: Project) -> None:
    store, now = project.context.store, project.context.now()
    with store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.sweeps), "dead", now, 8)
        assert queue.claim_due(connection, Queue(tables.sweeps), "alive", now, 8) == []
    assert claim.key == "media"
    assert timedelta(seconds=30) > queue.LEASE


def test_running_groups_are_sampled_each_minute_and_when_they_stop(project: Project) -> None:
    group, start = project.add_group(1, bytes_per_second=1_000_000), project.context.now()
    for _ in range(13):
        project.sweep(10 * SECOND)
    with project.context.store.read() as connection:
        found = groups.samples_of(connection, f"{PROJECT_ID}/{group.id}", start, start + 10 * MINUTE)
    assert len(found) == 3
    assert [sample.complete_bytes for sample in found] == sorted(sample.complete_bytes for sample in found)
    group.status = PAUSED
    project.sweep(10 * SECOND)
    project.sweep(10 * SECOND)
    with project.context.store.read() as connection:
        found = groups.samples_of(connection, f"{PROJECT_ID}/{group.id}", start, start + 10 * MINUTE)
    assert len(found) == 4


def test_the_next_sweep_comes_within_ten_seconds_after_a_group_begins_to_move(project: Project) -> None:
    project.sweep()
    with project.context.store.write() as connection:
        claim = Claim(tables.sweeps.name, "media", 0)
        queue.claim_one(connection, tables.sweeps, "media", "me")
        queue.finish(connection, claim, "me", project.context.now() + MINUTE)
    moving_request(project, 1)
    with project.context.store.read() as connection:
        [due_at] = queue.next_due(connection, project.context.now(), (Queue(tables.sweeps),)).values()
    assert due_at <= project.context.now() + 10 * SECOND


def test_a_followed_group_costs_no_call_of_its_own(project: Project) -> None:
    request, group = moving_request(project, 1)
    project.sweep(SECOND)
    for _ in range(5):
        project.sweep(10 * SECOND)
        assert project.calls(lambda: advance_once(project.context, request.id)) == []
        now_seen = stored_request(project.context, request.id).last_seen
        assert now_seen is not None
        assert now_seen.at == project.context.now()
        assert now_seen.progress.complete_bytes == group.complete_bytes
        assert now_seen.movement is not None
        assert now_seen.movement.activity is Activity.MOVING


def test_a_request_is_due_as_soon_as_a_sweep_sees_its_group_end(project: Project) -> None:
    request, group = moving_request(project, 1)
    project.sweep(SECOND)
    advance_once(project.context, request.id)
    group.complete_bytes = group.total_bytes
    project.sweep(10 * SECOND)
    with project.context.store.read() as connection:
        due_at = queue.next_due(connection, project.context.now(), (Queue(tables.requests),))
    assert due_at == {Queue(tables.requests): project.context.now()}
    assert project.calls(lambda: advance_once(project.context, request.id)) == []
    assert stored_request(project.context, request.id).state is State.DONE


def test_a_reading_from_before_the_put_was_accepted_does_not_count(project: Project) -> None:
    made, posted = create_request(project.sandbox, project.context, 1)
    project.sweep()
    press_button(project.context, Kind.APPROVE, CAROL, made, posted)
    project.context = context_at(project.context, project.context.now() + 4 * SECOND)
    assert project.calls(lambda: advance_once(project.context, made.id)) == ["show"]


def test_without_sweeps_the_group_of_a_request_is_read_individually(project: Project) -> None:
    request, _ = moving_request(project, 1)
    project.context = context_at(project.context, project.context.now() + 41 * SECOND)
    assert project.calls(lambda: advance_once(project.context, request.id)) == ["show"]
    project.sandbox.oms.faults.add("list", *[Answer(429, "APIG.0308", "Too many requests.")] * 10)
    project.sweep()
    project.context = context_at(project.context, project.context.now() + 41 * SECOND)
    assert project.calls(lambda: advance_once(project.context, request.id)) == [], "while OMS refuses calls"


def test_a_project_that_is_not_watched_is_listed_only_while_a_request_is_followed(project: Project) -> None:
    media = project.context.projects["media"].model_copy(update={"watch": "off"})
    project.context = replace(project.context, projects={"media": media})
    assert project.calls(project.sweep) == []
    moving_request(project, 1)
    assert "list" in project.calls(lambda: project.sweep(30 * SECOND))


def test_a_removed_project_is_no_longer_swept(project: Project) -> None:
    with project.context.store.write() as connection:
        sweeps.set_projects(connection, ["other"], project.context.now())
    with project.context.store.read() as connection:
        due_at = queue.next_due(connection, project.context.now(), (Queue(tables.sweeps),))
        assert sweeps.get(connection, "media").listed_at == {}
    assert due_at == {Queue(tables.sweeps): project.context.now()}
    with project.context.store.write() as connection:
        [claim] = queue.claim_due(connection, Queue(tables.sweeps), "me", project.context.now(), 8)
    assert claim.key == "other"


def alert_texts(project: Project) -> list[str]:
    """What the alerts of the project say, one text for each group that is in trouble."""
    with project.context.store.write() as connection:
        rows = connection.execute(select(tables.alerts.c.id).order_by(tables.alerts.c.id)).scalars().all()
        found = [stored.alert for number in rows if (stored := alerts.lock(connection, number)) is not None]
    return [f"{item.group.description} {item.trouble}" for alert in found for item in alert.items if not item.is_over]


def test_a_group_that_someone_pauses_causes_an_alert_when_two_sweeps_show_it(project: Project) -> None:
    group = project.add_group(1)
    project.sweep()
    group.status = PAUSED
    project.sweep(10 * SECOND)
    assert alert_texts(project) == []
    project.sweep(30 * SECOND)
    project.sweep(30 * SECOND)
    assert alert_texts(project) == ["group 1 paused"]


def test_a_group_that_fails_causes_an_alert_in_the_same_sweep(project: Project) -> None:
    group = project.add_group(1)
    project.sweep()
    group.status, group.error = MIGRATION_FAILED, ("TRF.0151", "Invalid AK/SK of the source end.")
    project.sweep(10 * SECOND)
    assert alert_texts(project) == ["group 1 failed"]


def test_trouble_that_the_first_sweep_finds_causes_no_alert(project: Project) -> None:
    project.add_group(1, PAUSED)
    project.add_group(2, MIGRATION_FAILED)
    for _ in range(4):
        project.sweep(30 * SECOND)
    assert alert_texts(project) == []


def test_everything_that_happened_while_the_bot_was_away_is_one_alert(project: Project) -> None:
    running = [project.add_group(number) for number in range(3)]
    project.sweep()
    for group in running:
        group.status = MIGRATION_FAILED
    project.sweep(timedelta(hours=20))
    assert alert_texts(project) == ["group 0 failed", "group 1 failed", "group 2 failed"]
    with project.context.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.alerts)).scalar() == 1


def test_the_end_of_a_followed_group_causes_no_alert_because_its_card_shows_it(project: Project) -> None:
    request, group = moving_request(project, 1)
    project.sweep(SECOND)
    advance_once(project.context, request.id)
    group.status, group.error = MIGRATION_FAILED, ("TRF.0151", "Invalid AK/SK of the source end.")
    # The request reads its group before the next sweep.
    project.context = context_at(project.context, project.context.now() + 41 * SECOND)
    assert advance_once(project.context, request.id).state is State.FAILED
    project.sweep(SECOND)
    project.sweep(timedelta(minutes=1))
    assert alert_texts(project) == []


@pytest.mark.parametrize("field", [{"fail_num": -1}, {"total_size": "12"}, {"status": 10}])
def test_a_known_group_that_cannot_be_read_anymore_does_not_hide_the_others(
    project: Project, monkeypatch: pytest.MonkeyPatch, field: dict[str, object]
) -> None:
    odd, other = project.add_group(1), project.add_group(2)
    project.sweep()
    before = project.seen(odd)
    shown = odd.as_json
    monkeypatch.setattr(odd, "as_json", lambda region: shown(region) | field)
    other.status = MIGRATION_FAILED
    project.sweep(MINUTE)
    assert alert_texts(project) == ["group 2 failed"]
    assert project.seen(odd) == before


@pytest.mark.parametrize("answer", [Answer(403, "OMS.0072"), Answer(500, "OMS.0001")])
def test_a_group_that_oms_does_not_show_does_not_hide_the_others(project: Project, answer: Answer) -> None:
    hidden, other = project.add_group(1), project.add_group(2)
    project.sweep()
    hidden.status, other.status = COMPLETED, MIGRATION_FAILED
    project.sandbox.oms.faults.add("show", answer)
    project.sweep(MINUTE)
    assert alert_texts(project) == ["group 2 failed"]
    assert project.seen(hidden).group.status is GroupStatus.MONITORING
    project.sweep(MINUTE)
    assert project.seen(hidden).group.status is GroupStatus.COMPLETED


def test_more_complete_groups_than_the_bot_reads_do_not_keep_it_from_watching(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oms, "MAX_PAGES", 1)
    running, failing = project.add_group(1), project.add_group(2)
    for number in range(1000, 1100):
        project.add_group(number, COMPLETED)
    project.sweep()
    running.status, failing.status = COMPLETED, MIGRATION_FAILED
    project.sweep(timedelta(minutes=10))
    assert alert_texts(project) == ["group 2 failed"]
    assert project.seen(running).group.status is GroupStatus.COMPLETED


def test_the_largest_counts_are_stored(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    group = project.add_group(1)
    shown = group.as_json
    counts = dict.fromkeys(("success_num", "fail_num", "skip_num", "total_num", "total_size"), MAX_COUNT)
    monkeypatch.setattr(group, "as_json", lambda region: shown(region) | counts)
    project.sweep()
    project.sweep(MINUTE)
    assert project.seen(group).group.progress.handled_objects == 3 * MAX_COUNT


def test_a_group_that_fails_right_after_its_request_started_it_makes_no_alert(project: Project) -> None:
    made, posted = create_request(project.sandbox, project.context, 1)
    group = project.oms.groups[made.group.group_id]
    group.bytes_per_second, group.status_lag = 0, timedelta()
    project.sweep()
    press_button(project.context, Kind.APPROVE, CAROL, made, posted)
    advance_once(project.context, made.id)
    project.context = context_at(project.context, project.context.now() + 4 * SECOND)
    assert advance_once(project.context, made.id).state is State.ACCEPTED
    group.status, group.error = MIGRATION_FAILED, ("TRF.0151", "Invalid AK/SK of the source end.")
    project.context = context_at(project.context, project.context.now() + 4 * SECOND)
    assert advance_once(project.context, made.id).state is State.FAILED
    project.sweep(30 * SECOND)
    project.sweep(30 * SECOND)
    assert alert_texts(project) == []


def test_a_canceled_request_does_not_hide_that_its_group_failed(project: Project) -> None:
    made, posted = create_request(project.sandbox, project.context, 1)
    group = project.oms.groups[made.group.group_id]
    group.bytes_per_second = 0
    project.sweep()
    group.status = MONITORING
    project.sweep(30 * SECOND)
    group.status = MIGRATION_FAILED
    project.context = context_at(project.context, project.context.now() + SECOND)
    assert press_button(project.context, Kind.CANCEL, ALICE, made, posted).state is State.CANCELLED
    project.sweep(30 * SECOND)
    assert alert_texts(project) == ["group 1 failed"]
