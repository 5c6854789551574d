"""Runs all checks in the order in which `serve` needs their subjects. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bot.app import new_identity, new_vault, utc_now
from bot.check.database import check_database
from bot.check.finding import Finding
from bot.check.huawei import check_caller, check_huawei_cloud
from bot.check.slack import check_channel, check_slack
from bot.check.vault import check_keys, check_login
from bot.config.settings import Settings
from bot.huawei.circuit_breaker import InMemoryRows
from bot.slack.transport import new_client


def run_checks(settings: Settings) -> Iterator[Finding]:
    """Every finding. What failed for all projects is not checked again for each."""
    count = len(settings.projects)
    yield Finding("settings", f"{count} {'project' if count == 1 else 'projects'}, command {settings.command}")
    environment = settings.environment
    yield check_database(environment.database_url)
    client = new_client(environment.slack_bot_token, environment.slack_api_url)
    about_slack = list(check_slack(settings, client))
    yield from about_slack
    vault = new_vault(environment)
    release = environment.vault_release_identity
    main_login = check_login("Vault login", vault, environment.vault_identity)
    yield main_login
    reads_keys = main_login if release is None else check_login("Vault login for the release of keys", vault, release)
    if release is not None:
        yield reads_keys
    # The stored circuit breakers are neither read nor changed: what is tried here is not counted.
    identity = new_identity(vault, settings.projects, InMemoryRows(), utc_now)
    known: dict[tuple[str, str], str] = {}
    for name, project in settings.projects.items():
        if about_slack[0].is_well:
            yield check_channel(client, name, project)
        if reads_keys.is_well:
            yield from check_keys(vault, name, project)
        if main_login.is_well:
            about_caller = check_caller(vault, name, project)
            yield about_caller
            if about_caller.is_well:
                yield from check_huawei_cloud(identity, name, project, known)
