"""The replies to `list` and `status` have totals, and fit into a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bot.domain.command import ShowList, parse
from bot.domain.request import Problem
from bot.domain.task_group import ErrorReason, GroupKind, GroupStatus, Progress, TaskGroup
from bot.domain.watched_group import Activity, Movement, Reading
from bot.ui import lists
from bot.ui.formatting import local_time
from bot.ui.lists import GroupsOfProject, Section
from bot.ui.watched_group import group_line
from tests.support.values import GROUP, NOON

EVERYTHING = ShowList(1)


def groups_with(status: GroupStatus, count: int) -> list[TaskGroup]:
    return [replace(GROUP, group_id=f"6a6b6c6d-0000-4000-8000-{number:012d}", status=status) for number in range(count)]


FAILED = groups_with(GroupStatus.MIGRATION_FAILED, 60)
PAUSED = groups_with(GroupStatus.PAUSED, 60)


def of_project(
    project: str,
    failed: Sequence[TaskGroup] = (),
    paused: Sequence[TaskGroup] = (),
    running: Sequence[Reading] = (),
    requests: Mapping[str, str] | None = None,
    command: ShowList = EVERYTHING,
    more: Sequence[GroupKind] = (),
    unreadable: int = 0,
    ended: Sequence[Reading] = (),
) -> Section:
    of_kind = {
        GroupKind.FAILED: [Reading(group, NOON, None) for group in failed],
        GroupKind.RUNNING: running,
        GroupKind.PAUSED: [Reading(group, NOON, None) for group in paused],
    }
    return lists.groups(GroupsOfProject(project, NOON, of_kind, more, unreadable, ended), requests or {}, command)


def test_everything_that_fits_is_shown_with_totals() -> None:
    sections = [
        lists.open_requests(["R-1"]),
        of_project("media", FAILED[:1], PAUSED[:2], requests={PAUSED[1].group_id: "R-00000001"}),
    ]
    assert lists.fit(sections).splitlines() == [
        "*1 open request*",
        "R-1",
        f"*Groups in media as of {local_time(NOON)}: 1 failed, 2 paused*",
        f'"nightly images" (`{FAILED[0].group_id}`), failed, 40\u00a0%',
        f'"nightly images" (`{PAUSED[0].group_id}`), paused, 40\u00a0%',
        f'"nightly images" (`{PAUSED[1].group_id}`), paused, 40\u00a0%, R-00000001',
    ]


def test_an_empty_list_says_so() -> None:
    assert lists.fit([lists.open_requests([]), of_project("media")]).splitlines() == [
        "*No open requests*",
        f"*No failed, running or paused group in media as of {local_time(NOON)}*",
    ]


def test_open_requests_that_do_not_fit_are_counted() -> None:
    text = lists.fit([lists.open_requests(["x" * 99] * 12)], 1_080)
    assert len(text) <= 1_080
    assert text.splitlines() == ["*12 open requests, the first 10 are shown*", *["x" * 99] * 10]


def test_failed_groups_are_never_left_out_in_favor_of_paused_ones() -> None:
    sections = [of_project("media", [], PAUSED), of_project("archive", FAILED[:30], PAUSED)]
    text = lists.fit(sections)
    assert len(text) <= 4_000
    assert text.count(", failed, ") == 30
    assert f"*Groups in archive as of {local_time(NOON)}: 30 failed, 60 paused, the first " in text
    short_of_space = lists.fit(sections, 1_500)
    assert 0 < short_of_space.count(", failed, ") < 30
    assert ", paused, " not in short_of_space
    assert f"*Groups in media as of {local_time(NOON)}: 60 paused, not shown for lack of space*" in short_of_space


def test_each_project_gets_a_fair_share() -> None:
    names = ("media", "archive", "logs")
    text = lists.fit([lists.open_requests(["R"]), *(of_project(name, FAILED, PAUSED) for name in names)])
    shares = [part.count(", failed, ") for part in text.split("*Groups in ")[1:]]
    assert len(shares) == 3
    assert max(shares) - min(shares) <= 1
    assert min(shares) > 10


def test_a_small_project_leaves_its_share_to_others() -> None:
    large, small = of_project("media", [], PAUSED), of_project("logs", [], PAUSED[:1])
    alone, beside = (lists.fit(sections).count("), paused") for sections in ([large], [large, small]))
    assert alone - beside <= 2


def test_more_groups_than_were_read_are_not_counted_exactly() -> None:
    section = of_project("media", FAILED[:2], PAUSED[:3], more=[GroupKind.PAUSED], unreadable=1)
    assert section.title == f"Groups in media as of {local_time(NOON)}: 2 failed, more than 3 paused, 1 unreadable"
    assert lists.fit([section]).startswith(f"*{section.title}, the first 5 are shown*")


def test_projects_whose_headings_do_not_fit_are_counted() -> None:
    text = lists.fit([of_project(f"project-{number}", FAILED) for number in range(100)])
    assert len(text) <= 4_000
    shown = text.count("*Groups in ")
    assert text.endswith(f"\nand {100 - shown} more projects, not shown for lack of space")


def test_a_project_that_fails_is_shown_with_code_and_request_id() -> None:
    problem = Problem("Huawei Cloud", "APIG.0601", "out of order", "OMS failed.", "Wait.", "7f3c9a")
    heading, line = lists.fit([lists.groups_not_listed("media", problem)]).splitlines()
    assert heading == "*Groups in media: the bot couldn't list them*"
    assert line.startswith("APIG.0601: OMS failed.")
    assert "out of order" in line
    assert "`7f3c9a`" in line


RUNNING = [
    Reading(
        replace(group, progress=Progress(10_000_000_000, 4_000_000_000, 1000, 400)),
        NOON,
        Movement(Activity.MOVING, rate=20_000_000, rate_since=NOON - timedelta(minutes=5)),
    )
    for group in groups_with(GroupStatus.MONITORING, 60)
]


def listed(typed: str) -> ShowList:
    command = parse(typed)
    assert isinstance(command, ShowList)
    return command


def test_running_groups_are_listed_with_rate_and_time_left_after_the_failed_ones() -> None:
    section = of_project("media", FAILED[:1], PAUSED[:1], RUNNING[:1])
    assert section.title == f"Groups in media as of {local_time(NOON)}: 1 failed, 1 running, 1 paused"
    assert [line.split("`), ")[1] for line in section.lines] == [
        "failed, 40\u00a0%",
        "running, 40\u00a0%, moving at 20 MB/s, about 5 min left",
        "paused, 40\u00a0%",
    ]


def test_a_group_in_which_nothing_moves_is_listed_with_the_reason() -> None:
    since = NOON - timedelta(minutes=20)
    group = RUNNING[0].group
    for movement, words in (
        (Movement(Activity.STALLED, 0, still_since=since), "stalled for 20 min"),
        (Movement(Activity.QUEUED), "waiting in OMS's queue"),
        (
            Movement(Activity.RESTORING, 0, still_since=since),
            "nothing has moved for 20 min, may be waiting for archive restores",
        ),
    ):
        [line] = of_project("media", running=[Reading(group, NOON, movement)]).lines
        assert line.endswith(f", running, 40\u00a0%, {words}")


def line_of(group: TaskGroup, movement: Movement | None = None, *, noticed: bool = False) -> str:
    """The line of a group without its name and id."""
    return group_line(Reading(group, NOON, movement, NOON if noticed else None)).partition("`), ")[2]


def test_a_group_that_stopped_is_listed_with_its_progress_its_code_and_when_that_was_noticed() -> None:
    progress = Progress(10_000_000_000, 9_600_000_000, 1000, 900, 63, 37)
    failed = replace(FAILED[0], progress=progress, error=ErrorReason("TRF.0157", "words"))
    noticed = f"noticed {local_time(NOON)}"
    assert line_of(failed, noticed=True) == (
        f"failed with TRF.0157, 96\u00a0%, 963 of 1,000 objects, 37 failed, {noticed}"
    )
    assert line_of(PAUSED[0], noticed=True) == f"paused, 40\u00a0%, {noticed}"
    done = replace(GROUP, status=GroupStatus.COMPLETED, progress=replace(progress, complete_bytes=10_000_000_000))
    assert line_of(done) == "done, 10.0 GB, 963 of 1,000 objects, 37 failed"
    assert line_of(replace(GROUP, status=GroupStatus.DELETED), noticed=True) == f"deleted, {noticed}"


def test_a_group_whose_total_still_grows_is_listed_without_a_percentage() -> None:
    listing = replace(GROUP, status=GroupStatus.EXECUTING)
    assert line_of(listing, Movement(Activity.LISTING, still_since=NOON)) == (
        "running, OMS is listing the source, 400 of 1,000 objects so far"
    )
    assert line_of(listing, Movement(Activity.LISTING)) == (
        "running, moving while OMS lists the source, 400 of 1,000 objects so far"
    )
    growing = Movement(Activity.MOVING, 20_000_000, grew_at=NOON)
    assert line_of(RUNNING[0].group, growing) == "running, moving at 20 MB/s, 400 of 1,000 objects so far"


def test_a_group_that_waits_to_run_is_not_said_to_be_listing() -> None:
    waiting = replace(GROUP, status=GroupStatus.WAITING)
    assert line_of(waiting, Movement(Activity.LISTING, still_since=NOON)) == "waiting to run"


def test_a_slow_group_is_listed_with_the_time_left() -> None:
    since = NOON - timedelta(minutes=20)
    slow = Movement(Activity.MOVING, 1_000_000, since, slow_since=since, is_slow=True)
    assert line_of(RUNNING[0].group, slow) == ("running, 40\u00a0%, slow for 20 min, 1.0 MB/s, about 1.5 h left")


def test_a_name_that_no_group_has_is_answered_with_the_filters() -> None:
    section = of_project("media", FAILED[:1], PAUSED[:1], command=listed("list stalled"))
    named = "has `stalled` in its name"
    assert section.title == f"No failed, running or paused group in media {named} as of {local_time(NOON)}"
    assert lists.filters("/x").lines == (
        "To filter by status, type `/x list failed`, `/x list running` or `/x list paused`.",
    )


def test_groups_that_ended_are_listed_only_by_their_name() -> None:
    done = Reading(replace(GROUP, status=GroupStatus.COMPLETED), NOON, None, NOON)
    named = of_project("media", command=listed("list nightly"), ended=[done])
    assert named.title == f"Groups in media with `nightly` in the name as of {local_time(NOON)}: 1 done"
    assert named.lines == (group_line(done),)
    assert of_project("media", ended=[done]).lines == ()


def test_a_filter_limits_groups_and_totals_to_one_kind_or_to_a_name() -> None:
    other = replace(PAUSED[1], description="Tax & files")
    everything = FAILED[:1], [PAUSED[0], other], RUNNING[:2]
    titles = {
        typed: of_project("media", *everything, command=listed(typed)).title.partition(": ")[2]
        for typed in ("list", "list failed", "list PAUSED", "list running", "list paused nightly")
    }
    assert titles == {
        "list": "1 failed, 2 running, 2 paused",
        "list failed": "1 failed",
        "list PAUSED": "2 paused",
        "list running": "2 running",
        "list paused nightly": "1 paused",
    }
    named = of_project("media", *everything, command=listed("list &amp; FILES"))
    assert named.title == f"Groups in media with `&amp; files` in the name as of {local_time(NOON)}: 1 paused"
    assert len(named.lines) == 1


def pages(sections: Sequence[Section], typed: str) -> list[str]:
    command = listed(typed)
    found = [lists.page(sections, replace(command, page=number), "/resume-taskgroup") for number in range(1, 30)]
    return [one for one in dict.fromkeys(found) if "There is no page " not in one]


def test_pages_show_each_line_once_failed_ones_first_within_the_size_of_a_message() -> None:
    sections = [
        lists.open_requests([f"R-{number}" for number in range(20)]),
        of_project("media", FAILED, PAUSED, RUNNING),
        of_project("archive", FAILED[:10], PAUSED),
    ]
    found = pages(sections, "list")
    assert len(found) > 2
    assert all(len(one) <= 4_000 for one in found)
    lines = [line for one in found for line in one.splitlines() if not line.startswith(("*", "Page "))]
    assert sorted(lines) == sorted(line for section in sections for line in section.lines)
    last_failed = max(index for index, one in enumerate(found) if ", failed, " in one)
    assert all("), paused" not in one and "), running" not in one for one in found[:last_failed])
    assert found[0].endswith(f"\nPage 1 of {len(found)}. For the next page, type `/resume-taskgroup list 2`.")
    assert found[-1].endswith(f"\nPage {len(found)} of {len(found)}.")
    assert "*Groups in media" in found[1]
    assert ": 60 failed, 60 running, 60 paused, " in found[1]


def test_the_next_page_of_a_filter_keeps_the_filter() -> None:
    section = of_project("media", FAILED)
    assert "`/resume-taskgroup list failed 2`" in pages([section], "list failed")[0]
    assert "`/resume-taskgroup list failed nightly page 2`" in pages([section], "list failed nightly")[0]


def test_a_page_number_that_is_too_high_shows_the_last_page() -> None:
    section = of_project("media", FAILED)
    found = pages([section], "list failed")
    assert lists.page([], EVERYTHING, "/x") == ""
    assert found[-1].endswith(f"\nPage {len(found)} of {len(found)}.")
    assert lists.page([section], listed("list failed 99"), "/x") == found[-1].replace(
        "\nPage ", "\nThere is no page 99. Page "
    )


def test_the_only_page_says_that_there_is_no_other() -> None:
    section = of_project("media", FAILED[:2])
    only = lists.page([section], listed("list failed"), "/x")
    assert "page" not in only
    assert lists.page([section], listed("list failed 2"), "/x") == f"{only}\nThere is no page 2."


def test_a_line_that_fits_no_page_ends_the_pages() -> None:
    assert lists.page([Section("one", ("x" * 5_000,), 1)], EVERYTHING, "/x") == "*one, not shown for lack of space*"
