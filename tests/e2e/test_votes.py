"""Votes, as people see them: who has approved, who is missing, what is taken back, what breaks the glass."""

from __future__ import annotations

import json
from collections.abc import Callable

from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, audit, buttons, is_accepted, is_told, key_reads, says, starts, thread_says, whole

TWO_KINDS = f'approvers = [["{w.APPROVERS_GROUP}", "{w.ALICE}"], ["{w.CAROL}", "{w.APPROVERS_GROUP}"]]'


def town_with(new_town: Callable[..., Town], approvers: str, settings: str = "") -> Town:
    """A town whose settings name these approvers, with the bot running in it."""
    town = new_town(settings=settings)
    toml = town.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    was = f'approvers = ["{w.CAROL}", "{w.APPROVERS_GROUP}"]'
    assert was in text
    toml.write_text(text.replace(was, approvers), encoding="utf-8")
    town.start_bot()
    return town


def test_a_card_shows_who_approved_and_who_is_missing_until_one_of_each_kind_has(
    new_town: Callable[..., Town],
) -> None:
    town = town_with(new_town, TWO_KINDS)
    card = ask(town, w.BOB)
    group = f"<!subteam^{w.APPROVERS_GROUP}>"
    assert f"1 of {group}, <@{w.ALICE}>; and 1 of <@{w.CAROL}>, {group}" in whole(card)
    town.people.press(w.DAVE, card, "approve")
    says(town, card, f"approved by <@{w.DAVE}>")
    # dave may sit in either place, so anybody of the two lists completes it.
    assert f"1 of <@{w.CAROL}>, {group}, <@{w.ALICE}> still missing" in whole(card)
    assert f"approved by <@{w.DAVE}>" in card.text
    assert buttons(card) == ["approve", "deny", "cancel", "withdraw"]
    assert not key_reads(town)
    town.people.press(w.ALICE, card, "approve")
    is_accepted(town, card)
    thread_says(town, card, f"Approved by <@{w.DAVE}> and <@{w.ALICE}>.")
    assert len(starts(town)) == 1


def test_a_vote_is_taken_back_until_the_decision_and_one_denial_ends_it(new_town: Callable[..., Town]) -> None:
    town = new_town(settings="approvals = 2")
    town.start_bot()
    card = ask(town)
    town.people.press(w.CAROL, card, "approve")
    says(town, card, f"approved by <@{w.CAROL}>")
    town.people.press(w.DAVE, card, "withdraw")
    link = is_told(town, w.DAVE, "nothing to withdraw")
    assert card.ts.replace(".", "") in link
    town.people.press(w.CAROL, card, "withdraw")
    town.wait_until(lambda: buttons(card) == ["approve", "deny", "cancel"], what="the card without a vote")
    town.people.press(w.DAVE, card, "approve")
    says(town, card, f"approved by <@{w.DAVE}>")
    assert not starts(town)
    town.people.press(w.CAROL, card, "approve")
    is_accepted(town, card)
    assert len(starts(town)) == 1
    told = [(row["event"], row["actor"]) for row in audit(town, "approve", "withdraw")]
    assert told == [("approve", w.CAROL), ("withdraw", w.CAROL), ("approve", w.DAVE), ("approve", w.CAROL)]


def test_a_voter_who_became_a_guest_no_longer_counts_at_the_decision(new_town: Callable[..., Town]) -> None:
    town = new_town(settings="approvals = 2")
    town.workspace.groups[w.APPROVERS_GROUP] = [w.DAVE, w.BOB]
    town.start_bot()
    card = ask(town)
    town.people.press(w.CAROL, card, "approve")
    says(town, card, f"approved by <@{w.CAROL}>")
    town.workspace.users[w.CAROL]["is_restricted"] = True
    town.people.press(w.DAVE, card, "approve")
    says(town, card, f"approved by <@{w.DAVE}>")
    assert not starts(town)
    town.people.press(w.BOB, card, "approve")
    is_accepted(town, card)
    thread_says(town, card, f"Approved by <@{w.DAVE}> and <@{w.BOB}>.")


def test_break_glass_needs_a_reason_is_marked_and_tells_every_approver_once(new_town: Callable[..., Town]) -> None:
    town = town_with(new_town, f'approvers = ["{w.CAROL}", "{w.APPROVERS_GROUP}", "{w.DAVE}"]', "self_approval = true")
    card = ask(town, w.CAROL, NIGHTLY_IMAGES)
    town.people.press(w.CAROL, card, "approve")
    is_told(town, w.CAROL, "needs a reason")
    town.people.press(w.CAROL, card, "cancel")
    says(town, card, "Cancelled")
    town.people.type(w.CAROL, f"{NIGHTLY_IMAGES} everybody else is asleep")
    town.wait_until(lambda: len(town.workspace.of(w.MIGRATIONS)) == 2, what="the second card")
    again = town.workspace.of(w.MIGRATIONS)[1]
    assert "Break-glass" not in whole(again)
    link = again.ts.replace(".", "")
    town.wait_until(lambda: any(link in text for text in town.workspace.told(w.CAROL)), what="where the card is")
    town.people.press(w.CAROL, again, "approve")
    is_accepted(town, again)
    assert "Break-glass: approved by whoever asked." in again.text
    assert any("*Break-glass: approved by whoever asked.*" in json.dumps(block) for block in again.blocks)
    thread_says(town, again, "Break-glass")
    told = is_told(town, w.DAVE, "Break-glass")
    assert "everybody else is asleep" in told
    assert again.ts.replace(".", "") in told
    assert not any("Break-glass" in text for text in town.workspace.told(w.CAROL))
    [row] = audit(town, "self approval")
    assert row["actor"] == w.CAROL
    assert sum("Break-glass" in text for text in town.workspace.told(w.DAVE)) == 1


def test_where_nobody_but_the_requester_could_approve_nobody_is_asked(new_town: Callable[..., Town]) -> None:
    town = town_with(new_town, f'approvers = ["{w.CAROL}", "{w.ERIN}", "{w.FRANK}"]')
    town.people.type(w.CAROL, f"{NIGHTLY_IMAGES} network is back")
    told = is_told(town, w.CAROL, "Nobody but you could approve this")
    assert "your own approval does not count" in told
    assert town.workspace.of(w.MIGRATIONS) == []
    town.people.type(w.ALICE, f"{NIGHTLY_IMAGES} network is back")
    is_told(town, w.ALICE, "Asked.")


def test_a_request_whose_settings_changed_is_void_at_the_first_vote(new_town: Callable[..., Town]) -> None:
    town = new_town(settings="approvals = 2")
    town.start_bot()
    card = ask(town)
    town.stop_bot()
    toml = town.directory / "bot.toml"
    changed = toml.read_text(encoding="utf-8").replace('"oms/media/source"', '"oms/media/destination"')
    toml.write_text(changed, encoding="utf-8")
    town.start_bot()
    town.people.press(w.BOB, card, "approve")
    is_told(town, w.BOB, "not among those who decide")
    assert "withdraw" not in buttons(card)
    town.people.press(w.CAROL, card, "approve")
    told = is_told(town, w.CAROL, "settings have changed")
    assert card.ts.replace(".", "") in told
    says(town, card, "Void, the settings have changed")
    assert buttons(card) == ["request"]
    thread_says(town, card, "It can be asked again")
    assert not key_reads(town)
    assert not starts(town)
