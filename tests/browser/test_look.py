"""The layout of the page, and how it shows names, dates and formatted text."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from bot.sandbox.slack.ids import APPROVERS_GROUP, CAROL, DAVE, MIGRATIONS
from bot.sandbox.system import Sandbox
from tests.sandbox.app import App

DAY_SECONDS = 86_400


def box(page: Page, selector: str) -> dict[str, float]:
    found: dict[str, float] = page.locator(selector).first.evaluate("one => one.getBoundingClientRect().toJSON()")
    return found


def test_a_narrow_screen_needs_no_horizontal_scrolling(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, _ = app_page
    expect(page.locator("#groups .percentage").first).to_be_visible()
    page.set_viewport_size({"width": 420, "height": 900})
    assert box(page, "header p")["height"] < 60
    assert box(page, "header p")["width"] > 380
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    scrolls = page.locator(".scrollable").first
    assert scrolls.evaluate("one => one.scrollWidth - one.clientWidth") == 0


def test_both_columns_start_at_the_same_height(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, _ = app_page
    assert box(page, "#tabs")["top"] == box(page, "#services h2")["top"]


def test_a_percentage_does_not_wrap(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, _ = app_page
    row = page.locator("#groups tr", has_text="web assets").locator(".percentage")
    assert row.evaluate("one => one.textContent") == "100\u00a0%"


def test_long_calls_end_with_an_ellipsis_and_people_have_names(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    text = f"Approved by <@{CAROL}> and <!subteam^{APPROVERS_GROUP}>, <https://x.example/{'y' * 200}|see the card>"
    app.web.chat_postMessage(channel=MIGRATIONS, text=text)
    app.web.chat_postMessage(channel=MIGRATIONS, text=f"Until <!date^{int(time.time())}^{{time}}|then>. " + "z" * 200)
    app.web.users_info(user=DAVE)
    calls = page.locator("#calls")
    expect(calls).to_contain_text("Approved by @carol and @migration-leads, see the card")
    expect(calls).to_contain_text("users.info 200 @dave")
    cut = page.locator("#calls li", has_text="Until").inner_text()
    assert cut.endswith("zzz…")
    assert len(cut) < 170
    for raw in ("<", "^", CAROL, DAVE):
        assert raw not in calls.inner_text()


def test_dates_near_today_are_relative_as_in_slack(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    now = int(time.time())
    page.clock.set_fixed_time(datetime.fromtimestamp(now, UTC))
    words = ("yesterday", "today", "tomorrow")
    text = " ".join(f"<!date^{now + day * DAY_SECONDS}^{{date_short_pretty}}|?>" for day in (-1, 0, 1))
    app.web.chat_postMessage(channel=MIGRATIONS, text=f"{text} <!date^1780272000^{{date_short_pretty}} {{time}}|?>")
    expect(page.locator("article .block-section")).to_have_text(f"{' '.join(words)} Jun 1, 2026 00:00")


def test_mrkdwn_is_formatted_as_in_slack(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    text = "*bold* _it_ ~gone~ `*code* :x:` :tada: :no_such: (*b*) 2*3*4 oms_url_x * not * &lt;b&gt; <https://x.example/_a_|_a_>"
    app.web.chat_postMessage(channel=MIGRATIONS, text=text)
    shown = page.locator("article .block-section")
    expect(shown).to_have_text("bold it gone *code* :x: 🎉 :no_such: (b) 2*3*4 oms_url_x * not * <b> _a_")
    for tag, words in (("strong", ["bold", "b"]), ("em", ["it"]), ("s", ["gone"]), ("code", ["*code* :x:"])):
        expect(shown.locator(tag)).to_have_text(words)


def test_plain_text_is_shown_unchanged_except_for_emoji(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    texts = [{"type": "plain_text", "text": "*b* <@U1> &amp; :x:"} | more for more in ({}, {"emoji": False})]
    app.web.chat_postMessage(
        channel=MIGRATIONS, text="card", blocks=[{"type": "section", "text": text} for text in texts]
    )
    expect(page.locator("article .block-section")).to_have_text(["*b* <@U1> &amp; ❌", "*b* <@U1> &amp; :x:"])
