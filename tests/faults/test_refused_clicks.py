"""Every refusal of every handler: in plain words, once for a click that lands twice, and nothing is changed by it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import pytest

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, BOT_USER_ID, CAROL, DAVE, ERIN, FRANK, GRACE, MIGRATIONS
from bot.sandbox.slack.workspace import OpenView, PostedMessage
from bot.sandbox.system import Sandbox
from tests.faults.test_clicks import at_once
from tests.support.sandbox import (
    audit_rows,
    button_ids,
    create_request,
    deny,
    full_text,
    open_view,
    put_calls,
    view_text,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)

pytestmark = pytest.mark.usefixtures("patient_triggers")

Act = Callable[[str], object]


@dataclass
class Refusals:
    """Lands each click twice, lets another follow, and keeps what was to be heard how often."""

    sandbox: Sandbox
    expected: dict[tuple[str, str], int]

    def hear(self, person: str, words: str, act: Act) -> None:
        """`act` is given a trigger id. The same twice is refused once, and another once more."""
        self.sandbox.slack.api.reset_rate_limits()
        same = self.sandbox.workspace.new_trigger(person)
        at_once(lambda: act(same), lambda: act(same))
        act(self.sandbox.workspace.new_trigger(person))
        wanted = self.expected[person, words] = self.expected.get((person, words), 0) + 2
        self.sandbox.wait_until(
            lambda: self.count(person, words) >= wanted,
            what=f"{person} told {words!r} {wanted} times, but told {self.sandbox.workspace.private_texts(person)}",
        )

    def count(self, person: str, words: str) -> int:
        return sum(words in text for text in self.sandbox.workspace.private_texts(person))

    def check(self) -> None:
        """Nobody heard anything more often than that."""
        found = {key: self.count(*key) for key in self.expected}
        assert found == self.expected


def press(sandbox: Sandbox, person: str, card: PostedMessage, action: str) -> Act:
    return lambda trigger: sandbox.people.press(person, card, action, trigger_id=trigger)


def with_button(card: PostedMessage, action: str) -> PostedMessage:
    """The card as a client shows it that has it from before, or that somebody made up."""
    forged = copy(card)
    request_id = next(word for word in full_text(card).split() if word.startswith("R-")).strip(".`")
    element = {"type": "button", "action_id": action, "value": request_id, "text": {"type": "plain_text", "text": "x"}}
    forged.blocks = [{"type": "actions", "block_id": "decide", "elements": [element]}]
    return forged


OUTSIDERS = (
    (ERIN, "Guests cannot do this"),
    (FRANK, "deactivated"),
    (GRACE, "another organisation"),
    (BOT_USER_ID, "Bots cannot do this"),
    ("U0NOBODY01", "another organisation"),
)


def test_people_who_may_do_nothing_are_refused_by_every_button(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    # Named in the settings or not: who is no full member does not count.
    sandbox.workspace.groups[APPROVERS_GROUP] += [ERIN, FRANK, GRACE]
    sandbox.workspace.users["U0NOBODY01"] = {"id": "U0NOBODY01", "name": "nobody"}
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "approved by")
    before, text = button_ids(card), full_text(card)
    refusals = Refusals(sandbox, {})
    for action in ("approve", "cancel", "withdraw", "retry"):
        for person, words in OUTSIDERS:
            refusals.hear(person, words, press(sandbox, person, with_button(card, action), action))
    refusals.check()
    assert (button_ids(card), full_text(card)) == (before, text)
    assert not put_calls(sandbox)
    refused = audit_rows(sandbox, "action.refused")
    assert len(refused) == 2 * 4 * len(OUTSIDERS)


def test_full_members_are_refused_what_is_not_theirs_on_a_card_that_is_open(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    sandbox.workspace.groups[APPROVERS_GROUP] = [DAVE, ALICE]
    sandbox.start_bot()
    card = create_request(sandbox, CAROL)
    sandbox.people.press(DAVE, card, "approve")
    wait_for_text(sandbox, card, "approved by")
    before, text = button_ids(card), full_text(card)
    refusals = Refusals(sandbox, {})
    for person, action, words in (
        (BOB, "approve", "not among those who decide"),
        (BOB, "cancel", "not among those who decide"),
        (BOB, "withdraw", "nothing to withdraw"),
        (BOB, "retry", "nothing to retry"),
        (CAROL, "approve", "somebody else must decide"),
        (CAROL, "withdraw", "nothing to withdraw"),
        (CAROL, "retry", "nothing to retry"),
        (DAVE, "approve", "approved this already"),
    ):
        refusals.hear(person, words, press(sandbox, person, with_button(card, action), action))
    refusals.check()
    assert all(card.ts.replace(".", "") in text for text in sandbox.workspace.private_texts(BOB)), (
        "each leads to the card"
    )
    assert (button_ids(card), full_text(card)) == (before, text)
    assert not put_calls(sandbox)


def test_a_card_that_is_decided_says_so_to_whoever_still_sees_its_buttons(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    seen = copy(card)
    deny(sandbox, CAROL, card, "not tonight")
    wait_for_text(sandbox, card, "Denied")
    text = full_text(card)
    refusals = Refusals(sandbox, {})
    for person, action in ((DAVE, "approve"), (ALICE, "cancel"), (BOB, "withdraw")):
        refusals.hear(person, "decided already", press(sandbox, person, with_button(card, action), action))
    refusals.hear(GRACE, "another organisation", press(sandbox, GRACE, seen, "approve"))
    for person in (DAVE, BOB):
        view = open_view(sandbox, person, partial(sandbox.people.press, person, seen, "deny"))
        assert "decided already" in view_text(sandbox, view)
        assert card.ts.replace(".", "") in view_text(sandbox, view)
    refusals.check()
    assert not any("Denied" in told for told in sandbox.workspace.private_texts(GRACE))
    assert full_text(card) == text
    assert not put_calls(sandbox)


def test_who_does_not_see_the_project_hears_the_same_as_of_a_request_that_never_was(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    toml = sandbox.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace('requesters = ["*"]', f'requesters = ["{ALICE}"]'), encoding="utf-8")
    sandbox.start_bot()
    card = create_request(sandbox)
    refusals = Refusals(sandbox, {})
    for action in ("approve", "cancel", "withdraw", "retry"):
        refusals.hear(BOB, "no such request that you may see", press(sandbox, BOB, with_button(card, action), action))
    never = with_button(card, "approve")
    never.blocks[0]["elements"][0]["value"] = "R-00000000"
    refusals.hear(BOB, "no such request that you may see", press(sandbox, BOB, never, "approve"))
    view = open_view(sandbox, BOB, lambda: sandbox.people.press(BOB, card, "deny"))
    assert "no such request that you may see" in view_text(sandbox, view)
    refusals.hear(BOB, "may ask", lambda trigger: sandbox.people.type(BOB, NIGHTLY_IMAGES, trigger_id=trigger))
    refusals.hear(BOB, "no project here", lambda trigger: sandbox.people.type(BOB, "list", trigger_id=trigger))
    refusals.check()
    heard = {*sandbox.workspace.private_texts(BOB), view_text(sandbox, view).splitlines()[0]}
    assert len({one for one in heard if "no such request" in one}) == 1, "word for word, with no link"
    assert button_ids(card) == ["approve", "deny", "cancel"]


def test_only_who_may_deny_gets_the_form_and_who_gets_it_is_in_the_audit(sandbox: Sandbox) -> None:
    card = create_request(sandbox, CAROL)
    before = full_text(card)
    for person, words in (
        *OUTSIDERS[:3],
        (BOB, "not among those who decide"),
        (CAROL, "somebody else must decide"),
    ):
        trigger = sandbox.workspace.new_trigger(person)
        twice = [press_deny(sandbox, person, card, trigger)] * 2
        first = open_view(sandbox, person, partial(at_once, *twice))
        assert words in view_text(sandbox, first)
        assert "submit" not in sandbox.workspace.views[first].view
        assert len([view for view in sandbox.workspace.views.values() if view.person == person]) == 1
        another = open_view(sandbox, person, partial(sandbox.people.press, person, card, "deny"))
        assert words in view_text(sandbox, another)
    form = open_view(sandbox, DAVE, partial(sandbox.people.press, DAVE, card, "deny"))
    assert sandbox.workspace.views[form].view["callback_id"] == "deny_form"
    assert full_text(card) == before, "a form that is opened changes nothing"
    opened = [(row["event"], row["actor"]) for row in audit_rows(sandbox, "form.opened", "action.refused")]
    assert opened.count(("form.opened", DAVE)) == 1
    for person in (ERIN, BOB, CAROL):
        assert opened.count(("action.refused", person)) == 2


def press_deny(sandbox: Sandbox, person: str, card: PostedMessage, trigger: str) -> Callable[[], object]:
    return lambda: sandbox.people.press(person, card, "deny", trigger_id=trigger)


def send_in(sandbox: Sandbox, person: str, opened: OpenView, view_id: str, values: dict[str, str]) -> None:
    """Sends a form in under this id, again if need be."""
    sandbox.workspace.views[view_id] = replace(opened, id=view_id)
    sandbox.people.submit(person, view_id, values)


def test_a_deny_form_that_somebody_else_sends_in_denies_nothing(sandbox: Sandbox) -> None:
    card = create_request(sandbox, CAROL)
    form = open_view(sandbox, DAVE, lambda: sandbox.people.press(DAVE, card, "deny"))
    opened = sandbox.workspace.views[form]
    refusals: dict[str, str] = {BOB: "not among those who decide", CAROL: "somebody else", ERIN: "Guests cannot"}
    for number, (person, words) in enumerate(refusals.items()):
        # The view's own id is the key of what is sent in: each of these is a form of its own, sent in twice.
        for _ in range(2):
            send_in(sandbox, person, opened, f"V0FORGED{number}", {"reason": "no"})
        wait_for_reply(sandbox, person, words)
        send_in(sandbox, person, opened, f"V0AGAIN{number}", {"reason": "no"})
        sandbox.wait_until(lambda p=person, t=words: sum(t in one for one in sandbox.workspace.private_texts(p)) == 2)  # type: ignore[misc]
    assert button_ids(card) == ["approve", "deny", "cancel"]
    for person, words in refusals.items():
        assert sum(words in one for one in sandbox.workspace.private_texts(person)) == 2


def test_a_denial_sent_in_twice_or_by_two_denies_once(sandbox: Sandbox) -> None:
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

    at_once(send(CAROL), send(CAROL), send(DAVE))
    wait_for_text(sandbox, card, "Denied")
    sandbox.wait_until(
        lambda: sum("decided already" in text for one in forms for text in sandbox.workspace.private_texts(one)) == 1,
        what="the slower one told the truth",
    )
    assert len(audit_rows(sandbox, "request.denied")) == 1
    wait_for_thread_line(sandbox, card, "Denied by")
    assert len([one for one in sandbox.workspace.messages_in(MIGRATIONS, card.ts) if "Denied by" in one.text]) == 1


def test_only_who_may_ask_somewhere_gets_the_form_to_ask(sandbox: Sandbox) -> None:
    for person in (ERIN, GRACE):
        trigger = sandbox.workspace.new_trigger(person)
        twice = [partial(sandbox.people.type, person, "", trigger_id=trigger)] * 2
        view = open_view(sandbox, person, partial(at_once, *twice))
        assert "not among those who may ask" in view_text(sandbox, view)
        assert len([view for view in sandbox.workspace.views.values() if view.person == person]) == 1
    form = open_view(sandbox, ALICE, lambda: sandbox.people.type(ALICE, ""))
    opened = sandbox.workspace.views[form]
    assert opened.view["callback_id"] == "request_form"
    events = [(row["event"], row["actor"]) for row in audit_rows(sandbox, "form.opened", "action.refused")]
    assert events == [("action.refused", ERIN), ("action.refused", GRACE), ("form.opened", ALICE)]
    # A guest who sends in somebody else's form asks for nothing.
    for _ in range(2):
        send_in(sandbox, ERIN, opened, "V0FORGED", {"group": NIGHTLY_IMAGES, "reason": "please"})
    wait_for_reply(sandbox, ERIN, "not among those who may ask")
    ack = sandbox.people.submit(ALICE, form, {"group": f"../../{NIGHTLY_IMAGES}/start", "reason": ""})
    assert "errors" in (ack.payload or {})
    for _ in range(2):
        send_in(sandbox, ALICE, opened, form, {"group": NIGHTLY_IMAGES, "reason": "network is back"})
    wait_for_reply(sandbox, ALICE, "Asked.")
    assert sum("not among" in text for text in sandbox.workspace.private_texts(ERIN)) == 1
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1


def test_what_is_typed_is_refused_once_for_each_time_that_it_is_typed(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    refusals = Refusals(sandbox, {})
    for person, text, words in (
        (ERIN, NIGHTLY_IMAGES, "not among those who may ask"),
        (ERIN, "list", "no project here that you may see"),
        (ERIN, "status R-00000000", "no such request that you may see"),
        (BOB, NIGHTLY_IMAGES, "has already asked"),
        (BOB, "1a2b3c4d-0000-4000-8000-00000000ffff", "No task group"),
        (BOB, "1a2b3c4d-0000-4000-8000-000000000002", "running already"),
        (BOB, "1a2b3c4d-0000-4000-8000-000000000001 project=other", "no project `other`"),
        (BOB, "status R-00000000", "no such request that you may see"),
    ):
        refusals.hear(
            person,
            words,
            lambda trigger, p=person, t=text: sandbox.people.type(p, t, trigger_id=trigger),  # type: ignore[misc]
        )
    refusals.check()
    assert sandbox.workspace.messages_in(MIGRATIONS) == [card]


def test_while_slack_cannot_be_asked_nobody_is_anybody(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    before = full_text(card)
    for method, words in (("users.info", "does not tell who you are"), ("usergroups.users.list", "user groups")):
        sandbox.slack.outage.answers[method] = [500] * 100
        if method == "usergroups.users.list":
            sandbox.stop_bot()
            sandbox.start_bot()  # what was known of the groups is forgotten
        refusals = Refusals(sandbox, {})
        refusals.hear(DAVE, words, press(sandbox, DAVE, card, "approve"))
        view = open_view(sandbox, DAVE, lambda: sandbox.people.press(DAVE, card, "deny"))
        assert words in view_text(sandbox, view)
        refusals.check()
        sandbox.slack.outage.answers.clear()
    assert full_text(card) == before
    assert not put_calls(sandbox)


def test_a_deny_button_of_a_copy_marks_the_copy_and_opens_no_form(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    wait_for_reply(sandbox, ALICE, "Asked.")
    fake = sandbox.workspace.add_message(MIGRATIONS, BOT_USER_ID, card.text, card.blocks, None)
    view = open_view(sandbox, CAROL, lambda: sandbox.people.press(CAROL, fake, "deny"))
    assert "a copy of the card" in view_text(sandbox, view)
    assert card.ts.replace(".", "") in view_text(sandbox, view)
    wait_for_text(sandbox, fake, "A copy of the card")
    assert button_ids(fake) == []
    assert button_ids(card) == ["approve", "deny", "cancel"]
