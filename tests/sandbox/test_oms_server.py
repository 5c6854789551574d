"""The official SDK works with the OMS stand-in as with OMS."""

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

from bot.sandbox.huawei.credentials import (
    ACCESS_KEY,
    ARCHIVE,
    PROJECT_ID,
    REGION,
    SECRET_KEY,
    SECURITY_TOKEN,
    TEMPORARY_AK,
    TEMPORARY_SK,
)
from bot.sandbox.huawei.example_groups import (
    CONTRACTS,
    LETTERS,
    NIGHTLY_IMAGES,
    OLD_BACKUPS,
    SENSOR_DATA,
    SHOP_PICTURES,
    TAX_FILES,
    TICKET_SCANS,
    VIDEO_MASTERS,
    WEB_ASSETS,
)
from bot.sandbox.huawei.faults import FailsLater
from bot.sandbox.huawei.group import (
    ALL_OBJECTS,
    COMPLETED,
    EXECUTING,
    FAILED_OBJECTS,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    PAUSING,
)
from bot.sandbox.huawei.oms_server import OmsStandIn
from tests.sandbox.oms import KEYS, Clock, assert_rejected, sdk


def show(client: OmsClient, group: str) -> ShowTaskGroupResponse:
    return client.show_task_group(ShowTaskGroupRequest(group_id=group))


def start(client: OmsClient, group: str, **body: str) -> object:
    return client.start_task_group(StartTaskGroupRequest(group_id=group, body=StartTaskGroupReq(**body)))


def retry(client: OmsClient, group: str, **body: object) -> object:
    return client.retry_task_group(RetryTaskGroupRequest(group_id=group, body=RetryTaskGroupReq(**body)))


def stop(client: OmsClient, group: str) -> object:
    return client.stop_task_group(StopTaskGroupRequest(group_id=group))


def test_groups_are_listed_by_status_and_page(oms: OmsStandIn) -> None:
    listed = sdk(oms).list_task_group(ListTaskGroupRequest(limit=100, offset=0, status=3))
    assert NIGHTLY_IMAGES in [group.group_id for group in listed.taskgroups]
    assert {group.status for group in listed.taskgroups} == {PAUSED}
    pages = [sdk(oms).list_task_group(ListTaskGroupRequest(limit=7, offset=offset)) for offset in (0, 7, 14, 21)]
    assert [len(page.taskgroups) for page in pages] == [7, 7, 6, 0]
    assert {page.count for page in pages} == {len(oms.state.groups)}
    assert len(sdk(oms).list_task_group(ListTaskGroupRequest()).taskgroups) == 10, "the documented default"


@pytest.mark.parametrize("query", [{"limit": 101}, {"limit": 0}, {"offset": -1}, {"status": 10}])
def test_an_invalid_page_or_status_is_rejected(oms: OmsStandIn, query: dict[str, int]) -> None:
    assert_rejected("OMS.0064", lambda: sdk(oms).list_task_group(ListTaskGroupRequest(**query)))


def test_there_is_a_group_of_every_status_and_each_has_its_own_description(oms: OmsStandIn) -> None:
    listed = sdk(oms).list_task_group(ListTaskGroupRequest(limit=100)).taskgroups
    assert {group.status for group in listed} == set(range(10))
    assert {group.task_type for group in listed} == {"PREFIX", "LIST", "URL_LIST"}
    assert {"AWS", "AZURE", "GOOGLE", "URLSOURCE"} <= {group.src_node.cloud_type for group in listed}
    assert len({group.description for group in listed}) == len(listed)


def test_show_returns_every_documented_field(oms: OmsStandIn) -> None:
    for group_id in oms.state.groups:
        raw = oms.state.groups[group_id].as_json(REGION)
        documented = set(ShowTaskGroupResponse.attribute_map)
        assert documented - set(raw) == set(), group_id
        assert set(raw) - documented == {"enable_kms"}, "a field of older responses, which clients must ignore"
        shown = show(sdk(oms), group_id)
        assert shown.group_id == group_id
        assert shown.smn_config is None


def test_fields_are_null_where_the_reference_allows_it(oms: OmsStandIn) -> None:
    plain, recorded = show(sdk(oms), NIGHTLY_IMAGES), show(sdk(oms), TAX_FILES)
    assert (plain.error_reason, plain.source_cdn, plain.failed_object_record) == (None, None, None)
    assert (recorded.enable_failed_object_recording, recorded.failed_object_record.result) == (True, True)
    assert recorded.failed_object_record.list_file_key
    assert recorded.failed_object_record.error_code is None
    assert recorded.error_reason.error_code == "TRF.0157"
    assert show(sdk(oms), VIDEO_MASTERS).bandwidth_policy[0].max_bandwidth == 157_286_400
    assert show(sdk(oms), SHOP_PICTURES).source_cdn.authentication_type == "ALIYUN_OSS_A"
    assert show(sdk(oms), CONTRACTS).source_cdn.domain == "", "another form of having no CDN"


def test_a_paused_group_starts_and_its_status_changes_after_a_lag(oms: OmsStandIn, clock: Clock) -> None:
    assert start(sdk(oms), NIGHTLY_IMAGES, **KEYS) is not None
    assert show(sdk(oms), NIGHTLY_IMAGES).status == PAUSED
    assert_rejected("OMS.1039", lambda: start(sdk(oms), NIGHTLY_IMAGES, **KEYS))
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == MONITORING
    clock.ahead += timedelta(seconds=60)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == COMPLETED
    assert oms.state.groups[NIGHTLY_IMAGES].starts == 1


@pytest.mark.parametrize("group", [VIDEO_MASTERS, WEB_ASSETS, OLD_BACKUPS, LETTERS, SENSOR_DATA, TICKET_SCANS])
def test_only_a_paused_group_can_be_started(oms: OmsStandIn, group: str) -> None:
    assert_rejected("OMS.1039", lambda: start(sdk(oms), group, **KEYS))
    assert oms.state.groups[group].starts == 0


def test_only_a_running_group_can_be_paused(oms: OmsStandIn, clock: Clock) -> None:
    for group in (VIDEO_MASTERS, SENSOR_DATA):
        stop(sdk(oms), group)
        assert show(sdk(oms), group).status == PAUSING
    clock.ahead += timedelta(seconds=3)
    assert show(sdk(oms), VIDEO_MASTERS).status == PAUSED
    for group in (NIGHTLY_IMAGES, WEB_ASSETS, OLD_BACKUPS, TICKET_SCANS):
        assert_rejected("OMS.1038", partial(stop, sdk(oms), group))


def test_the_pausing_group_is_paused_some_time_after_it_is_first_shown(oms: OmsStandIn, clock: Clock) -> None:
    clock.ahead += timedelta(minutes=5)
    assert show(sdk(oms), TICKET_SCANS).status == PAUSING
    clock.ahead += timedelta(seconds=11)
    assert show(sdk(oms), TICKET_SCANS).status == PAUSED


def test_a_retry_of_all_objects_runs_to_its_end(oms: OmsStandIn, clock: Clock) -> None:
    retry(sdk(oms), OLD_BACKUPS, **KEYS)
    assert_rejected("OMS.1040", lambda: retry(sdk(oms), OLD_BACKUPS, **KEYS))
    clock.ahead += timedelta(seconds=2)
    running = show(sdk(oms), OLD_BACKUPS)
    assert (running.status, running.error_reason) == (MONITORING, None)
    clock.ahead += timedelta(seconds=60)
    assert show(sdk(oms), OLD_BACKUPS).status == COMPLETED
    assert (oms.state.groups[OLD_BACKUPS].retries, oms.state.groups[OLD_BACKUPS].last_scope) == (1, ALL_OBJECTS)


def test_a_retry_of_the_failed_objects_needs_their_record(oms: OmsStandIn, clock: Clock) -> None:
    assert show(sdk(oms), TAX_FILES).fail_num == 37
    retry(sdk(oms), TAX_FILES, migrate_failed_object=True)
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), TAX_FILES).fail_num == 0
    clock.ahead += timedelta(seconds=60)
    done = show(sdk(oms), TAX_FILES)
    assert (done.status, done.success_num) == (COMPLETED, done.total_num)
    assert (oms.state.groups[TAX_FILES].retries, oms.state.groups[TAX_FILES].last_scope) == (1, FAILED_OBJECTS)


def test_a_retry_of_the_failed_objects_is_rejected_without_their_record(oms: OmsStandIn) -> None:
    assert_rejected("OMS.0167", lambda: retry(sdk(oms), OLD_BACKUPS, migrate_failed_object=True, **KEYS))
    assert oms.state.groups[OLD_BACKUPS].retries == 0


def test_a_group_whose_creation_failed_creates_its_tasks_first(oms: OmsStandIn, clock: Clock) -> None:
    retry(sdk(oms), LETTERS)
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), LETTERS).status == EXECUTING
    clock.ahead += timedelta(seconds=2)
    assert show(sdk(oms), LETTERS).status == MONITORING


@pytest.mark.parametrize("group", [NIGHTLY_IMAGES, VIDEO_MASTERS, WEB_ASSETS, TICKET_SCANS])
def test_only_a_failed_group_can_be_retried(oms: OmsStandIn, group: str) -> None:
    assert_rejected("OMS.1040", lambda: retry(sdk(oms), group, **KEYS))


def test_a_group_can_fail_after_its_start_was_accepted_and_be_retried(oms: OmsStandIn, clock: Clock) -> None:
    oms.faults.add("start", FailsLater("TRF.0057", "The destination AK/SK is invalid."))
    start(sdk(oms), NIGHTLY_IMAGES, **KEYS)
    clock.ahead += timedelta(seconds=3)
    failed = show(sdk(oms), NIGHTLY_IMAGES)
    assert (failed.status, failed.error_reason.error_code) == (MIGRATION_FAILED, "TRF.0057")
    retry(sdk(oms), NIGHTLY_IMAGES, **KEYS)
    clock.ahead += timedelta(seconds=60)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == COMPLETED


def test_nothing_can_be_changed_without_the_permission(oms: OmsStandIn) -> None:
    oms.state.may_change_groups = False
    assert_rejected("OMS.0072", lambda: start(sdk(oms), NIGHTLY_IMAGES, **KEYS), status=403)
    assert_rejected("OMS.0072", lambda: retry(sdk(oms), OLD_BACKUPS, **KEYS), status=403)
    assert_rejected("OMS.0072", lambda: stop(sdk(oms), VIDEO_MASTERS), status=403)
    assert show(sdk(oms), VIDEO_MASTERS).status == MONITORING


def test_an_unknown_group_is_not_found(oms: OmsStandIn) -> None:
    assert_rejected("OMS.1009", lambda: show(sdk(oms), "00000000-0000-0000-0000-000000000000"))


def test_an_unknown_project_is_not_found(oms: OmsStandIn) -> None:
    other = BasicCredentials(ACCESS_KEY, SECRET_KEY, ARCHIVE.project_id)
    assert_rejected("APIG.0101", lambda: show(sdk(oms, other), NIGHTLY_IMAGES), status=404)


def test_the_sdk_signs_with_temporary_keys(oms: OmsStandIn) -> None:
    def temporary(security_token: str) -> BasicCredentials:
        keys = BasicCredentials(TEMPORARY_AK, TEMPORARY_SK, PROJECT_ID)
        return keys.with_security_token(security_token)

    assert show(sdk(oms, temporary(SECURITY_TOKEN)), NIGHTLY_IMAGES).status == PAUSED
    start(sdk(oms, temporary(SECURITY_TOKEN)), NIGHTLY_IMAGES, **KEYS)
    retry(sdk(oms, temporary(SECURITY_TOKEN)), OLD_BACKUPS, **KEYS)
    stop(sdk(oms, temporary(SECURITY_TOKEN)), VIDEO_MASTERS)
    assert_rejected("APIG.0301", lambda: show(sdk(oms, temporary("another")), NIGHTLY_IMAGES), status=401)
    bare = BasicCredentials(TEMPORARY_AK, TEMPORARY_SK, PROJECT_ID)
    assert_rejected("APIG.0301", lambda: show(sdk(oms, bare), NIGHTLY_IMAGES), status=401)


def test_the_sdk_finds_the_project_id_by_the_region(oms: OmsStandIn) -> None:
    region = Region(REGION, oms.server.url)
    keys = BasicCredentials(ACCESS_KEY, SECRET_KEY).with_iam_endpoint(oms.server.url)
    client = OmsClient.new_builder().with_credentials(keys).with_region(region).build()
    assert show(client, NIGHTLY_IMAGES).status == PAUSED


def test_the_sdk_reads_a_rejected_signature_and_its_request_id(oms: OmsStandIn) -> None:
    wrong = BasicCredentials(ACCESS_KEY, "wrong", PROJECT_ID)
    with pytest.raises(ClientRequestException) as raised:
        show(sdk(oms, wrong), NIGHTLY_IMAGES)
    assert (raised.value.status_code, raised.value.error_code) == (401, "APIG.0301")
    assert raised.value.request_id
    unknown = BasicCredentials("AKOFNOBODY0000000001", "wrong", PROJECT_ID)
    with pytest.raises(ClientRequestException, match="ak:AKOFNOBODY0000000001,err:ak not exist"):
        show(sdk(oms, unknown), NIGHTLY_IMAGES)


def test_a_key_is_locked_for_five_minutes_after_five_rejected_signatures(oms: OmsStandIn, clock: Clock) -> None:
    wrong = BasicCredentials(ACCESS_KEY, "wrong", PROJECT_ID)
    for _ in range(5):
        with pytest.raises(ClientRequestException, match="verify aksk signature fail"):
            show(sdk(oms, wrong), NIGHTLY_IMAGES)
    with pytest.raises(ClientRequestException, match="reach the limit"):
        show(sdk(oms), NIGHTLY_IMAGES)
    clock.ahead += timedelta(minutes=5)
    assert show(sdk(oms), NIGHTLY_IMAGES).status == PAUSED


def test_a_signature_expires_after_fifteen_minutes(oms: OmsStandIn, clock: Clock) -> None:
    clock.ahead += timedelta(minutes=16)
    with pytest.raises(ClientRequestException, match="signature expired"):
        show(sdk(oms), NIGHTLY_IMAGES)


def test_a_call_without_a_signature_or_token_is_rejected(oms: OmsStandIn) -> None:
    url = f"{oms.server.url}/v2/{PROJECT_ID}/taskgroups"
    answer = requests.get(url, headers={"Authorization": "Basic abc"}, timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIG.0301")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
