"""Every card, in every state, carries its ids, fits Slack's limits, and obeys nobody's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import slackblocks

from bot.request.group import Destination, ErrorReason, Scope, Source
from bot.request.model import Decision, KeyCheck, Pause, Plan, Policy, Request, State, Tally, Trouble, Verb
from bot.request.policy import Refusal
from bot.sandbox.slack.checks import problems_of_blocks, problems_of_view
from bot.slack import answers, views
from bot.slack.answers import pause_failed, turn_of_events, why_not
from bot.slack.cards import card, keys_line
from bot.slack.headlines import group_name
from bot.slack.message import Message, line
from bot.slack.standing import stands
from bot.slack.words import bar, code, duration, plain, rate, size_of
from tests.support.story import _texts
from tests.support.values import GROUP, GROUP_ID, NOON, request

NASTY = "<!channel> <@U0ADMIN00> <https://evil.example|x> & *b* _i_ ~s~ `c` :x: \x1e\x1f"


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


def _nasty(state: State, **changes: object) -> Request:
    """A request in this state with somebody else's text in every field that can hold it."""
    group = replace(
        GROUP,
        description=NASTY,
        source=Source(NASTY, NASTY, NASTY),
        destination=Destination(NASTY, NASTY, NASTY),
        error=ErrorReason(NASTY, NASTY),
        restores_archives=True,
        overwrite_mode=NASTY,
    )
    plan = Plan(NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, NASTY)
    trouble = Trouble(NASTY, NASTY, NASTY, f"It may not. {NASTY}", NASTY, NASTY, NASTY, NASTY)
    said: dict[str, object] = {
        "group": group,
        "plan": plan,
        "keys": (KeyCheck(NASTY, 7, (NASTY, NASTY)), KeyCheck(NASTY, None, None)),
        "reason": NASTY,
    }
    if state is not State.PENDING:
        decided = Decision(("UCAROL00",), NOON, NASTY)
        said |= {"decision": decided, "ending": decided, "trouble": trouble}
    if state is State.PAUSING:
        said["pause"] = Pause("UCAROL00", NOON, State.MOVING, failure=trouble)
    return replace(request(state), **(said | changes))  # type: ignore[arg-type]


def _obeyed(value: object) -> Iterator[str]:
    """The texts in blocks that Slack reads as mrkdwn."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        for item in value.values():
            yield from _obeyed(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _obeyed(item)


def _obeys_nobody(text: str) -> None:
    """What is in angle brackets is of the bot's own making, and nothing of the nasty text formats anything."""
    for found in re.findall(r"<[^>]*>?", text):
        assert re.fullmatch(
            r"<@U(ALICE|CAROL)00>|<!date\^\d+\^[^|]*\|[^>]*>|<https://slack\.example/p1\|See the card>", found
        ), text
    assert not re.search(r"&(?!(amp|lt|gt);)", text), text
    outside_code = re.sub(r"`[^`]*`", "", text)
    assert not re.search(r"\*b\*|_i_|~s~|`|:x:|[\x1e\x1f]", outside_code), text


@pytest.mark.parametrize("retried", [False, True], ids=["resumed", "retried"])
@pytest.mark.parametrize("state", list(State))
def test_nobodys_text_is_obeyed_or_breaks_a_card(state: State, *, retried: bool) -> None:
    changes: dict[str, object] = {"verb": Verb.RETRY, "scope": Scope.ALL_OBJECTS} if retried else {}
    nasty = _nasty(state, **changes)
    for one in (nasty, replace(nasty, reason=NASTY * 10), replace(nasty, trouble=None, is_elsewhere=True)):
        said = card(one)
        assert problems_of_blocks(list(said.blocks)) == []
        for text in (said.text, *_obeyed(said.blocks)):
            _obeys_nobody(text)


@pytest.mark.parametrize("state", list(State))
def test_nobodys_text_is_obeyed_in_a_thread_or_an_answer(state: State) -> None:
    nasty = _nasty(state)
    failed = replace(nasty, pause=Pause("UCAROL00", NOON, State.MOVING, failure=nasty.trouble))
    link = "https://slack.example/p1"
    for text in (
        turn_of_events(nasty) or "",
        turn_of_events(replace(nasty, is_elsewhere=True)) or "",
        answers.pause_failed(failed),
        stands(nasty),
        answers.with_link(stands(nasty), link),
        answers.asked(nasty, link),
        answers.already_open(nasty, link),
        answers.already_open_by_you(nasty, link),
        answers.denied(nasty),
        answers.self_approval(nasty),
        answers.nobody_left(nasty, (("UCAROL00",),)),
        answers.is_void(nasty),
        *(why_not(refusal, nasty) for refusal in Refusal),
    ):
        said = line(text)
        assert problems_of_blocks(list(said.blocks)) == []
        for one in (said.text, *_obeyed(said.blocks)):
            _obeys_nobody(one)


def _plain_texts(said: Message) -> list[str]:
    """What is plain text outside buttons, shown with no emoji made of it."""
    texts = [block.get("text") or block.get("elements") for block in said.blocks if block["type"] != "actions"]
    found = [text for one in texts for text in (one if isinstance(one, list) else [one]) if text]
    return [text["text"] for text in found if text["type"] == "plain_text" and text["emoji"] is False]


def test_a_reason_is_shown_to_the_letter() -> None:
    reason, why = "*bold* _it_ `code` :x: <!channel> & so on", "see *this* :x:"
    assert f"Reason: {reason}" in _plain_texts(card(request(reason=reason)))
    denied = replace(request(State.DENIED, reason=reason), ending=Decision(("UCAROL00",), NOON, why))
    assert {reason, why} <= set(_plain_texts(card(denied)))
    for text in (turn_of_events(denied) or "", answers.denied(denied)):
        assert _plain_texts(line(text)) == [why]
    assert _plain_texts(line(answers.self_approval(denied))) == [reason]
    assert line(stands(denied)).blocks == (), "a line of the bot's own words alone needs none"
    assert len(line("a list of groups " * 1_000).text) == 17_000, "and is not cut: Slack takes 40,000 characters"


def test_names_that_people_copy_hold_no_invisible_characters() -> None:
    keys = (KeyCheck("oms_prod/media_1", 7, ("json_auth_file", "source_cdn_authentication_key")),)
    text = keys_line(request(keys=keys))
    assert text.endswith(
        "/oms_prod/media_1` v7 (json_auth_file, source_cdn_authentication_key). Read only after approval."
    )
    assert text.isprintable()
    trouble = Trouble("OMS", "", "", "No.", "", huawei_request_id="7f_3c*9a~", reference="E_1")
    shown = [text for text in _obeyed(card(request(State.FAILED, trouble=trouble)).blocks) if "7f_" in text]
    assert shown == ["Huawei request id `7f_3c*9a~` · reference `E_1`"]


def test_nobodys_text_is_obeyed_in_a_form_or_at_home() -> None:
    nasty = _nasty(State.FAILED)
    choice = views.Choice(nasty.plan.project, nasty.group.group_id, group_name(nasty.group))
    for view in (
        views.request_form((NASTY, "media"), [choice], "Type an id."),
        views.request_form((NASTY, "media"), (), "", GROUP_ID, NASTY, nasty.reason),
        views.home([stands(nasty)], answers.help_text("/resume-taskgroup")),
        views.note(views.DENY_TITLE, answers.why_not(Refusal.NOT_PENDING, nasty)),
    ):
        assert problems_of_view(view.to_dict()) == []
        for text in _obeyed(view.to_dict()):
            _obeys_nobody(text)


def test_the_form_asks_for_a_project_only_where_there_are_several() -> None:
    one, several = (views.request_form(names, (), "", GROUP_ID, "media") for names in (["media"], ["archive", "media"]))
    assert [block.block_id for block in one.blocks] == ["group", "reason", "at"]
    assert [block.block_id for block in several.blocks] == ["group", "project", "reason", "at"]
    project = several.to_dict()["blocks"][1]["element"]
    assert [option["value"] for option in project["options"]] == ["archive", "media"]
    assert project["initial_option"]["value"] == "media", "what ended there is asked for there again"
    many = views.request_form([f"p{number}" for number in range(200)], (), "", GROUP_ID, "p150")
    assert problems_of_view(many.to_dict()) == []


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
    assert plain("a <b> & *c*") == "a &lt;b&gt; &amp; \u2217c\u2217"
    assert plain("set oms_url, _not_ this_ `x`") == "set oms_url, \u02cdnot\u02cd this\u02cd \u02cbx\u02cb"
    assert plain("at 10:30, :x: and :+1:") == "at 10:30, :\u200bx: and :\u200b+1:"
    assert code("oms/my_path` <!here>") == "`oms/my_path' &lt;!here&gt;`"
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
