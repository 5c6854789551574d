"""Checks the body of START and RETRY: the fields that a group needs, the fields that it must not have, their keys.

Pure. Which fields those are follows from the group (API reference, StartTaskGroup and RetryTaskGroup).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bot.sandbox.huawei.credentials import (
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    GOOGLE_JSON,
    SOURCE_AK,
    SOURCE_SK,
)
from bot.sandbox.huawei.group import Group
from bot.sandbox.huawei.rejection import Rejection, invalid, missing

# The longest value of each field, in characters.
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
    """Checks that the body has exactly the fields that START of this group needs.

    Raises:
        Rejection: OMS.0064, OMS.1004 or OMS.1032, with the name of the field.
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
    """Checks the fields of RETRY: all are optional, but a key of two parts must have both.

    Raises:
        Rejection: OMS.0064 or OMS.1004, with the name of the field.
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


def check_keys_are_valid(body: Body) -> None:
    """Checks that every key in the body gives access to its bucket.

    Raises:
        Rejection: OMS.1014 for the source, OMS.1020 for the destination.
    """
    valid = {
        "src_ak": SOURCE_AK,
        "src_sk": SOURCE_SK,
        "connection_string": AZURE_CONNECTION_STRING,
        "source_cdn_authentication_key": CDN_KEY,
    }
    if any(body.get(name, value) != value for name, value in valid.items()):
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
    unexpected = given - {name for choice in choices for name in choice}
    if unexpected:
        raise invalid(min(unexpected))
    chosen = next((choice for choice in choices if given <= set(choice)), None)
    if chosen is None:
        # Fields of two choices at once.
        raise invalid(min(given))
    for name in chosen:
        if name not in given:
            raise missing(name)


def _source_choices(group: Group) -> tuple[tuple[str, ...], ...]:
    """The choices of source fields: a body must have all fields of one of them."""
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
