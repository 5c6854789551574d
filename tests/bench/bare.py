"""The baseline for the time from Approve to PUT: a script that makes the same calls in the same order as the bot.

Prints the start time for each group. Arguments: the URLs of Slack, OMS and Vault, a role id, a secret id, group ids.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

import hvac
import requests
from slack_sdk import WebClient

from bot.huawei.signing import AccessKey, AccessKeyAuth
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import ACCESS_KEY, PROJECT_ID, SECRET_KEY
from bot.sandbox.slack.ids import BOT_TOKEN, CAROL


def main() -> None:
    slack_url, oms_url, vault_url, role_id, secret_id, *groups = sys.argv[1:]
    slack = WebClient(token=BOT_TOKEN, base_url=slack_url)
    session, vault_session = requests.Session(), requests.Session()
    key = AccessKey(Secret(ACCESS_KEY), Secret(SECRET_KEY))
    auth = AccessKeyAuth(key, PROJECT_ID, lambda: datetime.now(UTC))
    base = f"{oms_url}/v2/{PROJECT_ID}/taskgroups"
    for group_id in groups:
        time.sleep(1)  # as between two actions of a person
        print(datetime.now(UTC).isoformat())
        slack.users_info(user=CAROL)
        session.get(f"{base}/{group_id}", auth=auth, timeout=5).json()
        vault = hvac.Client(url=vault_url, session=vault_session)
        vault.auth.approle.login(role_id, secret_id)
        source = vault.adapter.get("/v1/secret/data/oms/media/source")["data"]["data"]
        destination = vault.adapter.get("/v1/secret/data/oms/media/destination")["data"]["data"]
        vault.auth.token.revoke_self()
        fields = {
            "src_ak": source["ak"],
            "src_sk": source["sk"],
            "dst_ak": destination["ak"],
            "dst_sk": destination["sk"],
        }
        headers = {"Content-Type": "application/json"}
        url = f"{base}/{group_id}/start"
        session.put(url, data=json.dumps(fields).encode(), headers=headers, auth=auth, timeout=5).raise_for_status()


if __name__ == "__main__":
    main()
