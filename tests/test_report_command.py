"""`taskgroup-bot report` prints the report on a request from the database alone, at any time, and changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from bot.cli import main
from bot.domain.audit_events import AuditEvent
from bot.domain.request import LastSeen, Request, State
from bot.domain.watched_group import WatchLimits, after_first_reading
from bot.store import groups, requests, tables
from bot.store.audit import BOT, Event, append_all, newest
from bot.store.database import Store
from tests.conftest import STATE_KEY
from tests.support.audit import drop_triggers
from tests.support.values import GROUP, GROUP_ID, HALF, NOON, TEAM, request

MOVED_ALL = replace(HALF, complete_bytes=HALF.total_bytes, success_objects=1000)


def run(database_url: str, *arguments: str, **environment: str) -> Result:
    """Runs the command without the settings of Slack and Vault."""
    return CliRunner().invoke(main, ["report", *arguments], env={"DATABASE_URL": database_url, **environment})


def store_request(store: Store, made: Request) -> Request:
    """Stores a request that carol approved, and a sample of its group for each minute of an hour from noon on."""
    events = [
        Event(AuditEvent.VOTE_ADDED, "UCAROL00", made.id, {"team": TEAM}),
        Event(AuditEvent.PUT_ACCEPTED, BOT, made.id, {"number": 1, "huawei_request_id": "7f3c9a"}),
    ]
    with store.write() as connection:
        requests.add(connection, made, Event(AuditEvent.REQUEST_CREATED, made.requester, made.id), NOON)
        append_all(connection, events, NOON)
        for minute in range(1, 60):
            progress = replace(HALF, complete_bytes=HALF.complete_bytes + minute * 100_000_000)
            group, seen_at = replace(GROUP, progress=progress), NOON + timedelta(minutes=minute)
            groups.add_samples(
                connection, [after_first_reading(made.group_key, "media", group, seen_at, WatchLimits())]
            )
    return made


def done() -> Request:
    ended_at = NOON + timedelta(hours=1)
    return request(State.DONE, last_seen=LastSeen(ended_at, MOVED_ALL), ended_at=ended_at)


def test_the_markdown_has_all_facts(store: Store, database_url: str) -> None:
    made = store_request(store, done())
    result = run(database_url, made.id.lower())
    assert result.exit_code == 0
    with store.read() as connection:
        head = newest(connection)
    assert head is not None
    lines = result.stdout.splitlines()
    assert lines[0] == '# "nightly images" is done: 1,000 of 1,000 objects'
    for line in (
        "- Moved: 6.0 GB in 600 objects this time, 10.0 of 10.0 GB in all",
        "- Time: 1 h, 2026-03-02 12:00:00 UTC to 2026-03-02 13:00:00 UTC",
        "- Rate: 1.7 MB/s on average",
        "- Requested by: UALICE00, 2026-03-02 12:00:00 UTC",
        "- Approved by: UCAROL00, 2026-03-02 12:00:00 UTC",
        "- Rate over time: ████████████████████  each bar is 3 min, up to 1.7 MB/s",
        "- Huawei request id of the resume: 7f3c9a",
    ):
        assert line in lines
    assert any(line.startswith(f"- Newest audit hash: {head.hash} as of 2") for line in lines)
    assert result.stderr.startswith("Authorship was not checked. Set STATE_KEY")


def test_the_json_has_the_same_facts(store: Store, database_url: str) -> None:
    made = store_request(store, done())
    result = run(database_url, made.id, "--format", "json", STATE_KEY=STATE_KEY.reveal())
    assert result.exit_code == 0
    parsed = json.loads(result.stdout)
    assert (parsed["request"], parsed["moved_bytes"], parsed["seconds"]) == (made.id, 6_000_000_000, 3600)
    assert parsed["audit"]["unverified_rows"] == 0
    assert len(parsed["rates"]) == 20
    assert result.stderr == "The bot wrote every row.\n"


def test_a_row_that_the_bot_did_not_write_approves_nothing(store: Store, database_url: str) -> None:
    made = store_request(store, done())
    drop_triggers(store)
    with store.write() as connection:
        connection.execute(text("UPDATE audit SET actor = 'UEVIL000' WHERE event = 'vote.added'"))
    result = run(database_url, made.id, STATE_KEY=STATE_KEY.reveal())
    assert result.exit_code == 0
    assert "UEVIL000" not in result.stdout
    assert result.stderr.startswith("The bot didn't write every audit row of this request.")


@pytest.mark.parametrize("state", list(State))
def test_a_request_in_any_state_has_a_report(store: Store, database_url: str, state: State) -> None:
    made = store_request(store, request(state))
    for output in ("markdown", "json"):
        result = run(database_url, made.id, "--format", output)
        assert result.exit_code == 0
        assert state in result.stdout


@pytest.mark.parametrize("unknown", ["R-ZZZZZZZZ", "nonsense", ""])
def test_a_request_that_does_not_exist_has_no_report(store: Store, database_url: str, unknown: str) -> None:
    result = run(database_url, unknown)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"The database has no request {unknown}.\n"


def test_the_report_works_without_the_samples_and_the_card_and_says_what_is_not_known(
    store: Store, database_url: str
) -> None:
    made = store_request(store, done())
    with store.write() as connection:
        groups.delete_not_seen(connection, NOON + timedelta(days=400))
        connection.execute(tables.cards.delete())
    result = run(database_url, made.id)
    assert result.exit_code == 0
    assert "- Moved: 6.0 GB in 600 objects this time, 10.0 of 10.0 GB in all" in result.stdout
    assert (
        "- Rate: 1.7 MB/s on average (the rate over time isn't known, because no readings from the run are stored)\n"
    ) in result.stdout
    assert "Rate over time" not in result.stdout
    parsed = json.loads(run(database_url, made.id, "--format", "json").stdout)
    assert (parsed["moved_bytes"], parsed["fastest"]) == (6_000_000_000, None)


def test_a_request_that_was_deleted_after_the_time_set_by_keep_has_audit_rows(store: Store, database_url: str) -> None:
    made = store_request(store, done())
    with store.write() as connection:
        requests.delete_ended(connection, NOON + timedelta(days=400), 10)
    result = run(database_url, made.id.lower())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"The bot deleted the request {made.id} after the time set by keep in bot.toml. "
        f"Its audit rows are still there. Run `taskgroup-bot audit export --request {made.id}`.\n"
    )


def test_a_group_id_is_answered_with_the_requests_for_the_group(store: Store, database_url: str) -> None:
    first = store_request(store, done())
    with store.write() as connection:
        second = replace(request(number=2), created_at=NOON + timedelta(days=1))
        requests.add(connection, second, Event(AuditEvent.REQUEST_CREATED, second.requester, second.id), NOON)
    result = run(database_url, GROUP_ID.upper())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{GROUP_ID} is a group. Its requests, newest first: {second.id} (pending), {first.id} (done). "
        f"Run `taskgroup-bot report {second.id}`.\n"
    )
    other = GROUP_ID.replace("0", "9")
    assert run(database_url, other).stderr == f"The database has no request for the group {other}.\n"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE requests SET body = '{}'",
        "UPDATE requests SET body = 'null'",
        "UPDATE audit SET detail = 'no json'",
        "UPDATE audit SET detail = '[]'",
        "UPDATE audit SET at = 'yesterday'",
    ],
)
def test_rows_that_cannot_be_read_are_reported_with_one_line(store: Store, database_url: str, change: str) -> None:
    made = store_request(store, done())
    drop_triggers(store)
    with store.write() as connection:
        connection.execute(text(change))
    result = run(database_url, made.id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


def test_the_command_creates_no_database_and_needs_a_right_url(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    result = run(f"sqlite:///{path}", "R-00000001")
    assert result.exit_code == 1
    assert result.stderr == f"There is no database at {path}. Check DATABASE_URL.\n"
    assert list(tmp_path.iterdir()) == []
    assert run("mysql://db/bot", "R-00000001").exit_code == 2
    assert run(f"sqlite:///{path}", "R-00000001", "--format", "pdf").exit_code == 2
