"""The page, in a real browser: what a person who has just cloned the repository does and sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from bot.huawei.error_catalogue import CATALOGUE
from bot.sandbox.control_panel import add_control_panel
from bot.sandbox.faults import FailsLater, Late
from bot.sandbox.slack import workspace as w
from bot.sandbox.switches import KILLED, SWITCHES
from bot.sandbox.system import Sandbox, utc_now
from tests.browser.page import refreshed
from tests.sandbox.app import CARD, FORM, HOME, App, option, text
from tests.support.sandbox import put_calls

SECONDS = 1000.0


def test_a_person_asks_another_approves_and_the_migration_moves(seen: tuple[Sandbox, Page, list[str]]) -> None:
    sandbox, page, errors = seen
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
    assert not put_calls(sandbox)
    page.get_by_role("button", name="Approve resuming").click()
    dialog.get_by_role("button", name="Approve").click()
    expect(header).to_contain_text("Resumed, moving", timeout=20 * SECONDS)
    expect(page.locator(".thread")).to_contain_text("Approved by @carol.")
    calls = page.locator("#calls").inner_text()
    assert "with src_ak, src_sk, dst_ak, dst_sk" in calls
    assert "sandbox-source-secret" not in page.content()
    expect(page.locator("#vault")).to_contain_text("secret/oms/media/source: read 1 time")
    assert errors == []


def test_denying_asks_for_a_reason_in_a_form(seen: tuple[Sandbox, Page, list[str]]) -> None:
    _, page, errors = seen
    page.get_by_role("button", name="Send").click()
    page.locator("article .block-header").wait_for()
    page.select_option("#person", label="dave (approver, by group)")
    page.get_by_role("button", name="Deny resuming").click()
    form = page.get_by_role("dialog")
    form.locator("textarea").fill("not tonight <b>bold</b> *see* :x:")
    form.get_by_role("button", name="Deny").click()
    expect(page.locator("article .block-header")).to_have_text("Denied: nightly images", timeout=10 * SECONDS)
    card = page.locator("article", has_text="#migrations")
    expect(card.locator(".block-context").last).to_contain_text("not tonight <b>bold</b> *see* :x:")
    expect(card.locator(".thread")).to_contain_text("not tonight <b>bold</b> *see* :x:")
    page.select_option("#person", label="alice (full member)")
    direct = page.locator("article", has_text="direct message to you")
    expect(direct).to_contain_text("not tonight <b>bold</b> *see* :x:")
    expect(direct.locator("strong")).to_have_count(0)
    assert errors == []


def test_the_command_alone_opens_a_form_and_its_faults_show_in_it(seen: tuple[Sandbox, Page, list[str]]) -> None:
    _, page, _ = seen
    page.fill("#text", "/resume-taskgroup")
    page.get_by_role("button", name="Send").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Or its id").fill("not-an-id-0000000")
    form.get_by_role("button", name="Ask").click()
    expect(form.locator(".error", has_text="This is not a task group id")).to_be_visible()
    form.get_by_label("Or its id").fill("00878453-3402-4a86-9e2a-5d5217cd35b2")
    form.locator("textarea").fill("asked in the form")
    form.get_by_label("Project").select_option("archive")
    in_an_hour = (utc_now() + timedelta(hours=1)).astimezone(ZoneInfo("Asia/Singapore"))
    form.get_by_label("Start at").fill(f"{in_an_hour:%H:%M}")
    form.get_by_role("button", name="Ask").click()
    expect(page.locator("article", has_text="archive (")).to_have_count(1, timeout=10 * SECONDS)
    page.get_by_role("button", name="Send").click()
    form.get_by_label("Or its id").fill("00878453-3402-4a86-9e2a-5d5217cd35b2")
    form.locator("textarea").fill("asked in the form")
    form.get_by_label("Start at").fill(f"{in_an_hour:%H:%M}")
    form.get_by_role("button", name="Ask").click()
    card = page.locator("article", has_text="Resume migration")
    expect(card).to_contain_text("asked in the form", timeout=10 * SECONDS)
    expect(card).to_contain_text("not at once")


def test_what_can_be_chosen_in_a_message_and_in_app_home_is_told_to_the_app(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    app.web.chat_postMessage(channel=w.MIGRATIONS, text="card", blocks=CARD)
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
    app.web.views_publish(user_id=w.ALICE, view=HOME)
    page.locator("#home").get_by_role("button", name="Approve").click()
    sandbox.wait_until(lambda: app.last.get("type") == "block_actions" and app.last["container"]["type"] == "view")
    expect(page.locator("#messages")).to_be_hidden()


def test_a_form_offers_choices_and_an_update_keeps_what_was_typed(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, app = alone
    view = app.web.views_open(trigger_id=sandbox.workspace.new_trigger(w.ALICE), view=FORM)["view"]
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


def test_every_group_and_path_is_shown_and_every_fault_can_be_switched_on(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = alone
    expect(page.locator("#groups td.status")).to_have_count(len(sandbox.world.groups))
    for words in ("waiting for deletion", "creation failed", "pausing", "URL_LIST", "CDN ALIYUN_OSS_A"):
        expect(page.locator("#groups")).to_contain_text(words)
    expect(page.locator("#vault li")).to_have_count(len(sandbox.vault.paths))
    # The bot that is killed has a test of its own: here is none.
    for name, switch in SWITCHES.items() - {(KILLED, SWITCHES[KILLED])}:
        page.get_by_label(name).check()
        sandbox.wait_until(partial(switch.is_on, sandbox), what=name)
        page.get_by_label(name).uncheck()
        expect(page.get_by_label(name)).not_to_be_checked()
    sandbox.wait_until(lambda: not any(switch.is_on(sandbox) for switch in SWITCHES.values()), what="all switched back")


def test_the_next_call_can_be_made_to_meet_any_documented_code(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = alone
    resume = page.get_by_label("The next resume")
    resume.select_option("OMS.0072")
    sandbox.wait_until(
        lambda: [getattr(fault, "code", "") for fault in sandbox.faults.waiting("start")] == ["OMS.0072"]
    )
    assert set(CATALOGUE) <= set(resume.locator("option").evaluate_all("all => all.map(one => one.value)"))
    resume.select_option("TRF.0057")
    sandbox.wait_until(lambda: isinstance(next(iter(sandbox.faults.waiting("start")), None), FailsLater))
    resume.select_option("no answer, but it is done")
    sandbox.wait_until(lambda: sandbox.faults.waiting("start") == (Late(done=True),))
    page.get_by_label("The next pause").select_option("not available (503)")
    sandbox.wait_until(lambda: bool(sandbox.faults.waiting("stop")))
    assert sandbox.faults.waiting("start") == (Late(done=True),)
    resume.select_option("as usual")
    sandbox.wait_until(lambda: not sandbox.faults.waiting("start"))


def test_what_is_planned_shows_as_long_as_it_waits_and_no_longer(alone: tuple[Sandbox, Page, App]) -> None:
    sandbox, page, _ = alone
    resume = page.get_by_label("The next resume")
    expect(resume).to_have_value("")
    assert page.evaluate("(wanted) => document.querySelector('#plans select').value = wanted", "OMS.0072")
    expect(resume).to_have_value("")
    resume.select_option("OMS.0072")
    sandbox.wait_until(lambda: bool(sandbox.faults.waiting("start")))
    refreshed(page)
    expect(resume).to_have_value("OMS.0072")
    sandbox.faults.take("start")
    expect(resume).to_have_value("")
    assert page.evaluate("document.querySelector('#faults input').checked = true")
    expect(page.get_by_label(KILLED)).not_to_be_checked()


def test_another_site_in_the_browser_cannot_act_here(new_sandbox: Callable[..., Sandbox]) -> None:
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
