"""The official SDK drives the OMS stand-in and notices no difference."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import (
    ListTaskGroupRequest,
    OmsClient,
    ShowTaskGroupRequest,
    StartTaskGroupReq,
    StartTaskGroupRequest,
    StopTaskGroupRequest,
)

from bot.sandbox import oms_world as ow
from bot.sandbox.journal import Journal
from bot.sandbox.oms_server import OmsStandIn
from bot.sandbox.oms_world import NIGHTLY_IMAGES, demo_world

KEYS = {"src_ak": ow.SOURCE_AK, "src_sk": ow.SOURCE_SK, "dst_ak": ow.DESTINATION_AK, "dst_sk": ow.DESTINATION_SK}


@pytest.fixture
def oms() -> Iterator[OmsStandIn]:
    stand_in = OmsStandIn(demo_world(lambda: datetime.now(UTC)), Journal())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()


def sdk(oms: OmsStandIn, secret_key: str = ow.SECRET_KEY) -> OmsClient:
    credentials = BasicCredentials(ow.ACCESS_KEY, secret_key, ow.PROJECT_ID)
    return OmsClient.new_builder().with_credentials(credentials).with_endpoint(oms.server.url).build()


def test_the_sdk_lists_shows_starts_and_stops(oms: OmsStandIn) -> None:
    client = sdk(oms)
    listed = client.list_task_group(ListTaskGroupRequest(limit=100, offset=0, status=3))
    assert NIGHTLY_IMAGES in [group.group_id for group in listed.taskgroups]
    assert client.show_task_group(ShowTaskGroupRequest(group_id=NIGHTLY_IMAGES)).status == ow.PAUSED
    client.start_task_group(StartTaskGroupRequest(group_id=NIGHTLY_IMAGES, body=StartTaskGroupReq(**KEYS)))
    assert oms.world.groups[NIGHTLY_IMAGES].starts == 1
    running = "1a2b3c4d-0000-4000-8000-000000000002"
    client.stop_task_group(StopTaskGroupRequest(group_id=running))
    assert oms.world.groups[running].status == ow.PAUSING


def test_the_sdk_reads_its_errors(oms: OmsStandIn) -> None:
    with pytest.raises(ClientRequestException) as missing:
        sdk(oms).show_task_group(ShowTaskGroupRequest(group_id="00000000-0000-0000-0000-000000000000"))
    assert (missing.value.status_code, missing.value.error_code) == (400, "OMS.1009")
    with pytest.raises(ClientRequestException) as refused:
        sdk(oms, "wrong").show_task_group(ShowTaskGroupRequest(group_id=NIGHTLY_IMAGES))
    assert (refused.value.status_code, refused.value.error_code) == (401, "APIG.0301")


def test_a_key_is_locked_after_five_refused_signatures(oms: OmsStandIn) -> None:
    for _ in range(5):
        with pytest.raises(ClientRequestException):
            sdk(oms, "wrong").show_task_group(ShowTaskGroupRequest(group_id=NIGHTLY_IMAGES))
    with pytest.raises(ClientRequestException, match="reach the limit"):
        sdk(oms).show_task_group(ShowTaskGroupRequest(group_id=NIGHTLY_IMAGES))
