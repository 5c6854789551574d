"""Calls to the OMS stand-in, by the official SDK and by plain HTTP, and a clock that tests advance."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import OmsClient

from bot.huawei.signing import AccessKey, AccessKeyAuth
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import (
    ACCESS_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    PROJECT_ID,
    SECRET_KEY,
    SOURCE_AK,
    SOURCE_SK,
)
from bot.sandbox.huawei.oms_server import OmsStandIn

SOURCE = {"src_ak": SOURCE_AK, "src_sk": SOURCE_SK}
DESTINATION = {"dst_ak": DESTINATION_AK, "dst_sk": DESTINATION_SK}
KEYS = SOURCE | DESTINATION


class Clock:
    """The time at which it was created, plus `ahead`."""

    def __init__(self) -> None:
        self._begun = datetime.now(UTC)
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return self._begun + self.ahead


def sdk(oms: OmsStandIn, credentials: BasicCredentials | None = None) -> OmsClient:
    """A client of the official SDK, by default with the access key of the project media."""
    given = credentials or BasicCredentials(ACCESS_KEY, SECRET_KEY, PROJECT_ID)
    return OmsClient.new_builder().with_credentials(given).with_endpoint(oms.server.url).build()


def assert_rejected(code: str, call: Callable[[], object], status: int = 400) -> None:
    """Asserts that the SDK raises an error with this code and HTTP status."""
    with pytest.raises(ClientRequestException) as raised:
        call()
    assert (raised.value.status_code, raised.value.error_code) == (status, code)


def put(oms: OmsStandIn, group: str, verb: str, body: object) -> requests.Response:
    """A signed PUT with any body. Unlike the SDK it returns the whole response."""
    key = AccessKey(Secret(ACCESS_KEY), Secret(SECRET_KEY))
    return requests.put(
        f"{oms.server.url}/v2/{PROJECT_ID}/taskgroups/{group}/{verb}",
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        auth=AccessKeyAuth(key, PROJECT_ID, oms.state.now),
        timeout=5,
    )


def error_of(response: requests.Response) -> tuple[str, str]:
    """The error code of a response, and the name of the field that is wrong."""
    body = response.json()
    return body["error_code"], body.get("error_detail", "").partition("[")[2].partition("]")[0]
