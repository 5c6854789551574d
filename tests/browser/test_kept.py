"""A press, a selection and the focus survive every refresh of the page, as long as their element does not change."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from bot.sandbox.huawei.example_groups import VIDEO_MASTERS
from bot.sandbox.slack.ids import ALICE, CAROL, MIGRATIONS
from bot.sandbox.slack.workspace import EphemeralMessage
from bot.sandbox.system import Sandbox, utc_now
from tests.browser.page import wait_for_refresh
from tests.sandbox.app import FORM, App, text

TIMEOUT_MS = 10_000.0


def button(words: str, action_id: str, value: str = "R-1") -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": text(words), "value": value}


def home(progress: str) -> dict[str, Any]:
    """App Home with two groups, each with a button of the same action."""
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
    return str(app.web.chat_postMessage(channel=MIGRATIONS, text="card", blocks=blocks)["ts"])


def update(app: App, ts: str, blocks: list[dict[str, Any]]) -> None:
    app.web.chat_update(channel=MIGRATIONS, ts=ts, text="card", blocks=blocks)


def selected(page: Page) -> str:
    return str(page.evaluate("getSelection().toString()"))


def select(page: Page, selector: str) -> None:
    page.evaluate("(which) => getSelection().selectAllChildren(document.querySelector(which))", selector)


def test_a_press_counts_if_the_card_changes_before_the_button_is_released(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    sandbox.oms.state.groups[VIDEO_MASTERS].bytes_per_second = 9_000_000_000
    ts = post(app, card("40 %"))
    page.get_by_role("button", name="Approve").hover()
    page.mouse.down()
    update(app, ts, card("41 %"))
    expect(page.locator("article")).to_contain_text("41 %")
    share = page.locator("#groups tr", has_text="video masters").locator(".percentage")
    expect(share).to_have_text(re.compile(r"^(1[2-9]|[2-9]\d|100)\s%$"), timeout=TIMEOUT_MS)
    wait_for_refresh(page)
    page.mouse.up()
    sandbox.wait_until(lambda: len(app.requests) == 1)
    assert app.last["actions"][0]["action_id"] == "approve"


def test_a_button_keeps_the_focus_while_everything_else_changes(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    ts = post(app, card("40 %"))
    deny = page.get_by_role("button", name="Deny")
    deny.focus()
    update(app, ts, card("41 %"))
    post(app, card("of another"))
    expect(page.locator("article")).to_have_count(2)
    wait_for_refresh(page)
    expect(page.locator("article", has_text="41 %").get_by_role("button", name="Deny")).to_be_focused()


def test_the_focus_moves_to_a_new_button_of_the_same_name_or_is_lost(
    app_page: tuple[Sandbox, Page, App],
) -> None:
    _, page, app = app_page
    ts = post(app, card("40 %"))
    page.get_by_role("button", name="Deny").focus()
    update(app, ts, card("40 %", button("Withdraw", "withdraw"), button("Deny", "deny")))
    expect(page.locator("article").get_by_role("button", name="Withdraw")).to_be_visible()
    expect(page.get_by_role("button", name="Deny")).to_be_focused()
    update(app, ts, card("40 %", button("Pause", "pause"), button("Retry", "retry")))
    expect(page.locator("article").get_by_role("button", name="Pause")).to_be_visible()
    assert page.evaluate("document.activeElement === document.body")


def test_a_selection_remains_in_cards_groups_and_calls(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
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
        wait_for_refresh(page)
        assert selected(page) == words


def test_typed_text_and_its_selection_remain_while_the_modal_changes(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    ts = post(app, card("40 %"))
    view = app.web.views_open(trigger_id=sandbox.workspace.new_trigger(ALICE), view=FORM)["view"]
    reason = page.get_by_label("Reason")
    reason.fill("network is back")
    reason.evaluate("one => one.setSelectionRange(3, 7)")
    update(app, ts, card("41 %"))
    note = {"type": "section", "block_id": "note", "text": text("one group is open already")}
    app.web.views_update(view_id=view["id"], view=FORM | {"blocks": [note, *FORM["blocks"]]})
    expect(page.get_by_role("dialog")).to_contain_text("one group is open already")
    wait_for_refresh(page)
    expect(reason).to_be_focused()
    expect(reason).to_have_value("network is back")
    assert reason.evaluate("one => [one.selectionStart, one.selectionEnd]") == [3, 7]


def test_focus_and_presses_survive_a_change_of_app_home(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    page.get_by_role("tab", name="App Home").click()
    app.web.views_publish(user_id=ALICE, view=home("40 %"))
    ask = page.locator("#home").get_by_role("button", name="Ask for tiles")
    ask.focus()
    ask.hover()
    page.mouse.down()
    app.web.views_publish(user_id=ALICE, view=home("41 %"))
    expect(page.locator("#home")).to_contain_text("41 %")
    wait_for_refresh(page)
    expect(ask).to_be_focused()
    page.mouse.up()
    sandbox.wait_until(lambda: app.last.get("type") == "block_actions")
    assert (app.last["container"]["type"], app.last["actions"][0]["value"]) == ("view", "g2")
    page.locator("#home").get_by_role("button", name="Ask for invoices").click()
    sandbox.wait_until(lambda: app.last["actions"][0]["value"] == "g1")


def test_only_ephemeral_messages_are_announced_to_screen_readers(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    post(app, card("40 %"))
    expect(page.locator("article")).to_have_count(1)
    sandbox.workspace.ephemerals.append(
        EphemeralMessage(ALICE, MIGRATIONS, "Asked. <@U0CAROL001> may approve.", utc_now())
    )
    expect(page.locator("#announcement")).to_have_text("Only visible to you: Asked. @carol may approve.")
    assert page.locator("[aria-live]").evaluate_all("all => all.map(one => one.id)") == ["announcement"]
    assert page.locator("[role=alert]").evaluate_all("all => all.map(one => one.id)") == ["warning", "failure"]


def test_an_announcement_is_cleared_when_the_page_shows_another_person(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = app_page
    announcement = page.locator("#announcement")
    for person, words in ((ALICE, "for alice"), (CAROL, "for carol")):
        sandbox.workspace.ephemerals.append(EphemeralMessage(person, MIGRATIONS, words, utc_now()))
    expect(announcement).to_have_text("Only visible to you: for alice")
    page.select_option("#person", label="carol (approver)")
    expect(announcement).to_have_text("Only visible to you: for carol")
    page.select_option("#person", label="bob (full member)")
    expect(announcement).to_have_text("")
    page.select_option("#person", label="alice (full member)")
    expect(page.locator(".ephemeral")).to_have_text("for alice")
    expect(announcement).to_have_text("")
