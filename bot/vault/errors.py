"""What Vault did not do, in words for a person, with the next step. Pure; calling Vault is left to `bot.vault`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import hvac.exceptions
import requests


class VaultErrorKind(StrEnum):
    DOWN = "down"
    SEALED = "sealed"
    LOGIN = "login refused"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    UNEXPECTED = "unexpected"


class VaultError(Exception):
    """What Vault did not do, for a person: one sentence, the next step, and the path it is about."""

    def __init__(self, kind: VaultErrorKind, path: str, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.path = path
        self.sentence = sentence
        self.next_step = next_step


@contextmanager
def translating_errors(path: str) -> Iterator[None]:
    """Turns whatever Vault, or what stands in its place, does not answer as documented into a fault for a person."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, requests.exceptions.RequestException) and not isinstance(
            error, requests.exceptions.JSONDecodeError
        ):
            raise error_for(error, path) from None
        raise VaultError(
            VaultErrorKind.UNEXPECTED,
            path,
            f"Vault's answer about {path} is not understood ({type(error).__name__}).",
            "Check that VAULT_ADDR is Vault and that the mount is a KV secrets engine.",
        ) from None
    except (hvac.exceptions.VaultError, requests.exceptions.RequestException) as error:
        raise error_for(error, path) from None


def error_for(error: Exception, path: str) -> VaultError:
    """What a failure of hvac or of the connection means to a person."""
    match error:
        case requests.exceptions.SSLError():
            return VaultError(
                VaultErrorKind.DOWN, path, "The TLS certificate of Vault is not trusted.", "Set VAULT_CACERT to its CA."
            )
        case requests.exceptions.RequestException():
            return VaultError(
                VaultErrorKind.DOWN, path, "Vault does not answer.", "Check that Vault is up and VAULT_ADDR is right."
            )
        case hvac.exceptions.VaultDown() if "sealed" in str(error):
            return VaultError(VaultErrorKind.SEALED, path, "Vault is sealed.", "Unseal Vault.")
        case hvac.exceptions.VaultDown():
            # 503 is also what a load balancer says when there is no Vault behind it.
            return VaultError(
                VaultErrorKind.DOWN, path, "Vault is not available (HTTP 503).", "Look at Vault's own log."
            )
        case hvac.exceptions.Forbidden():
            return forbidden(path)
        case hvac.exceptions.InvalidPath():
            return missing(path)
        case _:
            return VaultError(
                VaultErrorKind.UNEXPECTED,
                path,
                f"Vault failed when asked about {path} ({type(error).__name__}).",
                "Look at Vault's own log.",
            )


def login_error(error: hvac.exceptions.VaultError) -> VaultError:
    """The same for a login, where "forbidden" is about who we are."""
    if isinstance(error, hvac.exceptions.InvalidRequest | hvac.exceptions.Forbidden | hvac.exceptions.Unauthorized):
        return VaultError(
            VaultErrorKind.LOGIN,
            "login",
            "Vault refuses the bot's login.",
            "Check the role id and secret id (or the token) that the bot was started with; they may have run out.",
        )
    return error_for(error, "login")


def forbidden(path: str) -> VaultError:
    """The policy does not let us."""
    return VaultError(
        VaultErrorKind.FORBIDDEN,
        path,
        f"Vault does not let the bot read {path}.",
        "Add the path to the bot's Vault policy.",
    )


def missing(path: str) -> VaultError:
    """Nothing there, or deleted."""
    return VaultError(
        VaultErrorKind.MISSING,
        path,
        f"There is nothing at {path} in Vault.",
        "Write the keys there, or correct bot.toml.",
    )
