"""The report as a message for Slack, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.report import REPORTED_STATES, Rate, Report, sum_up
from bot.domain.request import State
from bot.domain.task_group import Progress
from bot.sandbox.slack.checks import problems_of_blocks
from bot.ui.formatting import local_time
from bot.ui.report import report_message, report_message_with_chart
from bot.ui.report_facts import CONSISTENCY_CHECKS
from bot.ui.report_file import report_json, report_markdown
from bot.ui.thread import thread_line
from tests.gallery.report import DONE, ENDED_AT, EVENTS, REPORT
from tests.gallery.requests import APPROVED_AT, SENT_AT
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
        "Rate": "81 MB/s on average, 100 MB/s at peak",
        "Consistency check": CONSISTENCY_CHECKS["size_last_modified"],
        "Requested by": f"<@UALICE00>, {local_time(NOON)}",
        "Approved by": f"<@UCAROL00>, {local_time(APPROVED_AT)}",
    }
    assert message.blocks[0]["text"]["text"] == thread_line(DONE)
    assert "Huawei request id `7f3c9a52e1b84d0f` (resume)" in message.blocks[-1]["elements"][0]["text"]
    assert f"Newest audit hash `{'3f' * 32}`" in message.blocks[-1]["elements"][0]["text"]
    for text in (str(thread_line(DONE)), *(f"{title}: {text}." for title, text in fields.items())):
        assert text in message.text


def test_the_chart_has_the_rate_in_one_unit_over_the_time_since_the_start() -> None:
    message = report_message_with_chart(REPORT)
    assert message is not None
    assert problems_of_blocks(list(message.blocks)) == []
    [chart] = [block for block in message.blocks if block["type"] == "data_visualization"]
    axes, [series] = chart["chart"]["axis_config"], chart["chart"]["series"]
    assert (axes["x_label"], axes["y_label"]) == ("Time since the start", "MB/s")
    assert series["data"][0] == {"label": "6 min", "value": 100.0}
    assert series["data"][-1] == {"label": "2 h", "value": 100.0}
    assert min(point["value"] for point in series["data"]) == 25.0
    assert len(series["data"]) == 20


def test_a_workspace_without_charts_gets_the_same_as_bars() -> None:
    with_chart, without = report_message_with_chart(REPORT), report_message(REPORT)
    assert with_chart is not None
    assert "Rate over time  ▇▇▇▇▇▇▇▇▇▇▂▂▂▂▂▇▇▇▇▇  up to 100 MB/s".replace("▇", "█") in strings(without.blocks)
    assert without.text == with_chart.text
    assert [block for block in without.blocks if block not in with_chart.blocks][1:] == []


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
    assert facts(report_on(made))["Consistency check"] == CONSISTENCY_CHECKS[mode]


def test_a_mode_that_is_not_known_is_shown_as_it_is() -> None:
    made = replace(DONE, group=replace(DONE.group, settings=(("consistency_check", "sha*256"),)))
    assert facts(report_on(made))["Consistency check"] == r"sha\*256"


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
    assert (parsed["moved_bytes"], parsed["average_rate"], parsed["best_rate"]) == (
        585_000_000_000,
        81_250_000,
        100_000_000,
    )
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
