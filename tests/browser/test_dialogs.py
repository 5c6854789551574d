"""Questions and forms are named, hold the keyboard, close by Escape, give the focus back, and warn where it is due."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bot.sandbox.slack import workspace as w
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
    app.web.chat_postMessage(channel=w.MIGRATIONS, text="card", blocks=[{"type": "actions", "elements": list(buttons)}])


def test_a_question_is_named_holds_the_keyboard_and_gives_the_focus_back(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    post(app, button("Approve", "primary"))
    approve = page.locator("article").get_by_role("button", name="Approve")
    approve.click()
    question = page.get_by_role("dialog", name="Approve?")
    expect(question).to_have_attribute("aria-modal", "true")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("[...document.querySelectorAll('dialog :focus, body')].includes(document.activeElement)")
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
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
def test_the_button_that_says_yes_looks_like_what_it_does(
    alone: tuple[Sandbox, Page, App], style: str | None, confirm_style: str | None, colour: str
) -> None:
    _, page, app = alone
    post(app, button("Pause", style, confirm_style))
    page.locator("article").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Yes")).to_have_css("background-color", colour)


def test_a_form_closes_by_escape_is_not_green_and_what_is_typed_is_not_bold(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    page.get_by_role("button", name="Send").focus()
    app.web.views_open(trigger_id=sandbox.workspace.new_trigger(w.ALICE), view=FORM)
    form = page.get_by_role("dialog", name="Form")
    expect(form.get_by_role("button", name="Ask")).to_have_css("background-color", GREY)
    expect(form.get_by_label("Reason")).to_have_css("font-weight", "400")
    expect(form.get_by_label("Group")).to_be_focused()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    sandbox.wait_until(lambda: not sandbox.workspace.views, what="the form closes in Slack too")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
