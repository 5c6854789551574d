"""Decides what the alerts in a project's channel say about task groups without an open request, each thing once.

Pure. `bot.jobs.watch` reads the groups, `bot.store.alerts` stores the messages, and `bot.ui.alert` has their texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from bot.domain.task_group import DELETED_STATUSES, FAILED_STATUSES, GroupStatus, TaskGroup
from bot.domain.watched_group import Activity, Trouble, WatchedGroup

#: The values of `watch` in bot.toml.
Watch = Literal["off", "trouble", "all"]

#: A shorter pause causes no alert, because people pause a group to change its settings, and then resume it.
PAUSED_FOR = timedelta(seconds=30)
#: Within this time after an alert, new items are added to its message instead of being posted in another one.
MERGE_WITHIN = timedelta(minutes=1)

_ENDED_STATUSES = DELETED_STATUSES | {GroupStatus.COMPLETED}


@dataclass(frozen=True)
class AlertItem:
    """What an alert says about one task group."""

    key: str  # `WatchedGroup.key`
    group: TaskGroup  # as read at `at`, without its settings
    trouble: Trouble | None  # None if the group started, ended or was deleted, as its status says
    since: datetime  # when the trouble or the change began, as far as the bot knows
    at: datetime  # when the group was read
    is_over: bool = False  # whether the group was in `trouble` and no longer is
    muted_by: str = ""  # the user id of the person who muted the group; empty if nobody did
    muted_until: datetime | None = None  # None if the group is not muted, or is muted until it moves

    @property
    def is_trouble(self) -> bool:
        """Whether the group is in trouble."""
        return self.trouble is not None and not self.is_over


@dataclass(frozen=True)
class Alert:
    """What one message shows."""

    project: str  # its name in bot.toml
    items: tuple[AlertItem, ...]  # one for each group
    created_at: datetime

    @property
    def has_trouble(self) -> bool:
        """Whether a group is in trouble, so that the message mentions the people whom `notify` in bot.toml names."""
        return any(item.is_trouble for item in self.items)


def alert_item(
    before: WatchedGroup | None,
    after: WatchedGroup,
    *,
    watch: Watch,
    is_first_sweep: bool,
    paused_by_bot: bool,
    is_on_card: bool,
    is_muted: bool,
) -> tuple[WatchedGroup, AlertItem | None]:
    """Decides what an alert says about a group after another reading.

    A pause causes an alert once two readings that are at least `PAUSED_FOR` apart have shown it. Other trouble causes
    one immediately. Trouble that the first sweep of a project shows may be old, and causes none.

    Arguments:
        before: the group before this reading; None for its first reading.
        is_first_sweep: whether no earlier sweep of the project is stored. If not, a group without an earlier reading is
            new: it has just started, or it failed before a sweep saw it run.
        paused_by_bot: whether the bot itself paused the group. If so, the pause causes no alert.
        is_on_card: whether the card of a request shows what happens to the group: an open request follows the group, or
            followed it when it stopped.
        is_muted: whether the group is muted (`mute_is_over`). Trouble that still lasts after the mute causes an alert.

    Returns:
        The group with its new `WatchedGroup.known_trouble`, and the item for an alert; None if there is none.
    """
    trouble, known = _trouble(after), after.known_trouble
    needs_no_alert = watch == "off" or is_on_card or (paused_by_bot and trouble is Trouble.PAUSED)
    is_silent = needs_no_alert or is_muted
    if trouble is None:
        calm = after if known is None else replace(after, known_trouble=None)
        has_changed = _has_started(before, after, is_first_sweep=is_first_sweep) or _has_ended(before, after)
        if watch == "all" and has_changed and not is_silent:
            return calm, _item(after, None, after.status_since)
        over = None if known is None else replace(_item(after, known, after.seen_at), is_over=True)
        return calm, over
    if trouble is known:
        return after, None
    if is_first_sweep or needs_no_alert:
        return replace(after, known_trouble=trouble), None
    if is_muted or (trouble is Trouble.PAUSED and after.seen_at - after.status_since < PAUSED_FOR):
        return after, None
    return replace(after, known_trouble=trouble), _item(after, trouble, _since(after, trouble))


def _trouble(group: WatchedGroup) -> Trouble | None:
    """The trouble that the group is in. `WatchedGroup.known_trouble` lasts until a reading shows that it is over."""
    movement, known = group.movement, group.known_trouble
    match group.group.status:
        case GroupStatus.PAUSED:
            return Trouble.PAUSED
        case GroupStatus.PAUSING:
            return known
        case status if status in FAILED_STATUSES:
            return Trouble.FAILED
        case _ if not group.runs:
            return None
    # After a gap between two readings, a stalled group has the activity MOVING until nothing has moved for long enough.
    if movement.activity is Activity.STALLED or (known is Trouble.STALLED and movement.still_since is not None):
        return Trouble.STALLED
    return Trouble.SLOW if movement.is_slow or (known is Trouble.SLOW and not movement.is_above_limit) else None


def _since(group: WatchedGroup, trouble: Trouble) -> datetime:
    since = {Trouble.STALLED: group.movement.still_since, Trouble.SLOW: group.movement.slow_since}
    return since.get(trouble) or group.status_since


def _has_started(before: WatchedGroup | None, after: WatchedGroup, *, is_first_sweep: bool) -> bool:
    if before is None:
        return after.runs and not is_first_sweep
    return after.runs and not before.runs and before.group.status is not GroupStatus.PAUSING


def _has_ended(before: WatchedGroup | None, after: WatchedGroup) -> bool:
    return before is not None and before.group.status not in _ENDED_STATUSES and after.group.status in _ENDED_STATUSES


def _item(group: WatchedGroup, trouble: Trouble | None, since: datetime) -> AlertItem:
    return AlertItem(group.key, replace(group.group, settings=()), trouble, since, group.seen_at)


def has_moved_again(group: WatchedGroup) -> bool:
    """Whether the last readings of a group show that it moves."""
    return group.movement.activity in (Activity.LISTING, Activity.MOVING) and group.movement.still_since is None


def mute_is_over(until: datetime | None, group: WatchedGroup) -> bool:
    """Whether the mute of a group is over, so that the group causes alerts again.

    Arguments:
        until: when the mute ends; None for a group that is muted until it moves.
    """
    return has_moved_again(group) if until is None else group.seen_at >= until


def accepts(alert: Alert, items: Iterable[AlertItem], now: datetime) -> bool:
    """Whether these items can be added to a posted alert, by an edit of its message.

    Slack notifies nobody of an edit. So trouble is not added to an alert without trouble.
    """
    is_young = now - alert.created_at < MERGE_WITHIN
    return is_young and (alert.has_trouble or not any(item.is_trouble for item in items))


def merged(alert: Alert, items: Iterable[AlertItem]) -> Alert:
    """The alert with more items. An item replaces an older one about the same group."""
    by_key = {item.key: item for item in (*alert.items, *items)}
    return replace(alert, items=tuple(by_key.values()))


def updated(alert: Alert, items: Iterable[AlertItem]) -> Alert:
    """The alert after later readings of its groups. Marks the trouble that is over.

    Arguments:
        items: what these readings showed.
    """
    later = {item.key: item for item in items if item.is_over or item.trouble not in (Trouble.STALLED, Trouble.SLOW)}

    def update(item: AlertItem) -> AlertItem:
        found = later.get(item.key)
        if found is None or item.trouble is None or item.is_over:
            return item
        return replace(item, group=found.group, at=found.at, is_over=True)

    return replace(alert, items=tuple(update(item) for item in alert.items))


def as_posted(alert: Alert) -> Alert:
    """The alert as it is posted: without trouble that is already over, and without muted groups."""
    return replace(alert, items=tuple(item for item in alert.items if not item.is_over and not item.muted_by))


def muted(alert: Alert, key: str, person: str, until: datetime | None) -> Alert:
    """The alert after a person muted one of its groups. `until` is as for `mute_is_over`."""
    items = (replace(item, muted_by=person, muted_until=until) if item.key == key else item for item in alert.items)
    return replace(alert, items=tuple(items))
