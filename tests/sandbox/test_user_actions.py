"""User actions reach an app with the payloads of Slack, through the real Socket Mode client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox.slack.ids import ALICE, CAROL, DAVE, MIGRATIONS
from bot.sandbox.slack.server import SlackStandIn
from bot.sandbox.slack.user_actions import UserActions
from bot.sandbox.slack.workspace import OpenView, PostedMessage
from tests.sandbox.app import BUTTON, CARD, FORM, HOME, App, option, text


@pytest.fixture
def app(slack: SlackStandIn) -> Iterator[App]:
    connected = App(slack)
    yield connected
    connected.close()


@pytest.fixture
def people(slack: SlackStandIn) -> UserActions:
    return UserActions(slack)


def post_card(slack: SlackStandIn, app: App) -> PostedMessage:
    ts = app.web.chat_postMessage(channel=MIGRATIONS, text="card", blocks=CARD)["ts"]
    return slack.workspace.message(MIGRATIONS, str(ts))


def open_form(slack: SlackStandIn, app: App, person: str = ALICE) -> OpenView:
    view = app.web.views_open(trigger_id=slack.workspace.new_trigger(person), view=FORM)["view"]
    return slack.workspace.views[view["id"]]


def test_a_choice_in_a_message_is_delivered_with_its_option(slack: SlackStandIn, app: App, people: UserActions) -> None:
    card = post_card(slack, app)
    assert people.choose(CAROL, card, "scope", "failed").failure is None
    [action] = app.last["actions"]
    assert (action["type"], action["action_id"], action["block_id"]) == ("radio_buttons", "scope", "decide")
    assert action["selected_option"] == option("failed")
    assert app.last["state"]["values"]["decide"] == {
        "scope": {"type": "radio_buttons", "selected_option": option("failed")},
        "group": {"type": "static_select", "selected_option": option("g1")},
    }


def test_a_press_carries_the_choices_of_the_same_person_only(
    slack: SlackStandIn, app: App, people: UserActions
) -> None:
    card = post_card(slack, app)
    people.choose(CAROL, card, "group", "g2")
    people.press(CAROL, card, "approve")
    chosen = app.last["state"]["values"]["decide"]
    assert (chosen["group"]["selected_option"], chosen["scope"]["selected_option"]) == (option("g2"), None)
    assert (app.last["actions"][0]["value"], app.last["container"]["type"]) == ("R-1", "message")
    people.press(DAVE, card, "approve")
    assert app.last["state"]["values"]["decide"]["group"]["selected_option"] == option("g1"), "not the choice of carol"


def test_a_choice_is_forgotten_when_the_element_is_gone(slack: SlackStandIn, app: App, people: UserActions) -> None:
    card = post_card(slack, app)
    people.choose(CAROL, card, "scope", "failed")
    fresh = [CARD[0] | {"block_id": "again"}]
    app.web.chat_update(channel=MIGRATIONS, ts=card.ts, text="card", blocks=fresh)
    people.press(CAROL, card, "approve")
    assert app.last["state"]["values"]["again"]["scope"]["selected_option"] is None


def test_only_existing_elements_and_options_can_be_used(slack: SlackStandIn, app: App, people: UserActions) -> None:
    card = post_card(slack, app)
    actions: list[Callable[[], object]] = [
        lambda: people.choose(CAROL, card, "scope", "another"),
        lambda: people.choose(CAROL, card, "nothing", "all"),
        lambda: people.choose(CAROL, card, "approve", "all"),
        lambda: people.press(CAROL, card, "nothing"),
        lambda: people.submit(ALICE, open_form(slack, app).id, {"nothing": "x"}),
        lambda: people.submit(ALICE, open_form(slack, app).id, {"scope": "another"}),
    ]
    for act in actions:
        with pytest.raises(LookupError):
            act()
    assert app.requests == []


def test_a_submission_carries_every_input(slack: SlackStandIn, app: App, people: UserActions) -> None:
    form = open_form(slack, app)
    people.submit(ALICE, form.id, {"scope": "failed"})
    view = app.last["view"]
    assert (view["id"], view["hash"], view["private_metadata"]) == (form.id, form.hash, "m")
    assert view["state"]["values"] == {
        "which": {"group": {"type": "static_select", "selected_option": option("g1")}},
        "scope": {"scope": {"type": "radio_buttons", "selected_option": option("failed")}},
        "reason": {"text": {"type": "plain_text_input", "value": None}},
    }
    assert people.open_view_id(ALICE) is None


def test_a_choice_in_an_input_is_delivered_only_with_dispatch_action(
    slack: SlackStandIn, app: App, people: UserActions
) -> None:
    form = open_form(slack, app)
    people.choose(ALICE, form, "scope", "all")
    assert app.requests == []
    people.choose(ALICE, form, "group", "g2")
    assert (app.last["container"], "message" in app.last) == ({"type": "view", "view_id": form.id}, False)
    chosen = app.last["view"]["state"]["values"]
    assert (chosen["which"]["group"]["selected_option"], chosen["scope"]["scope"]["selected_option"]) == (
        option("g2"),
        option("all"),
    )


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ({"response_action": "errors", "errors": {"reason": "no"}}, "Form"),
        ({"response_action": "update", "view": FORM | {"title": text("Next")}}, "Next"),
    ],
)
def test_a_modal_stays_open_when_the_app_answers_with_errors_or_a_view(
    slack: SlackStandIn, app: App, people: UserActions, answer: dict[str, Any], title: str
) -> None:
    form = open_form(slack, app)
    app.answer = answer
    people.submit(ALICE, form.id, {})
    assert people.open_view_id(ALICE) == form.id
    assert form.view["title"]["text"] == title


def test_an_answer_with_an_invalid_view_is_a_failure(slack: SlackStandIn, app: App, people: UserActions) -> None:
    app.answer = {"response_action": "update", "view": {"type": "modal", "blocks": []}}
    assert people.submit(ALICE, open_form(slack, app).id, {}).failure == "the view is not valid"


def test_opening_app_home_is_an_event_and_its_elements_work(slack: SlackStandIn, app: App, people: UserActions) -> None:
    assert people.open_home(ALICE).failure is None
    assert (app.requests[-1].type, app.requests[-1].accepts_response_payload) == ("events_api", False)
    event = app.last["event"]
    assert (app.last["type"], event["type"], event["tab"], event["user"]) == (
        "event_callback",
        "app_home_opened",
        "home",
        ALICE,
    )
    assert "view" not in event
    app.web.views_publish(user_id=ALICE, view=HOME)
    home = people.home_view(ALICE)
    assert home is not None
    people.press(ALICE, home, "approve")
    assert (app.last["view"]["type"], app.last["actions"][0]["action_id"]) == ("home", "approve")
    people.choose(ALICE, home, "scope", "all")
    people.open_home(ALICE)
    assert app.last["event"]["view"]["id"] == home.id
    assert people.open_view_id(ALICE) is None, "App Home is not a modal"


def test_an_event_that_nobody_acknowledges_shows_no_error(slack: SlackStandIn, people: UserActions) -> None:
    assert people.open_home(ALICE).failure == "dispatch_failed"
    assert slack.workspace.private_texts(ALICE) == []


def test_blocks_without_an_id_get_one(slack: SlackStandIn, app: App) -> None:
    blocks: list[dict[str, Any]] = [{"type": "actions", "elements": [BUTTON]}, {"type": "divider"}]
    ts = app.web.chat_postMessage(channel=MIGRATIONS, text="x", blocks=blocks)["ts"]
    ids = {block["block_id"] for block in slack.workspace.message(MIGRATIONS, str(ts)).blocks}
    assert len(ids) == 2
    assert all(ids)


def test_the_value_selects_among_buttons_with_the_same_action_id(
    slack: SlackStandIn, app: App, people: UserActions
) -> None:
    asks: list[dict[str, Any]] = [BUTTON | {"action_id": "request", "value": group} for group in ("g1", "g2")]
    blocks = [
        {"type": "section", "text": text("one"), "accessory": asks[0]},
        {"type": "actions", "block_id": "two", "elements": [asks[1]]},
    ]
    app.web.views_publish(user_id=ALICE, view={"type": "home", "blocks": blocks})
    home = people.home_view(ALICE)
    assert home is not None
    people.press(ALICE, home, "request", "g2")
    assert (app.last["actions"][0]["value"], app.last["actions"][0]["block_id"]) == ("g2", "two")
    people.press(ALICE, home, "request", "g1")
    assert app.last["actions"][0]["value"] == "g1"
    with pytest.raises(LookupError):
        people.press(ALICE, home, "request", "g3")
