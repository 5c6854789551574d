"""A click, a selection and the keyboard's focus outlive every refresh, as long as what they are on stays the same."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from bot.sandbox.oms_state import an
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox, utc_now
from tests.browser.page import refreshed
from tests.sandbox.app import FORM, App, text

VIDEO_MASTERS = an(2)  # they run
LONG = 10_000.0


def button(words: str, action_id: str, value: str = "R-1") -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": text(words), "value": value}


def home(progress: str) -> dict[str, Any]:
    """Two groups, each with a button that does the same to another."""
    first = {"type": "section", "text": text("invoices"), "accessory": button("Ask for invoices", "request", "g1")}
    return {"type": "home", "blocks": [first, *card(progress, button("Ask for tiles", "request", "g2"))]}


def card(progress: str, *buttons: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "header", "text": text("nightly images")},
        {"type": "section", "text": text("between photos-prod and photos-archive")},
        {"type": "section", "text": text(progress)},
        {"type": "actions", "elements": list(buttons) or [button("Approve", "approve"), button("Deny", "deny")]},
    ]


def post(app: App, blocks: list[dict[str, Any]]) -> str:
    return str(app.web.chat_postMessage(channel=w.MIGRATIONS, text="card", blocks=blocks)["ts"])


def update(app: App, ts: str, blocks: list[dict[str, Any]]) -> None:
    app.web.chat_update(channel=w.MIGRATIONS, ts=ts, text="card", blocks=blocks)


def selected(page: Page) -> str:
    return str(page.evaluate("getSelection().toString()"))


def select(page: Page, selector: str) -> None:
    page.evaluate("(which) => getSelection().selectAllChildren(document.querySelector(which))", selector)


def test_a_button_that_is_held_while_its_card_and_the_groups_move_counts(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    sandbox.world.groups[VIDEO_MASTERS].bytes_per_second = 9_000_000_000
    ts = post(app, card("40 %"))
    page.get_by_role("button", name="Approve").hover()
    page.mouse.down()
    update(app, ts, card("41 %"))
    expect(page.locator("article")).to_contain_text("41 %")
    share = page.locator("#groups tr", has_text="video masters").locator(".share")
    expect(share).to_have_text(re.compile(r"^(1[2-9]|[2-9]\d|100)\s%$"), timeout=LONG)
    refreshed(page)
    page.mouse.up()
    sandbox.wait_until(lambda: len(app.requests) == 1)
    assert app.last["actions"][0]["action_id"] == "approve"


def test_focus_stays_on_a_button_while_everything_else_moves(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    ts = post(app, card("40 %"))
    deny = page.get_by_role("button", name="Deny")
    deny.focus()
    update(app, ts, card("41 %"))
    post(app, card("of another"))
    expect(page.locator("article")).to_have_count(2)
    refreshed(page)
    expect(page.locator("article", has_text="41 %").get_by_role("button", name="Deny")).to_be_focused()


def test_when_the_buttons_change_focus_goes_to_the_one_of_the_same_name_or_nowhere(
    alone: tuple[Sandbox, Page, App],
) -> None:
    _, page, app = alone
    ts = post(app, card("40 %"))
    page.get_by_role("button", name="Deny").focus()
    update(app, ts, card("40 %", button("Withdraw", "withdraw"), button("Deny", "deny")))
    expect(page.locator("article").get_by_role("button", name="Withdraw")).to_be_visible()
    expect(page.get_by_role("button", name="Deny")).to_be_focused()
    update(app, ts, card("40 %", button("Pause", "pause"), button("Retry", "retry")))
    expect(page.locator("article").get_by_role("button", name="Pause")).to_be_visible()
    assert page.evaluate("document.activeElement === document.body")


def test_a_selection_stays_in_cards_groups_and_calls(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    ts = post(app, card("40 %"))
    expect(page.locator("article")).to_contain_text("photos-prod")
    for number, (selector, words) in enumerate(
        (
            (".block-section", "between photos-prod and photos-archive"),
            ("#groups .status", "paused"),
            ("#calls li:last-child b", "slack"),
        )
    ):
        select(page, selector)
        update(app, ts, card(f"{50 + number} %"))
        expect(page.locator("article")).to_contain_text(f"{50 + number} %")
        refreshed(page)
        assert selected(page) == words


def test_what_is_typed_and_where_stays_while_a_form_is_open_and_changes(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    ts = post(app, card("40 %"))
    view = app.web.views_open(trigger_id=sandbox.workspace.new_trigger(w.ALICE), view=FORM)["view"]
    reason = page.get_by_label("Reason")
    reason.fill("network is back")
    reason.evaluate("one => one.setSelectionRange(3, 7)")
    update(app, ts, card("41 %"))
    note = {"type": "section", "block_id": "note", "text": text("one group is open already")}
    app.web.views_update(view_id=view["id"], view=FORM | {"blocks": [note, *FORM["blocks"]]})
    expect(page.get_by_role("dialog")).to_contain_text("one group is open already")
    refreshed(page)
    expect(reason).to_be_focused()
    expect(reason).to_have_value("network is back")
    assert reason.evaluate("one => [one.selectionStart, one.selectionEnd]") == [3, 7]


def test_focus_and_clicks_stay_while_app_home_is_open_and_changes(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    page.get_by_role("tab", name="App Home").click()
    app.web.views_publish(user_id=w.ALICE, view=home("40 %"))
    ask = page.locator("#home").get_by_role("button", name="Ask for tiles")
    ask.focus()
    ask.hover()
    page.mouse.down()
    app.web.views_publish(user_id=w.ALICE, view=home("41 %"))
    expect(page.locator("#home")).to_contain_text("41 %")
    refreshed(page)
    expect(ask).to_be_focused()
    page.mouse.up()
    sandbox.wait_until(lambda: app.last.get("type") == "block_actions")
    assert (app.last["container"]["type"], app.last["actions"][0]["value"]) == ("view", "g2")
    page.locator("#home").get_by_role("button", name="Ask for invoices").click()
    sandbox.wait_until(lambda: app.last["actions"][0]["value"] == "g1")


def test_only_what_one_person_alone_is_told_is_read_out(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    post(app, card("40 %"))
    expect(page.locator("article")).to_have_count(1)
    sandbox.workspace.privates.append(w.Private(w.ALICE, w.MIGRATIONS, "Asked. <@U0CAROL001> may approve.", utc_now()))
    expect(page.locator("#told")).to_have_text("Only visible to you: Asked. @carol may approve.")
    assert page.locator("[aria-live]").evaluate_all("all => all.map(one => one.id)") == ["told"]
    assert page.locator("[role=alert]").evaluate_all("all => all.map(one => one.id)") == ["down", "failure"]
