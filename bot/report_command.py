"""Finds the report for `taskgroup-bot report`, or says what to type instead.

`bot.domain.report` makes the report, and `bot.ui.report_file` has its text.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from bot.domain.ids import parse_request_id, parse_typed_group_id
from bot.domain.report import Report
from bot.store import requests
from bot.store.audit import rows
from bot.store.reports import report_on


class NoReport(Exception):
    """There is no report on what a person typed. The text says why, and what to type instead."""


def find_report(connection: Connection, typed: str, now: datetime) -> Report:
    """The report on the request whose id was typed.

    Raises:
        NoReport: there is no such request, or its rows do not have the form that the bot writes.
    """
    group_id, request_id = parse_typed_group_id(typed), parse_request_id(typed) or typed
    try:
        if group_id is not None:
            raise NoReport(_requests_of(connection, group_id))
        found = report_on(connection, request_id, now)
    except (ValueError, TypeError):
        raise NoReport(f"The rows of {typed} can't be read. Run `taskgroup-bot audit verify`.") from None
    if found is not None:
        return found
    if any(rows(connection, request_id)):
        raise NoReport(
            f"The bot deleted the request {request_id} after the time set by keep in bot.toml. "
            f"Its audit rows are still there. Run `taskgroup-bot audit export --request {request_id}`."
        )
    raise NoReport(f"The database has no request {typed}.")


def _requests_of(connection: Connection, group_id: str) -> str:
    of_group = requests.of_group(connection, group_id)
    if not of_group:
        return f"The database has no request for the group {group_id}."
    ids = ", ".join(f"{one.id} ({one.state})" for one in of_group)
    return f"{group_id} is a group. Its requests, newest first: {ids}. Run `taskgroup-bot report {of_group[0].id}`."
