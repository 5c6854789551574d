"""Votes on the card: who has approved, who is missing, withdrawals, self approval."""

from __future__ import annotations

import json
from collections.abc import Callable

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, CAROL, DAVE, ERIN, FRANK, MIGRATIONS
from bot.sandbox.system import Sandbox
from tests.support.sandbox import (
    CREATED,
    audit_rows,
    button_ids,
    create_request,
    full_text,
    key_reads,
    put_calls,
    wait_for_accepted,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)

TWO_KINDS = f'approvers = [["{APPROVERS_GROUP}", "{ALICE}"], ["{CAROL}", "{APPROVERS_GROUP}"]]'


def sandbox_with_approvers(new_sandbox: Callable[..., Sandbox], approvers: str, settings: str = "") -> Sandbox:
    """A sandbox whose bot.toml has this line in place of the usual approvers, with the bot."""
    sandbox = new_sandbox(settings=settings)
    toml = sandbox.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    usual = f'approvers = ["{CAROL}", "{APPROVERS_GROUP}"]'
    assert usual in text
    toml.write_text(text.replace(usual, approvers), encoding="utf-8")
    sandbox.start_bot()
    return sandbox


def test_a_card_shows_who_approved_and_who_is_missing_until_both_lists_have_approved(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = sandbox_with_approvers(new_sandbox, TWO_KINDS)
    card = create_request(sandbox, BOB)
    group = f"<!subteam^{APPROVERS_GROUP}>"
    assert f"one approval from {group} or <@{ALICE}>, and one from <@{CAROL}> or {group}" in full_text(card)
    sandbox.people.press(DAVE, card, "approve")
    wait_for_text(sandbox, card, f"approved (<@{DAVE}>)")
    # dave can fill the slot of either list, so anybody of the two lists completes the quorum.
    assert f"Still needed: <@{CAROL}>, someone from {group} or <@{ALICE}>" in full_text(card)
    assert f"approved (<@{DAVE}>)" in card.text
    assert button_ids(card) == ["approve", "deny", "cancel", "withdraw"]
    assert not key_reads(sandbox)
    sandbox.people.press(ALICE, card, "approve")
    wait_for_accepted(sandbox, card)
    wait_for_thread_line(sandbox, card, f"Approved by <@{DAVE}> and <@{ALICE}>.")
    assert len(put_calls(sandbox)) == 1


def test_an_approval_can_be_withdrawn_until_the_decision(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, f"approved (<@{CAROL}>)")
    sandbox.people.press(DAVE, card, "withdraw")
    link = wait_for_reply(sandbox, DAVE, "nothing to withdraw")
    assert card.ts.replace(".", "") in link
    sandbox.people.press(CAROL, card, "withdraw")
    sandbox.wait_until(lambda: button_ids(card) == ["approve", "deny", "cancel"], what="the card without a vote")
    sandbox.people.press(DAVE, card, "approve")
    wait_for_text(sandbox, card, f"approved (<@{DAVE}>)")
    assert not put_calls(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    assert len(put_calls(sandbox)) == 1
    votes = [(row["event"], row["actor"]) for row in audit_rows(sandbox, "vote.added", "vote.withdrawn")]
    assert votes == [("vote.added", CAROL), ("vote.withdrawn", CAROL), ("vote.added", DAVE), ("vote.added", CAROL)]


def test_a_voter_who_became_a_guest_no_longer_counts_at_the_decision(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    sandbox.workspace.groups[APPROVERS_GROUP] = [DAVE, BOB]
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, f"approved (<@{CAROL}>)")
    sandbox.workspace.users[CAROL]["is_restricted"] = True
    sandbox.people.press(DAVE, card, "approve")
    wait_for_text(sandbox, card, f"approved (<@{DAVE}>)")
    assert not put_calls(sandbox)
    sandbox.people.press(BOB, card, "approve")
    wait_for_accepted(sandbox, card)
    wait_for_thread_line(sandbox, card, f"Approved by <@{DAVE}> and <@{BOB}>.")


def test_self_approval_needs_a_reason_and_notifies_every_approver_once(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = sandbox_with_approvers(
        new_sandbox, f'approvers = ["{CAROL}", "{APPROVERS_GROUP}", "{DAVE}"]', "self_approval = true"
    )
    card = create_request(sandbox, CAROL, NIGHTLY_IMAGES)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_reply(sandbox, CAROL, "without a reason")
    sandbox.people.press(CAROL, card, "cancel")
    wait_for_text(sandbox, card, "Canceled")
    sandbox.people.type(CAROL, f"{NIGHTLY_IMAGES} everybody else is asleep")
    sandbox.wait_until(lambda: len(sandbox.workspace.messages_in(MIGRATIONS)) == 2, what="the second card")
    second = sandbox.workspace.messages_in(MIGRATIONS)[1]
    assert "Break-glass" not in full_text(second)
    link = second.ts.replace(".", "")
    sandbox.wait_until(
        lambda: any(link in text for text in sandbox.workspace.private_texts(CAROL)), what="the link to the card"
    )
    sandbox.people.press(CAROL, second, "approve")
    wait_for_accepted(sandbox, second)
    assert f"Break-glass: <@{CAROL}> approved their own request." in second.text
    assert any(f"*Break-glass: <@{CAROL}> approved their own request.*" in json.dumps(block) for block in second.blocks)
    wait_for_thread_line(sandbox, second, "Break-glass")
    reply = wait_for_reply(sandbox, DAVE, "Break-glass")
    assert "everybody else is asleep" in reply
    assert second.ts.replace(".", "") in reply
    assert not any("Break-glass" in text for text in sandbox.workspace.private_texts(CAROL))
    [row] = audit_rows(sandbox, "vote.self_approved")
    assert row["actor"] == CAROL
    assert sum("Break-glass" in text for text in sandbox.workspace.private_texts(DAVE)) == 1


def test_no_card_is_posted_if_nobody_but_the_requester_could_approve(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = sandbox_with_approvers(new_sandbox, f'approvers = ["{CAROL}", "{ERIN}", "{FRANK}"]')
    sandbox.people.type(CAROL, f"{NIGHTLY_IMAGES} network is back")
    reply = wait_for_reply(sandbox, CAROL, "Too few people could approve this")
    assert "Your own approval doesn't count." in reply
    assert sandbox.workspace.messages_in(MIGRATIONS) == []
    sandbox.people.type(ALICE, f"{NIGHTLY_IMAGES} network is back")
    wait_for_reply(sandbox, ALICE, CREATED)


def test_a_request_whose_settings_changed_is_void_at_the_first_vote(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(settings="approvals = 2")
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.stop_bot()
    toml = sandbox.directory / "bot.toml"
    changed = toml.read_text(encoding="utf-8").replace('"oms/media/source"', '"oms/media/destination"')
    toml.write_text(changed, encoding="utf-8")
    sandbox.start_bot()
    sandbox.people.press(BOB, card, "approve")
    wait_for_reply(sandbox, BOB, "You can't approve or deny this; ")
    assert "withdraw" not in button_ids(card)
    sandbox.people.press(CAROL, card, "approve")
    reply = wait_for_reply(sandbox, CAROL, "settings changed")
    assert card.ts.replace(".", "") in reply
    wait_for_text(sandbox, card, "Void, the settings changed")
    assert button_ids(card) == ["request"]
    wait_for_thread_line(sandbox, card, "Press Request again")
    assert not key_reads(sandbox)
    assert not put_calls(sandbox)
