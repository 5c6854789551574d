"""What fails is told in plain words on the card, with the code and the next step; nothing is started twice."""

from __future__ import annotations

import json
import re

from bot.sandbox import oms_world
from bot.sandbox.oms_server import Answer, Drop, Raw
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, buttons, is_accepted, is_told, says, starts, the_card, thread_says, whole


def test_a_sealed_vault_is_named_and_retry_needs_no_second_approval(town: Town) -> None:
    card = ask(town)
    town.vault.seal()
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "Vault is sealed. Nothing was started.")
    assert buttons(card) == ["retry", "cancel"]
    assert not starts(town)
    town.vault.unseal()
    town.people.press(w.ALICE, card, "retry")
    is_accepted(town, card)
    assert len(starts(town)) == 1


def test_a_sealed_vault_at_preflight_asks_nobody(town: Town) -> None:
    ask(town)
    town.vault.seal()
    town.people.type(w.ALICE, "1a2b3c4d-0000-4000-8000-000000000001")
    is_told(town, w.ALICE, "Vault is sealed")
    assert len(town.workspace.of(w.MIGRATIONS)) == 1


def test_an_error_of_oms_shows_its_code_its_words_and_its_request_id(town: Town) -> None:
    card = ask(town)
    town.world.may_start = False
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "OMS.0072")
    text = whole(card)
    for words in (
        "Insufficient permission.",
        "Nothing was started.",
        "get, list and update of oms:taskgroup",
        "Huawei request id",
    ):
        assert words in text
    line = thread_says(town, card, "OMS.0072")
    [huawei_request_id] = re.findall(r"Huawei request id `([^`]+)`", text)
    for words in (
        "insufficient permission.",
        "Nothing was started.",
        "get, list and update of oms:taskgroup",
        huawei_request_id,
    ):
        assert words in line
    town.world.may_start = True
    town.people.press(w.CAROL, card, "retry")
    is_accepted(town, card)


def test_wrong_source_keys_lead_to_their_path_in_vault(town: Town) -> None:
    card = ask(town)
    town.vault.write("oms/media/source", {"ak": "WRONGSOURCEAK0000001", "sk": "wrong-source-secret-key-0000001"})
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "OMS.1014")
    assert "secret/oms/media/source" in whole(card)
    assert "WRONGSOURCEAK0000001" not in whole(card) + town.log()


def test_a_path_without_a_key_is_refused_by_name_before_anybody_is_asked(town: Town) -> None:
    town.vault.write("oms/media/source", {"ak": oms_world.SOURCE_AK})
    town.people.type(w.ALICE, NIGHTLY_IMAGES)
    told = is_told(town, w.ALICE, "has no key sk")
    assert "secret/oms/media/source" in told
    assert town.workspace.of(w.MIGRATIONS) == []


def test_a_lost_answer_is_settled_by_looking_and_never_by_a_second_put(town: Town) -> None:
    card = ask(town)
    town.oms.fault("start", Drop(done=True))
    town.people.press(w.CAROL, card, "approve")
    thread_says(town, card, "looks until it knows")
    says(town, card, "Resumed, moving")
    assert len(starts(town)) == 1


def test_throttled_it_waits_and_sends_the_same_attempt_again(town: Town) -> None:
    card = ask(town)
    town.oms.fault("start", Answer(429, "APIG.0308", retry_after=1))
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "trying again")
    is_accepted(town, card)
    assert [call.status for call in starts(town)] == [429, 200]


def test_after_a_refused_signature_nothing_is_signed_until_the_key_changes(town: Town) -> None:
    card = ask(town)
    town.oms.fault("show", Answer(401, "APIG.0301", "verify aksk signature fail,ak:SANDBOXCALLERAK00001"))
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "APIG.0301")
    assert "SANDBOXCALLERAK00001" not in whole(card) + town.log()
    assert not starts(town)
    town.vault.write("oms/media/caller", {"ak": oms_world.ACCESS_KEY, "sk": oms_world.SECRET_KEY})
    town.people.press(w.ALICE, card, "retry")
    is_accepted(town, card)


def test_a_late_failure_is_reported_on_the_same_card(town: Town) -> None:
    card = ask(town, text="1a2b3c4d-0000-4000-8000-000000000005 try")
    town.people.press(w.CAROL, card, "approve")
    says(town, card, "TRF.0152", 30)
    assert "The source's access key lacks a permission" in whole(card)
    thread_says(town, card, "TRF.0152")


def test_where_the_bot_is_not_in_the_channel_the_requester_is_told_the_way_out(town: Town) -> None:
    town.workspace.channels[w.MIGRATIONS].members.discard(w.BOT_USER_ID)
    town.people.type(w.ALICE, NIGHTLY_IMAGES)
    is_told(town, w.ALICE, "/invite")
    town.workspace.channels[w.MIGRATIONS].members.add(w.BOT_USER_ID)
    card = the_card(town)
    assert buttons(card) == ["approve", "deny", "cancel"]


def test_an_archived_channel_is_told_to_the_requester(town: Town) -> None:
    town.workspace.channels[w.MIGRATIONS].archived = True
    town.people.type(w.ALICE, NIGHTLY_IMAGES)
    is_told(town, w.ALICE, "is archived. Unarchive it")


def test_a_card_that_somebody_deleted_is_posted_again(town: Town) -> None:
    card = ask(town)
    town.people.press(w.CAROL, card, "approve")
    is_accepted(town, card)
    town.workspace.delete(card.channel, card.ts)
    is_told(town, w.ALICE, "was deleted")
    town.wait_until(lambda: bool(town.workspace.of(w.MIGRATIONS)), what="a new card")
    says(town, town.workspace.of(w.MIGRATIONS)[0], "Resumed, moving")
    assert len(starts(town)) == 1


def test_a_group_that_oms_describes_oddly_hides_no_other_from_the_list(town: Town) -> None:
    shown = town.world.show(NIGHTLY_IMAGES)
    odd = {**shown, "group_id": "2b2b2b2b-0000-4000-8000-000000000001", "status": 42}
    town.oms.fault("list", Raw(body=json.dumps({"count": 2, "taskgroups": [odd, shown]}).encode()))
    town.people.type(w.BOB, "list")
    told = is_told(town, w.BOB, NIGHTLY_IMAGES)
    assert "and 1 that OMS describes in a way that the bot cannot read" in told
