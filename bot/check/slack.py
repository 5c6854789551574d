"""Checks everything that `serve` will need, one finding each, with the fix for each that fails.

It asks and changes nothing: no message is posted, no key is read but the bot's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from tempfile import TemporaryDirectory

from slack_sdk import WebClient
from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.app import group_names, new_vault
from bot.config.bot_toml import Project
from bot.config.settings import Settings
from bot.domain.policy import EVERY_FULL_MEMBER, AccountKind, Person, approver_names, unfillable_slots
from bot.huawei.errors import HuaweiError
from bot.huawei.required_keys import (
    ANY_SOURCE_KEYS,
    DESTINATION_KEYS,
    SECURITY_TOKEN,
    RequiredKeys,
    fields_to_send,
    missing_keys,
)
from bot.jobs.identity.callers import Callers
from bot.jobs.identity.credential import KINDS, read_credential
from bot.jobs.identity.guard import IdentitySuspended
from bot.jobs.problems import RetryHint, explain
from bot.slack.errors import LookupFailed, SlackError, Unavailable, translating_errors
from bot.slack.transport import new_client
from bot.slack.users import Users
from bot.store.database import SchemaState, UnreadableDatabase, open_store, open_to_read
from bot.store.database_url import connection_problem, unwritable_path
from bot.vault.client import Vault
from bot.vault.errors import VaultError
from bot.vault.login import VaultIdentity, VaultToken

# It is never posted, unless `check` is killed before it has withdrawn it.
LEFT_BEHIND = (
    "`taskgroup-bot check` looked whether the bot may write here, and ended before it could withdraw this message. "
    "Nothing is wrong, and there is nothing to do."
)
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


def run_checks(config: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which `serve` would meet them."""
    count = len(config.projects)
    yield Finding("settings", f"{count} {'project' if count == 1 else 'projects'}, command {config.command}")
    yield _database(config)
    environment = config.environment
    client = new_client(environment.slack_bot_token, environment.slack_api_url)
    about_slack = list(_slack(config, client))
    yield from about_slack
    vault = new_vault(config)
    release = environment.vault_release_identity
    main_login = _login("Vault login", vault, environment.vault_identity)
    yield main_login
    reads_keys = main_login if release is None else _login("Vault login for the release of keys", vault, release)
    if release is not None:
        yield reads_keys
    # Whether the bot's identity rests is kept in a store; here a person asks, and nothing of theirs is changed.
    with TemporaryDirectory() as directory, closing(open_store(f"sqlite:///{directory}/check.sqlite")) as store:
        callers = Callers(vault, config.projects, store, lambda: datetime.now(UTC))
        known: dict[tuple[str, str], str] = {}
        for name, project in config.projects.items():
            # What has failed once for all of them is not told again for each.
            if about_slack[0].is_well:
                yield _channel(client, name, project)
            if reads_keys.is_well:
                yield from _vault(vault, name, project)
            if main_login.is_well:
                about_caller = _caller(vault, name, project)
                yield about_caller
                if about_caller.is_well:
                    yield from _huawei_cloud(callers, name, project, known)


def _database(config: Settings) -> Finding:
    url = config.environment.database_url.reveal()
    try:
        with closing(open_to_read(url)) as store:
            store.ping()
    except UnreadableDatabase as nothing:
        return _no_database(nothing, make_url(url))
    except SQLAlchemyError as error:
        return Finding(
            "database",
            f"does not answer as it should ({connection_problem(error, make_url(url))})",
            "check DATABASE_URL",
        )
    return _writable(make_url(url), "is there, and its schema is up to date")


def _no_database(nothing: UnreadableDatabase, url: URL) -> Finding:
    match nothing.found:
        case SchemaState.NO_FILE:
            return _writable(url, "is not there yet: serve makes it")
        case SchemaState.NOTHING:
            return _writable(url, "holds nothing yet: serve makes its tables")
        case SchemaState.OLDER:
            return _writable(url, "is older than this program: serve brings it up to date")
        case SchemaState.NEWER:
            fix = "use the version of the program that served from it last"
            return Finding("database", "is newer than this program", fix)


def _writable(url: URL, said: str) -> Finding:
    """The finding, unless it is a file that the bot may not write, or not beside it, as SQLite does."""
    place = unwritable_path(url)
    if place is None:
        return Finding("database", said)
    problem = f"{place} is not there, or may not be written"
    return Finding("database", problem, "correct DATABASE_URL, or the rights there")


def _slack(config: Settings, client: WebClient) -> Iterator[Finding]:
    try:
        with translating_errors():
            me = client.auth_test()
    except SlackError as error:
        yield _slack_fault("Slack", error, "copy SLACK_BOT_TOKEN from your app again")
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
            with translating_errors():
                client.apps_connections_open(app_token=app_token.reveal())
        except SlackError as error:
            yield _slack_fault("Socket Mode", error, "give SLACK_APP_TOKEN the scope connections:write")
        else:
            yield Finding("Socket Mode", "opens")
    for group in group_names(config):
        try:
            with translating_errors():
                users = client.usergroups_users_list(usergroup=group)["users"]
        except SlackError as error:
            yield _slack_fault(f"user group {group}", error, "correct its id in bot.toml", "cannot be read")
        else:
            fix = "" if users else "add people to it"
            yield Finding(f"user group {group}", "1 person" if len(users) == 1 else f"{len(users)} people", fix)
    people = Users(client, me["team_id"], group_names(config), time.monotonic)
    try:
        yield from _people(config, people, cache(people.look_up))
    except LookupFailed as fault:
        yield Finding("people", f"cannot be looked up ({fault})", "mend what is told above, or try again later")


def _people(config: Settings, people: Users, look_up: Callable[[str], Person]) -> Iterator[Finding]:
    """Whether whoever the settings name by themselves counts, and whether those who do could ever approve.

    Raises:
        SlackCannotBeAsked: Slack does not tell who somebody is, or who is in a group.
    """
    named = {
        name
        for project in config.projects.values()
        for name in (*project.policy.requesters, *approver_names(project.policy))
        if name != EVERY_FULL_MEMBER and not name.startswith("S")
    }
    for user_id in sorted(named):
        person = look_up(user_id)
        fix = (
            ""
            if person.account_kind is AccountKind.FULL
            else "correct or remove it in bot.toml: only full members count"
        )
        yield Finding(f"user {user_id}", person.account_kind.value if person.team_id else "is nobody here", fix)
    for name, project in config.projects.items():
        what = f"project {name}, approvers"
        policy = project.policy
        missing = unfillable_slots(policy, policy, "", people.members(approver_names(policy)), look_up)
        if missing:
            left = " and for one of ".join(", ".join(place) for place in missing)
            yield Finding(what, f"no full member is left for one of {left}", "name others, or add people to the groups")
        else:
            yield Finding(what, "enough people could approve")


def _slack_fault(what: str, error: SlackError, fix: str, said: str = "refuses") -> Finding:
    if isinstance(error, Unavailable):
        said, fix = error.problem, error.fix
    return Finding(what, f"{said} ({error.code})", fix)


def _channel(client: WebClient, name: str, project: Project) -> Finding:
    what = f"project {name}, channel {project.channel}"
    try:
        # A message planned far ahead and withdrawn at once tells whether the bot may write, and nobody sees it.
        post_at = int(datetime.now(UTC).timestamp()) + 3600 * 24
        with translating_errors():
            planned = client.chat_scheduleMessage(channel=project.channel, text=LEFT_BEHIND, post_at=post_at)
            client.chat_deleteScheduledMessage(
                channel=project.channel, scheduled_message_id=planned["scheduled_message_id"]
            )
    except SlackError as error:
        fix = {
            "is_archived": "unarchive it, or name another in bot.toml",
            "not_in_channel": "type /invite with the bot's name there",
            "channel_not_found": "type /invite with the bot's name there, or correct the id",
        }.get(error.code, "check the channel's id and its posting rules")
        return _slack_fault(what, error, fix, "the bot cannot write there")
    return Finding(what, "the bot may write there")


def _login(what: str, vault: Vault, identity: VaultIdentity) -> Finding:
    try:
        terms = vault.token_terms(identity)
    except VaultError as fault:
        return Finding(what, fault.sentence.rstrip("."), fault.next_step.rstrip("."))
    # What is wrong with a role is mended at the role; a standing token can only be replaced.
    is_token = isinstance(identity, VaultToken)
    if terms.is_batch:
        fix = "make a token with -type=service" if is_token else "set token_type=service on its role"
        return Finding(what, "gives a batch token, which has no accessor and cannot be given back", fix)
    if terms.uses:
        fix = "make a token without -use-limit" if is_token else "set token_num_uses=0 on its role"
        return Finding(what, f"gives a token that ends after {terms.uses} uses", fix)
    return Finding(what, "gives a service token, for any number of uses")


def _vault(vault: Vault, name: str, project: Project) -> Iterator[Finding]:
    settings = project.vault
    sources = [settings.source] if isinstance(settings.source, str) else sorted(set(settings.source.values()))
    for path in dict.fromkeys((*sources, settings.destination)):
        needs = [DESTINATION_KEYS] if path == settings.destination else ANY_SOURCE_KEYS
        yield _keys(vault, f"project {name}, Vault {settings.mount}/{path}", settings.mount, path, needs)


def _keys(vault: Vault, what: str, mount: str, path: str, needs: Sequence[RequiredKeys]) -> Finding:
    try:
        check = vault.check(mount, path)
    except VaultError as fault:
        return Finding(what, fault.sentence.rstrip("."), fault.next_step.rstrip("."))
    keys = check.keys
    if keys is None:
        return Finding(what, "may be read; its keys were not checked")
    said = f"has the keys {', '.join(keys) or 'none'}"
    if SECURITY_TOKEN in keys:
        fix = "write a permanent access key there: OMS takes no security token for source and destination"
        return Finding(what, said, fix)
    if all(fields_to_send(one, keys) is None for one in needs):
        begun = [one for one in needs if any(field.key in keys for fields in one.alternatives for field in fields)]
        return Finding(what, said, f"write {', or '.join(missing_keys(one, keys) for one in begun or needs)} there")
    return Finding(what, f"may be read{_version(check.version)}, keys {', '.join(keys)}")


def _caller(vault: Vault, name: str, project: Project) -> Finding:
    what = f"project {name}, Vault {project.vault.mount}/{project.vault.caller}"
    try:
        version, credential = read_credential(vault, project.vault.mount, project.vault.caller)
    except VaultError as fault:
        return Finding(what, fault.sentence.rstrip("."), fault.next_step.rstrip("."))
    return Finding(what, f"may be read{_version(version)}, holds {KINDS[type(credential)]}")


def _version(version: int | None) -> str:
    """Version 1 of the KV engine has none."""
    return f", version {version}" if version is not None else ""


def _huawei_cloud(
    callers: Callers, name: str, project: Project, known: dict[tuple[str, str], str]
) -> Iterator[Finding]:
    what = f"project {name}, IAM {project.iam_address}"
    try:
        project_id = callers.project_id(name)
        first = known.setdefault((project.oms_address, project_id), name)
        fix = "" if first == name else "keep one table for it, so that its groups have one set of approvers"
        yield Finding(what, f"the project's id is {project_id}{', as of project ' + first if fix else ''}", fix)
        what = f"project {name}, OMS {project.oms_address}"
        count = callers.call(name, lambda oms: sum(1 for _ in oms.groups()))
    except (VaultError, HuaweiError, IdentitySuspended) as fault:
        problem = explain(fault, project.plan(name, "", None), RetryHint.NOTHING, "")
        yield Finding(what, f"{problem.code} {problem.meaning}".strip().rstrip("."), problem.next_step.rstrip("."))
    else:
        yield Finding(what, f"answers the bot's call, {count} task groups")
