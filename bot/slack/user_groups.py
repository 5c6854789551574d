"""Looks up the members of user groups in Slack, and keeps them for a minute.

A user group that is disabled or deleted counts as empty.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from slack_sdk import WebClient

from bot.slack.errors import LookupFailed, SlackError
from bot.slack.lookups import Lookups

log = logging.getLogger(__name__)

GROUP_CACHE_SECONDS = 60.0
# While Slack hangs, one thread waits for the time-out and the others share its result.
FAILURE_CACHE_SECONDS = 5.0
# Slack's codes for a user group that is disabled or deleted, or that the workspace's plan does not include anymore.
UNAVAILABLE_CODES = ("no_such_subteam", "subteam_not_found", "plan_upgrade_required")


@dataclass
class _Group:
    """The members of a user group, or why they are unknown. `lock` is held by the thread that asks Slack."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    members: frozenset[str] = frozenset()
    failure: str | None = None
    asked_at: float = -math.inf
    is_unavailable: bool = False


class UserGroups:
    """Looks up user groups. Threads that look up the same group share one call.

    Arguments:
        monotonic: a clock in seconds, for the age of what was looked up.
    """

    def __init__(self, client: WebClient, lookups: Lookups, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._lookups = lookups
        self._monotonic = monotonic
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()

    def members_of(self, group_id: str, max_age_seconds: float = GROUP_CACHE_SECONDS) -> frozenset[str]:
        """The user ids in a group, as Slack returned them within this time.

        Raises:
            LookupFailed: Slack did not return them. A failure is kept for a few seconds.
        """
        with self._lock:
            group = self._groups.setdefault(group_id, _Group())
        with group.lock:
            max_age = max_age_seconds if group.failure is None else FAILURE_CACHE_SECONDS
            if self._monotonic() - group.asked_at >= max_age:
                group.asked_at = self._monotonic()
                try:
                    members = self._fetch(group_id)
                    group.members, group.failure = members or frozenset(), None
                    self._mark(group_id, group, is_unavailable=members is None)
                except LookupFailed as error:
                    group.members, group.failure = frozenset(), error.code
                    # Counted from the end of the call, because the threads that waited share the failure.
                    group.asked_at = self._monotonic()
            if group.failure is not None:
                raise LookupFailed(group.failure)
            return group.members

    def has_member(self, user_id: str) -> bool:
        """Whether a person was in one of the groups at their last look-up. Calls nothing."""
        return any(user_id in group.members for group in list(self._groups.values()))

    def unavailable(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The groups among these ids that are disabled or deleted, as of their last look-up. Calls nothing."""
        return tuple(one for one in ids if one in self._groups and self._groups[one].is_unavailable)

    def all_unavailable(self) -> tuple[str, ...]:
        """All groups that are disabled or deleted, as of their last look-up."""
        return tuple(sorted(self.unavailable(list(self._groups))))

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

    def _fetch(self, group_id: str) -> frozenset[str] | None:
        """The members of a group; None if it is disabled or deleted."""
        method = "usergroups.users.list"
        try:
            answer = self._lookups.call(method, lambda: self._client.usergroups_users_list(usergroup=group_id))
        except SlackError as error:
            if error.code in UNAVAILABLE_CODES:
                return None
            raise LookupFailed(f"{method}: {error.code}") from error
        found = answer.get("users")
        if not isinstance(found, list):
            raise LookupFailed(f"{method}: no users")
        return frozenset(str(user) for user in found)
