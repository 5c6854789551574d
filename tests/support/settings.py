"""Well-formed settings of services that do not exist, and the problems of settings that are wrong."""

from __future__ import annotations

import pytest

from bot.config.problems import InvalidSettings
from bot.config.settings import load

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "VAULT_ADDR": "https://vault.example",
    "VAULT_ROLE_ID": "role",
    "VAULT_SECRET_ID": "secret",
}


def problems(environ: dict[str, str]) -> str:
    """The problems of these settings, one line each."""
    with pytest.raises(InvalidSettings) as raised:
        load(environ)
    return str(raised.value)
