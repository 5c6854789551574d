"""Builds the clients of Slack, Vault and Huawei Cloud from the settings, for `serve` and `check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bot.config.bot_toml import Project
from bot.config.environment import Environment
from bot.config.settings import DIRECT, Network
from bot.huawei.circuit_breaker import BreakerRows
from bot.huawei.identity import HuaweiProject, Identity
from bot.net.session import Route
from bot.net.tls import tls_context
from bot.vault.client import Vault
from bot.vault.errors import VaultError


def slack_route(network: Network) -> Route:
    """How the Web API, `response_url`s and Socket Mode are reached."""
    return Route(tls_context(), network.proxy_to("slack"))


def new_vault(environment: Environment, network: Network) -> Vault:
    """The Vault client for these settings."""
    vault = environment.vault
    return Vault(
        vault.address,
        vault.identity,
        vault.release_identity,
        namespace=vault.namespace,
        login_namespace=vault.login_namespace,
        ca=vault.ca,
        proxy=network.proxy_to("vault"),
    )


def new_identity(
    vault: Vault,
    projects: Mapping[str, Project],
    rows: BreakerRows,
    now: Callable[[], datetime],
    network: Network = DIRECT,
) -> Identity:
    """The bot's identity at Huawei Cloud in these projects. Vault has its credentials, `rows` its circuit breakers."""
    huawei_projects = {
        name: HuaweiProject(
            one.region, one.project_id, one.oms_address, one.iam_address, one.vault.mount, one.vault.caller
        )
        for name, one in projects.items()
    }
    route = Route(tls_context(network.ca), network.proxy_to("huawei"))
    return Identity(huawei_projects, vault.read, VaultError, rows, now, route)


def utc_now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)
