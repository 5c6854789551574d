"""Every refused click and command gets one reply even if it is delivered twice, and has no effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from functools import partial

import pytest

from bot.sandbox.huawei.example_groups import INVOICES, NIGHTLY_IMAGES, VIDEO_MASTERS
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, BOT_USER_ID, CAROL, DAVE, ERIN, FRANK, GRACE, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from tests.support.refusals import OUTSIDERS, Refusals, pressing, submit_as, with_button
from tests.support.sandbox import (
    CREATED,
    audit_rows,
    button_ids,
    create_request,
    deny,
    full_text,
    open_view,
    put_calls,
    run_concurrently,
    view_text,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)

pytestmark = pytest.mark.usefixtures("long_lived_triggers")


def test_outsiders_are_refused_by_every_button(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    # People who are not full members do not count, even if the user group names them.
    sandbox.workspace.groups[APPROVERS_GROUP] += [ERIN, FRANK, GRACE]
    sandbox.workspace.users["U0NOBODY01"] = {"id": "U0NOBODY01", "name": "nobody", "team_id": "T0UNKNOWN1"}
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "approved (")
    before, text = button_ids(card), full_text(card)
    refusals = Refusals(sandbox)
    for action in ("approve", "cancel", "withdraw", "retry"):
        for person, words in OUTSIDERS:
            refusals.expect(person, words, pressing(sandbox, person, with_button(card, action), action))
    refusals.assert_no_others()
    assert (button_ids(card), full_text(card)) == (before, text)
    assert not put_calls(sandbox)
    # One row a minute for each person and button, and a minute may have passed.
    refused = {(row["actor"], row["detail"]["kind"]) for row in audit_rows(sandbox, "action.refused")}
    assert len(refused) == 4 * len(OUTSIDERS)


def test_full_members_are_refused_what_they_may_not_do_with_an_open_request(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    sandbox.workspace.groups[APPROVERS_GROUP] = [DAVE, ALICE]
    sandbox.start_bot()
    card = create_request(sandbox, CAROL)
    sandbox.people.press(DAVE, card, "approve")
    wait_for_text(sandbox, card, "approved (")
    before, text = button_ids(card), full_text(card)
    refusals = Refusals(sandbox)
    for person, action, words in (
        (BOB, "approve", "You can't approve or deny this; "),
        (BOB, "cancel", "Only the requester ("),
        (BOB, "withdraw", "nothing to withdraw"),
        (BOB, "retry", "nothing to retry"),
        (CAROL, "approve", "You can't approve or deny your own request; "),
        (CAROL, "withdraw", "nothing to withdraw"),
        (CAROL, "retry", "nothing to retry"),
        (DAVE, "approve", "already approved this"),
    ):
        refusals.expect(person, words, pressing(sandbox, person, with_button(card, action), action))
    refusals.assert_no_others()
    assert all(card.ts.replace(".", "") in text for text in sandbox.workspace.private_texts(BOB)), (
        "each reply links to the card"
    )
    assert (button_ids(card), full_text(card)) == (before, text)
    assert not put_calls(sandbox)


def test_a_click_on_an_old_version_of_a_decided_card_is_refused(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    old_card = copy(card)
    deny(sandbox, CAROL, card, "not tonight")
    wait_for_text(sandbox, card, "Denied")
    text = full_text(card)
    refusals = Refusals(sandbox)
    for person, action in ((DAVE, "approve"), (ALICE, "cancel"), (BOB, "withdraw")):
        refusals.expect(person, "already decided", pressing(sandbox, person, with_button(card, action), action))
    refusals.expect(GRACE, "other organizations", pressing(sandbox, GRACE, old_card, "approve"))
    for person in (DAVE, BOB):
        view = open_view(sandbox, person, partial(sandbox.people.press, person, old_card, "deny"))
        assert "already decided" in view_text(sandbox, view)
        assert card.ts.replace(".", "") in view_text(sandbox, view)
    refusals.assert_no_others()
    assert not any("Denied" in text for text in sandbox.workspace.private_texts(GRACE))
    assert full_text(card) == text
    assert not put_calls(sandbox)


def test_a_person_without_access_to_the_project_gets_the_same_reply_as_for_an_unknown_request(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    toml = sandbox.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace('requesters = ["*"]', f'requesters = ["{ALICE}"]'), encoding="utf-8")
    sandbox.start_bot()
    card = create_request(sandbox)
    refusals = Refusals(sandbox)
    for action in ("approve", "cancel", "withdraw", "retry"):
        refusals.expect(
            BOB, "No such request, or you can't see it.", pressing(sandbox, BOB, with_button(card, action), action)
        )
    unknown = with_button(card, "approve")
    unknown.blocks[0]["elements"][0]["value"] = "R-00000000"
    refusals.expect(BOB, "No such request, or you can't see it.", pressing(sandbox, BOB, unknown, "approve"))
    view = open_view(sandbox, BOB, lambda: sandbox.people.press(BOB, card, "deny"))
    assert "No such request, or you can't see it." in view_text(sandbox, view)
    refusals.expect(
        BOB, "You can't create requests", lambda trigger: sandbox.people.type(BOB, NIGHTLY_IMAGES, trigger_id=trigger)
    )
    refusals.expect(
        BOB, "access to any of this bot's", lambda trigger: sandbox.people.type(BOB, "list", trigger_id=trigger)
    )
    refusals.assert_no_others()
    replies = {*sandbox.workspace.private_texts(BOB), view_text(sandbox, view).splitlines()[0]}
    assert len({one for one in replies if "No such request" in one}) == 1, "the replies are identical, and have no link"
    assert button_ids(card) == ["approve", "deny", "cancel"]


def test_only_approvers_get_the_deny_form_and_its_opening_is_in_the_audit(sandbox: Sandbox) -> None:
    card = create_request(sandbox, CAROL)
    before = full_text(card)
    for person, words in (
        *OUTSIDERS[:3],
        (BOB, "You can't approve or deny this; "),
        (CAROL, "You can't approve or deny your own request; "),
    ):
        trigger = sandbox.workspace.new_trigger(person)
        twice = [press_deny(sandbox, person, card, trigger)] * 2
        first = open_view(sandbox, person, partial(run_concurrently, *twice))
        assert words in view_text(sandbox, first)
        assert "submit" not in sandbox.workspace.views[first].view
        assert len([view for view in sandbox.workspace.views.values() if view.person == person]) == 1
        another = open_view(sandbox, person, partial(sandbox.people.press, person, card, "deny"))
        assert words in view_text(sandbox, another)
    form = open_view(sandbox, DAVE, partial(sandbox.people.press, DAVE, card, "deny"))
    assert sandbox.workspace.views[form].view["callback_id"] == "deny_form"
    assert full_text(card) == before, "opening the form changes nothing"
    opened = [(row["event"], row["actor"]) for row in audit_rows(sandbox, "form.opened", "action.refused")]
    assert opened.count(("form.opened", DAVE)) == 1
    for person in (ERIN, BOB, CAROL):
        assert opened.count(("action.refused", person)) in (1, 2), "one row a minute"


def press_deny(sandbox: Sandbox, person: str, card: PostedMessage, trigger: str) -> Callable[[], object]:
    return lambda: sandbox.people.press(person, card, "deny", trigger_id=trigger)


def test_a_deny_form_submitted_by_another_person_denies_nothing(sandbox: Sandbox) -> None:
    card = create_request(sandbox, CAROL)
    form = open_view(sandbox, DAVE, lambda: sandbox.people.press(DAVE, card, "deny"))
    opened = sandbox.workspace.views[form]
    refusals: dict[str, str] = {
        BOB: "You can't approve or deny this; ",
        CAROL: "You can't approve or deny your own request; ",
        ERIN: "Guests can't use this app.",
    }
    for number, (person, words) in enumerate(refusals.items()):
        # A submission is identified by the id of its view: each of these is another form, submitted twice.
        for _ in range(2):
            submit_as(sandbox, person, opened, f"V0FORGED{number}", {"reason": "no"})
        wait_for_reply(sandbox, person, words)
        submit_as(sandbox, person, opened, f"V0AGAIN{number}", {"reason": "no"})
        sandbox.wait_until(lambda p=person, t=words: sum(t in one for one in sandbox.workspace.private_texts(p)) == 2)  # type: ignore[misc]
    assert button_ids(card) == ["approve", "deny", "cancel"]
    for person, words in refusals.items():
        assert sum(words in one for one in sandbox.workspace.private_texts(person)) == 2


def test_simultaneous_submissions_of_deny_forms_deny_once(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    forms = {}
    for person in (CAROL, DAVE):
        forms[person] = open_view(sandbox, person, partial(sandbox.people.press, person, card, "deny"))
    opened = dict(sandbox.workspace.views)
    barrier = threading.Barrier(3)

    def send(person: str) -> Callable[[], object]:
        def now() -> None:
            barrier.wait()
            sandbox.workspace.views.update(opened)
            sandbox.people.submit(person, forms[person], {"reason": "no"})

        return now

    run_concurrently(send(CAROL), send(CAROL), send(DAVE))
    wait_for_text(sandbox, card, "Denied")
    sandbox.wait_until(
        lambda: sum("already decided" in text for one in forms for text in sandbox.workspace.private_texts(one)) == 1,
        what="the reply to the later one",
    )
    assert len(audit_rows(sandbox, "request.denied")) == 1
    wait_for_thread_line(sandbox, card, "Denied by")
    assert len([one for one in sandbox.workspace.messages_in(MIGRATIONS, card.ts) if "Denied by" in one.text]) == 1


def test_only_people_who_may_request_get_the_request_form(sandbox: Sandbox) -> None:
    for person, words in ((ERIN, "Guests can't use this app."), (GRACE, "other organizations")):
        trigger = sandbox.workspace.new_trigger(person)
        twice = [partial(sandbox.people.type, person, "", trigger_id=trigger)] * 2
        view = open_view(sandbox, person, partial(run_concurrently, *twice))
        assert words in view_text(sandbox, view)
        assert len([view for view in sandbox.workspace.views.values() if view.person == person]) == 1
    form = open_view(sandbox, ALICE, lambda: sandbox.people.type(ALICE, ""))
    opened = sandbox.workspace.views[form]
    assert opened.view["callback_id"] == "request_form"
    events = [(row["event"], row["actor"]) for row in audit_rows(sandbox, "form.opened", "action.refused")]
    assert events == [("action.refused", ERIN), ("action.refused", GRACE), ("form.opened", ALICE)]
    # A guest who submits the form of another person creates no request.
    for _ in range(2):
        submit_as(sandbox, ERIN, opened, "V0FORGED", {"group": NIGHTLY_IMAGES, "reason": "please"})
    wait_for_reply(sandbox, ERIN, "Guests can't use this app.")
    ack = sandbox.people.submit(ALICE, form, {"group": f"../../{NIGHTLY_IMAGES}/start", "reason": ""})
    assert "errors" in (ack.payload or {})
    for _ in range(2):
        submit_as(sandbox, ALICE, opened, form, {"group": NIGHTLY_IMAGES, "reason": "network is back"})
    wait_for_reply(sandbox, ALICE, CREATED)
    assert sum("Guests can't use this app." in text for text in sandbox.workspace.private_texts(ERIN)) == 1
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1


def test_each_refused_command_is_told_once(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    refusals = Refusals(sandbox)
    for person, text, words in (
        (ERIN, NIGHTLY_IMAGES, "Guests can't use this app."),
        (ERIN, "list", "Guests can't use this app."),
        (ERIN, "status R-00000000", "Guests can't use this app."),
        (BOB, NIGHTLY_IMAGES, "has already requested"),
        (BOB, "1a2b3c4d-0000-4000-8000-00000000ffff", "No group"),
        (BOB, VIDEO_MASTERS, "already running"),
        (BOB, f"{INVOICES} project=other", "a project named `other`"),
        (BOB, "status R-00000000", "No such request, or you can't see it."),
    ):
        refusals.expect(
            person,
            words,
            lambda trigger, p=person, t=text: sandbox.people.type(p, t, trigger_id=trigger),  # type: ignore[misc]
        )
    refusals.assert_no_others()
    assert sandbox.workspace.messages_in(MIGRATIONS) == [card]


@pytest.mark.long
def test_nobody_may_do_anything_while_slack_does_not_identify_people(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    before = full_text(card)
    for method, words in (("users.info", "confirm who you are"), ("usergroups.users.list", "user groups")):
        sandbox.slack.outage.answers[method] = [500] * 100
        if method == "usergroups.users.list":
            sandbox.stop_bot()
            sandbox.start_bot()  # empties the cache of user groups
        refusals = Refusals(sandbox)
        refusals.expect(DAVE, words, pressing(sandbox, DAVE, card, "approve"))
        view = open_view(sandbox, DAVE, lambda: sandbox.people.press(DAVE, card, "deny"))
        assert words in view_text(sandbox, view)
        refusals.assert_no_others()
        sandbox.slack.outage.answers.clear()
    assert full_text(card) == before
    assert not put_calls(sandbox)


def test_the_deny_button_of_a_duplicate_card_marks_the_duplicate_and_opens_no_form(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)
    duplicate = sandbox.workspace.add_message(MIGRATIONS, BOT_USER_ID, card.text, card.blocks, None)
    view = open_view(sandbox, CAROL, lambda: sandbox.people.press(CAROL, duplicate, "deny"))
    assert "a copy of the card" in view_text(sandbox, view)
    assert card.ts.replace(".", "") in view_text(sandbox, view)
    wait_for_text(sandbox, duplicate, "a copy of the card")
    assert button_ids(duplicate) == []
    assert button_ids(card) == ["approve", "deny", "cancel"]
