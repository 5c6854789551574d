"""Every kind of group, every verb and every project through the card that people see, with the real bot."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.sandbox import oms_state as ow
from bot.sandbox.oms_state import NIGHTLY_IMAGES, an
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.workspace import Posted
from bot.sandbox.system import Sandbox
from tests.support.sandbox import (
    buttons,
    create_request_for,
    full_text,
    open_form,
    put_calls,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)


@pytest.fixture(scope="module")
def shared() -> object:
    sandbox = Sandbox(projects=2)
    try:
        sandbox.open()
        sandbox.start_bot()
        yield sandbox
    finally:
        sandbox.close()


KINDS = [
    pytest.param(an(7), "json_auth_file, dst_ak, dst_sk", "source/google", id="GOOGLE"),
    pytest.param(an(8), "connection_string, dst_ak, dst_sk", "source/azure", id="AZURE-connection-string"),
    pytest.param(an(9), "src_ak, src_sk, dst_ak, dst_sk", "source", id="AZURE-keys"),
    pytest.param(an(10), "dst_ak, dst_sk", None, id="URL_LIST"),
    pytest.param(an(11), "dst_ak, dst_sk", None, id="URLSOURCE"),
    pytest.param(an(12), "src_ak, src_sk, source_cdn_authentication_key, dst_ak, dst_sk", "source/cdn", id="CDN"),
]


@pytest.mark.parametrize(("group_id", "sent", "path"), KINDS)
def test_each_kind_of_group_is_resumed_with_just_the_keys_it_needs(
    shared: Sandbox, group_id: str, sent: str, path: str | None
) -> None:
    card = create_request_for(shared, group_id)
    said = full_text(card)
    assert ("oms/media/source" in said) == (path is not None)
    assert "oms/media/destination" in said
    shared.people.press(w.CAROL, card, "approve")
    wait_for_text(shared, card, "Resumed, moving")
    [put] = [call for call in put_calls(shared) if group_id in call.path]
    assert put.status == 200
    assert put.note == f"with {sent}"


def test_a_failed_group_is_retried_as_the_card_chooses(shared: Sandbox) -> None:
    group = shared.world.groups[an(13)]
    group.bytes_per_second = 1_000_000
    card = create_request_for(shared, an(13))
    assert "Retry failed migration" in card.text
    assert "Retries*\nall objects" in full_text(card)
    assert "Failed with" in full_text(card)
    shared.people.choose(w.BOB, card, "scope", "only the failed objects")
    wait_for_reply(shared, w.BOB, "not among those who decide")
    shared.people.choose(w.ALICE, card, "scope", "only the failed objects")
    wait_for_text(shared, card, "Retries*\nonly the failed objects")
    shared.people.press(w.CAROL, card, "approve")
    wait_for_text(shared, card, "Retried, moving")
    assert (group.retries, group.last_scope) == (1, ow.FAILED_OBJECTS)
    [put] = [call for call in put_calls(shared) if an(13) in call.path]
    assert put.path.endswith("/retry")


def test_an_approval_of_what_was_chosen_otherwise_meanwhile_does_not_count(shared: Sandbox) -> None:
    group = shared.world.groups[an(4)]
    group.records_failed_objects = True
    card = create_request_for(shared, an(4))
    stale = Posted(card.ts, card.channel, card.user, card.text, list(card.blocks), None)
    shared.people.choose(w.CAROL, card, "scope", "only the failed objects")
    wait_for_text(shared, card, "Retries*\nonly the failed objects")
    shared.people.press(w.DAVE, stale, "approve")
    told = wait_for_reply(shared, w.DAVE, "has changed what is retried")
    assert card.ts.replace(".", "") in told
    assert group.retries == 0
    shared.people.press(w.ALICE, card, "cancel")
    wait_for_text(shared, card, "Cancelled")


def test_a_group_whose_tasks_were_not_created_is_retried_whole(shared: Sandbox) -> None:
    card = create_request_for(shared, an(14))
    assert "scope" not in buttons(card)
    shared.people.press(w.CAROL, card, "approve")
    wait_for_text(shared, card, "Retried, moving")
    assert shared.world.groups[an(14)].last_scope == ow.ALL_OBJECTS


@pytest.mark.parametrize(
    ("number", "words"),
    [(15, "is waiting to run"), (16, "is running already"), (18, "waits to be deleted"), (19, "is deleted")],
)
def test_every_other_status_has_its_own_answer_and_asks_nobody(shared: Sandbox, number: int, words: str) -> None:
    shared.people.type(w.ALICE, an(number))
    wait_for_reply(shared, w.ALICE, words)
    assert not [one for one in shared.workspace.of(w.MIGRATIONS) if an(number) in one.text]


def test_what_moves_can_be_paused_and_asked_for_again(shared: Sandbox) -> None:
    shared.world.groups[an(1)].bytes_per_second = 1_000_000
    card = create_request_for(shared, an(1))
    assert "repeats the archive restores" in card.text, "the costs are in the sentence too"
    shared.people.press(w.CAROL, card, "approve")
    wait_for_text(shared, card, "Resumed, moving")
    [pause] = [e for b in card.blocks if b["type"] == "actions" for e in b["elements"]]
    assert "repeats the archive restores" in pause["confirm"]["text"]["text"]
    shared.people.press(w.ERIN, card, "pause")
    wait_for_reply(shared, w.ERIN, "Guests cannot")
    shared.people.press(w.BOB, card, "pause")
    wait_for_text(shared, card, "Paused again")
    wait_for_thread_line(shared, card, "paused by")
    assert shared.world.groups[an(1)].status == ow.PAUSED
    form = open_form(shared, w.BOB, lambda: shared.people.press(w.BOB, card, "request"))
    assert "request_form" in str(shared.workspace.view(form).view)
    assert an(1) in str(shared.workspace.view(form).view)
    shared.people.submit(w.BOB, form, {"group": an(1), "reason": "once more"})
    wait_for_reply(shared, w.BOB, "Asked.")


def test_a_group_is_looked_for_in_all_projects_at_once(shared: Sandbox) -> None:
    card = create_request_for(shared, ow.LEDGERS)
    assert "project archive" in full_text(card)
    shared.people.type(w.ALICE, f"{ow.LEDGERS} project=media")
    wait_for_reply(shared, w.ALICE, "No task group")
    twin = NIGHTLY_IMAGES
    shared.worlds["archive"].groups[twin] = ow.Group(twin, "a twin", ow.PAUSED)
    shared.people.type(w.ALICE, twin)
    told = wait_for_reply(shared, w.ALICE, "is in media and archive")
    assert "project=NAME" in told
    nowhere = "99999999-0000-4000-8000-000000000000"
    shared.people.type(w.ALICE, nowhere)
    assert "archive (" in wait_for_reply(shared, w.ALICE, f"No task group `{nowhere}` in: media (")
    shared.people.type(w.ALICE, f"{twin} project=nope")
    wait_for_reply(shared, w.ALICE, "no project `nope`")


def test_the_form_offers_what_can_be_asked_for(shared: Sandbox) -> None:
    form = open_form(shared, w.CAROL, lambda: shared.people.type(w.CAROL, ""))
    assert "request_form" in str(shared.workspace.view(form).view)
    options = shared.workspace.view(form).view["blocks"][0]["element"]["options"]
    pick = next(option["value"] for option in options if "click logs" in option["text"]["text"])
    ack = shared.people.submit(w.CAROL, form, {"group": "", "reason": ""})
    assert "Pick a task group" in str(ack.payload)
    in_an_hour = datetime.now(ZoneInfo("Asia/Singapore")) + timedelta(hours=1)
    time = f"{in_an_hour:%H:%M}"
    shared.people.submit(w.CAROL, form, {"pick": pick, "group": "", "project": "media", "at": time, "reason": "picked"})
    wait_for_reply(shared, w.CAROL, "Asked.")
    card = next(one for one in shared.workspace.of(w.MIGRATIONS) if "click logs" in one.text and "picked" in one.text)
    assert f"<!date^{int(in_an_hour.replace(second=0, microsecond=0).timestamp())}^" in json.dumps(card.blocks)


def test_app_home_shows_open_requests_to_whom_they_belong_and_nothing_to_anybody_else(shared: Sandbox) -> None:
    card = create_request_for(shared, an(5), "home")
    for person, words in ((w.BOB, "map tiles"), (w.ERIN, "Guests cannot"), (w.GRACE, "another organisation")):
        assert shared.people.open_home(person).failure is None
        shared.wait_until(lambda person=person: shared.people.home_of(person) is not None, what="App Home")  # type: ignore[misc]
        home = shared.people.home_of(person)
        assert home is not None
        assert words in str(home.view)
        assert (an(5) in str(home.view) or "map tiles" in str(home.view)) == (person == w.BOB)
    link = card.ts.replace(".", "")
    home = shared.people.home_of(w.BOB)
    assert home is not None
    assert link in str(home.view)
    open_form(shared, w.BOB, lambda: shared.people.press(w.BOB, home, "request"))


@pytest.mark.parametrize("kind", ["password", "token", "temporary key"])
def test_every_kind_of_caller_resumes(new_sandbox: Callable[..., Sandbox], kind: str) -> None:
    sandbox = new_sandbox()
    sandbox.vault.write("oms/media/caller", ow.CALLERS[kind])
    sandbox.start_bot()
    card = create_request_for(sandbox, NIGHTLY_IMAGES)
    sandbox.oms.expire_tokens() if kind == "password" else None
    sandbox.people.press(w.CAROL, card, "approve")
    wait_for_text(sandbox, card, "Resumed, moving")
    assert len(put_calls(sandbox)) == 1
    assert ow.PASSWORD not in sandbox.log()
    assert ow.READY_TOKEN not in sandbox.log()
