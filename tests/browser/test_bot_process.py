"""What the page does beside Slack: it kills and restarts the bot, pauses groups, changes rules and starts over."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from bot.sandbox.control_panel.switches import KILLED, SELF_APPROVAL, SWITCHES, TWO_APPROVALS
from bot.sandbox.huawei.example_groups import LEDGERS, NIGHTLY_IMAGES, VIDEO_MASTERS
from bot.sandbox.huawei.group import MONITORING, PAUSED, Condition
from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.system import Sandbox

# In ms. Long enough for a bot to start while other tests run.
BOT_START = 60_000.0


@contextmanager
def bot_start_held(sandbox: Sandbox) -> Iterator[None]:
    """Holds every start of the bot until the block ends, so that the page stays busy."""
    released, start = threading.Event(), sandbox.start_bot

    def wait_and_start(ops_port: int | None = None) -> subprocess.Popen[bytes]:
        released.wait(60)
        return start(ops_port)

    sandbox.start_bot = wait_and_start  # type: ignore[method-assign]
    try:
        yield
    finally:
        released.set()
        sandbox.start_bot = start  # type: ignore[method-assign]


def test_a_bot_that_is_killed_is_shown_as_ended_and_can_be_restarted(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = bot_page
    expect(page.locator("#warning")).to_be_hidden()
    page.get_by_label(KILLED).check()
    expect(page.locator("#warning")).to_contain_text("The bot is not running (exit -9).")
    with page.expect_response("**/panel/home"):
        page.get_by_role("tab", name="App Home").click()
    expect(page.locator("#home")).to_have_text("The bot has published nothing here.")
    expect(page.locator("#failure")).to_have_text("")
    page.get_by_role("tab", name="Messages").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#failure")).to_have_text("Slack: dispatch_failed")
    page.get_by_label(KILLED).uncheck()
    expect(page.locator("#warning")).to_be_hidden(timeout=BOT_START)
    sandbox.wait_until(lambda: sandbox.slack.connections == 1)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article .block-header")).to_contain_text('Resume "')
    assert errors == []


def test_a_bot_that_ends_by_itself_is_shown_as_ended(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, _ = bot_page
    sandbox.stop_bot()
    expect(page.locator("#warning")).to_contain_text("The bot is not running (exit 0).")
    expect(page.get_by_label(KILLED)).to_be_checked()


def test_a_running_group_can_be_paused(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, _ = bot_page
    pause = page.get_by_role("button", name="pause video masters")
    pause.click()
    expect(pause).to_be_hidden()
    row = page.locator("#groups tr", has_text="video masters")
    expect(row).to_contain_text("paused")
    assert sandbox.oms.state.groups[VIDEO_MASTERS].status == PAUSED
    expect(page.get_by_role("button", name="pause nightly images")).to_be_hidden()


def test_what_happens_to_a_group_without_the_bot_has_a_button(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = bot_page
    group = sandbox.oms.state.groups[VIDEO_MASTERS]
    row = page.locator("#groups tr", has_text="video masters")
    running = ["pause", "stall", "slow down", "queue", "restore", "grow"]
    expect(row.locator(".actions button")).to_have_text([*running, "fail in parts"])
    row.get_by_role("button", name="stall video masters").click()
    expect(row.get_by_role("button", name="move on video masters")).to_be_visible()
    assert group.condition is Condition.STALLED
    row.get_by_role("button", name="fail in parts video masters").click()
    sandbox.wait_until(lambda: group.failed_objects > 0)
    row.get_by_role("button", name="pause video masters").click()
    expect(row.locator(".actions button")).to_have_text(["resume", "delete"])
    row.get_by_role("button", name="delete video masters").click()
    expect(row).to_have_count(0)
    assert errors == []


def test_a_group_of_the_other_project_is_requested_with_its_name(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    _, page, _ = bot_page
    page.get_by_role("button", name="use ledgers").click()
    expect(page.locator("#text")).to_have_value(f"/resume-taskgroup {LEDGERS} project=archive ")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article")).to_contain_text("project archive")


def test_starting_over_resets_the_stand_ins_and_the_bot(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = bot_page
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article")).to_have_count(1)
    sandbox.oms.state.groups[NIGHTLY_IMAGES].status = MONITORING
    for name in SWITCHES:
        page.get_by_label(name).check()
    page.get_by_label("The next resume").select_option("OMS.0072")
    sandbox.wait_until(lambda: bool(sandbox.shared_faults.pending("start")))
    page.fill("#text", "something else")
    page.get_by_role("button", name="Start over").click()
    question = page.get_by_role("dialog", name="Start over?")
    with bot_start_held(sandbox):
        question.get_by_role("button", name="Start over").click()
        expect(page.locator("#busy")).to_contain_text("Start over: one moment.")
    expect(page.locator("article")).to_have_count(0)
    for name in SWITCHES:
        expect(page.get_by_label(name)).not_to_be_checked(timeout=BOT_START)
    expect(page.get_by_label("The next resume")).to_have_value("")
    assert sandbox.oms.state.groups[NIGHTLY_IMAGES].status == PAUSED
    expect(page.locator("#text")).to_have_value(
        f"/resume-taskgroup {NIGHTLY_IMAGES} network is back", timeout=BOT_START
    )
    expect(page.locator("#busy")).to_be_hidden()
    # The bot knows of no open request for this group: the same command creates a card again.
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article .block-header")).to_contain_text('Resume "')
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1
    assert errors == []


def test_a_command_during_a_restart_waits_for_the_bot(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = bot_page
    page.get_by_role("button", name="Start over").click()
    with bot_start_held(sandbox):
        page.get_by_role("dialog").get_by_role("button", name="Start over").click()
        expect(page.locator("#busy")).to_be_visible()
        page.get_by_role("button", name="Send").click()
    expect(page.locator("article .block-header")).to_contain_text('Resume "', timeout=BOT_START)
    expect(page.locator("#failure")).to_have_text("")
    assert not any("did not answer" in text for text in sandbox.workspace.private_texts(ALICE))
    assert errors == []


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve resuming").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()


def test_rules_of_approval_can_be_switched_on(
    bot_page: tuple[Sandbox, Page, list[str]],
) -> None:
    sandbox, page, errors = bot_page
    for name in (TWO_APPROVALS, SELF_APPROVAL):
        with bot_start_held(sandbox):
            page.get_by_label(name).check()
            expect(page.locator("#busy")).to_be_visible()
        expect(page.locator("#busy")).to_be_hidden(timeout=BOT_START)
        expect(page.get_by_label(name)).to_be_checked()
    expect(page.locator("#warning")).to_be_hidden()
    page.select_option("#person", label="carol (approver)")
    page.get_by_role("button", name="Send").click()
    card = page.locator("article", has_text="#migrations")
    expect(card).to_contain_text("Needs 2 approvals from @carol or @migration-leads")
    approve(page)
    expect(card).to_contain_text("approved (@carol)")
    card.get_by_role("button", name="Withdraw my approval").click()
    expect(card).not_to_contain_text("approved (@carol)")
    approve(page)
    expect(card).to_contain_text("approved (@carol)")
    page.select_option("#person", label="dave (approver, by group)")
    expect(page.locator("article", has_text="direct message to you").first).to_contain_text("Break-glass")
    approve(page)
    expect(card).to_contain_text("Break-glass")
    expect(card.locator(".thread")).to_contain_text("Approved by @carol and @dave.")
    assert errors == []


def test_a_rule_that_is_changed_while_the_bot_is_down_applies_once_it_starts(
    bot_page: tuple[Sandbox, Page, list[str]],
) -> None:
    sandbox, page, _ = bot_page
    page.get_by_label(KILLED).check()
    expect(page.locator("#warning")).to_be_visible()
    page.get_by_label(TWO_APPROVALS).check()
    sandbox.wait_until(lambda: bool(sandbox.rules))
    expect(page.locator("#warning")).to_be_visible()
    page.get_by_label(KILLED).uncheck()
    expect(page.locator("#warning")).to_be_hidden(timeout=BOT_START)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article").first).to_contain_text("Needs 2 approvals from @carol")
