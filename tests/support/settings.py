"""Settings that are well-formed and lead nowhere, for commands that need only the database."""

from __future__ import annotations

from pathlib import Path

from bot.config import example


def audit_environment(directory: Path, database_url: str) -> dict[str, str]:
    """What `audit` is started with. Writes a bot.toml into the directory."""
    path = directory / "bot.toml"
    path.write_text(example(), encoding="utf-8")
    return {
        "SLACK_BOT_TOKEN": "xoxb-leads-nowhere",
        "SLACK_APP_TOKEN": "xapp-leads-nowhere",
        "VAULT_ADDR": "http://127.0.0.1:1",
        "VAULT_TOKEN": "leads-nowhere",
        "DATABASE_URL": database_url,
        "BOT_CONFIG": str(path),
    }
