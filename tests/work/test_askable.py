"""What can be asked for is looked for in every project at once, and no longer than it is worth."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from bot.oms.client import Oms
from bot.sandbox import oms_world as ow
from bot.sandbox.oms_server import Answer, Hold, Late
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store.inbox import Kind, Message
from bot.work import forms
from bot.work.askable import Askable, NotListed, askable
from bot.work.tools import Tools
from tests.support.inside import town_and_tools

BOTH = ("media", "archive")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Town, Tools]]:
    with town_and_tools(projects=2) as made:
        yield made


def ids(found: Askable | NotListed) -> set[str]:
    assert isinstance(found, Askable), found
    return {group.group_id for group in found.groups}


def test_what_is_paused_or_failed_is_found_in_every_project(place: tuple[Town, Tools]) -> None:
    town, tools = place
    found = askable(tools, BOTH)
    for name in BOTH:
        groups = town.worlds[name].groups.values()
        wanted = (ow.PAUSED, ow.CREATION_FAILED, ow.MIGRATION_FAILED)
        assert ids(found[name]) == {group.id for group in groups if group.status in wanted}
    assert askable(tools, ()) == {}


def test_every_project_is_listed_at_once_and_a_seat_is_left_to_what_a_migration_waits_for(
    place: tuple[Town, Tools],
) -> None:
    town, tools = place
    askable(tools, BOTH)  # from now on the identities are in use
    released = threading.Event()
    holds = {name: [Hold(released, threading.Event()) for _ in range(2)] for name in BOTH}
    for name in BOTH:
        town.clouds[name].fault("list", *holds[name])
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(askable, tools, BOTH, 30)
        try:
            assert all(hold.reached.wait(10) for name in BOTH for hold in holds[name])
            for name, group_id in (("media", ow.NIGHTLY_IMAGES), ("archive", ow.LEDGERS)):
                look = partial(Oms.show, group_id=group_id)
                assert tools.callers.call(name, look).group_id == group_id
            assert not asking.done()
        finally:
            released.set()
        assert ow.LEDGERS in ids(asking.result()["archive"])


def test_who_is_late_is_left_out_and_holds_up_nobody(place: tuple[Town, Tools]) -> None:
    town, tools = place
    town.clouds["archive"].fault("list", Late())
    found = askable(tools, BOTH, answer_seconds=6)
    assert ow.NIGHTLY_IMAGES in ids(found["media"])
    assert found["archive"] == NotListed("Project archive did not answer within 6 s.", "Try again in a minute.")


def test_who_refuses_is_told_with_what_to_do(place: tuple[Town, Tools]) -> None:
    town, tools = place
    town.clouds["archive"].fault("list", Answer(403, "OMS.0072"))
    found = askable(tools, BOTH)
    assert ow.NIGHTLY_IMAGES in ids(found["media"])
    assert isinstance(found["archive"], NotListed)
    assert "secret/oms/archive/caller" in found["archive"].next_step


def test_the_form_offers_what_was_found_and_says_what_was_not(place: tuple[Town, Tools]) -> None:
    town, tools = place
    town.clouds["archive"].fault("list", Answer(503, "APIG.0601"))
    message = Message(Kind.OPEN_REQUEST, "1", w.BOB, w.TEAM_ID)
    view = str(forms._for_asking(tools, message, tools.people.look_up(w.BOB)).view.to_dict())
    assert f"media {ow.NIGHTLY_IMAGES}" in view
    assert "The groups of archive cannot be listed just now; type an id. " in view
    assert ow.LEDGERS not in view
