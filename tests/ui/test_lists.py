"""The replies to `list` and `status` have totals, and fit into a message."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.request import Problem
from bot.domain.task_group import GroupStatus, TaskGroup
from bot.ui import lists
from tests.support.values import GROUP


def groups_with(status: GroupStatus, count: int) -> list[TaskGroup]:
    return [replace(GROUP, group_id=f"6a6b6c6d-0000-4000-8000-{number:012d}", status=status) for number in range(count)]


FAILED = groups_with(GroupStatus.MIGRATION_FAILED, 60)
PAUSED = groups_with(GroupStatus.PAUSED, 60)


def test_everything_that_fits_is_shown_with_totals() -> None:
    sections = [lists.open_requests(["R-1"]), lists.groups("media", FAILED[:1], PAUSED[:2], {PAUSED[1].group_id})]
    assert lists.fit(sections).splitlines() == [
        "*1 open request*",
        "R-1",
        "*Groups of media that can be resumed or retried: 1 failed, 2 paused*",
        f'`{FAILED[0].group_id}` "nightly images", migration failed',
        f'`{PAUSED[0].group_id}` "nightly images", paused',
        f'`{PAUSED[1].group_id}` "nightly images", paused, already requested',
    ]


def test_an_empty_list_says_so() -> None:
    assert lists.fit([lists.open_requests([]), lists.groups("media", [], [], ())]).splitlines() == [
        "*No open requests*",
        "*Groups of media that can be resumed or retried: none*",
    ]


def test_open_requests_that_do_not_fit_are_counted() -> None:
    text = lists.fit([lists.open_requests(["x" * 99] * 12)], 1_080)
    assert len(text) <= 1_080
    assert text.splitlines() == ["*12 open requests, the first 10 are shown*", *["x" * 99] * 10]


def test_failed_groups_are_never_left_out_in_favor_of_paused_ones() -> None:
    sections = [lists.groups("media", [], PAUSED, ()), lists.groups("archive", FAILED[:30], PAUSED, ())]
    text = lists.fit(sections)
    assert len(text) <= 4_000
    assert text.count(", migration failed") == 30
    assert "*Groups of archive that can be resumed or retried: 30 failed, 60 paused, the first " in text
    short_of_space = lists.fit(sections, 1_500)
    assert 0 < short_of_space.count(", migration failed") < 30
    assert ", paused\n" not in short_of_space
    assert "*Groups of media that can be resumed or retried: 60 paused, not shown for lack of space*" in short_of_space


def test_each_project_gets_a_fair_share() -> None:
    names = ("media", "archive", "logs")
    text = lists.fit([lists.open_requests(["R"]), *(lists.groups(name, FAILED, PAUSED, ()) for name in names)])
    shares = [part.count("migration failed") for part in text.split("*Groups of ")[1:]]
    assert len(shares) == 3
    assert max(shares) - min(shares) <= 1
    assert min(shares) > 10


def test_a_small_project_leaves_its_share_to_others() -> None:
    large, small = lists.groups("media", [], PAUSED, ()), lists.groups("logs", [], PAUSED[:1], ())
    alone, beside = (lists.fit(sections).count('", paused') for sections in ([large], [large, small]))
    assert alone - beside <= 2


def test_more_groups_than_were_read_are_not_counted_exactly() -> None:
    section = lists.groups("media", FAILED[:2], PAUSED[:3], (), more_paused=True, unreadable=1)
    assert section.title == "Groups of media that can be resumed or retried: 2 failed, more than 3 paused, 1 unreadable"
    assert lists.fit([section]).startswith(f"*{section.title}, the first 5 are shown*")


def test_projects_whose_headings_do_not_fit_are_counted() -> None:
    text = lists.fit([lists.groups(f"project-{number}", FAILED, (), ()) for number in range(100)])
    assert len(text) <= 4_000
    shown = text.count("*Groups of ")
    assert text.endswith(f"\nand {100 - shown} more projects, not shown for lack of space")


def test_a_project_that_fails_is_shown_with_code_and_request_id() -> None:
    problem = Problem("Huawei Cloud", "APIG.0601", "out of order", "OMS failed.", "Wait.", "7f3c9a")
    heading, line = lists.fit([lists.groups_not_listed("media", problem)]).splitlines()
    assert heading == "*Groups of media that can be resumed or retried: the bot couldn't list them*"
    assert line.startswith("APIG.0601: OMS failed.")
    assert "out of order" in line
    assert "`7f3c9a`" in line
