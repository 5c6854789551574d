"""Every card, in every state, carries its ids, fits Slack's limits, and obeys nobody's text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import slackblocks

from bot.request.model import Decision, Pause, Policy, State, Tally, Trouble
from bot.request.policy import Refusal
from bot.sandbox.slack.checks import problems_of_blocks
from bot.slack.answers import pause_failed, turn_of_events, why_not
from bot.slack.cards import card
from bot.slack.words import bar, duration, plain, rate, size_of
from tests.support.story import _texts
from tests.support.values import GROUP, GROUP_ID, NOON, request

NASTY = "<!channel> *bold* `code` <@U1|x> & _it_ ~no~ " + "x" * 3000


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_card_that_slack_takes(state: State) -> None:
    said = card(request(state))
    assert problems_of_blocks(list(said.blocks)) == []
    text = "\n".join(_texts(list(said.blocks)))
    assert GROUP_ID in text
    assert "R-00000001" in text
    assert GROUP_ID in said.text, "the sentence says it all, for notifications and screen readers"
    assert len(said.text) <= 4000


@pytest.mark.parametrize("state", list(State))
def test_only_what_can_be_done_has_a_button(state: State) -> None:
    said = card(request(state))
    found = [e["action_id"] for b in said.blocks if b["type"] == "actions" for e in b["elements"]]
    expected = {
        State.PENDING: ["approve", "deny", "cancel"],
        State.NOT_STARTED: ["retry", "cancel"],
        **{key: ["pause"] for key in (State.ACCEPTED, State.MOVING)},
        **{key: ["request"] for key in (State.FAILED, State.PAUSED_AGAIN, State.LAPSED, State.EXPIRED, State.VOID)},
        State.CANCELLED: ["request"],
    }
    assert found == expected.get(state, [])
    assert all(e["value"] == "R-00000001" for b in said.blocks if b["type"] == "actions" for e in b["elements"])


@pytest.mark.parametrize("state", list(State))
def test_nobodys_text_is_obeyed_or_breaks_the_card(state: State) -> None:
    nasty = replace(GROUP, description=NASTY[:255], source=replace(GROUP.source, bucket=NASTY[:60]))
    said = card(request(state, reason=NASTY[:500], group=nasty))
    assert problems_of_blocks(list(said.blocks)) == []
    for block in said.blocks:
        if block["type"] == "header":
            continue  # plain text there
        for text in _texts(block):
            assert "<!channel>" not in text or "confirm" in str(block)
    assert "<!channel>" not in said.text


def test_a_second_opinion_takes_the_texts_of_the_card() -> None:
    for block in card(request()).blocks:
        if block["type"] == "section" and "text" in block:
            slackblocks.SectionBlock(text=slackblocks.Text(block["text"]["text"]))
        if block["type"] == "header":
            slackblocks.HeaderBlock(text=block["text"]["text"])


def test_a_card_warns_of_what_resuming_may_cost() -> None:
    costly = replace(GROUP, restores_archives=True, overwrite_mode="FULL_OVERWRITE")
    text = "\n".join(_texts(list(card(request(group=costly)).blocks)))
    assert "archive restores" in text
    assert "copied again and overwritten" in text


def test_the_keys_that_were_not_checked_say_so() -> None:
    text = "\n".join(_texts(list(card(request()).blocks)))
    assert "v7 (ak, sk)" in text
    assert "(keys not checked)" in text


def test_a_vote_that_is_not_decided_can_be_withdrawn_and_says_who_is_missing() -> None:
    places = (("UCAROL00", "SDBA0000"), ("UCAROL00", "SDBA0000"))
    waiting = request(policy=Policy(("*",), places, False), tally=Tally(("UCAROL00",), (("SDBA0000",),)))
    said = card(waiting)
    assert problems_of_blocks(list(said.blocks)) == []
    assert "1 of <!subteam^SDBA0000> still missing; approved by <@UCAROL00>" in said.text
    assert '"withdraw"' in json.dumps(said.blocks)
    assert '"withdraw"' not in json.dumps(card(replace(waiting, tally=None)).blocks)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_break_glass_is_said_on_every_card_that_follows_and_on_no_other(state: State) -> None:
    alone = replace(request(state), decision=Decision(("UALICE00",), NOON))
    for said in (card(alone).text, json.dumps(card(alone).blocks)):
        assert "Break-glass: approved by whoever asked." in said
    assert "Break-glass" not in json.dumps(card(request(state)).blocks)


def test_who_cancels_their_own_request_breaks_no_glass_and_its_approval_stays_on_the_card() -> None:
    waiting = request(State.APPROVED)
    cancelled = replace(waiting, ending=Decision(("UALICE00",), NOON)).turned(State.CANCELLED, at=NOON)
    assert "Break-glass" not in card(cancelled).text
    assert "approved by <@UCAROL00>" in json.dumps(card(cancelled).blocks)
    assert "cancelled by <@UALICE00>" in json.dumps(card(cancelled).blocks)


def test_break_glass_is_not_called_an_approval_while_others_are_missing() -> None:
    waiting = request(tally=Tally(("UALICE00",), (("UCAROL00",),)))
    assert "Break-glass: the approval of whoever asked counts, too." in card(waiting).text
    assert "approved by whoever asked" not in card(waiting).text


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_its_words(refusal: Refusal) -> None:
    assert why_not(refusal, request(State.DONE)).endswith((".", ">"))


def test_every_ended_state_is_told_in_the_thread() -> None:
    for state in (State.DENIED, State.CANCELLED, State.EXPIRED, State.LAPSED, State.VOID, State.DONE, State.FAILED):
        assert turn_of_events(request(state))


def test_the_thread_tells_of_an_error_in_the_words_of_oms_and_with_its_request_id() -> None:
    trouble = Trouble(
        "OMS", "OMS.0072", "No <!channel> for you.", "It may not. Nothing was started.", "Grant it.", "abc123"
    )
    told = "It may not. Nothing was started. OMS said: No &lt;!channel&gt; for you. Next: Grant it."
    for state, begins in ((State.NOT_STARTED, "Not resumed"), (State.FAILED, "Migration failed")):
        assert turn_of_events(request(state, trouble=trouble)) == (
            f"<@UALICE00>: {begins}: OMS.0072, {told.replace('It', 'it', 1)} Huawei request id `abc123`."
        )
    failed_pause = Pause("UCAROL00", NOON, State.MOVING, NOON, trouble)
    assert pause_failed(request(State.MOVING, pause=failed_pause)) == (
        f"Not paused: OMS.0072, {told} Huawei request id `abc123`."
    )


def test_the_words_of_oms_are_left_out_where_the_meaning_says_them() -> None:
    trouble = Trouble("OMS", "OMS.0072", "It may not", "It may not. Nothing was started.", "", None)
    assert turn_of_events(request(State.NOT_STARTED, trouble=trouble)) == (
        "<@UALICE00>: Not resumed: OMS.0072, it may not. Nothing was started."
    )


def test_words() -> None:
    assert plain("a <b> & *c*") == "a &lt;b&gt; &amp; *​c*​"
    assert size_of(4_000_000_000, 10_000_000_000) == "4.0 of 10.0 GB"
    assert [rate(n) for n in (0, 999, 1_500_000, 220_000_000)] == ["0 B/s", "999 B/s", "1.5 MB/s", "220 MB/s"]
    assert [duration(n) for n in (5, 61, 3600, 3900, 200_000)] == ["5 s", "2 min", "1 h", "1 h 5 min", "2 d 7 h"]
    assert bar(46).count("█") == 9
    assert len(bar(100)) == len(bar(0)) == 20


def test_what_waits_or_is_tried_again_can_be_cancelled() -> None:
    trouble = Trouble("OMS", "HTTP 429", "", "OMS asks to slow down. Nothing was started.", "Wait a minute.")
    for approved in (request(State.APPROVED, start_at=NOON), request(State.APPROVED, trouble=trouble)):
        assert '"action_id": "cancel"' in json.dumps(card(approved).blocks)
    assert '"action_id": "cancel"' not in json.dumps(card(request(State.APPROVED)).blocks)
