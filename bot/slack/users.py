"""Looks people up in Slack at the moment of a decision, and the members of user groups once a minute.

A person whom Slack does not return counts as unknown, and a user group that is disabled or deleted as empty. What a
person may do is left to `bot.domain.policy`.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slack_sdk import WebClient

from bot.domain.policy import AccountKind, Person, is_named
from bot.domain.token_bucket import TokenBucket
from bot.slack.errors import Denied, LookupFailed, RateLimited, SlackError, Unavailable, translating_errors

log = logging.getLogger(__name__)

GROUP_CACHE_SECONDS = 60.0
# An answer of Slack that is younger counts for a decision, and for the release of keys.
RECENT_SECONDS = 5.0
# How long a verdict counts that a person is no full member.
OUTSIDER_SECONDS = 60.0
KNOWN_SECONDS = 3600.0
# Slack allows about 100 calls of users.info a minute. All unknown people together get 30 in any
# minute, in each process.
UNKNOWN_EVERY_SECONDS, UNKNOWN_BURST = 6.0, 20
# While Slack hangs, one thread waits for the time-out and the others share its result.
FAILURE_CACHE_SECONDS = 5.0
# A lookup is repeated once after this time, or after the Retry-After of an answer that asks for a second at most.
WAIT_SECONDS = 0.3
MAX_WAIT_SECONDS = 1.0
# A lookup that has taken longer is not repeated: its thread has waited long enough.
MAX_FIRST_TRY_SECONDS = 3.0
# Slack's codes for a user group that is disabled or deleted, or that the workspace's plan does not include any more.
UNAVAILABLE_CODES = ("no_such_subteam", "subteam_not_found", "plan_upgrade_required")


@dataclass
class _Group:
    """The members of a user group, or why they are unknown. `lock` is held by the thread that asks Slack."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    members: frozenset[str] = frozenset()
    failure: str | None = None
    asked_at: float = -math.inf
    is_unavailable: bool = False


class Users:
    """Looks up people and user groups.

    People without rights use only a part of the calls that Slack allows: a verdict that a person is no full member is
    kept for a minute, and look-ups of unknown people have a limit. A person is known if bot.toml names them, alone or
    by a user group that was looked up, or if a look-up found within the last hour that it names them.

    Arguments:
        team_id: the workspace. People who are not members of it are external.
        monotonic: a clock in seconds, for the age of cached groups.
        named: the ids that bot.toml names.
    """

    def __init__(
        self, client: WebClient, team_id: str, monotonic: Callable[[], float], named: Iterable[str] = ()
    ) -> None:
        self._client = client
        self._team_id = team_id
        self._monotonic = monotonic
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()
        # The answers of the last seconds, by user id, each with the time when Slack was asked.
        self._recent: dict[str, tuple[float, Mapping[str, object] | None]] = {}
        self._confirming: dict[str, threading.Lock] = {}
        self._denials: dict[str, Denied] = {}
        self._named = frozenset(named)
        self._known_until: dict[str, float] = {}
        self._unknown = TokenBucket(UNKNOWN_EVERY_SECONDS, UNKNOWN_BURST)
        # What Slack returned about people who are no full members, and until when that is kept.
        self._outsiders: dict[str, tuple[float, Mapping[str, object] | None]] = {}

    @property
    def denials(self) -> Mapping[str, Denied]:
        """Why Slack refuses these methods until people change the app. Empty if it does not, as of the last call."""
        return dict(self._denials)

    def denial_behind(self, error: LookupFailed) -> Denied | None:
        """Why Slack refuses the method of a failed look-up; None if a later look-up may succeed."""
        return self._denials.get(error.code.partition(":")[0])

    def unavailable(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The user groups among these ids that are disabled or deleted, as of their last look-up. Calls nothing."""
        return tuple(one for one in ids if one in self._groups and self._groups[one].is_unavailable)

    def all_unavailable(self) -> tuple[str, ...]:
        """All user groups that are disabled or deleted, as of their last look-up."""
        return tuple(sorted(self.unavailable(list(self._groups))))

    def is_known(self, user_id: str) -> bool:
        """Whether bot.toml is known to name a person. Calls nothing."""
        if user_id in self._named or self._monotonic() < self._known_until.get(user_id, -math.inf):
            return True
        return any(user_id in group.members for group in list(self._groups.values()))

    def look_up(self, user_id: str, names: Iterable[str]) -> Person:
        """The person behind a user id, with the groups among `names` they are in. An unknown id is an external person.

        `groups_known` is false when Slack did not return the members of a group.

        Arguments:
            names: ids of people and user groups. Only these groups are looked up, because Slack limits the calls.

        Raises:
            LookupFailed: Slack did not return the person.
        """
        return self._person(user_id, self._user(user_id), tuple(names), GROUP_CACHE_SECONDS)

    def look_up_now(self, user_id: str, names: Iterable[str]) -> Person:
        """As `look_up`, for a decision: members of groups count only if Slack returned them in the last seconds."""
        return self._person(user_id, self._user(user_id), tuple(names), RECENT_SECONDS)

    def confirm(self, user_id: str, names: Iterable[str]) -> Person:
        """As `look_up_now`, but also uses what Slack returned about the person in the last seconds.

        Threads that confirm the same person share one call.
        """
        with self._lock:
            confirming = self._confirming.setdefault(user_id, threading.Lock())
        with confirming:
            asked_at, user = self._recent.get(user_id, (-math.inf, None))
            if self._monotonic() - asked_at >= RECENT_SECONDS:
                user = self._user(user_id)
        return self._person(user_id, user, tuple(names), RECENT_SECONDS)

    def _person(
        self, user_id: str, user: Mapping[str, object] | None, names: tuple[str, ...], max_age_seconds: float
    ) -> Person:
        if user is None:
            return Person(user_id, "", AccountKind.EXTERNAL)
        groups, groups_known = set(), True
        for group_id in _groups_in(names):
            try:
                if user_id in self._members_of(group_id, max_age_seconds):
                    groups.add(group_id)
            except LookupFailed:
                groups_known = False
        team_id = str(user.get("team_id") or "")
        person = Person(user_id, team_id, self._account_kind(user), frozenset(groups), groups_known)
        if person.account_kind is AccountKind.FULL and is_named(person, names):
            self._known_until[user_id] = self._monotonic() + KNOWN_SECONDS
        return person

    def time_zone(self, user_id: str) -> ZoneInfo:
        """The time zone in a person's Slack profile; UTC where there is none.

        Raises:
            LookupFailed: Slack did not return the person.
        """
        user = self._user(user_id)
        try:
            return ZoneInfo(str((user or {}).get("tz") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo("UTC")

    def members(self, ids: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """The user ids in each user group among these ids. Ids of people are left out.

        Raises:
            LookupFailed: Slack did not return the members of one of them.
        """
        return {group_id: self._members_of(group_id) for group_id in _groups_in(ids)}

    def _user(self, user_id: str) -> Mapping[str, object] | None:
        now = self._monotonic()
        with self._lock:
            kept_until, kept = self._outsiders.get(user_id, (-math.inf, None))
            if now < kept_until:
                return kept
            if not self.is_known(user_id) and not self._unknown.take(now):
                raise LookupFailed("users.info: too many look-ups of unknown people")
        user = self._fetch_user(user_id)
        if user is None or self._account_kind(user) is not AccountKind.FULL:
            with self._lock:
                current = {one: verdict for one, verdict in self._outsiders.items() if now < verdict[0]}
                self._outsiders = current | {user_id: (now + OUTSIDER_SECONDS, user)}
        with self._lock:
            recent = {one: found for one, found in self._recent.items() if now - found[0] < RECENT_SECONDS}
            self._recent = {**recent, user_id: (now, user)}
        return user

    def _fetch_user(self, user_id: str) -> Mapping[str, object] | None:
        try:
            with self._recording_denials("users.info"):
                user = _asked(lambda: self._client.users_info(user=user_id)).get("user")
        except SlackError as error:
            if error.code in ("user_not_found", "user_not_visible"):
                return None
            raise LookupFailed(f"users.info: {error.code}") from error
        if not isinstance(user, Mapping):
            raise LookupFailed("users.info: no user")
        return user

    def _account_kind(self, user: Mapping[str, object]) -> AccountKind:
        if user.get("is_stranger") or self._team_id not in _workspaces(user):
            return AccountKind.EXTERNAL
        if user.get("deleted"):
            return AccountKind.DEACTIVATED
        if user.get("is_bot") or user.get("id") == "USLACKBOT":
            return AccountKind.BOT
        if user.get("is_restricted") or user.get("is_ultra_restricted"):
            return AccountKind.GUEST
        return AccountKind.FULL

    def _members_of(self, group_id: str, max_age_seconds: float = GROUP_CACHE_SECONDS) -> frozenset[str]:
        with self._lock:
            group = self._groups.setdefault(group_id, _Group())
        with group.lock:
            max_age = max_age_seconds if group.failure is None else FAILURE_CACHE_SECONDS
            if self._monotonic() - group.asked_at >= max_age:
                group.asked_at = self._monotonic()
                try:
                    members = self._fetch_members(group_id)
                    group.members, group.failure = members or frozenset(), None
                    self._mark(group_id, group, is_unavailable=members is None)
                except LookupFailed as error:
                    group.members, group.failure = frozenset(), error.code
                    # Counted from the end of the call, because the threads that waited share the failure.
                    group.asked_at = self._monotonic()
            if group.failure is not None:
                raise LookupFailed(group.failure)
            return group.members

    def _mark(self, group_id: str, group: _Group, *, is_unavailable: bool) -> None:
        if is_unavailable and not group.is_unavailable:
            log.error(
                "user group %s is disabled or deleted in Slack, so it counts as empty. Enable it there, or remove it "
                "from bot.toml",
                group_id,
            )
        elif group.is_unavailable and not is_unavailable:
            log.info("user group %s is available again", group_id)
        group.is_unavailable = is_unavailable

    @contextmanager
    def _recording_denials(self, method: str) -> Iterator[None]:
        try:
            with translating_errors():
                yield
        except Denied as error:
            if method not in self._denials:
                log.error("Slack %s (%s at %s). Fix: %s", error.problem, error.code, method, error.fix)
            self._denials[method] = error
            raise
        except Unavailable:
            raise
        except SlackError:
            self._denials.pop(method, None)
            raise
        self._denials.pop(method, None)

    def _fetch_members(self, group_id: str) -> frozenset[str] | None:
        """The members of a group; None if it is disabled or deleted."""
        try:
            with self._recording_denials("usergroups.users.list"):
                found = _asked(lambda: self._client.usergroups_users_list(usergroup=group_id)).get("users")
        except SlackError as error:
            if error.code in UNAVAILABLE_CODES:
                return None
            raise LookupFailed(f"usergroups.users.list: {error.code}") from error
        if not isinstance(found, list):
            raise LookupFailed("usergroups.users.list: no users")
        return frozenset(str(user) for user in found)


def _workspaces(user: Mapping[str, object]) -> list[object]:
    """The workspaces of a person. In an Enterprise organization, `team_id` is one of several."""
    organization = user.get("enterprise_user")
    teams = organization.get("teams") if isinstance(organization, Mapping) else None
    return [user.get("team_id"), *(teams if isinstance(teams, list) else ())]


def _asked(call: Callable[[], Any]) -> Any:
    """Calls Slack, and once more within a second if it cannot answer at the moment.

    Raises:
        SlackError: as the last call raised it.
    """
    began = time.monotonic()
    try:
        with translating_errors():
            return call()
    except Unavailable as error:
        seconds = error.retry_after_seconds if isinstance(error, RateLimited) else None
        wait = WAIT_SECONDS if seconds is None else max(seconds, WAIT_SECONDS)
        if wait > MAX_WAIT_SECONDS or time.monotonic() - began > MAX_FIRST_TRY_SECONDS:
            raise
    time.sleep(wait)
    with translating_errors():
        return call()


def _groups_in(names: Iterable[str]) -> list[str]:
    """The ids of user groups (`S…`) among ids of people and groups, each once."""
    return sorted({name for name in names if name.startswith("S")})
