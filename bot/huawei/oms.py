"""Calls OMS: writes what is sent, reads what is answered. Sending is left to `http`.

It repeats nothing by itself: whether a second PUT may ever be sent is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """OMS answered 2xx to a PUT: it will do it. Nothing more is known yet."""

    huawei_request_id: str | None


class Oms:
    """The OMS of one project.

    Arguments:
        base_url: such as `https://oms.ap-southeast-3.myhuaweicloud.com`.
    """

    def __init__(
        self,
        base_url: str,
        project_id: str,
        auth: Auth,
        session: requests.Session,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._base = f"{base_url}/v2/{quote(project_id, safe='')}/taskgroups"
        self._auth = auth
        self._session = session
        self._timeouts = timeouts or Timeouts()

    def show(self, group_id: str) -> TaskGroup:
        """The task group as it is now (ShowTaskGroup).

        Raises:
            OmsError: any of its kinds; Unreadable where it answers with another group too.
        """
        group = read_group(self._send("GET", f"/{quote(group_id, safe='')}").parsed(Service.OMS))
        if group.group_id != parse_group_id(group_id):
            raise Unreadable("OMS answered with another task group than was asked for")
        return group

    def groups(self, status: GroupStatus | None = None) -> Iterator[TaskGroup | Unreadable]:
        """The task groups of the project, each once, in whatever order (ListTaskGroup, by pages of 100, to the end).

        One that cannot be read is given as what is wrong with it, and hides none of the others.

        Raises:
            OmsError: any of its kinds; Unreadable when the pages do not come to an end.
        """
        seen: set[str] = set()
        offset = 0
        for _ in range(MAX_PAGES):
            query = {"limit": PAGE_SIZE, "offset": offset} | ({} if status is None else {"status": int(status)})
            total, items = _page(self._send("GET", f"?{urlencode(query)}").parsed(Service.OMS))
            named = {_name(item) or f"number {offset + place}": item for place, item in enumerate(items)}
            fresh = {name: item for name, item in named.items() if name not in seen}
            seen.update(fresh)
            yield from map(_read, fresh.values())
            offset += len(items)
            # Whatever OMS says that there are: a full page is never the last, and a short one only where they agree.
            if not items or (len(items) < PAGE_SIZE and (total is None or offset >= total)):
                return
            if not fresh:
                raise Unreadable(f"OMS repeated a page of its list: after {len(seen):,} task groups the bot gave up")
        raise Unreadable(f"OMS listed more than {len(seen):,} task groups: there the bot gave up")

    def start(self, group_id: str, body: bytes) -> Accepted:
        """Resumes a paused task group (StartTaskGroup). `body` is `taskgroup.start_body`.

        Raises:
            NotSent, Throttled, Refused: nothing was started.
            Unanswered: it may have been.
        """
        return self._put(group_id, "start", body)

    def retry(self, group_id: str, body: bytes) -> Accepted:
        """Restarts a failed task group (RetryTaskGroup). `body` is `taskgroup.retry_body`.

        Raises:
            NotSent, Throttled, Refused: nothing was started.
            Unanswered: it may have been.
        """
        return self._put(group_id, "retry", body)

    def stop(self, group_id: str) -> Accepted:
        """Pauses a running task group (StopTaskGroup), which takes no body.

        Raises:
            NotSent, Throttled, Refused: nothing was paused.
            Unanswered: it may have been.
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
        return send(self._session, call, self._auth, self._timeouts)


def _name(item: object) -> str | None:
    found = item.get("group_id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None


def _read(item: object) -> TaskGroup | Unreadable:
    try:
        return read_group(item)
    except Unreadable as error:
        return error


def _page(parsed: object) -> tuple[int | None, list[object]]:
    """How many groups there are in all, where OMS says so, and those of this page, still to be read."""
    items = parsed.get("taskgroups") if isinstance(parsed, dict) else None
    if not isinstance(parsed, dict) or not isinstance(items, list):
        raise Unreadable("OMS answered with a list of task groups that is none")
    total = parsed.get("count")
    return total if isinstance(total, int) and not isinstance(total, bool) else None, items
