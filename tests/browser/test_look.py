"""The layout and colors of the page, and how it shows names, dates and formatted text."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, CAROL, DAVE, MIGRATIONS
from bot.sandbox.slack.workspace import EphemeralMessage
from bot.sandbox.system import Sandbox, utc_now
from bot.ui.card import card
from tests.gallery.requests import REQUESTS
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
    # alice is in Singapore.
    expect(page.locator("article .block-section")).to_have_text(f"{' '.join(words)} Jun 1, 2026 08:00")


def test_each_person_sees_times_in_their_own_zone(app_page: tuple[Sandbox, Page, App]) -> None:
    _, page, app = app_page
    page.clock.set_fixed_time(datetime(2026, 6, 1, 12, 0, tzinfo=UTC))
    at_18_utc = int(datetime(2026, 6, 1, 18, 0, tzinfo=UTC).timestamp())
    text = f"Expires <!date^{at_18_utc}^{{date_short_pretty}} {{time}}|?>"
    app.web.chat_postMessage(channel=MIGRATIONS, text=text)
    shown, calls = page.locator("article .block-section"), page.locator("#calls")
    for label, zone, time_there in (
        ("alice (full member)", "Asia/Singapore", "tomorrow 02:00"),
        ("carol (approver)", "Europe/Berlin", "today 20:00"),
        ("bob (full member)", "America/New_York", "today 14:00"),
    ):
        page.select_option("#person", label=label)
        expect(page.locator("#time-zone")).to_have_text(f"Times in {zone}")
        expect(shown).to_have_text(f"Expires {time_there}")
        expect(calls).to_contain_text(f"Expires {time_there}")


CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).slice(0, 3).map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      const alpha = channels(color)[3];
      if (alpha === undefined || alpha === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const hasText = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim());
    if (!hasText || !node.checkVisibility() || ["OPTION", "OPTGROUP", "SCRIPT"].includes(node.tagName)) continue;
    const both = [luminance(getComputedStyle(node).color), luminance(backgroundOf(node))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    found.push([contrast, `${node.tagName}.${node.className} ${node.textContent.slice(0, 40)}`]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast_in_light_and_dark_mode(
    app_page: tuple[Sandbox, Page, App], scheme: Literal["light", "dark"]
) -> None:
    sandbox, page, app = app_page
    page.emulate_media(color_scheme=scheme)
    for request in (REQUESTS["Pending, with warnings, prefix, CDN"], REQUESTS["Failed"]):
        message = card(request)
        app.web.chat_postMessage(channel=MIGRATIONS, text=message.text, blocks=list(message.blocks))
    sandbox.workspace.ephemerals.append(EphemeralMessage(ALICE, MIGRATIONS, "Only for alice.", utc_now()))
    expect(page.locator(".ephemeral")).to_be_visible()
    expect(page.locator("#groups .percentage").first).to_be_visible()
    assert luminance_of_page(page) > 0.8 if scheme == "light" else luminance_of_page(page) < 0.1
    page.evaluate("for (const id of ['warning', 'busy']) { $(id).textContent = id; $(id).hidden = false; }")
    contrasts = page.evaluate(CONTRASTS)
    page.locator("article").get_by_role("button", name="Approve").click()
    contrasts += page.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert [text for contrast, text in contrasts if contrast < 4.5] == []


def luminance_of_page(page: Page) -> float:
    """Between 0 for black and 1 for white. The page has shades of grey only as backgrounds."""
    color: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return int(re.findall(r"\d+", color)[0]) / 255


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
