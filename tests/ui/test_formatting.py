"""Formatting of values, and text from outside the bot without its mrkdwn."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bot.domain.task_group import GroupStatus, status_name
from bot.domain.watched_group import Reading
from bot.ui.formatting import (
    approvals_needed,
    duration,
    escape_mrkdwn,
    inline_code,
    mentions,
    progress_bar,
    quoted_name,
    rate,
    size_of_total,
    time_left,
)
from bot.ui.watched_group import group_line
from tests.support.values import GROUP, NOON


def test_escaped_text_shows_every_character_and_formats_nothing() -> None:
    assert escape_mrkdwn("a <b> & *c*") == "a &lt;b&gt; &amp; \u2217c\u2217"
    assert escape_mrkdwn("set oms_url, _not_ this_ `x`") == "set oms_url, \u02cdnot\u02cd this\u02cd \u02cbx\u02cb"
    assert escape_mrkdwn("at 10:30, :x: and :+1:") == "at 10:30, :\u200bx: and :\u200b+1:"


def test_escaped_text_is_truncated_before_it_is_escaped() -> None:
    assert escape_mrkdwn("`a` " + "x" * 10, 8) == "\u02cba\u02cb xxx…"
    assert escape_mrkdwn("x" * 8, 8) == "x" * 8


def test_inline_code_keeps_everything_but_backticks() -> None:
    assert inline_code("oms/my_path` <!here>") == "`oms/my_path' &lt;!here&gt;`"


def test_a_quotation_mark_in_the_name_of_a_group_does_not_end_the_quoted_name() -> None:
    group = replace(GROUP, description='x" in project sandbox "')
    assert quoted_name(group) == "\"x' in project sandbox '\""
    assert "\"x' in project sandbox '\" (`" in group_line(Reading(group, NOON, None))


def test_mentions_name_users_and_user_groups() -> None:
    assert mentions(["UA"]) == "<@UA>"
    assert mentions(["UA", "UB", "SC"]) == "<@UA>, <@UB> or <!subteam^SC>"
    assert mentions(["UA", "UB"], "and") == "<@UA> and <@UB>"


@pytest.mark.parametrize("text", ["U0> <!channel", "!here", "S0|x", "", "*"])
def test_text_that_is_no_id_mentions_nobody(text: str) -> None:
    assert not re.search("[<>*]", mentions([text]).replace("&gt;", "").replace("&lt;", ""))


def test_slots_with_the_same_people_are_counted() -> None:
    assert approvals_needed((("UA", "UB"),) * 2) == "2 approvals from <@UA> or <@UB>"
    assert approvals_needed((("UA",), ("SB",))) == "one approval from <@UA>, and one from <!subteam^SB>"


def test_sizes_and_rates() -> None:
    assert size_of_total(4_000_000_000, 10_000_000_000) == "4.0 of 10.0 GB"
    assert [rate(n) for n in (0, 999, 1_500_000, 220_000_000)] == ["0 B/s", "999 B/s", "1.5 MB/s", "220 MB/s"]


@pytest.mark.parametrize(
    ("seconds", "elapsed", "left"),
    [
        (0, "less than 1 s", "less than a minute"),
        (59, "59 s", "less than a minute"),
        (60, "1 min", "about 1 min"),
        (491, "8 min 11 s", "about 8 min"),
        (1439, "23 min 59 s", "about 25 min"),
        (3599, "59 min 59 s", "about 1 h"),
        (6000, "1 h 40 min", "about 1.5 h"),
        (7199, "1 h 59 min", "about 2 h"),
        (7500, "2 h 5 min", "about 2 h"),
        (23 * 3600 + 52 * 60, "23 h 52 min", "about 24 h"),
        (24 * 3600 + 52 * 60, "24 h 52 min", "about 25 h"),
        (48 * 3600 - 1, "47 h 59 min", "about 2 days"),
        (48 * 3600, "2 days", "about 2 days"),
        (76 * 3600 + 1, "3 days 4 h", "about 3 days"),
    ],
)
def test_an_elapsed_time_is_never_rounded_up_and_a_time_left_is_an_estimate(
    seconds: int, elapsed: str, left: str
) -> None:
    assert duration(seconds) == elapsed
    assert time_left(seconds) == left


def test_the_progress_bar_always_has_the_same_width() -> None:
    assert progress_bar(46).count("█") == 9
    assert len(progress_bar(100)) == len(progress_bar(0)) == 20


def test_group_statuses_have_names() -> None:
    names = {status: status_name(status) for status in GroupStatus}
    assert {names[GroupStatus.EXECUTING], names[GroupStatus.MONITORING]} == {"running"}
    assert {names[GroupStatus.CREATION_FAILED], names[GroupStatus.MIGRATION_FAILED]} == {"failed"}
    assert names[GroupStatus.COMPLETED] == "done"
    assert names[GroupStatus.WAITING_FOR_DELETION] == "waiting for deletion"
