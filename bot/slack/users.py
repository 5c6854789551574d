"""Looks people up in Slack at the moment of a decision, with the user groups that they are in.

A person whom Slack does not return counts as external. The members of user groups are left to `bot.slack.user_groups`,
and what a person may do to `bot.domain.policy`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slack_sdk import WebClient

from bot.domain.policy import EVERY_FULL_MEMBER, AccountKind, Person, is_named
from bot.domain.token_bucket import TokenBucket
from bot.slack.errors import Denied, LookupFailed, SlackError
from bot.slack.lookups import Lookups
from bot.slack.user_groups import GROUP_CACHE_SECONDS, UserGroups

# An answer of Slack that is younger counts for a decision, and for the release of keys.
RECENT_SECONDS = 5.0
# People are confirmed together in at most this many rounds, until one round takes no longer than this. Such a round
# waited for no call, so its first answer is still recent when it ends.
CONFIRM_ROUNDS, QUICK_ROUND_SECONDS = 3, 0.1
# How long a verdict counts that a person is no full member.
OUTSIDER_SECONDS = 60.0
KNOWN_SECONDS = 3600.0
# Slack allows about 100 calls of users.info a minute. All unknown people together get 30 in any
# minute, in each process.
UNKNOWN_EVERY_SECONDS, UNKNOWN_BURST = 6.0, 20


class Users:
    """Looks up people and user groups.

    People without rights use only a part of the calls that Slack allows: an answer about a person counts for
    RECENT_SECONDS, a verdict that a person is no full member for a minute, and look-ups of unknown people have a limit.
    A person is known if bot.toml names them, alone or by a user group that was looked up, or if a look-up found within
    the last hour that it names them. `*` makes nobody known.

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
        self._lookups = Lookups()
        self._groups = UserGroups(client, self._lookups, monotonic)
        self._lock = threading.Lock()
        # The answers of the last seconds, by user id, each with the time when Slack was asked.
        self._recent: dict[str, tuple[float, Mapping[str, object] | None]] = {}
        self._confirming: dict[str, threading.Lock] = {}
        self._named = frozenset(named)
        self._known_until: dict[str, float] = {}
        self._unknown = TokenBucket(UNKNOWN_EVERY_SECONDS, UNKNOWN_BURST)
        # What Slack returned about people who are no full members, and until when that is kept.
        self._outsiders: dict[str, tuple[float, Mapping[str, object] | None]] = {}

    @property
    def denials(self) -> Mapping[str, Denied]:
        """Why Slack refuses these methods until people change the app. Empty if it does not, as of the last call."""
        return self._lookups.denials

    def denial_behind(self, error: LookupFailed) -> Denied | None:
        """Why Slack refuses the method of a failed look-up; None if a later look-up may succeed."""
        return self._lookups.denials.get(error.code.partition(":")[0])

    def unavailable(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The user groups among these ids that are disabled or deleted, as of their last look-up. Calls nothing."""
        return self._groups.unavailable(ids)

    def all_unavailable(self) -> tuple[str, ...]:
        """All user groups that are disabled or deleted, as of their last look-up."""
        return self._groups.all_unavailable()

    def is_known(self, user_id: str) -> bool:
        """Whether bot.toml is known to name a person, other than by `*`. Calls nothing."""
        if user_id in self._named or self._monotonic() < self._known_until.get(user_id, -math.inf):
            return True
        return self._groups.has_member(user_id)

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
        """As `look_up`, for a decision: a person is in a group only if Slack returned that in the last seconds.

        The person themselves is always as Slack returned them in the last seconds, or an outsider for a minute.
        """
        return self._person(user_id, self._user(user_id), tuple(names), RECENT_SECONDS)

    def confirm(self, user_id: str, names: Iterable[str], max_age_seconds: float = RECENT_SECONDS) -> Person:
        """A person whose approval was counted before, as Slack returned them and their groups in the last seconds.

        Unlike `look_up_now`, uses no older verdict that the person is no full member or in no group, and none of the
        calls for unknown people: another process may have counted the approval. Threads that confirm the same person
        share one call.

        Arguments:
            max_age_seconds: how old the answer of Slack about the person may be.

        Raises:
            LookupFailed: Slack did not return the person.
        """
        with self._lock:
            confirming = self._confirming.setdefault(user_id, threading.Lock())
        with confirming:
            asked_at, user = self._recent.get(user_id, (-math.inf, None))
            if self._monotonic() - asked_at >= max_age_seconds:
                user = self._ask(user_id)
        return self._person(user_id, user, tuple(names), RECENT_SECONDS, RECENT_SECONDS)

    def confirm_all(self, user_ids: Iterable[str], names: Iterable[str]) -> list[Person]:
        """People whose approvals were counted before, as `confirm` returns them, all of them in the last seconds.

        An answer that became too old while others were looked up is replaced.

        Raises:
            LookupFailed: Slack did not return a person, or took so long that the answers were never recent together.
        """
        ids, names = tuple(user_ids), tuple(names)
        for _ in range(CONFIRM_ROUNDS):
            began_at = self._monotonic()
            people = [self.confirm(user_id, names) for user_id in ids]
            if self._monotonic() - began_at <= QUICK_ROUND_SECONDS:
                return people
        raise LookupFailed("users.info: answers take too long")

    def _person(
        self,
        user_id: str,
        user: Mapping[str, object] | None,
        names: tuple[str, ...],
        max_age_seconds: float,
        max_age_seconds_outside: float = GROUP_CACHE_SECONDS,
    ) -> Person:
        """The person.

        Arguments:
            max_age_seconds: how old the answer of Slack may be that the person is in a group.
            max_age_seconds_outside: how old the answer may be that the person is in none. Within this time, people who
                are in no group cost no calls.
        """
        if user is None:
            return Person(user_id, "", AccountKind.EXTERNAL)
        groups, groups_known = set(), True
        for group_id in _groups_in(names):
            try:
                members = self._groups.members_of(group_id, max_age_seconds_outside)
                if user_id in members and user_id in self._groups.members_of(group_id, max_age_seconds):
                    groups.add(group_id)
            except LookupFailed:
                groups_known = False
        team_id = str(user.get("team_id") or "")
        person = Person(user_id, team_id, self._account_kind(user), frozenset(groups), groups_known)
        named = (name for name in names if name != EVERY_FULL_MEMBER)
        if person.account_kind is AccountKind.FULL and is_named(person, named):
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
        return {group_id: self._groups.members_of(group_id) for group_id in _groups_in(ids)}

    def _user(self, user_id: str) -> Mapping[str, object] | None:
        """As `_ask`, but uses recent answers and verdicts about outsiders, and limits look-ups of unknown people."""
        now = self._monotonic()
        with self._lock:
            kept_until, kept = self._outsiders.get(user_id, (-math.inf, None))
            if now < kept_until:
                return kept
            asked_at, recent = self._recent.get(user_id, (-math.inf, None))
            if now - asked_at < RECENT_SECONDS:
                return recent
            if not self.is_known(user_id) and not self._unknown.take(now):
                raise LookupFailed("users.info: too many look-ups of unknown people")
        return self._ask(user_id)

    def _ask(self, user_id: str) -> Mapping[str, object] | None:
        """What Slack returns about the person now; None if it does not know the id."""
        now = self._monotonic()
        user = self._fetch_user(user_id)
        is_outsider = user is None or self._account_kind(user) is not AccountKind.FULL
        with self._lock:
            outsiders = {one: kept for one, kept in self._outsiders.items() if now < kept[0] and one != user_id}
            self._outsiders = outsiders | ({user_id: (now + OUTSIDER_SECONDS, user)} if is_outsider else {})
            recent = {one: found for one, found in self._recent.items() if now - found[0] < RECENT_SECONDS}
            self._recent = recent | {user_id: (now, user)}
        return user

    def _fetch_user(self, user_id: str) -> Mapping[str, object] | None:
        try:
            answer = self._lookups.call("users.info", lambda: self._client.users_info(user=user_id))
        except SlackError as error:
            if error.code in ("user_not_found", "user_not_visible"):
                return None
            raise LookupFailed(f"users.info: {error.code}") from error
        user = answer.get("user")
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


def _workspaces(user: Mapping[str, object]) -> list[object]:
    """The workspaces of a person. In an Enterprise organization, `team_id` is one of several."""
    organization = user.get("enterprise_user")
    teams = organization.get("teams") if isinstance(organization, Mapping) else None
    return [user.get("team_id"), *(teams if isinstance(teams, list) else ())]


def _groups_in(names: Iterable[str]) -> list[str]:
    """The ids of user groups (`S…`) among ids of people and groups, each once."""
    return sorted({name for name in names if name.startswith("S")})
