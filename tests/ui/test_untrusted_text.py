"""Text from outside the bot mentions nobody, formats nothing and breaks no message, wherever it is shown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bot.domain.alert import Alert
from bot.domain.command import ShowList
from bot.domain.policy import Refusal
from bot.domain.request import Decision, KeyCheck, Pause, Plan, Policy, Problem, Request, State, Verb
from bot.domain.task_group import Destination, ErrorReason, GroupKind, Scope, Source, TaskGroup
from bot.domain.watched_group import Reading
from bot.sandbox.slack.checks import problems_of_blocks, problems_of_view
from bot.ui import home, lists, modals, refusals, replies
from bot.ui.alert import alert_message
from bot.ui.blocks import answer_message, text_message
from bot.ui.card import card, keys_line
from bot.ui.formatting import group_name, user_text
from bot.ui.lists import GroupsOfProject
from bot.ui.status import status_text
from bot.ui.thread import pause_failed, thread_line
from tests.support.alerts import item
from tests.support.blocks import mrkdwn_objects, mrkdwn_texts, plain_texts
from tests.support.values import GROUP, GROUP_ID, NOON, request

NASTY = "<!channel> <@U0ADMIN00> <https://evil.example|x> & *b* _i_ ~s~ `c` :x: \x1e\x1f"
PERMALINK = "https://slack.example/p1"


def nasty_request(state: State, **changes: object) -> Request:
    """A request with `NASTY` in every field whose text comes from outside the bot."""
    group = replace(
        GROUP,
        description=NASTY,
        source=Source(NASTY, NASTY, NASTY),
        destination=Destination(NASTY, NASTY, NASTY),
        error=ErrorReason(NASTY, NASTY),
        restores_archives=True,
        overwrite_mode=NASTY,
        cdn_domain=NASTY,
    )
    plan = Plan(NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, NASTY)
    problem = Problem(NASTY, NASTY, NASTY, f"It may not. {NASTY}", NASTY, NASTY, NASTY, NASTY)
    fields: dict[str, object] = {
        "group": group,
        "plan": plan,
        "keys": (KeyCheck(NASTY, 7, (NASTY, NASTY)), KeyCheck(NASTY, None, None)),
        "reason": NASTY,
    }
    if state is not State.PENDING:
        decision = Decision(("UCAROL00",), NOON, NASTY)
        fields |= {"decision": decision, "ending": decision, "problem": problem}
    if state is State.PAUSING:
        fields["pause"] = Pause("UCAROL00", NOON, State.MOVING, failure=problem)
    return replace(request(state), **(fields | changes))  # type: ignore[arg-type]


def assert_nothing_is_formatted(mrkdwn: str) -> None:
    """Only markup of the bot is in angle brackets, and nothing of `NASTY` formats anything."""
    for found in re.findall(r"<[^>]*>?", mrkdwn):
        assert re.fullmatch(
            r"<@U(ALICE|CAROL)00>|<!date\^\d+\^[^|]*\|[^>]*>|<https://slack\.example/p1\|See the card>", found
        ), mrkdwn
    assert not re.search(r"&(?!(amp|lt|gt);)", mrkdwn), mrkdwn
    outside_code = re.sub(r"`[^`]*`", "", mrkdwn)
    assert not re.search(r"\*b\*|_i_|~s~|`|:x:|[\x1e\x1f]", outside_code), mrkdwn


@pytest.mark.parametrize("retried", [False, True], ids=["resumed", "retried"])
@pytest.mark.parametrize("state", list(State))
def test_on_a_card(state: State, *, retried: bool) -> None:
    changes: dict[str, object] = {"verb": Verb.RETRY, "scope": Scope.ALL_OBJECTS} if retried else {}
    nasty = nasty_request(state, **changes)
    for one in (nasty, replace(nasty, reason=NASTY * 10), replace(nasty, problem=None, started_elsewhere=True)):
        message = card(one)
        assert problems_of_blocks(list(message.blocks)) == []
        for text in (message.text, *mrkdwn_texts(message.blocks)):
            assert_nothing_is_formatted(text)


@pytest.mark.parametrize("state", list(State))
def test_in_a_thread_or_an_answer(state: State) -> None:
    nasty = nasty_request(state)
    failed_pause = replace(nasty, pause=Pause("UCAROL00", NOON, State.MOVING, failure=nasty.problem))
    for text in (
        thread_line(nasty) or "",
        thread_line(replace(nasty, started_elsewhere=True)) or "",
        pause_failed(failed_pause),
        status_text(nasty),
        replies.with_link(status_text(nasty), PERMALINK),
        replies.request_created(nasty, PERMALINK),
        replies.already_open(nasty, PERMALINK),
        replies.already_open_by_you(nasty, PERMALINK),
        replies.denied(nasty),
        replies.self_approval_notice(nasty),
        replies.no_quorum_possible(nasty, (("UCAROL00",),)),
        refusals.request_void(nasty),
        *(refusals.refusal_text(refusal, nasty) for refusal in Refusal),
    ):
        message = text_message(text)
        assert problems_of_blocks(list(message.blocks)) == []
        for one in (message.text, *mrkdwn_texts(message.blocks)):
            assert_nothing_is_formatted(one)


@pytest.mark.parametrize("state", list(State))
def test_ids_that_someone_changed_in_the_database(state: State) -> None:
    nasty = nasty_request(state)
    decision = replace(nasty.decision, people=(NASTY,)) if nasty.decision is not None else None
    forged = replace(
        nasty,
        id=NASTY,
        group=replace(nasty.group, group_id=NASTY),
        policy=Policy((NASTY,), ((NASTY,),), self_approval=True),
        requester=NASTY,
        decision=decision,
        ending=decision,
    )
    message = card(forged)
    alert = alert_message(Alert("media", (item(group=forged.group),), NOON), (), {}, 0, "", "/resume-taskgroup")
    texts = (
        *(
            message.text,
            *mrkdwn_texts(message.blocks),
            text_message(thread_line(forged) or "").text,
            status_text(forged),
        ),
        *(alert.text, *mrkdwn_texts(alert.blocks)),
        *_listed(forged.group),
        replies.group_status(forged.group, "media"),
        replies.with_link("", "!channel"),
    )
    for text in texts:
        assert_nothing_is_formatted(text)


def _listed(group: TaskGroup) -> tuple[str, ...]:
    found = GroupsOfProject("media", NOON, {GroupKind.PAUSED: [Reading(group, NOON, None)]})
    return lists.groups(found, {GROUP_ID: "R-00000001"}, ShowList(1)).lines


def test_in_a_list_of_groups() -> None:
    nasty = nasty_request(State.PENDING).group
    for text in (
        *(line.replace(f"`{nasty.group_id}`", "") for line in _listed(nasty)),
        *lists.groups_not_listed("media", Problem("OMS", "", NASTY, NASTY, NASTY)).lines,
        replies.group_status(nasty, "media").replace(f"`{nasty.group_id}`", ""),
        refusals.no_source_path(NASTY, "media"),
        refusals.keys_not_checked(NASTY, NASTY),
        modals.groups_not_listed("media", NASTY),
    ):
        assert_nothing_is_formatted(text)


def test_in_a_modal_or_app_home() -> None:
    nasty = nasty_request(State.FAILED)
    choice = modals.GroupChoice(nasty.plan.project, nasty.group.group_id, group_name(nasty.group))
    for view in (
        modals.request_form((NASTY, "media"), [choice], "Type an id."),
        modals.request_form((NASTY, "media"), (), "", nasty.group, NASTY, nasty.reason),
        modals.note(modals.DENY_TITLE, refusals.refusal_text(Refusal.NOT_PENDING, nasty)),
        home.home_view([home.HomeSection("Running", (nasty,), 1)], {}, "/resume-taskgroup", "help", NOON),
    ):
        assert problems_of_view(view.to_dict()) == []
        for text in mrkdwn_texts(view.to_dict()):
            assert_nothing_is_formatted(text)


def test_slack_links_nothing_in_mrkdwn_that_is_not_marked_up() -> None:
    for state in State:
        nasty = nasty_request(state)
        shown: tuple[object, ...] = (
            card(nasty).blocks,
            text_message(replies.denied(nasty)).blocks,
            home.home_view([home.HomeSection("Running", (nasty,), 1)], {}, "/resume-taskgroup", "help", NOON).to_dict(),
            modals.note(modals.DENY_TITLE, refusals.refusal_text(Refusal.NOT_PENDING, nasty)).to_dict(),
            modals.request_form((NASTY, "media"), (), "Type an id.", nasty.group, NASTY, nasty.reason).to_dict(),
        )
        for one in mrkdwn_objects(shown):
            assert one["verbatim"] is True


def test_a_reason_is_shown_exactly_as_it_was_typed() -> None:
    reason, why = "*bold* _it_ `code` :x: <!channel> & so on", "see *this* :x:"
    assert f"Reason: {reason}" in plain_texts(card(request(reason=reason)))
    denied = replace(request(State.DENIED, reason=reason), ending=Decision(("UCAROL00",), NOON, why))
    assert {reason, why} <= set(plain_texts(card(denied)))
    for text in (thread_line(denied) or "", replies.denied(denied)):
        assert plain_texts(text_message(text)) == [why]
    assert plain_texts(text_message(replies.self_approval_notice(denied))) == [reason]


def test_a_line_without_user_text_is_sent_without_blocks_and_not_truncated() -> None:
    assert text_message(status_text(request(State.DENIED))).blocks == ()
    # Slack takes 40,000 characters in `text`.
    assert len(text_message("a list of groups " * 1_000).text) == 17_000


def test_an_answer_has_all_of_its_text_in_blocks_that_link_nothing() -> None:
    lines = [f"line {number} {user_text(NASTY)}" for number in range(100)]
    message = answer_message("\n".join(lines))
    assert problems_of_blocks(list(message.blocks)) == []
    assert "\n".join(mrkdwn_texts(message.blocks)) == message.text
    assert len(message.blocks) > 1
    assert all(one["verbatim"] for one in mrkdwn_objects(message.blocks))
    assert_nothing_is_formatted(message.text)
    assert len(answer_message("x" * 5_000).blocks) == 1


def test_names_that_people_copy_contain_no_invisible_characters() -> None:
    keys = (KeyCheck("oms_prod/media_1", 7, ("json_auth_file", "source_cdn_authentication_key")),)
    text = keys_line(request(keys=keys))
    assert text.endswith(
        "/oms_prod/media_1` v7 (json_auth_file, source_cdn_authentication_key). They are read only after approval."
    )
    assert text.isprintable()
    problem = Problem("OMS", "", "", "No.", "", huawei_request_id="7f_3c*9a~", reference="E_1")
    shown = [text for text in mrkdwn_texts(card(request(State.FAILED, problem=problem)).blocks) if "7f_" in text]
    assert shown == ["Huawei request id `7f_3c*9a~` · reference `E_1`"]
