"""Settings that are well-formed and lead nowhere, and what is said of those that are not."""

from __future__ import annotations

import pytest

from bot.config.settings import InvalidSettings, load

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "VAULT_ADDR": "https://vault.example",
    "VAULT_ROLE_ID": "role",
    "VAULT_SECRET_ID": "secret",
}


def problems(environ: dict[str, str]) -> str:
    """The lines that end a command."""
    with pytest.raises(InvalidSettings) as raised:
        load(environ)
    return str(raised.value)
