"""Who somebody is, as Slack says at this moment; and the user groups that the settings name, for 60 s.

Whoever cannot be looked up is nobody: this fails closed. What they may do is left to `bot.domain.policy`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slack_sdk import WebClient

from bot.domain.policy import AccountKind, Person
from bot.slack.errors import SLACK_EXCEPTIONS, error_label

GROUP_CACHE_SECONDS = 60.0
# While Slack hangs, not everybody who waits is to wait for a time-out of their own.
FAILURE_CACHE_SECONDS = 5.0


class LookupFailed(Exception):
    """Slack did not tell who somebody is."""


@dataclass
class _Group:
    """What is known of one user group, or why nothing is. One thread asks, the others wait for its answer."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    ids: frozenset[str] = frozenset()
    failure: str | None = None
    good_until: float = -math.inf


class Users:
    """Looks people up.

    Arguments:
        team_id: the workspace; anybody of another is a stranger.
        group_names: the user groups (`S…`) that the settings name.
        monotonic: seconds, for the age of what is known of the groups.
    """

    def __init__(
        self, client: WebClient, team_id: str, group_names: Iterable[str], monotonic: Callable[[], float]
    ) -> None:
        self._client = client
        self._team_id = team_id
        self._group_names = tuple(sorted(set(group_names)))
        self._monotonic = monotonic
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()

    def look_up(self, user_id: str) -> Person:
        """The person behind an id.

        Raises:
            SlackCannotBeAsked: no answer; the person then counts as nobody.
        """
        user = self._user(user_id)
        if user is None:
            return Person(user_id, "", AccountKind.EXTERNAL)
        groups, known = set(), True
        for name in self._group_names:
            try:
                if user_id in self._members_of(name):
                    groups.add(name)
            except LookupFailed:
                known = False
        team_id = str(user.get("team_id") or "")
        return Person(user_id, team_id, self._standing(user, team_id), frozenset(groups), known)

    def time_zone(self, user_id: str) -> ZoneInfo:
        """The time zone that somebody set in Slack; UTC where there is none.

        Raises:
            SlackCannotBeAsked: no answer.
        """
        user = self._user(user_id)
        try:
            return ZoneInfo(str((user or {}).get("tz") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo("UTC")

    def members(self, names: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """Who is in each of these user groups; names that are no groups are left out.

        Raises:
            SlackCannotBeAsked: no answer about one of them.
        """
        return {name: self._members_of(name) for name in names if name.startswith("S")}

    def _user(self, user_id: str) -> Mapping[str, object] | None:
        try:
            user = self._client.users_info(user=user_id)["user"]
        except (*SLACK_EXCEPTIONS, KeyError) as error:
            if error_label(error) in ("user_not_found", "user_not_visible"):
                return None
            raise LookupFailed(f"users.info: {error_label(error)}") from error
        if not isinstance(user, Mapping):
            raise LookupFailed("users.info: no user")
        return user

    def _standing(self, user: Mapping[str, object], team_id: str) -> AccountKind:
        if user.get("is_stranger") or team_id != self._team_id:
            return AccountKind.EXTERNAL
        if user.get("deleted"):
            return AccountKind.DEACTIVATED
        if user.get("is_bot") or user.get("id") == "USLACKBOT":
            return AccountKind.BOT
        if user.get("is_restricted") or user.get("is_ultra_restricted"):
            return AccountKind.GUEST
        return AccountKind.FULL

    def _members_of(self, name: str) -> frozenset[str]:
        with self._lock:
            group = self._groups.setdefault(name, _Group())
        with group.lock:
            if self._monotonic() >= group.good_until:
                try:
                    group.ids, group.failure, kept = self._ask_for_members(name), None, GROUP_CACHE_SECONDS
                except LookupFailed as failure:
                    group.ids, group.failure, kept = frozenset(), str(failure), FAILURE_CACHE_SECONDS
                group.good_until = self._monotonic() + kept
            if group.failure is not None:
                raise LookupFailed(group.failure)
            return group.ids

    def _ask_for_members(self, name: str) -> frozenset[str]:
        try:
            found = self._client.usergroups_users_list(usergroup=name)["users"]
        except (*SLACK_EXCEPTIONS, KeyError) as error:
            raise LookupFailed(f"usergroups.users.list: {error_label(error)}") from error
        if not isinstance(found, list):
            raise LookupFailed("usergroups.users.list: no users")
        return frozenset(str(user) for user in found)
