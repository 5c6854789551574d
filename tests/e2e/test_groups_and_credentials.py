"""Every kind of group, status, project and caller credential, with the real bot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.listeners.views import NO_GROUP
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.example_groups import (
    BRANCH_OFFICES,
    CLOSED_ACCOUNTS,
    CONTRACTS,
    FIRST_TRIAL,
    INVOICES,
    LEDGERS,
    LETTERS,
    MAP_TILES,
    NIGHTLY_IMAGES,
    OLD_BACKUPS,
    PARTNER_FILES,
    PUBLIC_RECORDS,
    RADIO_SHOWS,
    SENSOR_DATA,
    SHOP_PICTURES,
    SURVEY_SCANS,
    TAX_FILES,
)
from bot.sandbox.huawei.group import ALL_OBJECTS, FAILED_OBJECTS, PAUSED, Group
from bot.sandbox.slack.ids import ALICE, BOB, CAROL, DAVE, ERIN, GRACE, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.ui.home import NO_OPEN_REQUESTS
from tests.support.leaks import find_leaks, record_calls
from tests.support.sandbox import (
    CREATED,
    button_ids,
    create_request,
    create_request_for,
    everything_shown,
    everything_stored,
    full_text,
    open_view,
    put_calls,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One sandbox with two projects and the bot for all tests. Each test uses a group of its own.

    No key may be in anything that the bot has written at the end.
    """
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else None
    sandbox = Sandbox(database_url=url, projects=2)
    calls = record_calls(sandbox.slack)
    try:
        sandbox.open()
        sandbox.extra_environment = {"LOG_LEVEL": "DEBUG"}
        sandbox.start_bot()
        yield sandbox
        sandbox.stop_bot()
        places = everything_stored(sandbox) | {"Slack": everything_shown(sandbox), "calls to Slack": "\n".join(calls)}
        assert find_leaks(places) == []
    finally:
        sandbox.close()


KINDS = [
    pytest.param(SURVEY_SCANS, "json_auth_file, dst_ak, dst_sk", "source/google", id="GOOGLE"),
    pytest.param(CONTRACTS, "connection_string, dst_ak, dst_sk", "source/azure", id="AZURE-connection-string"),
    pytest.param(RADIO_SHOWS, "src_ak, src_sk, dst_ak, dst_sk", "source", id="AZURE-keys"),
    pytest.param(PARTNER_FILES, "dst_ak, dst_sk", None, id="URL_LIST"),
    pytest.param(PUBLIC_RECORDS, "dst_ak, dst_sk", None, id="URLSOURCE"),
    pytest.param(
        SHOP_PICTURES, "src_ak, src_sk, source_cdn_authentication_key, dst_ak, dst_sk", "source/cdn", id="CDN"
    ),
]


@pytest.mark.parametrize(("group_id", "sent", "path"), KINDS)
def test_each_kind_of_group_is_resumed_with_exactly_the_keys_it_needs(
    shared: Sandbox, group_id: str, sent: str, path: str | None
) -> None:
    card = create_request_for(shared, group_id)
    card_text = full_text(card)
    assert ("oms/media/source" in card_text) == (path is not None)
    assert "oms/media/destination" in card_text
    shared.people.press(CAROL, card, "approve")
    wait_for_text(shared, card, "Resumed, moving")
    [put] = [call for call in put_calls(shared) if group_id in call.path]
    assert put.status == 200
    assert put.note == f"with {sent}"


def test_a_failed_group_is_retried_with_the_scope_chosen_on_the_card(shared: Sandbox) -> None:
    group = shared.oms.state.groups[TAX_FILES]
    group.bytes_per_second = 1_000_000
    card = create_request_for(shared, TAX_FILES)
    assert 'Retry "' in card.text
    assert "Retries*\nall objects" in full_text(card)
    assert "Failed with" in full_text(card)
    shared.people.choose(BOB, card, "scope", "only the failed objects")
    wait_for_reply(shared, BOB, "Only the requester (")
    shared.people.choose(ALICE, card, "scope", "only the failed objects")
    wait_for_text(shared, card, "Retries*\nonly the failed objects")
    shared.people.press(CAROL, card, "approve")
    wait_for_text(shared, card, "Retried, moving")
    assert (group.retries, group.last_scope) == (1, FAILED_OBJECTS)
    [put] = [call for call in put_calls(shared) if TAX_FILES in call.path]
    assert put.path.endswith("/retry")


def test_an_approval_of_a_scope_that_has_changed_does_not_count(shared: Sandbox) -> None:
    group = shared.oms.state.groups[OLD_BACKUPS]
    group.records_failed_objects = True
    card = create_request_for(shared, OLD_BACKUPS)
    stale = PostedMessage(card.ts, card.channel, card.user, card.text, list(card.blocks), None)
    shared.people.choose(CAROL, card, "scope", "only the failed objects")
    wait_for_text(shared, card, "Retries*\nonly the failed objects")
    shared.people.press(DAVE, stale, "approve")
    reply = wait_for_reply(shared, DAVE, "This request now retries only the failed objects. Nothing changed.")
    assert card.ts.replace(".", "") in reply
    assert group.retries == 0
    shared.people.press(ALICE, card, "cancel")
    wait_for_text(shared, card, "Canceled")


def test_a_group_whose_creation_failed_is_retried_without_a_choice_of_scope(shared: Sandbox) -> None:
    card = create_request_for(shared, LETTERS)
    assert "scope" not in button_ids(card)
    shared.people.press(CAROL, card, "approve")
    wait_for_text(shared, card, "Retried, moving")
    assert shared.oms.state.groups[LETTERS].last_scope == ALL_OBJECTS


@pytest.mark.parametrize(
    ("group_id", "words"),
    [
        (BRANCH_OFFICES, "is waiting to run"),
        (SENSOR_DATA, "is already running"),
        (CLOSED_ACCOUNTS, "is waiting to be deleted"),
        (FIRST_TRIAL, "is deleted"),
    ],
)
def test_every_other_status_has_its_own_reply_and_no_card(shared: Sandbox, group_id: str, words: str) -> None:
    shared.people.type(ALICE, group_id)
    wait_for_reply(shared, ALICE, words)
    assert not [one for one in shared.workspace.messages_in(MIGRATIONS) if group_id in one.text]


def test_a_resumed_group_can_be_paused_and_requested_again(shared: Sandbox) -> None:
    shared.oms.state.groups[INVOICES].bytes_per_second = 1_000_000
    card = create_request_for(shared, INVOICES)
    assert "repeats the archive restores" in card.text, "the text for notifications has the costs too"
    shared.people.press(CAROL, card, "approve")
    wait_for_text(shared, card, "Resumed, moving")
    [pause] = [e for b in card.blocks if b["type"] == "actions" for e in b["elements"]]
    assert "repeats the archive restores" in pause["confirm"]["text"]["text"]
    shared.people.press(ERIN, card, "pause")
    wait_for_reply(shared, ERIN, "Guests can't use this app.")
    shared.people.press(BOB, card, "pause")
    wait_for_text(shared, card, "Paused again")
    wait_for_thread_line(shared, card, "paused by")
    assert shared.oms.state.groups[INVOICES].status == PAUSED
    form = open_view(shared, BOB, lambda: shared.people.press(BOB, card, "request"))
    assert "request_form" in str(shared.workspace.view(form).view)
    assert INVOICES in str(shared.workspace.view(form).view)
    shared.people.submit(BOB, form, {"group": INVOICES, "reason": "once more"})
    wait_for_reply(shared, BOB, CREATED)


def test_a_group_is_searched_in_all_projects(shared: Sandbox) -> None:
    card = create_request_for(shared, LEDGERS)
    assert "project archive" in full_text(card)
    shared.people.type(ALICE, f"{LEDGERS} project=media")
    wait_for_reply(shared, ALICE, "No group")
    twin = NIGHTLY_IMAGES
    shared.oms_by_project["archive"].state.groups[twin] = Group(twin, "a twin", PAUSED)
    shared.people.type(ALICE, twin)
    reply = wait_for_reply(shared, ALICE, "is in media and archive")
    assert "project=NAME" in reply
    nowhere = "99999999-0000-4000-8000-000000000000"
    shared.people.type(ALICE, nowhere)
    assert "archive (" in wait_for_reply(shared, ALICE, f"No group `{nowhere}` in media (")
    shared.people.type(ALICE, f"{twin} project=nope")
    wait_for_reply(shared, ALICE, "a project named `nope`")


def test_the_form_offers_the_groups_that_can_be_resumed(shared: Sandbox) -> None:
    form = open_view(shared, CAROL, lambda: shared.people.type(CAROL, ""))
    assert "request_form" in str(shared.workspace.view(form).view)
    options = shared.workspace.view(form).view["blocks"][0]["element"]["options"]
    pick = next(option["value"] for option in options if "click logs" in option["text"]["text"])
    ack = shared.people.submit(CAROL, form, {"group": "", "reason": ""})
    assert NO_GROUP in str(ack.payload)
    in_an_hour = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(hours=1)
    time = f"{in_an_hour:%H:%M}"
    shared.people.submit(CAROL, form, {"pick": pick, "group": "", "project": "media", "at": time, "reason": "picked"})
    wait_for_reply(shared, CAROL, CREATED)

    def cards() -> list[PostedMessage]:
        messages = shared.workspace.messages_in(MIGRATIONS)
        return [one for one in messages if "click logs" in one.text and "picked" in one.text]

    shared.wait_until(lambda: bool(cards()), what="the card")
    (card,) = cards()
    assert f"<!date^{int(in_an_hour.replace(second=0, microsecond=0).timestamp())}^" in json.dumps(card.blocks)


def test_app_home_shows_open_requests_only_to_full_members(shared: Sandbox) -> None:
    card = create_request_for(shared, MAP_TILES, "home")
    for person, words in ((BOB, "map tiles"), (ERIN, "Guests can't use this app."), (GRACE, "other organizations")):
        assert shared.people.open_home(person).failure is None
        shared.wait_until(lambda person=person: shared.people.home_view(person) is not None, what="App Home")  # type: ignore[misc]
        home = shared.people.home_view(person)
        assert home is not None
        assert words in str(home.view)
        assert (MAP_TILES in str(home.view) or "map tiles" in str(home.view)) == (person == BOB)
    link = card.ts.replace(".", "")
    shared.wait_until(lambda: link in str(shared.people.home_view(BOB)), what="the link to the card in App Home")
    home = shared.people.home_view(BOB)
    assert home is not None
    open_view(shared, BOB, lambda: shared.people.press(BOB, home, "request"))


def test_refresh_shows_a_request_that_was_created_since(sandbox: Sandbox) -> None:
    assert sandbox.people.open_home(DAVE).failure is None
    sandbox.wait_until(lambda: sandbox.people.home_view(DAVE) is not None, what="App Home")
    home = sandbox.people.home_view(DAVE)
    assert home is not None
    assert NO_OPEN_REQUESTS in str(home.view)
    card = create_request(sandbox)
    sandbox.people.press(DAVE, home, "refresh")
    sandbox.wait_until(lambda: "Waiting for your approval (1)" in str(home.view), what="the refreshed App Home")
    assert card.ts.replace(".", "") in str(home.view)


@pytest.mark.parametrize("kind", ["password", "token", "temporary key"])
def test_a_group_is_resumed_with_every_kind_of_caller_credential(
    new_sandbox: Callable[..., Sandbox], kind: str
) -> None:
    sandbox = new_sandbox()
    sandbox.vault.write("oms/media/caller", CALLERS[kind])
    sandbox.start_bot()
    card = create_request_for(sandbox, NIGHTLY_IMAGES)
    sandbox.oms.tokens.expire_all() if kind == "password" else None
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "Resumed, moving")
    assert len(put_calls(sandbox)) == 1
    assert sandbox.stop_bot() == 0
    assert find_leaks(everything_stored(sandbox) | {"Slack": everything_shown(sandbox)}) == []
