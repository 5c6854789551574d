"""The calls of the OMS API that the bot uses. Sending is left to `http`, reading and writing bodies to `wire`.

Repeats no call. Whether a PUT may be sent a second time is left to `bot.jobs.send`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode

import requests

from bot.domain.failure_causes import SubTask, SubTaskStatus
from bot.domain.ids import parse_group_id
from bot.domain.task_group import GroupStatus, TaskGroup
from bot.huawei.errors import Service, Unanswered, Unreadable
from bot.huawei.http import Call, Success, Timeouts, send
from bot.huawei.signing import Auth
from bot.huawei.task_wire import read_sub_task
from bot.huawei.wire import keys_in, read_group

Item = TypeVar("Item")

PAGE_SIZE = 100
MAX_PAGES = 200


@dataclass(frozen=True)
class _ListKind:
    """One of the lists of the API: its path, the key of its items, and what they are called in errors."""

    path: str
    key: str
    id_field: str
    name: str
    max_offset: int  # the highest `offset` that OMS accepts


_GROUPS = _ListKind("taskgroups", "taskgroups", "group_id", "task groups", 2**31 - 1)
_SUB_TASKS = _ListKind("tasks", "tasks", "id", "sub-tasks", 10_000)


@dataclass(frozen=True)
class Accepted:
    """OMS answered 2xx to a PUT: it accepted the call. Whether objects move is not known yet."""

    huawei_request_id: str | None  # None if the answer has none


class Oms:
    """The task groups of one project.

    Arguments:
        base_url: such as `https://oms.ap-southeast-3.myhuaweicloud.com`.
        session: a session of `bot.net.session`.
        observing: a context manager around each call that is sent. It sees the error of the call.
    """

    def __init__(
        self,
        base_url: str,
        project_id: str,
        auth: Auth,
        session: requests.Session,
        timeouts: Timeouts | None = None,
        observing: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._base = f"{base_url}/v2/{quote(project_id, safe='')}"
        self._auth = auth
        self._session = session
        self._timeouts = timeouts or Timeouts()
        self._observing = observing

    def show(self, group_id: str) -> TaskGroup:
        """Reads one task group (ShowTaskGroup).

        Raises:
            HuaweiError: any kind. Unreadable also if OMS answers with another group.
        """
        group = read_group(self._send("GET", f"/taskgroups/{quote(group_id, safe='')}").parsed(Service.OMS))
        if group.group_id != parse_group_id(group_id):
            raise Unreadable("OMS returned a different task group")
        return group

    def groups(self, status: GroupStatus | None = None) -> Iterator[TaskGroup | Unreadable]:
        """Lists the task groups of the project, each once, in no defined order (ListTaskGroup, all pages).

        A group that cannot be read is returned as its error, so that it does not hide the others.

        Arguments:
            status: only groups with this status; None for all.

        Raises:
            HuaweiError: any kind. Unreadable also if a page is repeated or the list has more than MAX_PAGES pages.
        """
        query = {} if status is None else {"status": int(status)}
        return self._list(_GROUPS, query, read_group)

    def tasks(self, group_id: str | None, status: SubTaskStatus) -> Iterator[SubTask | Unreadable]:
        """Lists the sub-tasks with this status, each once, in no defined order (ListTasks, all pages).

        Needs the IAM action `oms:task:list`. OMS lists at most about 10,000 of them.

        Arguments:
            group_id: of one group; None for all sub-tasks of the project.

        Raises:
            HuaweiError: as for `groups`.
        """
        query: dict[str, str | int] = {"status": int(status)}
        if group_id is not None:
            query["group_id"] = group_id
        return self._list(_SUB_TASKS, query, read_sub_task)

    def _list(
        self, kind: _ListKind, query: Mapping[str, str | int], read: Callable[[object], Item]
    ) -> Iterator[Item | Unreadable]:
        seen: set[str] = set()
        offset = 0
        for _ in range(MAX_PAGES):
            page = urlencode({"limit": PAGE_SIZE, "offset": offset, **query})
            total, items = _page(kind, self._send("GET", f"/{kind.path}?{page}").parsed(Service.OMS))
            by_id = {_id_of(kind, item) or f"number {offset + index}": item for index, item in enumerate(items)}
            new = {item_id: item for item_id, item in by_id.items() if item_id not in seen}
            seen.update(new)
            yield from (_read_item(read, item) for item in new.values())
            offset += len(items)
            # `count` is not trusted: the page after a full one is always read, and a short page ends the list only
            # if the count has been reached or is missing.
            if not items or (len(items) < PAGE_SIZE and (total is None or offset >= total)):
                return
            if offset > kind.max_offset:
                return
            if not new:
                raise Unreadable(f"OMS repeated a page of its list, so the bot stopped after {len(seen):,} {kind.name}")
        raise Unreadable(f"OMS listed more than {len(seen):,} {kind.name}, so the bot stopped")

    def start(self, group_id: str, body: bytes) -> Accepted:
        """Resumes a paused task group (StartTaskGroup). `body` is from `wire.start_body`.

        Raises:
            NotSent, Throttled, Rejected: nothing was started.
            Unanswered: the group may have been started.
        """
        return self._put(group_id, "start", body)

    def retry(self, group_id: str, body: bytes) -> Accepted:
        """Restarts a failed task group (RetryTaskGroup). `body` is from `wire.retry_body`.

        Raises:
            NotSent, Throttled, Rejected: nothing was started.
            Unanswered: the group may have been started.
        """
        return self._put(group_id, "retry", body)

    def stop(self, group_id: str) -> Accepted:
        """Pauses a running task group (StopTaskGroup), which takes no body.

        Raises:
            NotSent, Throttled, Rejected: nothing was paused.
            Unanswered: the group may have been paused.
        """
        return self._put(group_id, "stop", b"")

    def _put(self, group_id: str, verb: str, body: bytes) -> Accepted:
        try:
            answer = self._send("PUT", f"/taskgroups/{quote(group_id, safe='')}/{verb}", body)
        except Unreadable as error:
            raise Unanswered(str(error)) from None
        return Accepted(answer.huawei_request_id)

    def _send(self, method: str, path: str, body: bytes | None = None) -> Success:
        call = Call(Service.OMS, method, self._base + path, body, keys_in(body) if body else ())
        with self._observing():
            return send(self._session, call, self._auth, self._timeouts)


def _id_of(kind: _ListKind, item: object) -> str | None:
    found = item.get(kind.id_field) if isinstance(item, dict) else None
    return str(found) if isinstance(found, str | int) else None


def _read_item(read: Callable[[object], Item], item: object) -> Item | Unreadable:
    try:
        return read(item)
    except Unreadable as error:
        return error


def _page(kind: _ListKind, parsed: object) -> tuple[int | None, list[object]]:
    """The total number of items (None if OMS does not say it) and the unread items of this page."""
    items = parsed.get(kind.key) if isinstance(parsed, dict) else None
    if not isinstance(parsed, dict) or not isinstance(items, list):
        raise Unreadable(f"OMS returned something other than a list of {kind.name}")
    total = parsed.get("count")
    return total if isinstance(total, int) and not isinstance(total, bool) else None, items
