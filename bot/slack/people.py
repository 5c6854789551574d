"""Who somebody is, as Slack says at this moment; and the user groups that the settings name, for 60 s.

Whoever cannot be looked up is nobody: this fails closed. What they may do is left to `bot.request.policy`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.request.policy import Person, Standing

GROUPS_KEPT_SECONDS = 60.0


class SlackCannotBeAsked(Exception):
    """Slack did not tell who somebody is."""


@dataclass(frozen=True)
class _Members:
    asked_at: float
    ids: frozenset[str]


class People:
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
        self._members: dict[str, _Members] = {}
        self._lock = threading.Lock()

    def look_up(self, user_id: str) -> Person:
        """The person behind an id.

        Raises:
            SlackCannotBeAsked: no answer; the person then counts as nobody.
        """
        user = self._user(user_id)
        if user is None:
            return Person(user_id, "", Standing.STRANGER)
        groups, known = set(), True
        for name in self._group_names:
            try:
                if user_id in self._members_of(name):
                    groups.add(name)
            except SlackCannotBeAsked:
                known = False
        team_id = str(user.get("team_id") or "")
        return Person(user_id, team_id, self._standing(user, team_id), frozenset(groups), known)

    def zone(self, user_id: str) -> ZoneInfo:
        """The time zone that somebody set in Slack; UTC where there is none.

        Raises:
            SlackCannotBeAsked: no answer.
        """
        user = self._user(user_id)
        try:
            return ZoneInfo(str((user or {}).get("tz") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    def members(self, names: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """Who is in each of these user groups; names that are no groups are left out.

        Raises:
            SlackCannotBeAsked: no answer about one of them.
        """
        return {name: self._members_of(name) for name in names if name.startswith("S")}

    def _user(self, user_id: str) -> Mapping[str, object] | None:
        try:
            user: Mapping[str, object] = self._client.users_info(user=user_id)["user"]
        except SlackClientError as error:
            if _code(error) in ("user_not_found", "user_not_visible"):
                return None
            raise SlackCannotBeAsked(f"users.info: {_code(error)}") from error
        except OSError as error:
            raise SlackCannotBeAsked(f"users.info: {type(error).__name__}") from error
        return user

    def _standing(self, user: Mapping[str, object], team_id: str) -> Standing:
        if user.get("is_stranger") or team_id != self._team_id:
            return Standing.STRANGER
        if user.get("deleted"):
            return Standing.DEACTIVATED
        if user.get("is_bot") or user.get("id") == "USLACKBOT":
            return Standing.BOT
        if user.get("is_restricted") or user.get("is_ultra_restricted"):
            return Standing.GUEST
        return Standing.FULL

    def _members_of(self, name: str) -> frozenset[str]:
        # One thread asks, the others wait for its answer.
        with self._lock:
            known = self._members.get(name)
            now = self._monotonic()
            if known is not None and now - known.asked_at < GROUPS_KEPT_SECONDS:
                return known.ids
            try:
                found = self._client.usergroups_users_list(usergroup=name)["users"]
            except SlackClientError as error:
                raise SlackCannotBeAsked(f"usergroups.users.list: {_code(error)}") from error
            except OSError as error:
                raise SlackCannotBeAsked(f"usergroups.users.list: {type(error).__name__}") from error
            ids = frozenset(str(user) for user in found)
            self._members[name] = _Members(now, ids)
            return ids


def _code(error: SlackClientError) -> str:
    response = getattr(error, "response", None)
    return str(response.get("error", "unknown")) if response is not None else type(error).__name__
