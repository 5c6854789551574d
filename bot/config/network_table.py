"""The table `[network]` of bot.toml as a pydantic model, with the checks of its keys."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationInfo, field_validator

from bot.config.problems import FIXES, setting_error
from bot.config.values import TABLE_CONFIG, checked_proxy
from bot.config.variables import pem_problem
from bot.net.proxy import Proxy

#: A service that the bot can reach through a proxy.
Service = Literal["slack", "huawei", "vault"]


class NetworkTable(BaseModel):
    """`[network]`: how the bot reaches the services.

    Attributes:
        ca: a PEM file, or a directory of PEM files, to trust for OMS and IAM in addition to the system's certificates.
        proxy_for: the services that are reached through the proxy.
    """

    model_config = TABLE_CONFIG

    ca: str | None = None
    proxy: Proxy | None = None
    proxy_for: frozenset[Service] = frozenset({"slack", "huawei"})

    @field_validator("ca")
    @classmethod
    def _pem(cls, path: str | None) -> str | None:
        problem = None if path is None else pem_problem(path)
        if problem:
            raise setting_error(problem, FIXES["ca"])
        return path

    @field_validator("proxy", mode="before")
    @classmethod
    def _proxy(cls, url: Any) -> Proxy:
        return checked_proxy(url)

    @field_validator("proxy_for", mode="before")
    @classmethod
    def _services(cls, names: Any, info: ValidationInfo) -> frozenset[str]:
        fix = FIXES["proxy_for"]
        if not isinstance(names, list) or not names or any(name not in get_args(Service) for name in names):
            raise setting_error("is not a list of services", fix)
        if info.data.get("proxy", ...) is None:
            raise setting_error("is set without a proxy", "Set proxy, or leave proxy_for out")
        return frozenset(names)
