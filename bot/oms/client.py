"""Calls OMS: sends what `taskgroup` wrote, reads it back, and tells apart what was sent from what was not.

Thin. It retries nothing by itself: whether a second PUT may ever be sent is decided elsewhere.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from bot.oms.errors import NotSent, Refused, Throttled, Unanswered, Unreadable, read_answer
from bot.oms.taskgroup import read_group
from bot.request.group import GroupStatus, TaskGroup

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
MAX_BODY_BYTES = 4_000_000
PAGE_SIZE = 100
MAX_PAGES = 200


@dataclass(frozen=True)
class Accepted:
    """OMS answered 200 to START: it will begin. Nothing more is known yet."""

    huawei_request_id: str | None


def new_session() -> requests.Session:
    """A session that neither the environment nor ~/.netrc can lead astray, and that repeats nothing by itself."""
    session = requests.Session()
    session.trust_env = False
    adapter = HTTPAdapter(max_retries=0, pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class Oms:
    """The OMS of one project.

    Arguments:
        base_url: such as `https://oms.ap-southeast-3.myhuaweicloud.com`.
        read_seconds: how long an answer may take, each part of it and as a whole.
    """

    def __init__(
        self,
        base_url: str,
        project_id: str,
        auth: AuthBase,
        session: requests.Session,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._base = f"{base_url}/v2/{quote(project_id, safe='')}/taskgroups"
        self._auth = auth
        self._session = session
        self._timeout = (connect_seconds, read_seconds)

    def show(self, group_id: str) -> TaskGroup:
        """The task group as it is now (ShowTaskGroup).

        Raises:
            OmsError: any of its kinds.
        """
        return read_group(self._get(f"/{quote(group_id, safe='')}"))

    def groups(self, status: GroupStatus | None = None) -> Iterator[TaskGroup]:
        """The task groups of the project, each once (ListTaskGroup, pages of 100, to the end).

        Raises:
            OmsError: any of its kinds; Unreadable when the pages do not come to an end.
        """
        seen: set[str] = set()
        for page in range(MAX_PAGES):
            query = {"limit": PAGE_SIZE, "offset": page * PAGE_SIZE}
            if status is not None:
                query["status"] = int(status)
            parsed = self._get(f"?{urlencode(query)}")
            items = parsed.get("taskgroups") if isinstance(parsed, dict) else None
            if not isinstance(items, list):
                raise Unreadable("OMS answered with a list of task groups that is none")
            for item in items:
                group = read_group(item)
                if group.group_id not in seen:
                    seen.add(group.group_id)
                    yield group
            if len(items) < PAGE_SIZE:
                return
        raise Unreadable(f"OMS listed more than {MAX_PAGES * PAGE_SIZE:,} task groups")

    def start(self, group_id: str, body: bytes) -> Accepted:
        """Resumes a paused task group (StartTaskGroup). `body` is `taskgroup.start_body`.

        Raises:
            NotSent, Throttled, Refused: nothing was started.
            Unanswered: it may have been.
        """
        path = f"/{quote(group_id, safe='')}/start"
        try:
            status, headers, content = self._send("PUT", path, body)
        except Unreadable as error:
            raise Unanswered(str(error)) from None
        if 200 <= status < 300:
            return Accepted(headers.get("X-Request-Id"))
        answer = read_answer(status, headers, content)
        if status == 429:
            raise Throttled(_retry_after(headers.get("Retry-After")))
        if status >= 500:
            raise Unanswered(f"answered with {answer.code}", answer)
        raise Refused(answer)

    def _get(self, path: str) -> object:
        status, headers, content = self._send("GET", path, None)
        if status == 200:
            try:
                return json.loads(content)
            except (ValueError, RecursionError):
                raise Unreadable("OMS answered with something that is not JSON") from None
        answer = read_answer(status, headers, content)
        if status == 429:
            raise Throttled(_retry_after(headers.get("Retry-After")))
        if status >= 500:
            raise Unanswered(f"answered with {answer.code}", answer)
        raise Refused(answer)

    def _send(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, requests.structures.CaseInsensitiveDict[str], bytes]:
        headers = {"Accept": "application/json", "Content-Type": "application/json;charset=UTF-8"}
        if body is None:
            del headers["Content-Type"]
        try:
            response = self._session.request(
                method,
                self._base + path,
                data=body,
                headers=headers,
                auth=self._auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            with response:
                return response.status_code, response.headers, self._content(response)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL) as error:
            raise NotSent(_why(error)) from None
        except requests.exceptions.RequestException as error:
            if _never_connected(error):
                raise NotSent(_why(error)) from None
            raise Unanswered(_why(error)) from None

    def _content(self, response: requests.Response) -> bytes:
        deadline = time.monotonic() + self._timeout[1]
        content = bytearray()
        for part in response.iter_content(65_536):
            content += part
            if len(content) > MAX_BODY_BYTES:
                raise Unreadable(f"OMS answered with more than {MAX_BODY_BYTES:,} bytes")
            if time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout("the answer did not end in time")
        return bytes(content)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    """Whether the failure came before one byte of the request had left.

    A TLS failure counts only where it is about the certificate, which is looked at before anything is sent.
    """
    inner: object = error
    for _ in range(6):
        if isinstance(
            inner,
            urllib3.exceptions.NewConnectionError
            | urllib3.exceptions.NameResolutionError
            | urllib3.exceptions.ConnectTimeoutError
            | ssl.SSLCertVerificationError,
        ):
            return True
        if isinstance(inner, urllib3.exceptions.MaxRetryError):
            inner = inner.reason
        elif isinstance(inner, BaseException) and inner.args and isinstance(inner.args[0], BaseException):
            inner = inner.args[0]
        else:
            return False
    return False


def _why(error: requests.exceptions.RequestException) -> str:
    """What happened, in words that hold nothing of the request."""
    match error:
        case requests.exceptions.ConnectTimeout():
            return f"no connection within {CONNECT_SECONDS:.0f} s"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.SSLError():
            return "the TLS connection failed"
        case _ if _never_connected(error):
            return "no connection"
        case _:
            return "the connection broke"


def _retry_after(value: str | None) -> int | None:
    return min(int(value), 3600) if value and value.isascii() and value.isdigit() and len(value) < 9 else None
