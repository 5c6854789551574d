"""The keys of both ends that are valid in the sandbox, and what a body of START or RETRY must and must not hold.

Pure. The fields follow from the group: API reference of StartTaskGroup and RetryTaskGroup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bot.sandbox.oms_group import Group
from bot.sandbox.rejection import Rejection, invalid, missing

SOURCE_AK, SOURCE_SK = "SANDBOXSOURCEAK00001", "sandbox-source-secret-key-0000000000000001"
DESTINATION_AK, DESTINATION_SK = "SANDBOXDESTAK0000001", "sandbox-destination-secret-key-000000000001"
AZURE_CONNECTION_STRING = (
    "DefaultEndpointsProtocol=https;AccountName=sandbox;AccountKey=sandbox-azure-key-0001;"
    "EndpointSuffix=core.windows.net"
)
GOOGLE_JSON = json.dumps(
    {
        "type": "service_account",
        "project_id": "sandbox",
        "client_email": "migration@sandbox.iam.gserviceaccount.com",
        "private_key": "sandbox-google-key-0001\nof\nseveral lines\n",
    },
    indent=2,
)
CDN_KEY = "sandbox-cdn-key-0001"

LENGTHS = {
    "src_ak": 100,
    "src_sk": 100,
    "connection_string": 2048,
    "json_auth_file": 65_535,
    "dst_ak": 100,
    "dst_sk": 100,
    "source_cdn_authentication_key": 255,
}
ACCESS_KEY_PAIR = ("src_ak", "src_sk")
SOURCE_FIELDS = {*ACCESS_KEY_PAIR, "connection_string", "json_auth_file"}
CDN_WITHOUT_KEY = {"NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION"}

Body = Mapping[str, object]


def check_start(group: Group, body: Body) -> None:
    """Whether the body holds what START of this group needs, and nothing else.

    Raises:
        Refusal: OMS.0064, OMS.1004 or OMS.1032, with the field.
    """
    _check_lengths(body)
    _check_pair(body, ("dst_ak", "dst_sk"))
    _check_source(group, body)
    if _cdn_needs_key(group):
        if "source_cdn_authentication_key" not in body:
            raise Rejection(400, "OMS.1032", "The CDN authentication key is missing.")
    elif "source_cdn_authentication_key" in body:
        raise invalid("source_cdn_authentication_key")


def check_retry(group: Group, body: Body) -> None:
    """The same for RETRY, where every field may be left out, but what is sent must be whole.

    Raises:
        Refusal: as for `check_start`.
    """
    if not isinstance(body.get("migrate_failed_object", False), bool):
        raise invalid("migrate_failed_object")
    keys = {name: value for name, value in body.items() if name != "migrate_failed_object"}
    _check_lengths(keys)
    if "dst_ak" in keys or "dst_sk" in keys:
        _check_pair(keys, ("dst_ak", "dst_sk"))
    if keys.keys() & SOURCE_FIELDS:
        _check_source(group, keys)
    if "source_cdn_authentication_key" in keys and not _cdn_needs_key(group):
        raise invalid("source_cdn_authentication_key")


def check_validity(body: Body) -> None:
    """Whether the keys in a body, where there are any, are the right ones.

    Raises:
        Refusal: OMS.1014 for the source, OMS.1020 for the destination.
    """
    right = {
        "src_ak": SOURCE_AK,
        "src_sk": SOURCE_SK,
        "connection_string": AZURE_CONNECTION_STRING,
        "source_cdn_authentication_key": CDN_KEY,
    }
    if any(body.get(name, value) != value for name, value in right.items()):
        raise Rejection(400, "OMS.1014", "Failed to read the source bucket.")
    if json.loads(str(body.get("json_auth_file", GOOGLE_JSON))) != json.loads(GOOGLE_JSON):
        raise Rejection(400, "OMS.1014", "Failed to read the source bucket.")
    if (body.get("dst_ak", DESTINATION_AK), body.get("dst_sk", DESTINATION_SK)) != (DESTINATION_AK, DESTINATION_SK):
        raise Rejection(400, "OMS.1020", "Failed to access the destination bucket.")


def _check_lengths(body: Body) -> None:
    for name, value in body.items():
        if name not in LENGTHS or not isinstance(value, str) or not 1 <= len(value) <= LENGTHS[name]:
            raise invalid(name)
    if "json_auth_file" in body and not _is_json_object(str(body["json_auth_file"])):
        raise invalid("json_auth_file")


def _check_source(group: Group, body: Body) -> None:
    choices = _source_choices(group)
    given = body.keys() & SOURCE_FIELDS
    foreign = given - {name for choice in choices for name in choice}
    if foreign:
        raise invalid(min(foreign))
    begun = next((choice for choice in choices if given <= set(choice)), None)
    if begun is None:
        # Two ways at once.
        raise invalid(min(given))
    for name in begun:
        if name not in given:
            raise missing(name)


def _source_choices(group: Group) -> tuple[tuple[str, ...], ...]:
    """The sets of fields of which one must be sent."""
    if group.is_from_urls:
        return ((),)
    match group.cloud_type:
        case "GOOGLE":
            return (("json_auth_file",),)
        case "AZURE":
            return (("connection_string",), ACCESS_KEY_PAIR)
        case _:
            return (ACCESS_KEY_PAIR,)


def _check_pair(body: Body, names: tuple[str, str]) -> None:
    for name in names:
        if name not in body:
            raise missing(name)


def _cdn_needs_key(group: Group) -> bool:
    cdn = group.cdn
    return cdn is not None and cdn.domain != "" and cdn.authentication_type not in CDN_WITHOUT_KEY


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
