"""The OMS stand-in on a clock that tests turn, and the official SDK in front of it."""

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
from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import OmsStandIn

SOURCE = {"src_ak": ow.SOURCE_AK, "src_sk": ow.SOURCE_SK}
DESTINATION = {"dst_ak": ow.DESTINATION_AK, "dst_sk": ow.DESTINATION_SK}
KEYS = SOURCE | DESTINATION
GOOGLE, AZURE, AZURE_KEYS, URL_LIST, URL_SOURCE, CDN = ow.an(7), ow.an(8), ow.an(9), ow.an(10), ow.an(11), ow.an(12)
MONITORED, COMPLETED, FAILED, RECORDED, CREATION_FAILED = ow.an(2), ow.an(3), ow.an(4), ow.an(13), ow.an(14)
EXECUTING, PAUSING = ow.an(16), ow.an(17)


class Clock:
    """When the test began, and what it adds to that."""

    def __init__(self) -> None:
        self._begun = datetime.now(UTC)
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return self._begun + self.ahead


def sdk(oms: OmsStandIn, credentials: BasicCredentials | None = None) -> OmsClient:
    """The SDK as the bot's own access key, or as somebody else."""
    given = credentials or BasicCredentials(ow.ACCESS_KEY, ow.SECRET_KEY, ow.PROJECT_ID)
    return OmsClient.new_builder().with_credentials(given).with_endpoint(oms.server.url).build()


def refused(code: str, call: Callable[[], object], status: int = 400) -> None:
    """The SDK reads this code."""
    with pytest.raises(ClientRequestException) as raised:
        call()
    assert (raised.value.status_code, raised.value.error_code) == (status, code)


def put(oms: OmsStandIn, group: str, verb: str, body: object) -> requests.Response:
    """A signed PUT with any body, to read of its answer what the SDK leaves out."""
    key = AccessKey(Secret(ow.ACCESS_KEY), Secret(ow.SECRET_KEY))
    return requests.put(
        f"{oms.server.url}/v2/{ow.PROJECT_ID}/taskgroups/{group}/{verb}",
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        auth=AccessKeyAuth(key, ow.PROJECT_ID, oms.world.now),
        timeout=5,
    )


def said(answer: requests.Response) -> tuple[str, str]:
    """The code, and the field that it is about."""
    body = answer.json()
    return body["error_code"], body.get("error_detail", "").partition("[")[2].partition("]")[0]
