"""Which keys START and RETRY need for a task group, and which of the keys in Vault are sent. Pure.

Source: StartTaskGroup and RetryTaskGroup (fields and lengths), ShowTaskGroup (`task_type`,
`src_node.cloud_type`, `source_cdn`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bot.domain.task_group import TaskGroup


@dataclass(frozen=True)
class KeyField:
    """One key of a source or destination."""

    name: str  # the field of the OMS call
    key: str  # the name of the key in Vault
    max_characters: int  # the limit of OMS
    is_json: bool = False  # OMS takes the JSON of an object, so the value in Vault may be one


SRC_AK, SRC_SK = KeyField("src_ak", "ak", 100), KeyField("src_sk", "sk", 100)
DST_AK, DST_SK = KeyField("dst_ak", "ak", 100), KeyField("dst_sk", "sk", 100)
JSON_AUTH_FILE = KeyField("json_auth_file", "json_auth_file", 65_535, is_json=True)
CONNECTION_STRING = KeyField("connection_string", "connection_string", 2_048)
CDN_KEY = KeyField("source_cdn_authentication_key", "source_cdn_authentication_key", 255)

# The key in Vault that marks a temporary access key. OMS takes no security token, so such a key cannot be used.
SECURITY_TOKEN = "security_token"  # noqa: S105 (the name of a key)

_CDN_KINDS_WITHOUT_KEY = frozenset({"NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION"})


@dataclass(frozen=True)
class RequiredKeys:
    """The keys that one side of a migration needs."""

    alternatives: tuple[tuple[KeyField, ...], ...]  # sets of keys; the first set that is present is sent
    additional: tuple[KeyField, ...] = ()  # keys that are needed with each of the alternatives

    @property
    def is_empty(self) -> bool:
        return self.alternatives == ((),) and not self.additional


DESTINATION_KEYS = RequiredKeys(((DST_AK, DST_SK),))
# The keys of each kind of source.
ANY_SOURCE_KEYS = (
    RequiredKeys(((SRC_AK, SRC_SK),)),
    RequiredKeys(((JSON_AUTH_FILE,),)),
    RequiredKeys(((CONNECTION_STRING,),)),
)


def source_keys(group: TaskGroup) -> RequiredKeys:
    """The keys that the source of this group needs. An unknown kind of cloud needs an access key."""
    additional = () if group.cdn_authentication in (None, *_CDN_KINDS_WITHOUT_KEY) else (CDN_KEY,)
    if group.task_type == "URL_LIST" or group.source.cloud_type == "URLSOURCE":
        return RequiredKeys(((),), additional)
    match group.source.cloud_type:
        case "GOOGLE":
            return RequiredKeys(((JSON_AUTH_FILE,),), additional)
        case "AZURE":
            return RequiredKeys(((CONNECTION_STRING,), (SRC_AK, SRC_SK)), additional)
        case _:
            return RequiredKeys(((SRC_AK, SRC_SK),), additional)


def fields_to_send(required: RequiredKeys, present: Collection[str]) -> tuple[KeyField, ...] | None:
    """The fields to send. `present` has the names of the keys in Vault. None if required keys are missing."""
    for alternative in required.alternatives:
        fields = (*alternative, *required.additional)
        if all(field.key in present for field in fields):
            return fields
    return None


def keys_not_text(required: RequiredKeys, present: Collection[str], objects: Collection[str]) -> str:
    """The names of the keys that are to be sent, must be text, and are not. Empty if there is none.

    Arguments:
        present: the names of the keys in Vault.
        objects: the names of the keys whose value is a JSON object.
    """
    fields = fields_to_send(required, present) or ()
    return " and ".join(field.key for field in fields if field.key in objects and not field.is_json)


def missing_keys(required: RequiredKeys, present: Collection[str]) -> str:
    """The missing keys as text, such as `json_auth_file` or `connection_string, or ak and sk`. Empty if none is."""
    if fields_to_send(required, present) is not None:
        return ""
    missing = [
        " and ".join(field.key for field in alternative if field.key not in present)
        for alternative in required.alternatives
    ]
    parts = [", or ".join(missing)] if all(missing) else []
    parts += [field.key for field in required.additional if field.key not in present]
    return " and ".join(parts)
