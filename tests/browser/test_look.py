"""How it looks: nothing tall, crooked, broken or cut without saying so; names for ids; days as Slack says them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from tests.sandbox.app import App

DAY_SECONDS = 86_400


def box(page: Page, selector: str) -> dict[str, float]:
    found: dict[str, float] = page.locator(selector).first.evaluate("one => one.getBoundingClientRect().toJSON()")
    return found


def test_on_a_narrow_screen_nothing_is_wider_than_it_and_the_head_is_low(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, _ = alone
    expect(page.locator("#groups .share").first).to_be_visible()
    page.set_viewport_size({"width": 420, "height": 900})
    assert box(page, "header p")["height"] < 60
    assert box(page, "header p")["width"] > 380
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    scrolls = page.locator(".scrolls").first
    assert scrolls.evaluate("one => one.scrollWidth - one.clientWidth") == 0


def test_both_panels_begin_at_the_same_height(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, _ = alone
    assert box(page, "#tabs")["top"] == box(page, "#world h2")["top"]


def test_a_percentage_does_not_break(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, _ = alone
    row = page.locator("#groups tr", has_text="web assets").locator(".share")
    assert row.evaluate("one => one.textContent") == "100\u00a0%"


def test_calls_are_cut_with_an_ellipsis_and_name_people_instead_of_ids(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    said = f"Approved by <@{w.CAROL}> and <!subteam^{w.APPROVERS_GROUP}>, <https://x.example/{'y' * 200}|see the card>"
    app.web.chat_postMessage(channel=w.MIGRATIONS, text=said)
    app.web.chat_postMessage(channel=w.MIGRATIONS, text=f"Until <!date^{int(time.time())}^{{time}}|then>. " + "z" * 200)
    app.web.users_info(user=w.DAVE)
    calls = page.locator("#calls")
    expect(calls).to_contain_text("Approved by @carol and @migration-leads, see the card")
    expect(calls).to_contain_text("users.info 200 @dave")
    cut = page.locator("#calls li", has_text="Until").inner_text()
    assert cut.endswith("zzz…")
    assert len(cut) < 170
    for raw in ("<", "^", w.CAROL, w.DAVE):
        assert raw not in calls.inner_text()


def test_days_near_by_are_said_as_slack_says_them(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    now = int(time.time())
    page.clock.set_fixed_time(datetime.fromtimestamp(now, UTC))
    words = ("yesterday", "today", "tomorrow")
    text = " ".join(f"<!date^{now + day * DAY_SECONDS}^{{date_short_pretty}}|?>" for day in (-1, 0, 1))
    app.web.chat_postMessage(channel=w.MIGRATIONS, text=f"{text} <!date^1780272000^{{date_short_pretty}} {{time}}|?>")
    expect(page.locator("article .block-section")).to_have_text(f"{' '.join(words)} Jun 1, 2026 00:00")


def test_text_is_obeyed_as_slack_obeys_it_and_no_further(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    said = "*bold* _it_ ~gone~ `*code* :x:` :tada: :no_such: (*b*) 2*3*4 oms_url_x * not * &lt;b&gt; <https://x.example/_a_|_a_>"
    app.web.chat_postMessage(channel=w.MIGRATIONS, text=said)
    shown = page.locator("article .block-section")
    expect(shown).to_have_text("bold it gone *code* :x: 🎉 :no_such: (b) 2*3*4 oms_url_x * not * <b> _a_")
    for tag, words in (("strong", ["bold", "b"]), ("em", ["it"]), ("s", ["gone"]), ("code", ["*code* :x:"])):
        expect(shown.locator(tag)).to_have_text(words)


def test_plain_text_is_shown_as_it_is_but_for_emoji_that_are_not_switched_off(alone: tuple[Sandbox, Page, App]) -> None:
    _, page, app = alone
    texts = [{"type": "plain_text", "text": "*b* <@U1> &amp; :x:"} | more for more in ({}, {"emoji": False})]
    app.web.chat_postMessage(
        channel=w.MIGRATIONS, text="card", blocks=[{"type": "section", "text": text} for text in texts]
    )
    expect(page.locator("article .block-section")).to_have_text(["*b* <@U1> &amp; ❌", "*b* <@U1> &amp; :x:"])
