"""Who may call in the sandbox's Huawei Cloud: the projects, and for each way of calling one identity that is valid."""

from __future__ import annotations

from dataclasses import dataclass

REGION = "ap-southeast-3"
PROJECT_ID = "0123456789abcdef0123456789abcdef"
ACCESS_KEY, SECRET_KEY = "SANDBOXCALLERAK00001", "sandbox-caller-secret-key-0000000000000001"
TEMPORARY_AK, TEMPORARY_SK = "SANDBOXTEMPCALLER001", "sandbox-temporary-secret-key-0000000000001"
SECURITY_TOKEN = "sandbox/security+token" + "0" * 600 + "=="
USER_NAME, PASSWORD, DOMAIN = "taskgroup-bot", "sandbox-password-of-the-bot-0001", "sandbox-account"
READY_TOKEN = "MIISANDBOXREADYTOKEN" + "0" * 1200


@dataclass(frozen=True)
class CloudProject:
    """One Huawei Cloud project: where it is, and the permanent access key that may call there."""

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

# What the bot may have in Vault as its own identity, for each way of calling.
CALLERS = {
    "access key": {"ak": ACCESS_KEY, "sk": SECRET_KEY},
    "temporary key": {"ak": TEMPORARY_AK, "sk": TEMPORARY_SK, "security_token": SECURITY_TOKEN},
    "password": {"username": USER_NAME, "password": PASSWORD, "domain": DOMAIN},
    "token": {"token": READY_TOKEN},
}
