"""Failures are on the card with their code and the next step, and nothing is started twice."""

from __future__ import annotations

import re

import pytest

from bot.sandbox.huawei.credentials import ACCESS_KEY, SECRET_KEY, SOURCE_AK
from bot.sandbox.huawei.example_groups import INVOICES, MAP_TILES, NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Drop
from bot.sandbox.slack.ids import ALICE, BOT_USER_ID, CAROL, MIGRATIONS
from bot.sandbox.system import Sandbox
from tests.support.sandbox import (
    button_ids,
    create_request,
    full_text,
    put_calls,
    wait_for_accepted,
    wait_for_card,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)


def test_an_approved_request_waits_for_a_sealed_vault_and_goes_on_without_a_click(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.vault.seal()
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "Vault is sealed. Nothing was started.")
    assert "The bot retries automatically until" in full_text(card)
    assert button_ids(card) == ["cancel"]
    assert not put_calls(sandbox)
    sandbox.vault.unseal()
    wait_for_accepted(sandbox, card)
    assert len(put_calls(sandbox)) == 1


@pytest.mark.long
def test_no_card_is_posted_while_vault_is_sealed(sandbox: Sandbox) -> None:
    create_request(sandbox)
    sandbox.vault.seal()
    sandbox.people.type(ALICE, INVOICES)
    wait_for_reply(sandbox, ALICE, "Vault is sealed")
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1


def test_an_error_of_oms_is_shown_with_its_code_its_message_and_its_request_id(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.oms.state.may_change_groups = False
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "OMS.0072")
    text = full_text(card)
    for words in (
        "Insufficient permission.",
        "Nothing was started.",
        "get, list and update of oms:taskgroup",
        "Huawei request id",
    ):
        assert words in text
    line = wait_for_thread_line(sandbox, card, "OMS.0072")
    [huawei_request_id] = re.findall(r"Huawei request id `([^`]+)`", text)
    for words in (
        "Insufficient permission.",
        "Nothing was started.",
        "get, list and update of oms:taskgroup",
        huawei_request_id,
    ):
        assert words in line
    sandbox.oms.state.may_change_groups = True
    sandbox.people.press(CAROL, card, "retry")
    wait_for_accepted(sandbox, card)


def test_wrong_source_keys_are_reported_with_their_path_in_vault(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.vault.write("oms/media/source", {"ak": "WRONGSOURCEAK0000001", "sk": "wrong-source-secret-key-0000001"})
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "OMS.1014")
    assert "secret/oms/media/source" in full_text(card)
    assert "WRONGSOURCEAK0000001" not in full_text(card) + sandbox.log()


def test_no_card_is_posted_for_a_vault_path_without_a_needed_key(sandbox: Sandbox) -> None:
    sandbox.vault.write("oms/media/source", {"ak": SOURCE_AK})
    sandbox.people.type(ALICE, NIGHTLY_IMAGES)
    reply = wait_for_reply(sandbox, ALICE, "is missing sk")
    assert "secret/oms/media/source" in reply
    assert sandbox.workspace.messages_in(MIGRATIONS) == []


def test_a_lost_answer_is_resolved_by_reading_the_group_without_a_second_put(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.oms.faults.add("start", Drop(done=True))
    sandbox.people.press(CAROL, card, "approve")
    wait_for_thread_line(sandbox, card, "is checking whether")
    wait_for_text(sandbox, card, "Resumed, moving")
    assert len(put_calls(sandbox)) == 1


def test_a_throttled_call_is_sent_again_after_a_wait(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.oms.faults.add("start", Answer(429, "APIG.0308", retry_after=1))
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "retries automatically")
    wait_for_accepted(sandbox, card)
    assert [call.status for call in put_calls(sandbox)] == [429, 200]


def test_after_a_rejected_signature_nothing_is_signed_until_the_key_changes(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.oms.faults.add("show", Answer(401, "APIG.0301", f"verify aksk signature fail,ak:{ACCESS_KEY}"))
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "APIG.0301")
    assert ACCESS_KEY not in full_text(card) + sandbox.log()
    assert not put_calls(sandbox)
    sandbox.vault.write("oms/media/caller", {"ak": ACCESS_KEY, "sk": SECRET_KEY})
    sandbox.people.press(ALICE, card, "retry")
    wait_for_accepted(sandbox, card)


def test_a_group_that_fails_later_is_reported_on_the_same_card(sandbox: Sandbox) -> None:
    card = create_request(sandbox, text=f"{MAP_TILES} try")
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, "TRF.0152", 30)
    assert "The source key lacks a permission" in full_text(card)
    wait_for_thread_line(sandbox, card, "TRF.0152")


def test_the_requester_is_told_how_to_invite_the_bot_to_the_channel(sandbox: Sandbox) -> None:
    sandbox.workspace.channels[MIGRATIONS].members.discard(BOT_USER_ID)
    sandbox.people.type(ALICE, NIGHTLY_IMAGES)
    wait_for_reply(sandbox, ALICE, "/invite")
    sandbox.workspace.channels[MIGRATIONS].members.add(BOT_USER_ID)
    card = wait_for_card(sandbox)
    assert button_ids(card) == ["approve", "deny", "cancel"]


def test_the_requester_is_told_that_the_channel_is_archived(sandbox: Sandbox) -> None:
    sandbox.workspace.channels[MIGRATIONS].archived = True
    sandbox.people.type(ALICE, NIGHTLY_IMAGES)
    wait_for_reply(sandbox, ALICE, "is archived. Unarchive it")


def test_a_deleted_card_is_posted_again(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    sandbox.workspace.delete(card.channel, card.ts)
    wait_for_reply(sandbox, ALICE, "Someone deleted the card")
    sandbox.wait_until(lambda: bool(sandbox.workspace.messages_in(MIGRATIONS)), what="a new card")
    wait_for_text(sandbox, sandbox.workspace.messages_in(MIGRATIONS)[0], "Resumed, moving")
    assert len(put_calls(sandbox)) == 1
