"""Refusals of all other actions: one reply even if they are delivered twice, and no effect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.config.settings import load_state_keys
from bot.domain.audit_events import AuditEvent
from bot.sandbox.huawei.example_groups import (
    CLICK_LOGS,
    CONTRACTS,
    INVOICES,
    MAP_TILES,
    NIGHTLY_IMAGES,
    PARTNER_FILES,
    PUBLIC_RECORDS,
    RADIO_SHOWS,
    SHOP_PICTURES,
    TAX_FILES,
)
from bot.sandbox.slack import payloads
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, BOT_USER_ID, CAROL, DAVE, ERIN, FRANK, GRACE, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store import requests, tables
from bot.store.audit import BOT, Event
from bot.store.database import open_store
from bot.ui.replies import FOREIGN_PAYLOAD
from tests.support.refusals import OUTSIDERS, Action, Refusals, pressing, submit_as, with_button
from tests.support.sandbox import (
    audit_rows,
    button_ids,
    create_request_for,
    full_text,
    open_view,
    put_calls,
    run_concurrently,
    view_text,
    wait_for_reply,
    wait_for_text,
)

pytestmark = pytest.mark.usefixtures("long_lived_triggers")

NOBODY, OTHER_BOT = "U0NOBODY01", "U0OTHERBOT"
ONLY_FAILED = "only the failed objects"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One sandbox with a bot for all tests. Each test uses a group of its own, and leaves the users as they are."""
    sandbox = Sandbox()
    sandbox.workspace.groups[APPROVERS_GROUP] += [ERIN, FRANK, GRACE]
    sandbox.workspace.users[NOBODY] = {"id": NOBODY, "name": "nobody", "team_id": "T0UNKNOWN1"}
    bot = sandbox.workspace.users[BOT_USER_ID]
    sandbox.workspace.users[OTHER_BOT] = bot | {"id": OTHER_BOT, "name": "other-bot"}
    try:
        sandbox.open()
        sandbox.start_bot()
        yield sandbox
    finally:
        sandbox.close()


@pytest.fixture
def refusals(shared: Sandbox) -> Refusals:
    shared.slack.api.reset_rate_limits()
    shared.workspace.ephemerals.clear()
    shared.workspace.messages[:] = [one for one in shared.workspace.messages if one.channel == MIGRATIONS]
    return Refusals(shared)


def refused(sandbox: Sandbox, request_id: str | None = None) -> list[tuple[str, str]]:
    """The person and the kind of each refusal in the audit. About a request, there is one a minute for each reason."""
    rows = [row for row in audit_rows(sandbox, "action.refused") if request_id in (None, row["request_id"])]
    return [(row["actor"], row["detail"].get("kind", "")) for row in rows]


def id_in(text: str) -> str:
    return next(word for word in text.split() if word.startswith("R-")).strip(".`")


def assert_no_form(sandbox: Sandbox, person: str, words: str, open_form: Action) -> None:
    """Asserts that the same action twice opens one view with only the refusal, and another action another view."""
    sandbox.slack.api.reset_rate_limits()
    before = {view.id for view in sandbox.workspace.views.values() if view.person == person}
    trigger = sandbox.workspace.new_trigger(person)
    first = open_view(sandbox, person, lambda: run_concurrently(lambda: open_form(trigger), lambda: open_form(trigger)))
    assert words in view_text(sandbox, first)
    assert "submit" not in sandbox.workspace.views[first].view
    assert {view.id for view in sandbox.workspace.views.values() if view.person == person} == before | {first}
    another = open_view(sandbox, person, lambda: open_form(sandbox.workspace.new_trigger(person)))
    assert words in view_text(sandbox, another)


def test_a_refused_choice_of_scope_changes_nothing(shared: Sandbox, refusals: Refusals) -> None:
    card = create_request_for(shared, TAX_FILES)
    before = full_text(card)

    def choose(person: str, value: str = ONLY_FAILED) -> Action:
        return lambda trigger: shared.people.choose(person, card, "scope", value, trigger_id=trigger)

    for person, words in (*OUTSIDERS, (BOB, "Only the requester (")):
        refusals.expect(person, words, choose(person))
    refusals.expect(ALICE, "already retries", choose(ALICE, "all objects"))
    refusals.assert_no_others()
    assert full_text(card) == before
    people = [person for person, _ in OUTSIDERS] + [BOB, ALICE]
    assert list(dict.fromkeys(refused(shared, id_in(before)))) == [(person, "choose") for person in people]


def test_a_refused_pause_changes_nothing(shared: Sandbox, refusals: Refusals) -> None:
    card = create_request_for(shared, CLICK_LOGS)
    refusals.expect(BOB, "nothing to pause", pressing(shared, BOB, with_button(card, "pause"), "pause"))
    shared.oms.state.groups[CLICK_LOGS].bytes_per_second = 1_000_000
    shared.people.press(CAROL, card, "approve")
    wait_for_text(shared, card, "Resumed, moving")
    for person, words in OUTSIDERS:
        refusals.expect(person, words, pressing(shared, person, card, "pause"))
    refusals.assert_no_others()
    assert button_ids(card) == ["pause"]
    assert [call.path.rsplit("/", 1)[1] for call in put_calls(shared) if CLICK_LOGS in call.path] == ["start"]
    assert len(set(refused(shared, id_in(full_text(card))))) == 1 + len(OUTSIDERS)


def test_the_request_form_is_refused_from_a_card_and_from_the_command(shared: Sandbox) -> None:
    card = create_request_for(shared, INVOICES)
    shared.people.press(ALICE, card, "cancel")
    wait_for_text(shared, card, "Canceled")
    again = with_button(card, "request")
    for person, words in OUTSIDERS:
        actions: tuple[Action, ...] = (
            pressing(shared, person, again, "request"),
            lambda trigger, one=person: shared.people.type(one, "", trigger_id=trigger),  # type: ignore[misc]
        )
        for action in actions:
            assert_no_form(shared, person, words, action)
    people = [person for person, _ in OUTSIDERS]
    of_the_card = [person for person, kind in refused(shared, id_in(full_text(card))) if kind == "open request form"]
    assert list(dict.fromkeys(of_the_card)) == people


def test_forms_submitted_by_people_who_were_not_shown_them_are_refused(shared: Sandbox, refusals: Refusals) -> None:
    card = create_request_for(shared, CONTRACTS)
    before = full_text(card)
    denying = open_view(shared, DAVE, lambda: shared.people.press(DAVE, card, "deny"))
    asking = open_view(shared, ALICE, lambda: shared.people.type(ALICE, ""))
    deny_form, request_form = shared.workspace.views[denying], shared.workspace.views[asking]
    for person, words in OUTSIDERS:
        for name, form, values in (
            ("DENY", deny_form, {"reason": "no"}),
            ("ASK", request_form, {"group": RADIO_SHOWS, "reason": "please"}),
        ):
            for number, times in ((1, 2), (2, 1)):
                for _ in range(times):
                    submit_as(shared, person, form, f"V0{name}{number}{person}", values)
        # A submission has no response_url, and a bot gets no direct messages.
        refusals.expected[person, words] = 0 if person == BOT_USER_ID else 4
    shared.wait_until(
        lambda: all(refusals.count(*key) >= most for key, most in refusals.expected.items()),
        what="a reply to each submission",
    )
    refusals.assert_no_others()
    assert full_text(card) == before
    assert not [one for one in shared.workspace.messages_in(MIGRATIONS) if RADIO_SHOWS in one.text]


def test_the_deny_form_is_refused_to_outsiders(shared: Sandbox) -> None:
    card = create_request_for(shared, RADIO_SHOWS)
    for person, words in OUTSIDERS:
        assert_no_form(shared, person, words, pressing(shared, person, card, "deny"))
    assert button_ids(card) == ["approve", "deny", "cancel"]


def test_the_command_is_refused_to_outsiders(shared: Sandbox, refusals: Refusals) -> None:
    for person, words in OUTSIDERS:
        for text in (NIGHTLY_IMAGES, "list", f"status {NIGHTLY_IMAGES}"):
            refusals.expect(
                person,
                words,
                lambda trigger, p=person, t=text: shared.people.type(p, t, trigger_id=trigger),  # type: ignore[misc]
            )
    refusals.assert_no_others()
    assert not [one for one in shared.workspace.messages_in(MIGRATIONS) if NIGHTLY_IMAGES in one.text]


def home_updates(sandbox: Sandbox) -> int:
    """How often the bot has published an App Home."""
    return [call.path for call in sandbox.call_log.since()].count("views.publish")


def test_app_home_of_outsiders_shows_only_the_refusal(shared: Sandbox) -> None:
    loop = shared.slack.server.loop

    def deliver(payload: dict[str, Any]) -> None:
        ack = asyncio.run_coroutine_threadsafe(shared.slack.deliver_event(payload), loop).result(10)
        assert ack.failure is None

    shown = home_updates(shared)
    # The library ignores every event of the bot's own user.
    outsiders = [(OTHER_BOT if person == BOT_USER_ID else person, words) for person, words in OUTSIDERS]
    for person, words in outsiders:
        shared.slack.api.reset_rate_limits()
        same = payloads.home_opened(shared.workspace, person)
        run_concurrently(lambda opened=same: deliver(opened), lambda opened=same: deliver(opened))  # type: ignore[misc]
        shared.people.open_home(person)
        shown += 2
        shared.wait_until(lambda most=shown: home_updates(shared) == most, what="both updates")  # type: ignore[misc]
        home = shared.people.home_view(person)
        assert home is not None
        text = str(home.view["blocks"])
        assert words in text
        assert "R-" not in text
        assert "New request" not in text
    assert sorted(one for one in refused(shared) if one[1] == "home") == sorted(
        (person, "home") for person, _ in outsiders for _ in range(2)
    )


def test_clicks_on_a_duplicate_card_change_nothing(shared: Sandbox, refusals: Refusals) -> None:
    card = create_request_for(shared, PARTNER_FILES)
    before = full_text(card)
    for action in ("approve", "cancel", "withdraw", "retry", "pause"):
        copy = shared.workspace.add_message(MIGRATIONS, BOT_USER_ID, card.text, card.blocks, None)
        forged = with_button(copy, action)
        refusals.expect(CAROL, "a copy of the card", pressing(shared, CAROL, forged, action))
        wait_for_text(shared, copy, "a copy of the card")
        assert button_ids(copy) == []
    refusals.assert_no_others()
    assert full_text(card) == before
    kinds = [kind for _, kind in refused(shared, id_in(before))]
    assert list(dict.fromkeys(kinds)) == ["approve", "cancel", "withdraw", "retry", "pause"]


# Different people, because each may send a limited number of payloads a minute.
@pytest.mark.parametrize(
    ("person", "value"), [(CAROL, "R-00000000"), (DAVE, "../../x"), (BOB, "R-" + "A" * 5000), (ALICE, "home")]
)
def test_a_forged_value_is_refused_by_every_button(
    shared: Sandbox, refusals: Refusals, person: str, value: str
) -> None:
    card = (
        create_request_for(shared, PUBLIC_RECORDS) if value == "home" else shared.workspace.messages_in(MIGRATIONS)[0]
    )
    before = full_text(card)
    for action in ("approve", "cancel", "withdraw", "retry", "pause"):
        forged = with_button(card, action)
        forged.blocks[0]["elements"][0]["value"] = value
        refusals.expect(person, "No such request, or you can't see it.", pressing(shared, person, forged, action))
    choice = {"type": "radio_buttons", "action_id": "scope", "block_id": value[:255]}
    shared_press = with_button(card, "approve")
    refusals.expect(
        person,
        "No such request, or you can't see it.",
        lambda trigger: shared.people.press(person, shared_press, "approve", actions=[choice], trigger_id=trigger),
    )
    refusals.assert_no_others()
    assert full_text(card) == before


@pytest.mark.parametrize("foreign", [{"team": {"id": "T0ELSEWHER"}}, {"api_app_id": "A0ELSEWHER"}], ids=["team", "app"])
def test_payloads_of_another_workspace_or_app_are_refused(
    shared: Sandbox, refusals: Refusals, foreign: dict[str, Any]
) -> None:
    card = (
        create_request_for(shared, SHOP_PICTURES) if "team" in foreign else shared.workspace.messages_in(MIGRATIONS)[-1]
    )
    before, rows = full_text(card), len(refused(shared))
    delivered = 0
    for action in ("approve", "deny", "cancel", "withdraw", "retry", "pause", "request", "home"):
        forged, trigger = with_button(card, action), shared.workspace.new_trigger(CAROL)
        # These are not stored in the inbox, so each delivery gets a reply.
        for _ in range(2):
            shared.people.press(CAROL, forged, action, trigger_id=trigger, **foreign)
            delivered += 1
    shared.wait_until(lambda: refusals.count(CAROL, FOREIGN_PAYLOAD) == delivered, what="a reply to each")
    for _ in range(2):
        ack = shared.people.type(BOB, SHOP_PICTURES, **({"team_id": "T0ELSEWHER"} if "team" in foreign else foreign))
        assert FOREIGN_PAYLOAD in str(ack.payload)
    shared.wait_until(lambda: len(refused(shared)) > rows, what="a row in the audit")
    found = refused(shared)[rows:]
    # One row a minute for each sender, and a minute may have passed.
    assert 1 <= len(found) <= 4
    assert {person for person, _ in found} <= {CAROL, BOB}
    assert full_text(card) == before
    assert [one for one in shared.workspace.messages_in(MIGRATIONS) if SHOP_PICTURES in one.text] == [card]


def expire(sandbox: Sandbox, request_id: str) -> None:
    """Lets a request expire. The bot ends it later, as if it had not come to it yet."""
    sandbox.stop_bot()
    environment = sandbox.environment()
    store = open_store(environment["DATABASE_URL"], keys=load_state_keys(environment))
    now = datetime.now(UTC)
    with store.write() as connection:
        request = requests.lock(connection, request_id)
        assert request is not None
        expired = replace(request, expires_at=now - timedelta(seconds=1))
        requests.save(connection, request, expired, now, Event(AuditEvent.REQUEST_ASKED_AGAIN, BOT, request_id))
        later = tables.requests.update().where(tables.requests.c.id == request_id)
        connection.execute(later.values(due_at=now + timedelta(minutes=10)))
    store.close()
    sandbox.start_bot()


def test_a_request_past_its_expiry_refuses_actions_before_the_bot_ends_it(shared: Sandbox, refusals: Refusals) -> None:
    card = create_request_for(shared, MAP_TILES)
    request_id = id_in(full_text(card))
    expire(shared, request_id)
    for person, action in ((CAROL, "approve"), (ALICE, "cancel"), (DAVE, "withdraw")):
        refusals.expect(person, "This request has expired", pressing(shared, person, with_button(card, action), action))
    assert_no_form(shared, DAVE, "This request has expired", pressing(shared, DAVE, card, "deny"))
    refusals.assert_no_others()
    kinds = [kind for _, kind in refused(shared, request_id)]
    assert list(dict.fromkeys(kinds)) == ["approve", "cancel", "withdraw", "open deny form"]
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert not [call for call in put_calls(shared) if MAP_TILES in call.path]
    wait_for_reply(shared, CAROL, "You can request it again.")
