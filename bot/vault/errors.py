"""What can go wrong with Vault: one exception with a kind, a sentence for people and the next step.

`translating_errors` turns what hvac and requests raise into it. Calling Vault is left to `bot.vault.client`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import hvac.exceptions
import requests


class VaultErrorKind(StrEnum):
    """Why a call to Vault failed."""

    #: There was no answer, or only that of a load balancer without a Vault behind it.
    DOWN = "down"
    #: Vault is sealed and answers nothing until it is unsealed.
    SEALED = "sealed"
    #: Vault refused the bot's credentials.
    LOGIN = "login refused"
    #: The policy of the token does not allow the call, or the token expired.
    FORBIDDEN = "forbidden"
    #: The path holds no secret, or its newest version is deleted.
    MISSING = "missing"
    #: Vault failed, or the answer is not Vault's.
    UNEXPECTED = "unexpected"


class VaultError(Exception):
    """A call to Vault failed. No attribute holds a secret.

    Arguments:
        path: the mount and path of the secret, or the API path, or `login`.
        sentence: what happened, for people.
        next_step: what people can do about it.
    """

    def __init__(self, kind: VaultErrorKind, path: str, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.path = path
        self.sentence = sentence
        self.next_step = next_step


@contextmanager
def translating_errors(path: str) -> Iterator[None]:
    """Raises a `VaultError` about `path` for every exception of hvac and requests, and for answers of another shape.

    Those raise KeyError, TypeError, ValueError or AttributeError where the answer is read.
    """
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
    """The `VaultError` for an exception of hvac or requests."""
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
            # A load balancer without a Vault behind it answers 503 too.
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
    """The `VaultError` for an exception during a login, where 400, 401 and 403 mean refused credentials."""
    if isinstance(error, hvac.exceptions.InvalidRequest | hvac.exceptions.Forbidden | hvac.exceptions.Unauthorized):
        return VaultError(
            VaultErrorKind.LOGIN,
            "login",
            "Vault refuses the bot's login.",
            "Check the role id and secret id (or the token) that the bot was started with; they may have run out.",
        )
    return error_for(error, "login")


def forbidden(path: str) -> VaultError:
    """The error for a path that the token may not read."""
    return VaultError(
        VaultErrorKind.FORBIDDEN,
        path,
        f"Vault does not let the bot read {path}.",
        "Add the path to the bot's Vault policy.",
    )


def missing(path: str) -> VaultError:
    """The error for a path without a secret, or with a deleted one."""
    return VaultError(
        VaultErrorKind.MISSING,
        path,
        f"There is nothing at {path} in Vault.",
        "Write the keys there, or correct bot.toml.",
    )
