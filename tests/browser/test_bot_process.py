"""What a rehearsal may do to the bot and to the world from the page: kill, start again, pause, start over."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from bot.sandbox.oms_state import LEDGERS, MONITORING, NIGHTLY_IMAGES, PAUSED, an
from bot.sandbox.slack import workspace as w
from bot.sandbox.switches import KILLED, SELF_APPROVAL, SWITCHES, TWO_APPROVALS
from bot.sandbox.system import Sandbox

# In ms: for what waits for a bot to start, while other tests run.
LONG = 60_000.0
VIDEO_MASTERS = an(2)


@contextmanager
def no_bot_starts(sandbox: Sandbox) -> Iterator[None]:
    """Until the block ends; what is shown meanwhile stays for as long."""
    go_on, start = threading.Event(), sandbox.start_bot

    def wait_and_start(ops_port: int | None = None) -> subprocess.Popen[bytes]:
        go_on.wait(60)
        return start(ops_port)

    sandbox.start_bot = wait_and_start  # type: ignore[method-assign]
    try:
        yield
    finally:
        go_on.set()
        sandbox.start_bot = start  # type: ignore[method-assign]


def test_a_bot_that_is_killed_is_said_to_be_and_starts_again(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = seen
    expect(page.locator("#down")).to_be_hidden()
    page.get_by_label(KILLED).check()
    expect(page.locator("#down")).to_contain_text("The bot is not running (exit -9).")
    with page.expect_response("**/panel/home"):
        page.get_by_role("tab", name="App Home").click()
    expect(page.locator("#home")).to_have_text("The bot has published nothing here.")
    expect(page.locator("#failure")).to_have_text("")
    page.get_by_role("tab", name="Messages").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#failure")).to_have_text("Slack: dispatch_failed")
    page.get_by_label(KILLED).uncheck()
    expect(page.locator("#down")).to_be_hidden(timeout=LONG)
    sandbox.wait_until(lambda: sandbox.slack.connections == 1)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article .block-header")).to_contain_text("Resume migration")
    assert errors == []


def test_a_bot_that_ends_by_itself_is_said_to_have_ended(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, _ = seen
    sandbox.stop_bot()
    expect(page.locator("#down")).to_contain_text("The bot is not running (exit 0).")
    expect(page.get_by_label(KILLED)).to_be_checked()


def test_a_group_that_runs_can_be_paused_as_in_the_console(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, _ = seen
    pause = page.get_by_role("button", name="pause video masters")
    pause.click()
    expect(pause).to_be_hidden()
    row = page.locator("#groups tr", has_text="video masters")
    expect(row).to_contain_text("paused")
    assert sandbox.world.groups[VIDEO_MASTERS].status == PAUSED
    expect(page.get_by_role("button", name="pause nightly images")).to_be_hidden()


def test_the_other_project_is_asked_for_by_its_name(seen: tuple[Sandbox, Page, list[str]]) -> None:
    _, page, _ = seen
    page.get_by_role("button", name="use ledgers").click()
    expect(page.locator("#text")).to_have_value(f"/resume-taskgroup {LEDGERS} project=archive ")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article")).to_contain_text("project archive")


def test_starting_over_makes_the_world_and_the_bot_forget(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = seen
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article")).to_have_count(1)
    sandbox.world.groups[NIGHTLY_IMAGES].status = MONITORING
    for name in SWITCHES:
        page.get_by_label(name).check()
    page.get_by_label("The next resume").select_option("OMS.0072")
    sandbox.wait_until(lambda: bool(sandbox.faults.waiting("start")))
    page.fill("#text", "something else")
    page.get_by_role("button", name="Start over").click()
    question = page.get_by_role("dialog", name="Start over?")
    with no_bot_starts(sandbox):
        question.get_by_role("button", name="Start over").click()
        expect(page.locator("#busy")).to_contain_text("Start over: one moment.")
    expect(page.locator("article")).to_have_count(0)
    for name in SWITCHES:
        expect(page.get_by_label(name)).not_to_be_checked(timeout=LONG)
    expect(page.get_by_label("The next resume")).to_have_value("")
    assert sandbox.world.groups[NIGHTLY_IMAGES].status == PAUSED
    expect(page.locator("#text")).to_have_value(f"/resume-taskgroup {NIGHTLY_IMAGES} network is back", timeout=LONG)
    expect(page.locator("#busy")).to_be_hidden()
    # The bot has no open request for this group any more: the same words make a card again.
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article .block-header")).to_contain_text("Resume migration")
    assert len(sandbox.workspace.of(w.MIGRATIONS)) == 1
    assert errors == []


def test_what_is_sent_while_it_starts_over_waits_for_the_bot(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = seen
    page.get_by_role("button", name="Start over").click()
    with no_bot_starts(sandbox):
        page.get_by_role("dialog").get_by_role("button", name="Start over").click()
        expect(page.locator("#busy")).to_be_visible()
        page.get_by_role("button", name="Send").click()
    expect(page.locator("article .block-header")).to_contain_text("Resume migration", timeout=LONG)
    expect(page.locator("#failure")).to_have_text("")
    assert not any("did not answer" in text for text in sandbox.workspace.told(w.ALICE))
    assert errors == []


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve resuming").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()


def test_two_approvals_a_vote_taken_back_and_break_glass_can_be_rehearsed(
    seen: tuple[Sandbox, Page, list[str]],
) -> None:
    sandbox, page, errors = seen
    for name in (TWO_APPROVALS, SELF_APPROVAL):
        with no_bot_starts(sandbox):
            page.get_by_label(name).check()
            expect(page.locator("#busy")).to_be_visible()
        expect(page.locator("#busy")).to_be_hidden(timeout=LONG)
        expect(page.get_by_label(name)).to_be_checked()
    expect(page.locator("#down")).to_be_hidden()
    page.select_option("#person", label="carol (approver)")
    page.get_by_role("button", name="Send").click()
    card = page.locator("article", has_text="#migrations")
    expect(card).to_contain_text("2 of @carol, @migration-leads")
    approve(page)
    expect(card).to_contain_text("approved by @carol")
    card.get_by_role("button", name="Withdraw my approval").click()
    expect(card).not_to_contain_text("approved by @carol")
    approve(page)
    expect(card).to_contain_text("approved by @carol")
    page.select_option("#person", label="dave (approver, by group)")
    expect(page.locator("article", has_text="direct message to you").first).to_contain_text("Break-glass")
    approve(page)
    expect(card).to_contain_text("Break-glass")
    expect(card.locator(".thread")).to_contain_text("Approved by @carol and @dave.")
    assert errors == []


def test_rules_that_change_while_the_bot_is_killed_hold_once_it_starts(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, _ = seen
    page.get_by_label(KILLED).check()
    expect(page.locator("#down")).to_be_visible()
    page.get_by_label(TWO_APPROVALS).check()
    sandbox.wait_until(lambda: bool(sandbox.rules))
    expect(page.locator("#down")).to_be_visible()
    page.get_by_label(KILLED).uncheck()
    expect(page.locator("#down")).to_be_hidden(timeout=LONG)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article").first).to_contain_text("2 of @carol")
