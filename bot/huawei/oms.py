"""The calls of the OMS API that the bot uses. Sending is left to `http`, reading and writing bodies to `wire`.

Repeats no call. Whether a PUT may be sent a second time is left to `bot.jobs.send`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import requests

from bot.domain.ids import parse_group_id
from bot.domain.task_group import GroupStatus, TaskGroup
from bot.huawei.errors import Service, Unanswered, Unreadable
from bot.huawei.http import Call, Success, Timeouts, send
from bot.huawei.signing import Auth
from bot.huawei.wire import keys_in, read_group

PAGE_SIZE = 100
MAX_PAGES = 200


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
        self._base = f"{base_url}/v2/{quote(project_id, safe='')}/taskgroups"
        self._auth = auth
        self._session = session
        self._timeouts = timeouts or Timeouts()
        self._observing = observing

    def show(self, group_id: str) -> TaskGroup:
        """Reads one task group (ShowTaskGroup).

        Raises:
            HuaweiError: any kind. Unreadable also if OMS answers with another group.
        """
        group = read_group(self._send("GET", f"/{quote(group_id, safe='')}").parsed(Service.OMS))
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
        seen: set[str] = set()
        offset = 0
        for _ in range(MAX_PAGES):
            query = {"limit": PAGE_SIZE, "offset": offset} | ({} if status is None else {"status": int(status)})
            total, items = _page(self._send("GET", f"?{urlencode(query)}").parsed(Service.OMS))
            by_id = {_id_of(item) or f"number {offset + index}": item for index, item in enumerate(items)}
            new = {group_id: item for group_id, item in by_id.items() if group_id not in seen}
            seen.update(new)
            yield from map(_read_item, new.values())
            offset += len(items)
            # `count` is not trusted: the page after a full one is always read, and a short page ends the list only
            # if the count has been reached or is missing.
            if not items or (len(items) < PAGE_SIZE and (total is None or offset >= total)):
                return
            if not new:
                raise Unreadable(f"OMS repeated a page of its list, so the bot stopped after {len(seen):,} task groups")
        raise Unreadable(f"OMS listed more than {len(seen):,} task groups, so the bot stopped")

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
            answer = self._send("PUT", f"/{quote(group_id, safe='')}/{verb}", body)
        except Unreadable as error:
            raise Unanswered(str(error)) from None
        return Accepted(answer.huawei_request_id)

    def _send(self, method: str, path: str, body: bytes | None = None) -> Success:
        call = Call(Service.OMS, method, self._base + path, body, keys_in(body) if body else ())
        with self._observing():
            return send(self._session, call, self._auth, self._timeouts)


def _id_of(item: object) -> str | None:
    group_id = item.get("group_id") if isinstance(item, dict) else None
    return group_id if isinstance(group_id, str) else None


def _read_item(item: object) -> TaskGroup | Unreadable:
    try:
        return read_group(item)
    except Unreadable as error:
        return error


def _page(parsed: object) -> tuple[int | None, list[object]]:
    """The total number of groups (None if OMS does not say it) and the unread groups of this page."""
    items = parsed.get("taskgroups") if isinstance(parsed, dict) else None
    if not isinstance(parsed, dict) or not isinstance(items, list):
        raise Unreadable("OMS returned something other than a list of task groups")
    total = parsed.get("count")
    return total if isinstance(total, int) and not isinstance(total, bool) else None, items
