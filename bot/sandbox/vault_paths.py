"""Where in Vault each key of a project is, and which keys are there. The server is left to `vault`."""

from __future__ import annotations

from collections.abc import Mapping

from bot.sandbox.credentials import CloudProject
from bot.sandbox.oms_keys import (
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    GOOGLE_JSON,
    SOURCE_AK,
    SOURCE_SK,
)

# Source buckets whose keys are of another kind, or more than an access key: the rest share one path.
_OF_BUCKETS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "scans": ("google", {"json_auth_file": GOOGLE_JSON}),
    "contracts": ("azure", {"connection_string": AZURE_CONNECTION_STRING}),
    "shop": ("cdn", {"ak": SOURCE_AK, "sk": SOURCE_SK, "source_cdn_authentication_key": CDN_KEY}),
}


def caller_path(place: CloudProject) -> str:
    """Of the bot's own identity."""
    return f"oms/{place.name}/caller"


def source_paths(place: CloudProject) -> dict[str, str]:
    """Of the source keys, by bucket; `*` for any other."""
    found = {bucket: f"oms/{place.name}/source/{name}" for bucket, (name, _) in _OF_BUCKETS.items()}
    return found | {"*": f"oms/{place.name}/source"}


def destination_path(place: CloudProject) -> str:
    return f"oms/{place.name}/destination"


def secrets_of(place: CloudProject) -> dict[str, Mapping[str, str]]:
    """Every path, with what is written there."""
    paths = source_paths(place)
    return {
        caller_path(place): {"ak": place.access_key, "sk": place.secret_key},
        paths["*"]: {"ak": SOURCE_AK, "sk": SOURCE_SK},
        **{paths[bucket]: values for bucket, (_, values) in _OF_BUCKETS.items()},
        destination_path(place): {"ak": DESTINATION_AK, "sk": DESTINATION_SK},
    }
