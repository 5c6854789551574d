"""The groups that can be resumed are listed in all projects at once, and within a time limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from bot.domain.task_group import STATUSES_OF_KIND, GroupKind
from bot.huawei.oms import Oms
from bot.jobs.ask.listed_groups import RESUMABLE, Listed, NotListed, listed_groups
from bot.jobs.ask.request_form import fill_request_form
from bot.jobs.context import Context
from bot.sandbox.huawei.example_groups import LEDGERS, NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Hold, NoAnswer
from bot.sandbox.huawei.group import CREATION_FAILED, MIGRATION_FAILED, MONITORING, PAUSED
from bot.sandbox.slack.ids import BOB, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.store.inbox import Kind, Message
from bot.ui import modals
from bot.ui.lists import no_answer
from tests.support.in_process import sandbox_and_context, store_message

BOTH = ("media", "archive")
RESUMED_STATUSES = [status for kind in RESUMABLE for status in STATUSES_OF_KIND[kind]]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context(projects=2) as made:
        yield made


def ids(found: Listed | NotListed) -> set[str]:
    assert isinstance(found, Listed), found
    return {group.group_id for group in found.groups}


def test_paused_and_failed_groups_of_every_project_are_found(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    found = listed_groups(context, BOTH)
    for name in BOTH:
        groups = sandbox.oms_by_project[name].state.groups.values()
        wanted = (PAUSED, CREATION_FAILED, MIGRATION_FAILED)
        assert ids(found[name]) == {group.id for group in groups if group.status in wanted}
    assert listed_groups(context, ()) == {}


def test_only_groups_of_the_wanted_kinds_are_listed(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    groups = sandbox.oms_by_project["media"].state.groups
    running = replace(groups[NIGHTLY_IMAGES], id="7a7b7c7d-0000-4000-8000-000000000000", status=MONITORING)
    groups[running.id] = running
    found = listed_groups(context, ["media"], [GroupKind.RUNNING])
    assert isinstance(found["media"], Listed)
    assert running.id in ids(found["media"])
    assert list(found["media"].of_kind[GroupKind.RUNNING]) == list(found["media"].groups)
    assert NIGHTLY_IMAGES not in ids(found["media"])
    del groups[running.id]


def test_all_projects_are_listed_at_once_and_other_calls_do_not_wait_for_them(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    listed_groups(context, BOTH)  # proves each identity, so that its calls are no longer made one by one
    released = threading.Event()
    holds = {name: [Hold(released, threading.Event()) for _ in RESUMED_STATUSES] for name in BOTH}
    for name in BOTH:
        sandbox.oms_by_project[name].faults.add("list", *holds[name])
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(listed_groups, context, BOTH, answer_seconds=30)
        try:
            assert all(hold.reached.wait(10) for name in BOTH for hold in holds[name])
            for name, group_id in (("media", NIGHTLY_IMAGES), ("archive", LEDGERS)):
                look = partial(Oms.show, group_id=group_id)
                assert context.identity.call(name, look).group_id == group_id
            assert not listing.done()
        finally:
            released.set()
        assert LEDGERS in ids(listing.result()["archive"])


def test_a_project_that_is_late_is_left_out(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.oms_by_project["archive"].faults.add("list", NoAnswer())
    found = listed_groups(context, BOTH, answer_seconds=6)
    assert NIGHTLY_IMAGES in ids(found["media"])
    assert found["archive"] == NotListed(no_answer("archive", 6))


def test_a_project_that_refuses_is_named_with_what_to_do(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.oms_by_project["archive"].faults.add("list", Answer(403, "OMS.0072"))
    found = listed_groups(context, BOTH)
    assert NIGHTLY_IMAGES in ids(found["media"])
    assert isinstance(found["archive"], NotListed)
    assert "secret/oms/archive/caller" in found["archive"].problem.next_step


def test_the_form_offers_the_groups_that_were_found_and_names_projects_that_failed(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    sandbox.oms_by_project["archive"].faults.add("list", *[Answer(503, "APIG.0601")] * 6)
    opened = sandbox.workspace.open_view(BOB, modals.note(modals.REQUEST_TITLE, "One moment.").to_dict())
    message = Message(Kind.OPEN_REQUEST, "1", BOB, TEAM_ID, view_id=opened.id)
    store_message(context, message)
    assert not fill_request_form(context, message), "no further try is needed"
    view = str(opened.view)
    assert "Start at" in view
    assert f"media {NIGHTLY_IMAGES}" in view
    assert "The groups in archive can't be listed right now. Type an id instead. " in view
    assert LEDGERS not in view


def test_the_form_offers_failed_groups_of_every_project_before_paused_ones(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    groups, archived = (sandbox.oms_by_project[name].state.groups for name in BOTH)
    example = groups[NIGHTLY_IMAGES]
    added = [f"5a5b5c5d-0000-4000-8000-{number:012d}" for number in range(110)]
    groups.update({one: replace(example, id=one, status=PAUSED) for one in added})
    failed = replace(archived[LEDGERS], id="6a6b6c6d-0000-4000-8000-000000000000", status=MIGRATION_FAILED)
    archived[failed.id] = failed
    opened = sandbox.workspace.open_view(BOB, modals.note(modals.REQUEST_TITLE, "One moment.").to_dict())
    message = Message(Kind.OPEN_REQUEST, "2", BOB, TEAM_ID, view_id=opened.id)
    store_message(context, message)
    fill_request_form(context, message)
    options = [option["value"] for option in opened.view["blocks"][0]["element"]["options"]]
    for one in added:
        del groups[one]
    del archived[failed.id]
    assert len(options) == modals.MAX_OPTIONS
    assert f"archive {failed.id}" in options
    assert f"archive {LEDGERS}" in options
    assert "more groups aren't in the list." in str(opened.view)
