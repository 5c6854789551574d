"""The page, in a real browser: what a person who has just cloned the repository does and sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from bot.sandbox.desk import add_desk
from bot.sandbox.town import Town
from tests.browser.page import open_page
from tests.support.story import starts

SECONDS = 1000.0


@pytest.fixture
def seen() -> Iterator[tuple[Town, Page, list[str]]]:
    town = Town()
    add_desk(town)
    errors: list[str] = []
    try:
        town.open()
        town.start_bot()
        with open_page(town.slack.server.url) as page:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            yield town, page, errors
    finally:
        town.close()


def test_a_person_asks_another_approves_and_the_migration_moves(seen: tuple[Town, Page, list[str]]) -> None:
    town, page, errors = seen
    page.get_by_role("button", name="Send").click()
    header = page.locator("article .block-header")
    expect(header).to_have_text("Resume migration: nightly images", timeout=10 * SECONDS)
    expect(page.locator(".private")).to_contain_text("Asked.")
    expect(page.locator("article")).to_contain_text("@carol, @migration-leads")
    page.select_option("#person", label="carol (approver)")
    expect(page.locator(".private")).to_have_count(0)
    page.get_by_role("button", name="Approve resuming").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Resume this migration?")
    dialog.get_by_role("button", name="Not yet").click()
    assert not starts(town)
    page.get_by_role("button", name="Approve resuming").click()
    dialog.get_by_role("button", name="Approve").click()
    expect(header).to_contain_text("Resumed, moving", timeout=20 * SECONDS)
    expect(page.locator(".thread")).to_contain_text("Approved by @carol.")
    calls = page.locator("#calls").inner_text()
    assert "with src_ak, src_sk, dst_ak, dst_sk" in calls
    assert "sandbox-source-secret" not in page.content()
    expect(page.locator("#vault")).to_contain_text("secret/oms/media/source: read 1 time")
    assert errors == []


def test_denying_asks_for_a_reason_in_a_form(seen: tuple[Town, Page, list[str]]) -> None:
    _, page, errors = seen
    page.get_by_role("button", name="Send").click()
    page.locator("article .block-header").wait_for()
    page.select_option("#person", label="dave (approver, by group)")
    page.get_by_role("button", name="Deny resuming").click()
    form = page.get_by_role("dialog")
    form.locator("textarea").fill("not tonight <b>bold</b>")
    form.get_by_role("button", name="Deny").click()
    expect(page.locator("article .block-header")).to_have_text("Denied: nightly images", timeout=10 * SECONDS)
    expect(page.locator("article")).to_contain_text("because: not tonight <b>bold</b>")
    assert errors == []


def test_the_command_alone_opens_a_form_and_its_faults_show_in_it(seen: tuple[Town, Page, list[str]]) -> None:
    _, page, _ = seen
    page.fill("#text", "/resume-taskgroup")
    page.get_by_role("button", name="Send").click()
    form = page.get_by_role("dialog")
    form.locator("input").fill("not-an-id-0000000")
    form.get_by_role("button", name="Ask").click()
    expect(form.locator(".error").first).to_contain_text("This is not a task group id")
    form.locator("input").fill("00878453-3402-4a86-9e2a-5d5217cd35b2")
    form.locator("textarea").fill("asked in the form")
    form.get_by_role("button", name="Ask").click()
    card = page.locator("article", has_text="Resume migration")
    expect(card).to_contain_text("asked in the form", timeout=10 * SECONDS)


def test_another_site_in_the_browser_cannot_act_here(new_town: Callable[..., Town]) -> None:
    import requests

    town = new_town()
    url = town.slack.server.url
    assert requests.post(f"{url}/desk/type", json={}, timeout=5).status_code == 404
    other = Town()
    add_desk(other)
    try:
        other.open()
        answer = requests.post(f"{other.slack.server.url}/desk/type", json={"person": "U0ALICE001"}, timeout=5)
        assert answer.status_code == 403
    finally:
        other.close()
