"""Dialogs have a name, hold the focus, close with Escape, return the focus, and show danger by colour."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.system import Sandbox
from tests.sandbox.app import FORM, App, text

GREEN, RED, GREY = "rgb(0, 122, 90)", "rgb(192, 19, 67)", "rgb(68, 68, 68)"


def button(words: str, style: str | None = None, confirm_style: str | None = None) -> dict[str, Any]:
    confirm = {"title": text(f"{words}?"), "text": text("Sure."), "confirm": text("Yes"), "deny": text("No")}
    made = {"type": "button", "action_id": words.lower(), "text": text(words), "value": "R-1", "confirm": confirm}
    if style is not None:
        made["style"] = style
    if confirm_style is not None:
        confirm["style"] = confirm_style  # type: ignore[assignment]
    return made


def post(app: App, *buttons: dict[str, Any]) -> None:
    app.web.chat_postMessage(channel=MIGRATIONS, text="card", blocks=[{"type": "actions", "elements": list(buttons)}])


def test_a_confirmation_has_a_name_holds_the_focus_and_returns_it(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    post(app, button("Approve", "primary"))
    approve = page.locator("article").get_by_role("button", name="Approve")
    approve.click()
    dialog = page.get_by_role("dialog", name="Approve?")
    expect(dialog).to_have_attribute("aria-modal", "true")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("[...document.querySelectorAll('dialog :focus, body')].includes(document.activeElement)")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(approve).to_be_focused()
    assert app.requests == []


@pytest.mark.parametrize(
    ("style", "confirm_style", "colour"),
    [
        ("primary", None, GREEN),
        (None, "primary", GREEN),
        (None, "danger", RED),
        ("danger", None, RED),
        (None, None, GREY),
    ],
)
def test_the_confirming_button_has_the_style_of_its_action(
    app_page: tuple[Sandbox, Page, App], style: str | None, confirm_style: str | None, colour: str
) -> None:
    _, page, app = app_page
    post(app, button("Pause", style, confirm_style))
    page.locator("article").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Yes")).to_have_css("background-color", colour)


def test_a_modal_closes_with_escape_and_has_a_neutral_style(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    page.get_by_role("button", name="Send").focus()
    app.web.views_open(trigger_id=sandbox.workspace.new_trigger(ALICE), view=FORM)
    form = page.get_by_role("dialog", name="Form")
    expect(form.get_by_role("button", name="Ask")).to_have_css("background-color", GREY)
    expect(form.get_by_label("Reason")).to_have_css("font-weight", "400")
    expect(form.get_by_label("Group")).to_be_focused()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    sandbox.wait_until(lambda: not sandbox.workspace.views, what="the modal closed in Slack")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
