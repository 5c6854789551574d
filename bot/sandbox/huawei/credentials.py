"""The Huawei Cloud projects of the sandbox, and every credential that its stand-ins accept. All values are invented.

Where the bot reads them in Vault is left to `bot.sandbox.vault`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

REGION = "ap-southeast-3"
PROJECT_ID = "0123456789abcdef0123456789abcdef"

# The caller's credentials: what the bot signs its own calls to OMS and IAM with.
ACCESS_KEY, SECRET_KEY = "SANDBOXCALLERAK00001", "sandbox-caller-secret-key-0000000000000001"
TEMPORARY_AK, TEMPORARY_SK = "SANDBOXTEMPCALLER001", "sandbox-temporary-secret-key-0000000000001"
SECURITY_TOKEN = "sandbox/security+token" + "0" * 600 + "=="
USER_NAME, PASSWORD, DOMAIN = "taskgroup-bot", "sandbox-password-of-the-bot-0001", "sandbox-account"
# A token that is valid from the start, without a login.
PREISSUED_TOKEN = "MIISANDBOXREADYTOKEN" + "0" * 1200

# The keys of both ends of a migration, which OMS is given in the body of START and RETRY.
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
    "SANDBOXCALLERAK00002",
    "sandbox-caller-secret-key-0000000000000002",
)

# What the caller's path in Vault may hold, for each kind of credential that the bot supports.
CALLERS = {
    "access key": {"ak": ACCESS_KEY, "sk": SECRET_KEY},
    "temporary key": {"ak": TEMPORARY_AK, "sk": TEMPORARY_SK, "security_token": SECURITY_TOKEN},
    "password": {"username": USER_NAME, "password": PASSWORD, "domain": DOMAIN},
    "token": {"token": PREISSUED_TOKEN},
}
