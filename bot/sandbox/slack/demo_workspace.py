"""The workspace of the sandbox: its users, its user group and its channels, without any message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.sandbox.slack.ids import (
    ALICE,
    APPROVERS_GROUP,
    BOB,
    BOT_USER_ID,
    CAROL,
    DAVE,
    ERIN,
    FRANK,
    GENERAL,
    GRACE,
    MIGRATIONS,
    OLD_MIGRATIONS,
    TEAM_ID,
)
from bot.sandbox.slack.workspace import Channel, Json, Workspace


def demo_workspace(now: Callable[[], datetime]) -> Workspace:
    """The workspace of the sandbox: seven people in three time zones, of whom four are full members; three channels."""
    users = [
        _user(ALICE, "alice"),
        _user(BOB, "bob", tz="America/New_York", tz_offset=-18000),
        _user(CAROL, "carol", tz="Europe/Berlin", tz_offset=3600),
        _user(DAVE, "dave"),
        _user(ERIN, "erin", is_restricted=True),
        _user(FRANK, "frank", deleted=True),
        _user(GRACE, "grace", team_id="T0ELSEWHER", is_stranger=True),
        _user(BOT_USER_ID, "taskgroup-bot", is_bot=True),
    ]
    everybody = {str(user["id"]) for user in users} - {FRANK}
    return Workspace(
        now,
        users={str(user["id"]): user for user in users},
        groups={APPROVERS_GROUP: [DAVE]},
        channels={
            MIGRATIONS: Channel(MIGRATIONS, "migrations", everybody),
            GENERAL: Channel(GENERAL, "general", everybody - {BOT_USER_ID}),
            OLD_MIGRATIONS: Channel(OLD_MIGRATIONS, "old-migrations", everybody, archived=True),
        },
    )


def _user(user_id: str, name: str, **more: object) -> Json:
    return {
        "id": user_id,
        "team_id": TEAM_ID,
        "name": name,
        "real_name": name.capitalize(),
        "deleted": False,
        "is_bot": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_stranger": False,
        "tz": "Asia/Singapore",
        "tz_offset": 28800,
    } | more
