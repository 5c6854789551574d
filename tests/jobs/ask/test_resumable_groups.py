"""The groups that can be resumed are listed in all projects at once, and within a time limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from slack_sdk.models.views import View

from bot.huawei.oms import Oms
from bot.jobs.ask import forms
from bot.jobs.ask.resumable_groups import STATUSES, Listed, NotListed, resumable_groups
from bot.jobs.context import Context
from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import Answer, Hold, Late
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from bot.slack.messenger import Messenger
from bot.store.inbox import Kind, Message
from tests.support.in_process import sandbox_and_context

BOTH = ("media", "archive")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context(projects=2) as made:
        yield made


def ids(found: Listed | NotListed) -> set[str]:
    assert isinstance(found, Listed), found
    return {group.group_id for group in found.groups}


def test_paused_and_failed_groups_of_every_project_are_found(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    found = resumable_groups(context, BOTH)
    for name in BOTH:
        groups = sandbox.worlds[name].groups.values()
        wanted = (ow.PAUSED, ow.CREATION_FAILED, ow.MIGRATION_FAILED)
        assert ids(found[name]) == {group.id for group in groups if group.status in wanted}
    assert resumable_groups(context, ()) == {}


def test_every_project_is_listed_at_once_and_a_migration_waits_for_no_list(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    resumable_groups(context, BOTH)  # from now on the identities are proven
    released = threading.Event()
    holds = {name: [Hold(released, threading.Event()) for _ in STATUSES] for name in BOTH}
    for name in BOTH:
        sandbox.clouds[name].fault("list", *holds[name])
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(resumable_groups, context, BOTH, 30)
        try:
            assert all(hold.reached.wait(10) for name in BOTH for hold in holds[name])
            for name, group_id in (("media", ow.NIGHTLY_IMAGES), ("archive", ow.LEDGERS)):
                look = partial(Oms.show, group_id=group_id)
                assert context.identity.call(name, look).group_id == group_id
            assert not asking.done()
        finally:
            released.set()
        assert ow.LEDGERS in ids(asking.result()["archive"])


def test_a_project_that_is_late_is_left_out(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.clouds["archive"].fault("list", Late())
    found = resumable_groups(context, BOTH, answer_seconds=6)
    assert ow.NIGHTLY_IMAGES in ids(found["media"])
    assert found["archive"] == NotListed("Project archive did not answer within 6 s.", "Try again in a minute.")


def test_a_project_that_refuses_is_named_with_what_to_do(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.clouds["archive"].fault("list", Answer(403, "OMS.0072"))
    found = resumable_groups(context, BOTH)
    assert ow.NIGHTLY_IMAGES in ids(found["media"])
    assert isinstance(found["archive"], NotListed)
    assert "secret/oms/archive/caller" in found["archive"].next_step


def test_the_form_offers_the_groups_that_were_found_and_names_projects_that_failed(
    place: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = place
    sandbox.clouds["archive"].fault("list", Answer(503, "APIG.0601"))
    message = Message(Kind.OPEN_REQUEST, "1", w.BOB, w.TEAM_ID)
    shown: list[View] = []
    monkeypatch.setattr(Messenger, "update_view", lambda _, view_id, view: shown.append(view))
    assert not forms.fill(context, message)
    view = str(shown[-1].to_dict())
    assert f"media {ow.NIGHTLY_IMAGES}" in view
    assert "The groups of archive cannot be listed just now; type an id. " in view
    assert ow.LEDGERS not in view
