"""The official SDK drives the OMS stand-in and notices no difference."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkoms.v2 import (
    ListTaskGroupRequest,
    OmsClient,
    RetryTaskGroupReq,
    RetryTaskGroupRequest,
    ShowTaskGroupRequest,
    ShowTaskGroupResponse,
    StartTaskGroupReq,
    StartTaskGroupRequest,
    StopTaskGroupRequest,
)

from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import FailsLater, OmsStandIn
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from tests.sandbox.oms import (
    COMPLETED,
    CREATION_FAILED,
    EXECUTING,
    FAILED,
    KEYS,
    MONITORED,
    PAUSING,
    RECORDED,
    Clock,
    refused,
    sdk,
)


def show(client: OmsClient, group: str) -> ShowTaskGroupResponse:
    return client.show_task_group(ShowTaskGroupRequest(group_id=group))


def start(client: OmsClient, group: str, **body: str) -> object:
    return client.start_task_group(StartTaskGroupRequest(group_id=group, body=StartTaskGroupReq(**body)))


def retry(client: OmsClient, group: str, **body: object) -> object:
    return client.retry_task_group(RetryTaskGroupRequest(group_id=group, body=RetryTaskGroupReq(**body)))


def stop(client: OmsClient, group: str) -> object:
    return client.stop_task_group(StopTaskGroupRequest(group_id=group))


def test_it_lists_by_status_and_page(oms: OmsStandIn) -> None:
    listed = sdk(oms).list_task_group(ListTaskGroupRequest(limit=100, offset=0, status=3))
    assert NIGHTLY_IMAGES in [group.group_id for group in listed.taskgroups]
    assert {group.status for group in listed.taskgroups} == {ow.PAUSED}
    pages = [sdk(oms).list_task_group(ListTaskGroupRequest(limit=7, offset=offset)) for offset in (0, 7, 14, 21)]
    assert [len(page.taskgroups) for page in pages] == [7, 7, 6, 0]
    assert {page.count for page in pages} == {len(oms.world.groups)}
    assert len(sdk(oms).list_task_group(ListTaskGroupRequest()).taskgroups) == 10, "the documented default"


@pytest.mark.parametrize("query", [{"limit": 101}, {"limit": 0}, {"offset": -1}, {"status": 10}])
def test_it_refuses_a_page_or_status_that_is_none(oms: OmsStandIn, query: dict[str, int]) -> None:
    refused("OMS.0064", lambda: sdk(oms).list_task_group(ListTaskGroupRequest(**query)))


def test_there_is_a_group_of_every_status_and_each_says_what_it_is(oms: OmsStandIn) -> None:
    listed = sdk(oms).list_task_group(ListTaskGroupRequest(limit=100)).taskgroups
    assert {group.status for group in listed} == set(range(10))
    assert {group.task_type for group in listed} == {"PREFIX", "LIST", "URL_LIST"}
    assert {"AWS", "AZURE", "GOOGLE", "URLSOURCE"} <= {group.src_node.cloud_type for group in listed}
    assert len({group.description for group in listed}) == len(listed)


def test_show_answers_every_documented_field(oms: OmsStandIn) -> None:
    for group_id in oms.world.groups:
        raw = oms.world.groups[group_id].as_json(ow.REGION)
        documented = set(ShowTaskGroupResponse.attribute_map)
        assert documented - set(raw) == set(), group_id
        assert set(raw) - documented == {"enable_kms"}, "as older answers have it, to be left alone"
        shown = show(sdk(oms), group_id)
        assert shown.group_id == group_id
        assert shown.smn_config is None


def test_null_stands_where_it_is_documented(oms: OmsStandIn) -> None:
    plain, recorded = show(sdk(oms), NIGHTLY_IMAGES), show(sdk(oms), RECORDED)
    assert (plain.error_reason, plain.source_cdn, plain.failed_object_record) == (None, None, None)
    assert (recorded.enable_failed_object_recording, recorded.failed_object_record.result) == (True, True)
    assert recorded.failed_object_record.list_file_key
    assert recorded.failed_object_record.error_code is None
    assert recorded.error_reason.error_code == "TRF.0157"
    assert show(sdk(oms), MONITORED).bandwidth_policy[0].max_bandwidth == 157_286_400
    assert show(sdk(oms), ow.an(12)).source_cdn.authentication_type == "ALIYUN_OSS_A"
    assert show(sdk(oms), ow.an(8)).source_cdn.domain == "", "no CDN, in another of its three ways"


def test_it_starts_a_paused_group_and_a_lagging_status_turns(oms: OmsStandIn, clock: Clock) -> None:
    assert start(sdk(oms), NIGHTLY_IMAGES, **KEYS) is not None
    assert show(sdk(oms), NIGHTLY_IMAGES).status == ow.PAUSED
    refused("OMS.1039", lambda: start(sdk(oms), NIGHTLY_IMAGES, **KEYS))
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == ow.MONITORING
    clock.ahead += timedelta(seconds=60)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == ow.COMPLETED
    assert oms.world.groups[NIGHTLY_IMAGES].starts == 1


@pytest.mark.parametrize("group", [MONITORED, COMPLETED, FAILED, CREATION_FAILED, EXECUTING, PAUSING])
def test_only_a_paused_group_is_started(oms: OmsStandIn, group: str) -> None:
    refused("OMS.1039", lambda: start(sdk(oms), group, **KEYS))
    assert oms.world.groups[group].starts == 0


def test_it_pauses_what_executes_or_is_monitored_and_nothing_else(oms: OmsStandIn, clock: Clock) -> None:
    for group in (MONITORED, EXECUTING):
        stop(sdk(oms), group)
        assert show(sdk(oms), group).status == ow.PAUSING
    clock.ahead += timedelta(seconds=3)
    assert show(sdk(oms), MONITORED).status == ow.PAUSED
    for group in (NIGHTLY_IMAGES, COMPLETED, FAILED, PAUSING):
        refused("OMS.1038", partial(stop, sdk(oms), group))


def test_a_pausing_group_is_paused_a_while_after_somebody_first_looked(oms: OmsStandIn, clock: Clock) -> None:
    clock.ahead += timedelta(minutes=5)
    assert show(sdk(oms), PAUSING).status == ow.PAUSING
    clock.ahead += timedelta(seconds=11)
    assert show(sdk(oms), PAUSING).status == ow.PAUSED


def test_it_retries_all_objects_and_the_group_runs_to_its_end(oms: OmsStandIn, clock: Clock) -> None:
    retry(sdk(oms), FAILED, **KEYS)
    refused("OMS.1040", lambda: retry(sdk(oms), FAILED, **KEYS))
    clock.ahead += timedelta(seconds=2)
    running = show(sdk(oms), FAILED)
    assert (running.status, running.error_reason) == (ow.MONITORING, None)
    clock.ahead += timedelta(seconds=60)
    assert show(sdk(oms), FAILED).status == ow.COMPLETED
    assert (oms.world.groups[FAILED].retries, oms.world.groups[FAILED].last_scope) == (1, ow.ALL_OBJECTS)


def test_it_retries_only_the_failed_objects_where_they_were_recorded(oms: OmsStandIn, clock: Clock) -> None:
    assert show(sdk(oms), RECORDED).fail_num == 37
    retry(sdk(oms), RECORDED, migrate_failed_object=True)
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), RECORDED).fail_num == 0
    clock.ahead += timedelta(seconds=60)
    done = show(sdk(oms), RECORDED)
    assert (done.status, done.success_num) == (ow.COMPLETED, done.total_num)
    assert (oms.world.groups[RECORDED].retries, oms.world.groups[RECORDED].last_scope) == (1, ow.FAILED_OBJECTS)


def test_it_has_no_failed_objects_to_retry_where_none_were_recorded(oms: OmsStandIn) -> None:
    refused("OMS.0167", lambda: retry(sdk(oms), FAILED, migrate_failed_object=True, **KEYS))
    assert oms.world.groups[FAILED].retries == 0


def test_a_group_whose_creation_failed_first_makes_its_tasks(oms: OmsStandIn, clock: Clock) -> None:
    retry(sdk(oms), CREATION_FAILED)
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), CREATION_FAILED).status == ow.EXECUTING
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), CREATION_FAILED).status == ow.MONITORING


@pytest.mark.parametrize("group", [NIGHTLY_IMAGES, MONITORED, COMPLETED, PAUSING])
def test_only_a_failed_group_is_retried(oms: OmsStandIn, group: str) -> None:
    refused("OMS.1040", lambda: retry(sdk(oms), group, **KEYS))


def test_a_planned_failure_comes_after_the_200_and_a_retry_may_mend_it(oms: OmsStandIn, clock: Clock) -> None:
    oms.fault("start", FailsLater("TRF.0057", "The destination AK/SK is invalid."))
    start(sdk(oms), NIGHTLY_IMAGES, **KEYS)
    clock.ahead += timedelta(seconds=3)
    failed = show(sdk(oms), NIGHTLY_IMAGES)
    assert (failed.status, failed.error_reason.error_code) == (ow.MIGRATION_FAILED, "TRF.0057")
    retry(sdk(oms), NIGHTLY_IMAGES, **KEYS)
    clock.ahead += timedelta(seconds=60)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == ow.COMPLETED


def test_without_the_right_to_update_nothing_is_changed(oms: OmsStandIn) -> None:
    oms.world.may_start = False
    refused("OMS.0072", lambda: start(sdk(oms), NIGHTLY_IMAGES, **KEYS), status=403)
    refused("OMS.0072", lambda: retry(sdk(oms), FAILED, **KEYS), status=403)
    refused("OMS.0072", lambda: stop(sdk(oms), MONITORED), status=403)
    assert show(sdk(oms), MONITORED).status == ow.MONITORING


def test_a_group_that_is_not_there(oms: OmsStandIn) -> None:
    refused("OMS.1009", lambda: show(sdk(oms), "00000000-0000-0000-0000-000000000000"))


def test_another_project_is_not_there_either(oms: OmsStandIn) -> None:
    other = BasicCredentials(ow.ACCESS_KEY, ow.SECRET_KEY, ow.ARCHIVE.project_id)
    refused("APIG.0101", lambda: show(sdk(oms, other), NIGHTLY_IMAGES), status=404)


def test_the_sdk_signs_with_temporary_keys(oms: OmsStandIn) -> None:
    def temporary(security_token: str) -> BasicCredentials:
        keys = BasicCredentials(ow.TEMPORARY_AK, ow.TEMPORARY_SK, ow.PROJECT_ID)
        return keys.with_security_token(security_token)

    assert show(sdk(oms, temporary(ow.SECURITY_TOKEN)), NIGHTLY_IMAGES).status == ow.PAUSED
    start(sdk(oms, temporary(ow.SECURITY_TOKEN)), NIGHTLY_IMAGES, **KEYS)
    retry(sdk(oms, temporary(ow.SECURITY_TOKEN)), FAILED, **KEYS)
    stop(sdk(oms, temporary(ow.SECURITY_TOKEN)), MONITORED)
    refused("APIG.0301", lambda: show(sdk(oms, temporary("another")), NIGHTLY_IMAGES), status=401)
    bare = BasicCredentials(ow.TEMPORARY_AK, ow.TEMPORARY_SK, ow.PROJECT_ID)
    refused("APIG.0301", lambda: show(sdk(oms, bare), NIGHTLY_IMAGES), status=401)


def test_the_sdk_finds_the_project_id_by_the_region(oms: OmsStandIn) -> None:
    region = Region(ow.REGION, oms.server.url)
    keys = BasicCredentials(ow.ACCESS_KEY, ow.SECRET_KEY).with_iam_endpoint(oms.server.url)
    client = OmsClient.new_builder().with_credentials(keys).with_region(region).build()
    assert show(client, NIGHTLY_IMAGES).status == ow.PAUSED


def test_the_sdk_reads_a_refused_signature_and_its_request_id(oms: OmsStandIn) -> None:
    wrong = BasicCredentials(ow.ACCESS_KEY, "wrong", ow.PROJECT_ID)
    with pytest.raises(ClientRequestException) as raised:
        show(sdk(oms, wrong), NIGHTLY_IMAGES)
    assert (raised.value.status_code, raised.value.error_code) == (401, "APIG.0301")
    assert raised.value.request_id
    unknown = BasicCredentials("AKOFNOBODY0000000001", "wrong", ow.PROJECT_ID)
    with pytest.raises(ClientRequestException, match="ak:AKOFNOBODY0000000001,err:ak not exist"):
        show(sdk(oms, unknown), NIGHTLY_IMAGES)


def test_a_key_is_locked_for_five_minutes_after_five_refused_signatures(oms: OmsStandIn, clock: Clock) -> None:
    wrong = BasicCredentials(ow.ACCESS_KEY, "wrong", ow.PROJECT_ID)
    for _ in range(5):
        with pytest.raises(ClientRequestException, match="verify aksk signature fail"):
            show(sdk(oms, wrong), NIGHTLY_IMAGES)
    with pytest.raises(ClientRequestException, match="reach the limit"):
        show(sdk(oms), NIGHTLY_IMAGES)
    clock.ahead += timedelta(minutes=5)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == ow.PAUSED


def test_a_signature_is_good_for_a_quarter_of_an_hour(oms: OmsStandIn, clock: Clock) -> None:
    clock.ahead += timedelta(minutes=16)
    with pytest.raises(ClientRequestException, match="signature expired"):
        show(sdk(oms), NIGHTLY_IMAGES)


def test_who_shows_no_identity_is_not_let_in(oms: OmsStandIn) -> None:
    url = f"{oms.server.url}/v2/{ow.PROJECT_ID}/taskgroups"
    answer = requests.get(url, headers={"Authorization": "Basic abc"}, timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIG.0301")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
