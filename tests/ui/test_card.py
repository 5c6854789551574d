"""Every card, in every state, carries its ids, fits Slack's limits, and obeys nobody's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import slackblocks

from bot.domain.policy import Refusal
from bot.domain.request import Decision, KeyCheck, Pause, Plan, Policy, Problem, Request, State, Verb, VoteProgress
from bot.domain.task_group import Destination, ErrorReason, Scope, Source
from bot.sandbox.slack.checks import problems_of_blocks, problems_of_view
from bot.ui import home, modals, replies
from bot.ui.blocks import SlackMessage, text_message
from bot.ui.card import card, keys_line
from bot.ui.formatting import bar, code, duration, escape_mrkdwn, rate, size_of
from bot.ui.replies import pause_failed, refusal_text, thread_line
from bot.ui.status import group_name, status_text
from tests.support.sandbox import _texts
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
        **{
            key: ["request"]
            for key in (State.FAILED, State.PAUSED_AGAIN, State.APPROVAL_EXPIRED, State.EXPIRED, State.VOID)
        },
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
    problem = Problem(NASTY, NASTY, NASTY, f"It may not. {NASTY}", NASTY, NASTY, NASTY, NASTY)
    said: dict[str, object] = {
        "group": group,
        "plan": plan,
        "keys": (KeyCheck(NASTY, 7, (NASTY, NASTY)), KeyCheck(NASTY, None, None)),
        "reason": NASTY,
    }
    if state is not State.PENDING:
        decided = Decision(("UCAROL00",), NOON, NASTY)
        said |= {"decision": decided, "ending": decided, "problem": problem}
    if state is State.PAUSING:
        said["pause"] = Pause("UCAROL00", NOON, State.MOVING, failure=problem)
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
    for one in (nasty, replace(nasty, reason=NASTY * 10), replace(nasty, problem=None, started_elsewhere=True)):
        said = card(one)
        assert problems_of_blocks(list(said.blocks)) == []
        for text in (said.text, *_obeyed(said.blocks)):
            _obeys_nobody(text)


@pytest.mark.parametrize("state", list(State))
def test_nobodys_text_is_obeyed_in_a_thread_or_an_answer(state: State) -> None:
    nasty = _nasty(state)
    failed = replace(nasty, pause=Pause("UCAROL00", NOON, State.MOVING, failure=nasty.problem))
    link = "https://slack.example/p1"
    for text in (
        thread_line(nasty) or "",
        thread_line(replace(nasty, started_elsewhere=True)) or "",
        replies.pause_failed(failed),
        status_text(nasty),
        replies.with_link(status_text(nasty), link),
        replies.request_created(nasty, link),
        replies.already_open(nasty, link),
        replies.already_open_by_you(nasty, link),
        replies.denied(nasty),
        replies.self_approval_notice(nasty),
        replies.no_quorum_possible(nasty, (("UCAROL00",),)),
        replies.request_void(nasty),
        *(refusal_text(refusal, nasty) for refusal in Refusal),
    ):
        said = text_message(text)
        assert problems_of_blocks(list(said.blocks)) == []
        for one in (said.text, *_obeyed(said.blocks)):
            _obeys_nobody(one)


def _plain_texts(said: SlackMessage) -> list[str]:
    """What is plain text outside buttons, shown with no emoji made of it."""
    texts = [block.get("text") or block.get("elements") for block in said.blocks if block["type"] != "actions"]
    found = [text for one in texts for text in (one if isinstance(one, list) else [one]) if text]
    return [text["text"] for text in found if text["type"] == "plain_text" and text["emoji"] is False]


def test_a_reason_is_shown_to_the_letter() -> None:
    reason, why = "*bold* _it_ `code` :x: <!channel> & so on", "see *this* :x:"
    assert f"Reason: {reason}" in _plain_texts(card(request(reason=reason)))
    denied = replace(request(State.DENIED, reason=reason), ending=Decision(("UCAROL00",), NOON, why))
    assert {reason, why} <= set(_plain_texts(card(denied)))
    for text in (thread_line(denied) or "", replies.denied(denied)):
        assert _plain_texts(text_message(text)) == [why]
    assert _plain_texts(text_message(replies.self_approval_notice(denied))) == [reason]
    assert text_message(status_text(denied)).blocks == (), "a line of the bot's own words alone needs none"
    assert len(text_message("a list of groups " * 1_000).text) == 17_000, (
        "and is not cut: Slack takes 40,000 characters"
    )


def test_names_that_people_copy_hold_no_invisible_characters() -> None:
    keys = (KeyCheck("oms_prod/media_1", 7, ("json_auth_file", "source_cdn_authentication_key")),)
    text = keys_line(request(keys=keys))
    assert text.endswith(
        "/oms_prod/media_1` v7 (json_auth_file, source_cdn_authentication_key). Read only after approval."
    )
    assert text.isprintable()
    problem = Problem("OMS", "", "", "No.", "", huawei_request_id="7f_3c*9a~", reference="E_1")
    shown = [text for text in _obeyed(card(request(State.FAILED, problem=problem)).blocks) if "7f_" in text]
    assert shown == ["Huawei request id `7f_3c*9a~` · reference `E_1`"]


def test_nobodys_text_is_obeyed_in_a_form_or_at_home() -> None:
    nasty = _nasty(State.FAILED)
    choice = modals.GroupChoice(nasty.plan.project, nasty.group.group_id, group_name(nasty.group))
    for view in (
        modals.request_form((NASTY, "media"), [choice], "Type an id."),
        modals.request_form((NASTY, "media"), (), "", GROUP_ID, NASTY, nasty.reason),
        home.home_view([status_text(nasty)], replies.help_text("/resume-taskgroup")),
        modals.note(modals.DENY_TITLE, replies.refusal_text(Refusal.NOT_PENDING, nasty)),
    ):
        assert problems_of_view(view.to_dict()) == []
        for text in _obeyed(view.to_dict()):
            _obeys_nobody(text)


def test_the_form_asks_for_a_project_only_where_there_are_several() -> None:
    one, several = (
        modals.request_form(names, (), "", GROUP_ID, "media") for names in (["media"], ["archive", "media"])
    )
    assert [block.block_id for block in one.blocks] == ["group", "reason", "at"]
    assert [block.block_id for block in several.blocks] == ["group", "project", "reason", "at"]
    project = several.to_dict()["blocks"][1]["element"]
    assert [option["value"] for option in project["options"]] == ["archive", "media"]
    assert project["initial_option"]["value"] == "media", "what ended there is asked for there again"
    many = modals.request_form([f"p{number}" for number in range(200)], (), "", GROUP_ID, "p150")
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
    slots = (("UCAROL00", "SDBA0000"), ("UCAROL00", "SDBA0000"))
    waiting = request(policy=Policy(("*",), slots, False), vote_progress=VoteProgress(("UCAROL00",), (("SDBA0000",),)))
    said = card(waiting)
    assert problems_of_blocks(list(said.blocks)) == []
    assert "1 of <!subteam^SDBA0000> still missing; approved by <@UCAROL00>" in said.text
    assert '"withdraw"' in json.dumps(said.blocks)
    assert '"withdraw"' not in json.dumps(card(replace(waiting, vote_progress=None)).blocks)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_break_glass_is_said_on_every_card_that_follows_and_on_no_other(state: State) -> None:
    alone = replace(request(state), decision=Decision(("UALICE00",), NOON))
    for said in (card(alone).text, json.dumps(card(alone).blocks)):
        assert "Break-glass: approved by whoever asked." in said
    assert "Break-glass" not in json.dumps(card(request(state)).blocks)


def test_who_cancels_their_own_request_breaks_no_glass_and_its_approval_stays_on_the_card() -> None:
    waiting = request(State.APPROVED)
    cancelled = replace(waiting, ending=Decision(("UALICE00",), NOON)).with_state(State.CANCELLED, at=NOON)
    assert "Break-glass" not in card(cancelled).text
    assert "approved by <@UCAROL00>" in json.dumps(card(cancelled).blocks)
    assert "cancelled by <@UALICE00>" in json.dumps(card(cancelled).blocks)


def test_break_glass_is_not_called_an_approval_while_others_are_missing() -> None:
    waiting = request(vote_progress=VoteProgress(("UALICE00",), (("UCAROL00",),)))
    assert "Break-glass: the approval of whoever asked counts, too." in card(waiting).text
    assert "approved by whoever asked" not in card(waiting).text


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_its_words(refusal: Refusal) -> None:
    assert refusal_text(refusal, request(State.DONE)).endswith((".", ">"))


def test_every_ended_state_is_told_in_the_thread() -> None:
    for state in (
        State.DENIED,
        State.CANCELLED,
        State.EXPIRED,
        State.APPROVAL_EXPIRED,
        State.VOID,
        State.DONE,
        State.FAILED,
    ):
        assert thread_line(request(state))


def test_the_thread_tells_of_an_error_in_the_words_of_oms_and_with_its_request_id() -> None:
    problem = Problem(
        "OMS", "OMS.0072", "No <!channel> for you.", "It may not. Nothing was started.", "Grant it.", "abc123"
    )
    told = "It may not. Nothing was started. OMS said: No &lt;!channel&gt; for you. Next: Grant it."
    for state, begins in ((State.NOT_STARTED, "Not resumed"), (State.FAILED, "Migration failed")):
        assert thread_line(request(state, problem=problem)) == (
            f"<@UALICE00>: {begins}: OMS.0072, {told.replace('It', 'it', 1)} Huawei request id `abc123`."
        )
    failed_pause = Pause("UCAROL00", NOON, State.MOVING, NOON, problem)
    assert pause_failed(request(State.MOVING, pause=failed_pause)) == (
        f"Not paused: OMS.0072, {told} Huawei request id `abc123`."
    )


def test_the_words_of_oms_are_left_out_where_the_meaning_says_them() -> None:
    problem = Problem("OMS", "OMS.0072", "It may not", "It may not. Nothing was started.", "", None)
    assert thread_line(request(State.NOT_STARTED, problem=problem)) == (
        "<@UALICE00>: Not resumed: OMS.0072, it may not. Nothing was started."
    )


def test_words() -> None:
    assert escape_mrkdwn("a <b> & *c*") == "a &lt;b&gt; &amp; \u2217c\u2217"
    assert escape_mrkdwn("set oms_url, _not_ this_ `x`") == "set oms_url, \u02cdnot\u02cd this\u02cd \u02cbx\u02cb"
    assert escape_mrkdwn("at 10:30, :x: and :+1:") == "at 10:30, :\u200bx: and :\u200b+1:"
    assert code("oms/my_path` <!here>") == "`oms/my_path' &lt;!here&gt;`"
    assert size_of(4_000_000_000, 10_000_000_000) == "4.0 of 10.0 GB"
    assert [rate(n) for n in (0, 999, 1_500_000, 220_000_000)] == ["0 B/s", "999 B/s", "1.5 MB/s", "220 MB/s"]
    assert [duration(n) for n in (5, 61, 3600, 3900, 200_000)] == ["5 s", "2 min", "1 h", "1 h 5 min", "2 d 7 h"]
    assert bar(46).count("█") == 9
    assert len(bar(100)) == len(bar(0)) == 20


def test_what_waits_or_is_tried_again_can_be_cancelled() -> None:
    problem = Problem("OMS", "HTTP 429", "", "OMS asks to slow down. Nothing was started.", "Wait a minute.")
    for approved in (request(State.APPROVED, start_at=NOON), request(State.APPROVED, problem=problem)):
        assert '"action_id": "cancel"' in json.dumps(card(approved).blocks)
    assert '"action_id": "cancel"' not in json.dumps(card(request(State.APPROVED)).blocks)
