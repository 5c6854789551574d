"""The Huawei Cloud projects of the sandbox, and every credential that its stand-ins accept. All values are invented.

Where the bot reads them in Vault is left to `bot.sandbox.vault`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

REGION = "ap-southeast-3"
PROJECT_ID = "0123456789abcdef0123456789abcdef"


def _random_text(seed: str, characters: int) -> str:
    """Base64 that is the same in each process."""
    return base64.b64encode(hashlib.shake_256(seed.encode()).digest(characters)).decode()[:characters]


# The keys look random, as real ones do: the bot withholds texts with six characters in a row of a key.
# The caller's credentials: what the bot signs its own calls to OMS and IAM with.
ACCESS_KEY, SECRET_KEY = "HSTQ7VX2MZK9RWB4TN6C", "u8Yq3vHnR5xWkZt1LbCfJ7mPgS0dA4eTiQ9oVw2X"
TEMPORARY_AK, TEMPORARY_SK = "HSTD5KJ8WPY3NQXV7RBM", "b4ZkTq9WmXr2HvLs6NcYd1JfPg7oQe0AuK3iRy8E"
SECURITY_TOKEN = _random_text("security token", 620) + "=="
USER_NAME, PASSWORD, DOMAIN = "taskgroup-bot", "vK7!mQ2x-Wd9rT4#zHnB", "sandbox-account"
# A token that is valid from the start, without a login.
PREISSUED_TOKEN = "MII" + _random_text("IAM token", 1200)

# The keys of both ends of a migration, which OMS is given in the body of START and RETRY.
SOURCE_AK, SOURCE_SK = "SBXAZ3XW7QHT5NVK2RJD", "pW6/zKtX3vRq8LmYh+2NcJ5dBsG9fEoT1uQiAx7V"
DESTINATION_AK, DESTINATION_SK = "HPUAW9KZ4XTR6VQN3JYB", "Qz7KvN3xTm5WrYb9HcLd2JfPs8GqXt1RkEo6AuVi"
AZURE_CONNECTION_STRING = (
    "DefaultEndpointsProtocol=https;AccountName=sandbox;"
    "AccountKey=Kq9xVz3TmWb7RnYd5HcLfJ2sPgXtQe8AuKoI1v6E4yZrNwMhBkGjUpS0==;EndpointSuffix=core.windows.net"
)
GOOGLE_JSON = json.dumps(
    {
        "type": "service_account",
        "project_id": "sandbox",
        "client_email": "migration@sandbox.iam.gserviceaccount.com",
        "private_key": "MzQ4xKvWt7RnYb2HcLdJ5fPsGqXe9TuAo\nZ8iVwNk3mBrEyLhCx6QjKpUdSgF1\n",
    },
    indent=2,
)
CDN_KEY = "xT7vKq2WzRn9YbHm"


@dataclass(frozen=True)
class CloudProject:
    """A Huawei Cloud project: its region, its id, and the permanent access key that may call OMS there."""

    name: str
    region: str
    project_id: str
    access_key: str
    secret_key: str


MEDIA = CloudProject("media", REGION, PROJECT_ID, ACCESS_KEY, SECRET_KEY)
ARCHIVE = CloudProject(
    "archive",
    "ap-southeast-1",
    "fedcba9876543210fedcba9876543210",
    "HSTB8NW4XKQ6ZVTR2YJM",
    "T5nXqWv8ZkRb3YmHc7LdJ2fPsGx9QtEo1AuKi6Vr",
)

# What the caller's path in Vault may hold, for each kind of credential that the bot supports.
CALLERS = {
    "access key": {"ak": ACCESS_KEY, "sk": SECRET_KEY},
    "temporary key": {"ak": TEMPORARY_AK, "sk": TEMPORARY_SK, "security_token": SECURITY_TOKEN},
    "password": {"username": USER_NAME, "password": PASSWORD, "domain": DOMAIN},
    "token": {"token": PREISSUED_TOKEN},
}
