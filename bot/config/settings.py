"""Loads the settings: the environment and bot.toml as checked values, or every problem in them at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from bot.config.bot_toml import BotToml, Project
from bot.config.environment import Environment, read_database_url, read_environment, read_state_key
from bot.config.network_table import NetworkTable, Service
from bot.config.problems import COMPARE_WITH_EXAMPLE, FIXES, InvalidSettings, Problems, problems_in
from bot.config.values import parse_duration
from bot.config.variables import read_secret
from bot.domain.policy import reader_names
from bot.net.proxy import Proxy
from bot.redaction import Secret
from bot.store.state_keys import StateKeys


@dataclass(frozen=True)
class Network:
    """How the bot reaches the services. A change takes effect at the next start.

    Attributes:
        ca: a PEM file, or a directory of PEM files, to trust for OMS and IAM in addition to the system's certificates.
        proxy: None if every service is reached directly.
        proxy_for: the services that are reached through the proxy.
    """

    ca: str | None = None
    proxy: Proxy | None = None
    proxy_for: frozenset[Service] = frozenset()

    def proxy_to(self, service: Service) -> Proxy | None:
        """The proxy for connections to a service; None for direct connections."""
        return self.proxy if service in self.proxy_for else None


#: Direct connections, and the system's certificates.
DIRECT = Network()


@dataclass(frozen=True)
class Settings:
    """All settings. `command`, `network` and `projects`, by name, come from bot.toml."""

    environment: Environment
    command: str
    projects: Mapping[str, Project]
    network: Network = DIRECT
    keep: timedelta = timedelta(days=400)  # how long ended requests and the history of groups are kept

    @property
    def named_ids(self) -> frozenset[str]:
        """The ids of the people and user groups in bot.toml. It also has `*` if that is in bot.toml."""
        return frozenset(name for project in self.projects.values() for name in reader_names(project.policy))

    @property
    def user_groups(self) -> tuple[str, ...]:
        """The ids (`S…`) of the user groups in bot.toml, sorted."""
        return tuple(sorted(name for name in self.named_ids if name.startswith("S")))


def load(environ: Mapping[str, str]) -> Settings:
    """Reads the environment, and bot.toml from the path in BOT_CONFIG.

    Raises:
        InvalidSettings: with every problem in both.
    """
    problems = Problems()
    environment = read_environment(environ, problems)
    path = Path(environ.get("BOT_CONFIG") or "bot.toml")
    file = _read_bot_toml(path, problems)
    network = None
    if environment is not None and file is not None:
        network = _network(file.network, environment.proxy_password, problems)
    if environment is None or file is None or network is None:
        raise InvalidSettings(problems)
    return Settings(environment, file.command, file.projects, network, parse_duration(file.keep))


def load_database_url(environ: Mapping[str, str]) -> Secret:
    """Reads DATABASE_URL alone: to read the audit needs no setting of Slack or Vault.

    Raises:
        InvalidSettings: it is wrong.
    """
    problems = Problems()
    url = read_database_url(environ, problems)
    if problems:
        raise InvalidSettings(problems)
    return url


def load_state_keys(environ: Mapping[str, str]) -> StateKeys:
    """The keys of the database, from STATE_KEY or SLACK_BOT_TOKEN. Without both, there is no current key.

    Raises:
        InvalidSettings: one of the variables is wrong.
    """
    problems = Problems()
    key = read_state_key(environ, "STATE_KEY", problems) or read_secret(environ, "SLACK_BOT_TOKEN", problems)
    former = read_state_key(environ, "STATE_KEY_FORMER", problems)
    if problems:
        raise InvalidSettings(problems)
    return StateKeys(lambda: key, former)


def example() -> str:
    """An example of bot.toml, with comments."""
    return (resources.files("bot.config") / "example.toml").read_text(encoding="utf-8")


def _network(table: NetworkTable, password: Secret | None, problems: Problems) -> Network | None:
    """Joins the proxy in bot.toml and its password in the environment. None if they do not match."""
    name, proxy = "NETWORK_PROXY_PASSWORD", table.proxy
    if password is None:
        return Network(table.ca, proxy, table.proxy_for)
    if proxy is None or proxy.user is None:
        problems.add(name, "is set, but proxy under [network] in bot.toml has no username", FIXES["proxy"])
    elif proxy.password is not None:
        problem = "is set, and proxy under [network] in bot.toml also has a password"
        problems.add(name, problem, "Remove the password from bot.toml")
    else:
        return Network(table.ca, replace(proxy, password=password), table.proxy_for)
    return None


def _read_bot_toml(path: Path, problems: Problems) -> BotToml | None:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        fix = "Write it with `taskgroup-bot example bot.toml > bot.toml`, or set BOT_CONFIG to its path"
        problems.add(str(path), f"can't be read: {error.strerror}", fix)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(str(path), f"is not TOML: {error}", COMPARE_WITH_EXAMPLE)
    else:
        try:
            return BotToml.model_validate(raw)
        except ValidationError as error:
            for problem in problems_in(path.name, error):
                problems.add(*problem)
    return None
