"""Checks everything that `serve` will need, one finding each, with the fix for each that fails.

It asks and changes nothing: no message is posted, no key is read but the bot's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.app import group_names, new_vault
from bot.config import Config, Project
from bot.oms.errors import OmsError
from bot.oms.needs import (
    ANY_SOURCE_NEEDS,
    DESTINATION_NEEDS,
    SECURITY_TOKEN,
    Needs,
    fields_to_send,
    missing_keys,
)
from bot.slack.transport import new_client
from bot.store.engine import open_store
from bot.vault import Vault
from bot.vault_faults import VaultFault
from bot.work.caller import Callers, KeyRests
from bot.work.trouble import Then, trouble_of

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
    count = len(config.projects)
    yield Finding("settings", f"{count} {'project' if count == 1 else 'projects'}, command {config.command}")
    yield _database(config)
    environment = config.environment
    client = new_client(environment.slack_bot_token, environment.slack_api_url)
    about_slack = list(_slack(config, client))
    yield from about_slack
    vault = new_vault(config)
    # Whether the bot's identity rests is kept in a store; here a person asks, and nothing of theirs is changed.
    with TemporaryDirectory() as directory:
        store = open_store(f"sqlite:///{directory}/check.sqlite")
        callers = Callers(vault, config.projects, store, lambda: datetime.now(UTC))
        for name, project in config.projects.items():
            if about_slack[0].is_well:
                yield _channel(client, name, project)
            yield from _vault(vault, name, project)
            yield from _huawei_cloud(callers, name, project)
        store.close()


def _database(config: Config) -> Finding:
    url = make_url(config.environment.database_url.reveal())
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        directory = Path(url.database).absolute().parent
        if not os.access(directory, os.W_OK):
            return Finding("database", f"{directory} is not there, or may not be written", "correct DATABASE_URL")
        return Finding("database", f"{url.database} is not there yet; serve makes it")
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
        needs = [DESTINATION_NEEDS] if path == settings.destination else ANY_SOURCE_NEEDS
        yield _keys(vault, f"project {name}, Vault {settings.mount}/{path}", settings.mount, path, needs)


def _keys(vault: Vault, what: str, mount: str, path: str, needs: Sequence[Needs]) -> Finding:
    try:
        check = vault.check(mount, path)
    except VaultFault as fault:
        return Finding(what, fault.sentence.rstrip("."), fault.next_step.rstrip("."))
    keys = check.keys
    if keys is None:
        return Finding(what, "may be read; its keys were not checked")
    said = f"has the keys {', '.join(keys) or 'none'}"
    if SECURITY_TOKEN in keys:
        fix = "write a permanent access key there: OMS takes no security token for source and destination"
        return Finding(what, said, fix)
    if all(fields_to_send(one, keys) is None for one in needs):
        begun = [one for one in needs if any(field.key in keys for fields in one.either for field in fields)]
        return Finding(what, said, f"write {', or '.join(missing_keys(one, keys) for one in begun or needs)} there")
    return Finding(what, f"may be read, version {check.version}, keys {', '.join(keys)}")


def _huawei_cloud(callers: Callers, name: str, project: Project) -> Iterator[Finding]:
    what = f"project {name}, IAM {project.iam_address}"
    try:
        project_id = callers.project_id(name)
        yield Finding(what, f"the project's id is {project_id}")
        what = f"project {name}, OMS {project.oms_address}"
        count = callers.call(name, lambda oms: sum(1 for _ in oms.groups()))
    except (VaultFault, OmsError, KeyRests) as fault:
        trouble = trouble_of(fault, project.plan(name, "", None), Then.NOTHING, "")
        yield Finding(what, f"{trouble.code} {trouble.meaning}".strip().rstrip("."), trouble.next_step.rstrip("."))
    else:
        yield Finding(what, f"answers the bot's call, {count} task groups")


def _code(error: Exception) -> str:
    return str(error.response.get("error")) if isinstance(error, SlackApiError) else type(error).__name__
