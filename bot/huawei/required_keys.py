"""Which keys START and RETRY need for a group, as the group itself tells, and which of those at hand are sent.

Pure. Source: StartTaskGroup and RetryTaskGroup (fields and lengths), ShowTaskGroup (`task_type`,
`src_node.cloud_type`, `source_cdn`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bot.domain.task_group import TaskGroup


@dataclass(frozen=True)
class KeyField:
    """A key: what it is called in the call, what in Vault, and how many characters OMS takes at the most."""

    name: str
    key: str
    max_characters: int


SRC_AK, SRC_SK = KeyField("src_ak", "ak", 100), KeyField("src_sk", "sk", 100)
DST_AK, DST_SK = KeyField("dst_ak", "ak", 100), KeyField("dst_sk", "sk", 100)
JSON_AUTH_FILE = KeyField("json_auth_file", "json_auth_file", 65_535)
CONNECTION_STRING = KeyField("connection_string", "connection_string", 2_048)
CDN_KEY = KeyField("source_cdn_authentication_key", "source_cdn_authentication_key", 255)

# OMS takes no security token for source and destination: a temporary access key cannot work.
SECURITY_TOKEN = "security_token"  # noqa: S105 (the name of a key)

_CDN_WITHOUT_KEY = frozenset({"NONE", "QINIU_PRIVATE_AUTHENTICATION", "KSYUN_PRIVATE_AUTHENTICATION"})


@dataclass(frozen=True)
class RequiredKeys:
    """One of `either`, the first of which all keys are there, and all of `besides`."""

    alternatives: tuple[tuple[KeyField, ...], ...]
    additional: tuple[KeyField, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.alternatives == ((),) and not self.additional


DESTINATION_KEYS = RequiredKeys(((DST_AK, DST_SK),))
# What a source may need, whichever kind it is.
ANY_SOURCE_KEYS = (
    RequiredKeys(((SRC_AK, SRC_SK),)),
    RequiredKeys(((JSON_AUTH_FILE,),)),
    RequiredKeys(((CONNECTION_STRING,),)),
)


def source_keys(group: TaskGroup) -> RequiredKeys:
    """The keys of the source that this group needs. A kind of cloud that is not known needs an access key."""
    besides = () if group.cdn_authentication in (None, *_CDN_WITHOUT_KEY) else (CDN_KEY,)
    if group.task_type == "URL_LIST" or group.source.cloud_type == "URLSOURCE":
        return RequiredKeys(((),), besides)
    match group.source.cloud_type:
        case "GOOGLE":
            return RequiredKeys(((JSON_AUTH_FILE,),), besides)
        case "AZURE":
            return RequiredKeys(((CONNECTION_STRING,), (SRC_AK, SRC_SK)), besides)
        case _:
            return RequiredKeys(((SRC_AK, SRC_SK),), besides)


def fields_to_send(needs: RequiredKeys, present: Collection[str]) -> tuple[KeyField, ...] | None:
    """The fields to send of the keys that are there (their names in Vault); None where some are missing."""
    for fields in needs.alternatives:
        chosen = (*fields, *needs.additional)
        if all(field.key in present for field in chosen):
            return chosen
    return None


def missing_keys(needs: RequiredKeys, present: Collection[str]) -> str:
    """What is missing, for a person: `json_auth_file`, `connection_string, or ak and sk`; empty where nothing is."""
    if fields_to_send(needs, present) is not None:
        return ""
    either = [" and ".join(field.key for field in fields if field.key not in present) for fields in needs.alternatives]
    parts = [] if any(not one for one in either) else [", or ".join(either)]
    parts += [field.key for field in needs.additional if field.key not in present]
    return " and ".join(parts)
