"""The page in a real browser: requests, approvals, forms, switches and planned faults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from bot.huawei.error_catalogue import CATALOGUE
from bot.sandbox.control_panel.routes import add_control_panel
from bot.sandbox.control_panel.switches import KILLED, SWITCHES
from bot.sandbox.huawei.credentials import SOURCE_SK
from bot.sandbox.huawei.faults import FailsLater, NoAnswer
from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.system import Sandbox, utc_now
from tests.browser.page import wait_for_refresh
from tests.sandbox.app import CARD, FORM, HOME, App, option, text
from tests.support.sandbox import CREATED, put_calls

SECONDS = 1000.0


def test_one_person_requests_another_approves_and_the_migration_moves(
    bot_page: tuple[Sandbox, Page, list[str]],
) -> None:
    sandbox, page, errors = bot_page
    page.get_by_role("button", name="Send").click()
    header = page.locator("article .block-header")
    expect(header).to_have_text('Resume "nightly images"', timeout=10 * SECONDS)
    expect(page.locator(".ephemeral")).to_contain_text([CREATED, "Looking up group"])
    expect(page.locator("article")).to_contain_text("@carol or @migration-leads")
    page.select_option("#person", label="carol (approver)")
    expect(page.locator(".ephemeral")).to_have_count(0)
    page.get_by_role("button", name="Approve resuming").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Resume this group?")
    dialog.get_by_role("button", name="Not yet").click()
    assert not put_calls(sandbox)
    page.get_by_role("button", name="Approve resuming").click()
    dialog.get_by_role("button", name="Approve").click()
    expect(header).to_contain_text("Resumed, moving", timeout=20 * SECONDS)
    expect(page.locator(".thread")).to_contain_text("Approved by @carol.")
    calls = page.locator("#calls").inner_text()
    assert "with src_ak, src_sk, dst_ak, dst_sk" in calls
    assert SOURCE_SK[:8] not in page.content()
    expect(page.locator("#vault")).to_contain_text("secret/oms/media/source: read 1 time")
    expect(page.locator("#vault")).to_contain_text("secret/oms/media/caller (the bot's own key): read ")
    assert errors == []


def test_a_denial_asks_for_a_reason_in_a_form(bot_page: tuple[Sandbox, Page, list[str]]) -> None:
    _, page, errors = bot_page
    page.get_by_role("button", name="Send").click()
    page.locator("article .block-header").wait_for()
    page.select_option("#person", label="dave (approver, by group)")
    page.get_by_role("button", name="Deny resuming").click()
    form = page.get_by_role("dialog")
    form.locator("textarea").fill("not tonight <b>bold</b> *see* :x:")
    form.get_by_role("button", name="Deny", exact=True).click()
    expect(page.locator("article .block-header")).to_have_text('Denied: "nightly images"', timeout=10 * SECONDS)
    card = page.locator("article", has_text="#migrations")
    expect(card.locator(".block-context").last).to_contain_text("not tonight <b>bold</b> *see* :x:")
    expect(card.locator(".thread")).to_contain_text("not tonight <b>bold</b> *see* :x:")
    page.select_option("#person", label="alice (full member)")
    direct = page.locator("article", has_text="direct message to you")
    expect(direct).to_contain_text("not tonight <b>bold</b> *see* :x:")
    expect(direct.locator("strong")).to_have_count(0)
    assert errors == []


def test_the_command_without_arguments_opens_a_form_that_shows_its_errors(
    bot_page: tuple[Sandbox, Page, list[str]],
) -> None:
    _, page, _ = bot_page
    page.fill("#text", "/resume-taskgroup")
    page.get_by_role("button", name="Send").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Or type a task group id").fill("not-an-id-0000000")
    form.get_by_role("button", name="Request").click()
    expect(form.locator(".error", has_text="This isn't a task group id")).to_be_visible()
    form.get_by_label("Or type a task group id").fill("00878453-3402-4a86-9e2a-5d5217cd35b2")
    form.locator("textarea").fill("asked in the form")
    form.get_by_label("Project").select_option("archive")
    in_an_hour = (utc_now() + timedelta(hours=1)).astimezone(ZoneInfo("Asia/Singapore"))
    form.get_by_label("Start at").fill(f"{in_an_hour:%H:%M}")
    form.get_by_role("button", name="Request").click()
    expect(page.locator("article", has_text="archive (")).to_have_count(1, timeout=10 * SECONDS)
    page.get_by_role("button", name="Send").click()
    form.get_by_label("Or type a task group id").fill("00878453-3402-4a86-9e2a-5d5217cd35b2")
    form.locator("textarea").fill("asked in the form")
    form.get_by_label("Start at").fill(f"{in_an_hour:%H:%M}")
    form.get_by_role("button", name="Request").click()
    card = page.locator("article", has_text="#migrations")
    expect(card).to_contain_text("asked in the form", timeout=10 * SECONDS)
    expect(card).to_contain_text("Starts")


def test_choices_in_messages_and_presses_in_app_home_reach_the_app(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    app.web.chat_postMessage(channel=MIGRATIONS, text="card", blocks=CARD)
    card = page.locator("article")
    card.get_by_label("FAILED").check()
    expect(card.get_by_label("FAILED")).to_be_checked()
    sandbox.wait_until(lambda: len(app.requests) == 1)
    assert app.last["actions"][0]["selected_option"] == option("failed")
    card.locator("select").select_option("g2")
    sandbox.wait_until(lambda: len(app.requests) == 2)
    assert app.last["state"]["values"]["decide"]["scope"]["selected_option"] == option("failed")
    page.get_by_role("tab", name="App Home").click()
    expect(page.locator("#home")).to_have_text("The bot has published nothing here.")
    sandbox.wait_until(lambda: app.last.get("event", {}).get("type") == "app_home_opened")
    app.web.views_publish(user_id=ALICE, view=HOME)
    page.locator("#home").get_by_role("button", name="Approve").click()
    sandbox.wait_until(lambda: app.last.get("type") == "block_actions" and app.last["container"]["type"] == "view")
    expect(page.locator("#messages")).to_be_hidden()


def test_a_modal_has_choices_and_an_update_keeps_typed_text(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = app_page
    view = app.web.views_open(trigger_id=sandbox.workspace.new_trigger(ALICE), view=FORM)["view"]
    form = page.get_by_role("dialog")
    form.get_by_label("Reason").fill("network is back")
    app.web.views_update(view_id=view["id"], hash=view["hash"], view=FORM | {"title": text("Next")})
    expect(form.locator("h2")).to_have_text("Next")
    expect(form.get_by_label("Reason")).to_have_value("network is back")
    form.get_by_label("Group").select_option("g2")
    sandbox.wait_until(lambda: len(app.requests) == 1)
    form.get_by_role("button", name="Ask").click()
    form.get_by_label("ALL").check()
    form.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert app.last["view"]["state"]["values"] == {
        "which": {"group": {"type": "static_select", "selected_option": option("g2")}},
        "scope": {"scope": {"type": "radio_buttons", "selected_option": option("all")}},
        "reason": {"text": {"type": "plain_text_input", "value": "network is back"}},
    }


def test_every_group_and_path_is_shown_and_every_switch_works(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = app_page
    expect(page.locator("#groups td.status")).to_have_count(len(sandbox.oms.state.groups))
    for words in ("waiting for deletion", "creation failed", "pausing", "URL_LIST", "CDN ALIYUN_OSS_A"):
        expect(page.locator("#groups")).to_contain_text(words)
    expect(page.locator("#vault li")).to_have_count(len(sandbox.vault.paths))
    # There is no bot here. Killing it has a test of its own.
    for name, switch in SWITCHES.items() - {(KILLED, SWITCHES[KILLED])}:
        page.get_by_label(name).check()
        sandbox.wait_until(partial(switch.is_on, sandbox), what=name)
        page.get_by_label(name).uncheck()
        expect(page.get_by_label(name)).not_to_be_checked()
    sandbox.wait_until(lambda: not any(switch.is_on(sandbox) for switch in SWITCHES.values()), what="all switched back")


def test_a_fault_with_any_documented_code_can_be_planned(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = app_page
    resume = page.get_by_label("The next resume")
    resume.select_option("OMS.0072")
    sandbox.wait_until(
        lambda: [getattr(fault, "code", "") for fault in sandbox.shared_faults.pending("start")] == ["OMS.0072"]
    )
    assert set(CATALOGUE) <= set(resume.locator("option").evaluate_all("all => all.map(one => one.value)"))
    resume.select_option("TRF.0057")
    sandbox.wait_until(lambda: isinstance(next(iter(sandbox.shared_faults.pending("start")), None), FailsLater))
    resume.select_option("no answer, but it is done")
    sandbox.wait_until(lambda: sandbox.shared_faults.pending("start") == (NoAnswer(done=True),))
    page.get_by_label("The next pause").select_option("not available (503)")
    sandbox.wait_until(lambda: bool(sandbox.shared_faults.pending("stop")))
    assert sandbox.shared_faults.pending("start") == (NoAnswer(done=True),)
    resume.select_option("as usual")
    sandbox.wait_until(lambda: not sandbox.shared_faults.pending("start"))


def test_a_planned_fault_is_shown_until_a_call_takes_it(app_page: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = app_page
    resume = page.get_by_label("The next resume")
    expect(resume).to_have_value("")
    assert page.evaluate("(wanted) => document.querySelector('#planned select').value = wanted", "OMS.0072")
    expect(resume).to_have_value("")
    resume.select_option("OMS.0072")
    sandbox.wait_until(lambda: bool(sandbox.shared_faults.pending("start")))
    wait_for_refresh(page)
    expect(resume).to_have_value("OMS.0072")
    sandbox.shared_faults.take("start")
    expect(resume).to_have_value("")
    assert page.evaluate("document.querySelector('#faults input').checked = true")
    expect(page.get_by_label(KILLED)).not_to_be_checked()


def test_another_site_in_the_browser_cannot_act_on_the_page(new_sandbox: Callable[..., Sandbox]) -> None:
    import requests

    sandbox = new_sandbox()
    url = sandbox.slack.server.url
    assert requests.post(f"{url}/panel/type", json={}, timeout=5).status_code == 404
    other = Sandbox()
    add_control_panel(other)
    try:
        other.open()
        answer = requests.post(f"{other.slack.server.url}/panel/type", json={"person": "U0ALICE001"}, timeout=5)
        assert answer.status_code == 403
    finally:
        other.close()
