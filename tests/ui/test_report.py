"""The report as a message for Slack, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.report import REPORTED_STATES, Rate, Report, sum_up
from bot.domain.request import LastSeen, State
from bot.domain.task_group import Progress
from bot.sandbox.slack.checks import problems_of_blocks
from bot.ui.failure_causes import causes_summary, failed_list_line
from bot.ui.formatting import local_time, local_time_with_seconds
from bot.ui.problem_texts import MAY_NOT_LIST_TASKS
from bot.ui.report import report_message, report_message_with_chart
from bot.ui.report_facts import CONSISTENCY_CHECKS
from bot.ui.report_file import report_json, report_markdown
from bot.ui.thread import thread_line
from tests.gallery.report import DONE, ENDED_AT, EVENTS, IN_PARTS, REPORT
from tests.gallery.requests import APPROVED_AT, REQUESTS, SENT_AT
from tests.support.blocks import strings
from tests.support.values import NOON, request
from tests.ui.test_untrusted_text import NASTY, assert_nothing_is_formatted, nasty_request


def report_on(made: object) -> Report:
    return sum_up(made, EVENTS, [], "3f" * 32, 0, NOON)  # type: ignore[arg-type]


def facts(report: Report) -> dict[str, str]:
    """The lines of the Markdown, by title."""
    return dict(line.removeprefix("- ").split(": ", 1) for line in report_markdown(report).splitlines()[2:])


def test_the_message_says_everything_about_the_run() -> None:
    message = report_message(REPORT)
    titled = (text.removeprefix("*").partition("*\n") for text in strings(message.blocks) if "*\n" in text)
    fields = {title: text for title, _, text in titled}
    assert fields == {
        "Moved": "585.0 GB in 551 objects this time, 1.0 of 1.0 TB in all",
        "Objects": "951 migrated, 12 skipped, 37 failed, of 1,000",
        "Time": f"2 h, {local_time(SENT_AT)} to {local_time(ENDED_AT)}",
        "Rate": "81 MB/s on average, 100 MB/s over the fastest 1 min",
        "Consistency check mode": "size and time",
        "Requested by": f"<@UALICE00>, {local_time(NOON)}",
        "Approved by": f"<@UCAROL00>, {local_time(APPROVED_AT)}",
    }
    assert message.blocks[0]["text"]["text"] == thread_line(DONE)
    assert "Huawei request id `7f3c9a52e1b84d0f` (resume)" in message.blocks[-1]["elements"][0]["text"]
    as_of = f"Newest audit hash `{'3f' * 32}` as of {local_time_with_seconds(ENDED_AT)}"
    assert as_of in message.blocks[-1]["elements"][0]["text"]
    for text in (str(thread_line(DONE)), *(f"{title}: {text}." for title, text in fields.items())):
        assert text in message.text


def test_the_chart_has_the_rate_in_one_unit_over_the_time_since_the_start() -> None:
    message = report_message_with_chart(REPORT)
    assert message is not None
    assert problems_of_blocks(list(message.blocks)) == []
    [chart] = [block for block in message.blocks if block["type"] == "data_visualization"]
    axes, [series] = chart["chart"]["axis_config"], chart["chart"]["series"]
    assert (axes["x_label"], axes["y_label"]) == ("Time since the start, in steps of 6 min", "MB/s")
    assert series["data"][0] == {"label": "6 min", "value": 100.0}
    assert series["data"][-1] == {"label": "2 h", "value": 100.0}
    assert min(point["value"] for point in series["data"]) == 25.0
    assert len(series["data"]) == 20


def test_a_workspace_without_charts_gets_the_same_as_bars() -> None:
    with_chart, without = report_message_with_chart(REPORT), report_message(REPORT)
    assert with_chart is not None
    assert f"Rate over time  {'█' * 10}▂▂▂▂▂█████  each bar is 6 min, up to 100 MB/s" in strings(without.blocks)
    assert without.text == with_chart.text
    assert [block for block in without.blocks if block not in with_chart.blocks][1:] == []


def test_the_chart_has_the_digits_of_the_other_rates() -> None:
    rates = tuple(
        Rate(NOON + timedelta(minutes=number), NOON + timedelta(minutes=number + 1), round(rate * 1_000_000))
        for number, rate in enumerate((16.17, 7.54, 0.26))
    )
    message = report_message_with_chart(replace(REPORT, rates=rates))
    assert message is not None
    [chart] = [block for block in message.blocks if block["type"] == "data_visualization"]
    [series] = chart["chart"]["series"]
    assert [(point["label"], point["value"]) for point in series["data"]] == [
        ("1 min", 16),
        ("2 min", 7.5),
        ("3 min", 0.3),
    ]


@pytest.mark.parametrize("count", range(1, 21))
@pytest.mark.parametrize(
    "step", [timedelta(seconds=60.5), timedelta(minutes=7), timedelta(hours=2.41), timedelta(days=3)]
)
def test_slack_takes_the_chart_of_a_run_of_any_length(count: int, step: timedelta) -> None:
    rates = tuple(Rate(NOON + step * part, NOON + step * (part + 1), 10**part) for part in range(count))
    message = report_message_with_chart(replace(REPORT, rates=rates))
    if count == 1:
        assert message is None, "one point is no line"
    else:
        assert message is not None
        assert problems_of_blocks(list(message.blocks)) == []


def test_nothing_is_drawn_if_nothing_moved() -> None:
    still = replace(REPORT, rates=tuple(replace(part, bytes_per_second=0) for part in REPORT.rates), moved_bytes=0)
    assert report_message_with_chart(still) is None
    assert "Rate" not in report_message(still).text


def ran(seconds: float, after: Progress) -> Report:
    """The report on a group that was started at noon and ended this much later."""
    assert DONE.attempt is not None
    ended_at = NOON + timedelta(seconds=seconds)
    attempt = replace(DONE.attempt, answered_at=NOON, before=Progress(10_000_000_000, 4_000_000_000, 1000, 400))
    return report_on(replace(DONE, attempt=attempt, last_seen=LastSeen(ended_at, after), ended_at=ended_at))


def test_an_object_that_is_not_complete_is_not_counted() -> None:
    in_all = "4.0 of 10.0 GB in all"
    after = Progress(10_000_000_000, 4_002_600_000, 1000, 400)
    assert facts(ran(3, after))["Moved"] == f"2.6 MB this time, {in_all}"
    assert facts(ran(3, replace(after, success_objects=401)))["Moved"] == f"2.6 MB in 1 object this time, {in_all}"
    assert facts(ran(3, replace(after, complete_bytes=4_000_000_000)))["Moved"] == f"nothing this time, {in_all}"


def test_the_time_of_a_run_is_not_rounded_up_and_a_short_run_has_one_time() -> None:
    after = Progress(10_000_000_000, 4_002_600_000, 1000, 400)
    assert facts(ran(3.9, after))["Time"] == "3 s, 2026-03-02 12:00:00 UTC"
    assert facts(ran(491, after))["Time"] == "8 min 11 s, 2026-03-02 12:00:00 UTC to 2026-03-02 12:08:11 UTC"


def test_the_fastest_part_is_left_out_if_the_rate_did_not_change() -> None:
    assert facts(ran(47, Progress(10_000_000_000, 10_000_000_000, 1000, 1000)))["Rate"] == "128 MB/s on average"
    assert REPORT.fastest is not None
    assert REPORT.average_rate is not None
    even = replace(REPORT, fastest=replace(REPORT.fastest, bytes_per_second=REPORT.average_rate))
    assert facts(even)["Rate"] == "81 MB/s on average"


def test_the_message_has_every_cause_and_the_list_of_failed_objects() -> None:
    message = report_message(IN_PARTS)
    assert problems_of_blocks(list(message.blocks)) == []
    shown = "\n".join(strings(message.blocks))
    for code in ("TRF.0159", "TRF.0156", "TRF.0152"):
        assert code in shown
    assert "The source's storage service is throttling OMS.\n*Next:* Ask the owner of the source account" in shown
    assert failed_list_line(IN_PARTS.request) in strings(message.blocks)
    assert message.text.endswith(f"{causes_summary(IN_PARTS.request)} {failed_list_line(IN_PARTS.request)}")


def test_the_markdown_and_the_json_have_every_cause_and_the_list_of_failed_objects() -> None:
    found, parsed = facts(IN_PARTS), json.loads(report_json(IN_PARTS))
    assert found["Failed sub-tasks"] == "250 as of 2026-03-02 12:07:02 UTC"
    assert found["Failed with TRF.0159"] == (
        "120 sub-tasks. The source's storage service is throttling OMS. Next: Ask the owner of the source account to "
        "raise its request limits, or limit the group's bandwidth."
    )
    assert found["Failed with TRF.0156"].startswith("80 sub-tasks. ")
    assert found["Failed with TRF.0152"].startswith("50 sub-tasks. ")
    assert found["List of failed objects"] == "oms/failed/images.txt in the destination bucket photos-archive"
    causes = [(one["sub_tasks"], one["problem"]["code"]) for one in parsed["failure_causes"]["causes"]]
    assert causes == [(120, "TRF.0159"), (80, "TRF.0156"), (50, "TRF.0152")]
    assert parsed["failed_list"] == {"bucket": "photos-archive", "key": "oms/failed/images.txt"}


def test_causes_that_are_not_known_have_their_reason() -> None:
    report = report_on(REQUESTS["Failed, sub-tasks cannot be listed"])
    assert facts(report)["Causes"].startswith("The bot isn't allowed to list the group's sub-tasks")
    assert MAY_NOT_LIST_TASKS in "".join(strings(report_message(report).blocks))
    without_code = facts(report_on(REQUESTS["Moving, sub-tasks failed"]))
    assert without_code["Failed without an error code"].startswith("1 sub-task. ")
    assert "List of failed objects" not in facts(REPORT)
    assert json.loads(report_json(REPORT))["failed_list"] is None


def test_a_group_of_empty_objects_has_no_rate() -> None:
    empty = Progress(0, 0, 5, 5)
    assert DONE.attempt is not None
    assert DONE.last_seen is not None
    attempt = replace(DONE.attempt, before=replace(empty, success_objects=0))
    found = facts(report_on(replace(DONE, attempt=attempt, last_seen=replace(DONE.last_seen, progress=empty))))
    assert found["Moved"] == "0 B in 5 objects this time, 0 B in all"
    assert "Rate" not in found


@pytest.mark.parametrize("state", sorted(REPORTED_STATES))
def test_a_report_begins_with_the_line_that_mentions_the_requester(state: State) -> None:
    message = report_message(report_on(request(state)))
    assert message.text.startswith("<@UALICE00>, ")
    assert message.text.startswith(thread_line(request(state)) or "?")
    assert problems_of_blocks(list(message.blocks)) == []


@pytest.mark.parametrize("state", sorted(REPORTED_STATES))
def test_text_from_outside_formats_nothing_in_the_message(state: State) -> None:
    nasty = nasty_request(state)
    settings = (("consistency_check", NASTY),)
    report = report_on(replace(nasty, group=replace(nasty.group, settings=settings)))
    message = report_message(
        replace(report, calls=tuple(replace(call, huawei_request_id=NASTY) for call in report.calls))
    )
    assert problems_of_blocks(list(message.blocks)) == []
    for text in (message.text, *strings(message.blocks)):
        assert_nothing_is_formatted(text.replace("*Approved by*", "").replace("*\n", "\n"))


@pytest.mark.parametrize("mode", CONSISTENCY_CHECKS)
def test_every_mode_of_the_consistency_check_is_explained(mode: str) -> None:
    made = replace(DONE, group=replace(DONE.group, settings=(("consistency_check", mode),)))
    assert facts(report_on(made))["Consistency check mode"] == CONSISTENCY_CHECKS[mode]


def test_a_mode_that_is_not_known_is_shown_as_it_is() -> None:
    made = replace(DONE, group=replace(DONE.group, settings=(("consistency_check", "sha*256"),)))
    assert facts(report_on(made))["Consistency check mode"] == r"sha\*256"


@pytest.mark.parametrize("state", list(State))
def test_markdown_and_json_have_every_state(state: State) -> None:
    made = request(state)
    found, parsed = facts(report_on(made)), json.loads(report_json(report_on(made)))
    assert found["Request"] == f"{made.id}, resume, {state}"
    assert (parsed["request"], parsed["state"]) == (made.id, state)
    assert ("so far" in found.get("Time", "")) == (made.is_open and made.attempt is not None)


def test_the_markdown_of_a_denied_request_says_who_denied_it() -> None:
    found = facts(report_on(request(State.DENIED)))
    assert found["Denied by"] == "UCAROL00, 2026-03-02 12:00:00 UTC"
    assert "Moved" not in found


def test_the_json_has_numbers_and_times_that_programs_can_read() -> None:
    parsed = json.loads(report_json(REPORT))
    assert (parsed["moved_bytes"], parsed["average_rate"]) == (585_000_000_000, 81_250_000)
    assert parsed["fastest"] == {
        "since": "2026-03-02T12:05:02+00:00",
        "until": "2026-03-02T12:06:02+00:00",
        "bytes_per_second": 100_000_000,
    }
    assert parsed["started_at"] == "2026-03-02T12:05:02+00:00"
    assert parsed["seconds"] == 7200
    assert len(parsed["rates"]) == 20
    assert parsed["calls"][0]["huawei_request_id"] == "7f3c9a52e1b84d0f"
    assert parsed["audit"] == {"newest_hash": "3f" * 32, "unverified_rows": 0}


@pytest.mark.parametrize("state", list(State))
def test_text_from_outside_controls_no_terminal_and_formats_no_markdown(state: State) -> None:
    evil = f"{NASTY} \x1b[31m \x07 \u202e \ud800 \u2028# x\n- Request: forged\r| a `b` [l](http://x) <script>"
    made = nasty_request(state, reason=evil)
    made = replace(made, group=replace(made.group, description=evil))
    markdown, as_json = report_markdown(report_on(made)), report_json(report_on(made))
    assert all(line.isprintable() for line in markdown.splitlines())
    assert as_json.isascii()
    assert all(line.isprintable() for line in as_json.splitlines())
    assert len(re.findall("^- Request: ", markdown, re.MULTILINE)) == 1
    assert not re.search(r"(?<!\\)[<>`|\[]", markdown)
