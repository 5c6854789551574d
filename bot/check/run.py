"""Runs all checks in the order in which `serve` needs their subjects. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bot.check.database import check_database
from bot.check.exposure import check_exposure
from bot.check.finding import Finding, skipped
from bot.check.huawei import check_caller, check_huawei_cloud
from bot.check.slack import check_channel, check_slack
from bot.check.vault import check_keys, check_login
from bot.clients import new_identity, new_vault, slack_route, utc_now
from bot.config.settings import Settings
from bot.huawei.circuit_breaker import InMemoryRows
from bot.slack.transport import new_client


def run_checks(settings: Settings) -> Iterator[Finding]:
    """Yields every finding. A check that depends on a failed one is skipped, which is a finding, too."""
    count = len(settings.projects)
    yield Finding("settings", f"{count} {'project' if count == 1 else 'projects'}, command {settings.command}")
    environment = settings.environment
    yield from check_exposure(environment)
    yield from check_database(environment.database_url)
    client = new_client(environment.slack_bot_token, environment.slack_api_url, route=slack_route(settings.network))
    slack_findings = list(check_slack(settings, client))
    yield from slack_findings
    vault = new_vault(environment, settings.network)
    logins = [check_login(name, vault, identity) for name, identity in environment.vault.logins.items()]
    yield from logins
    main_login, release_login = logins[0], logins[-1]
    # Uses circuit breakers in memory: the stored ones are neither read nor changed, and refusals here do not count.
    identity = new_identity(vault, settings.projects, InMemoryRows(), utc_now, settings.network)
    known: dict[tuple[str, str], str] = {}
    for name, project in settings.projects.items():
        if slack_findings[0].is_ok:
            yield check_channel(client, name, project)
        else:
            yield skipped(f"project {name}, approvers and channel {project.channel}", slack_findings[0])
        if release_login.allows_next:
            yield from check_keys(vault, name, project)
        else:
            yield skipped(f"project {name}, source and destination keys", release_login)
        caller = check_caller(vault, name, project) if main_login.allows_next else main_login
        if main_login.allows_next:
            yield caller
        if caller.allows_next:
            yield from check_huawei_cloud(identity, name, project, known)
        else:
            yield skipped(f"project {name}, IAM and OMS", caller)
