"""Checks everything that `serve` will need, one finding each, with the fix for each that fails.

It asks and changes nothing: no message is posted, no key is read but the bot's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlalchemy.exc import SQLAlchemyError

from bot.app import group_names, new_vault
from bot.config import Config, Project
from bot.oms.errors import OmsError
from bot.request.model import Plan
from bot.slack.transport import new_client
from bot.store.engine import open_store
from bot.vault import Vault
from bot.vault_faults import VaultFault
from bot.work.caller import Callers, KeyRests
from bot.work.trouble import trouble_of

SCOPES = ("commands", "chat:write", "users:read", "usergroups:read")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `fix` is empty when it is well."""

    what: str
    said: str
    fix: str = ""

    @property
    def is_well(self) -> bool:
        return not self.fix

    def __str__(self) -> str:
        return f"ok    {self.what}: {self.said}" if self.is_well else f"FAIL  {self.what}: {self.said}. Fix: {self.fix}"


def examine(config: Config) -> Iterator[Finding]:
    """Every finding, in the order in which `serve` would meet them."""
    yield Finding("settings", f"{len(config.projects)} projects, command {config.command}")
    yield _database(config)
    environment = config.environment
    client = new_client(environment.slack_bot_token, environment.slack_api_url)
    yield from _slack(config, client)
    vault = new_vault(config)
    for name, project in config.projects.items():
        yield _channel(client, name, project)
        yield from _vault(vault, name, project)
        yield _oms(vault, config, name, project)


def _database(config: Config) -> Finding:
    try:
        store = open_store(config.environment.database_url.reveal(), exclusive=False)
        store.ping()
        store.close()
    except SQLAlchemyError as error:
        return Finding("database", f"does not answer ({type(error).__name__})", "check DATABASE_URL")
    return Finding("database", "answers, and its schema is up to date")


def _slack(config: Config, client: WebClient) -> Iterator[Finding]:
    try:
        me = client.auth_test()
    except SlackApiError as error:
        yield Finding(
            "Slack", f"refuses SLACK_BOT_TOKEN ({error.response.get('error')})", "copy it from your app again"
        )
        return
    except (SlackClientError, OSError) as error:
        yield Finding("Slack", f"cannot be reached ({type(error).__name__})", "check the network and SLACK_API_URL")
        return
    yield Finding("Slack", f"workspace {me['team']}, bot {me['user']}")
    granted = str(me.headers.get("x-oauth-scopes") or "").split(",")
    missing = [scope for scope in SCOPES if scope not in granted]
    if missing:
        yield Finding("Slack scopes", f"{', '.join(missing)} missing", "add them under OAuth & Permissions, reinstall")
    else:
        yield Finding("Slack scopes", ", ".join(SCOPES))
    app_token = config.environment.slack_app_token
    if app_token is not None:
        try:
            client.apps_connections_open(app_token=app_token.reveal())
        except SlackApiError as error:
            code = error.response.get("error")
            yield Finding("Socket Mode", f"refused ({code})", "give SLACK_APP_TOKEN the scope connections:write")
        except (SlackClientError, OSError) as error:
            yield Finding("Socket Mode", f"cannot be reached ({type(error).__name__})", "check the network")
        else:
            yield Finding("Socket Mode", "opens")
    for group in group_names(config):
        try:
            users = client.usergroups_users_list(usergroup=group)["users"]
        except (SlackClientError, OSError) as error:
            yield Finding(f"user group {group}", f"cannot be read ({_code(error)})", "correct its id in bot.toml")
        else:
            fix = "" if users else "add people to it"
            yield Finding(f"user group {group}", f"{len(users)} people", fix)


def _channel(client: WebClient, name: str, project: Project) -> Finding:
    what = f"project {name}, channel {project.channel}"
    try:
        # A message planned far ahead and withdrawn at once tells whether the bot may write, and nobody sees it.
        post_at = int(datetime.now(UTC).timestamp()) + 3600 * 24
        planned = client.chat_scheduleMessage(channel=project.channel, text="check", post_at=post_at)
        client.chat_deleteScheduledMessage(
            channel=project.channel, scheduled_message_id=planned["scheduled_message_id"]
        )
    except (SlackClientError, OSError) as error:
        code = _code(error)
        fix = {
            "is_archived": "unarchive it, or name another in bot.toml",
            "not_in_channel": "type /invite with the bot's name there",
            "channel_not_found": "type /invite with the bot's name there, or correct the id",
        }.get(code, "check the channel's id and its posting rules")
        return Finding(what, f"the bot cannot write there ({code})", fix)
    return Finding(what, "the bot may write there")


def _vault(vault: Vault, name: str, project: Project) -> Iterator[Finding]:
    settings = project.vault
    sources = [settings.source] if isinstance(settings.source, str) else sorted(set(settings.source.values()))
    for path in dict.fromkeys((*sources, settings.destination)):
        what = f"project {name}, Vault {settings.mount}/{path}"
        try:
            check = vault.check(settings.mount, path)
        except VaultFault as fault:
            yield Finding(what, fault.sentence.rstrip("."), fault.next_step.rstrip("."))
            continue
        if check.keys is None:
            yield Finding(what, "may be read; its keys were not checked")
        elif {"ak", "sk"} <= set(check.keys):
            yield Finding(what, f"may be read, version {check.version}, keys {', '.join(check.keys)}")
        else:
            yield Finding(what, f"has the keys {', '.join(check.keys) or 'none'}", "write ak and sk there")


def _oms(vault: Vault, config: Config, name: str, project: Project) -> Finding:
    what = f"project {name}, OMS {project.oms_address}"
    settings = project.vault
    plan = Plan(
        name,
        project.region,
        project.project_id,
        project.oms_address,
        settings.mount,
        settings.caller,
        "",
        settings.destination,
    )
    callers = Callers(vault, config.projects, lambda: datetime.now(UTC))
    try:
        paused = callers.call(name, lambda oms: sum(1 for _ in oms.groups()))
    except (VaultFault, OmsError, KeyRests) as fault:
        trouble = trouble_of(fault, plan)
        said = f"{trouble.code} {trouble.meaning}".replace("Nothing was started.", "").strip().rstrip(".")
        return Finding(what, said, trouble.next_step.replace("press Retry", "check again").rstrip("."))
    return Finding(what, f"answers a signed call, {paused} task groups")


def _code(error: Exception) -> str:
    return str(error.response.get("error")) if isinstance(error, SlackApiError) else type(error).__name__
