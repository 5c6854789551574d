"""What can go wrong with Vault: one exception with a kind, a sentence for people and the next step.

`translating_errors` turns what hvac and requests raise into it. Calling Vault is left to `bot.vault.client`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from urllib.parse import urlsplit

import hvac.exceptions
import requests

from bot.net.proxy import ProxyError
from bot.net.session import find_cause
from bot.vault.adapter import NotServed


class VaultErrorKind(StrEnum):
    """Why a call to Vault failed."""

    #: There was no answer, or only that of a load balancer without a Vault behind it.
    DOWN = "down"
    #: Vault is sealed and answers nothing until a Vault operator unseals it.
    SEALED = "sealed"
    #: A standby node answered, and did not pass the call on to the active node.
    STANDBY = "standby"
    #: Vault has no leader or another internal error, or limits calls, or a node does not know the token yet.
    UNAVAILABLE = "unavailable"
    #: Vault refused the bot's credentials.
    LOGIN = "login refused"
    #: Vault does not accept the token that wraps the bot's secret id, or it wraps something else.
    WRAPPING = "wrapping token refused"
    #: The file of the bot's credentials can't be read now.
    FILE = "no credentials"
    #: The policy of the token does not allow the call, or the token expired.
    FORBIDDEN = "forbidden"
    #: The path holds no secret, or its newest version is deleted.
    MISSING = "missing"
    #: Vault rejected the call for another reason, or the answer is not Vault's.
    UNEXPECTED = "unexpected"


_LASTING = frozenset(
    {
        VaultErrorKind.LOGIN,
        VaultErrorKind.WRAPPING,
        VaultErrorKind.FORBIDDEN,
        VaultErrorKind.MISSING,
        VaultErrorKind.UNEXPECTED,
    }
)
# What Vault answers to a wrong login. A namespace that does not exist is a 404.
_REFUSALS = (
    hvac.exceptions.InvalidRequest,
    hvac.exceptions.Unauthorized,
    hvac.exceptions.Forbidden,
    hvac.exceptions.InvalidPath,
)
#: What a 403 to the login of an AppRole may mean.
MAYBE_LOCKED = "After five wrong secret ids, Vault also rejects the right one for 15 minutes."
_CHECK_LOG = "Check that Vault is running, then check its log."
_ACTIVE_ADDRESS = "Set VAULT_ADDR to the active node, or to a load balancer that leads to it."


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

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later although nobody changes the bot's rights, secrets or login."""
        return self.kind not in _LASTING

    def copied(self) -> VaultError:
        """The same error for another thread, without the traceback of the first."""
        return VaultError(self.kind, self.path, self.sentence, self.next_step)


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
            f"The bot can't read Vault's answer about {path} ({type(error).__name__}).",
            "Check that VAULT_ADDR is the address of Vault and that the mount is a KV secrets engine.",
        ) from None
    except (hvac.exceptions.VaultError, requests.exceptions.RequestException) as error:
        raise error_for(error, path) from None


def error_for(error: Exception, path: str) -> VaultError:
    """The `VaultError` for an exception of hvac or requests."""
    proxy_error = find_cause(error, ProxyError)
    match error:
        case _ if proxy_error is not None:
            sentence = f"The bot couldn't reach Vault{_at_address(error)} ({proxy_error.problem})."
            return VaultError(VaultErrorKind.DOWN, path, sentence, proxy_error.next_step)
        case requests.exceptions.SSLError() if "alert" in str(error).lower():
            return VaultError(
                VaultErrorKind.DOWN,
                path,
                f"Vault{_at_address(error)} rejected the bot's TLS connection.",
                "If Vault requires a client certificate, check VAULT_CLIENT_CERT and VAULT_CLIENT_KEY.",
            )
        case requests.exceptions.SSLError():
            return VaultError(
                VaultErrorKind.DOWN,
                path,
                f"The bot doesn't trust the TLS certificate of Vault{_at_address(error)}.",
                "Set VAULT_CACERT to Vault's CA certificate.",
            )
        case requests.exceptions.RequestException():
            return VaultError(
                VaultErrorKind.DOWN,
                path,
                f"Vault doesn't answer{_at_address(error)}.",
                "Check that Vault is running and VAULT_ADDR is correct.",
            )
        case NotServed():
            return _not_served(error, path)
        case hvac.exceptions.Forbidden():
            return forbidden(path)
        case hvac.exceptions.InvalidPath():
            return missing(path)
        case hvac.exceptions.InvalidRequest() if "non-versioned" in str(error):
            # "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period …"
            sentence = f"Vault is upgrading the mount of {path} to KV version 2."
            return VaultError(VaultErrorKind.UNAVAILABLE, path, sentence, "Wait until the upgrade is finished.")
        case _:
            return VaultError(
                VaultErrorKind.UNEXPECTED,
                path,
                f"Vault failed to answer the call for {path} ({type(error).__name__}).",
                "Check Vault's log.",
            )


def _not_served(error: NotServed, path: str) -> VaultError:
    kind, next_step = VaultErrorKind.UNAVAILABLE, _CHECK_LOG
    server, status = f"Vault{_at_address(error)}", f"HTTP {error.status}"
    match error.status:
        case 307 | 472 | 473:
            kind, next_step = VaultErrorKind.STANDBY, _ACTIVE_ADDRESS
            redirect = f" that redirects to {error.target}" if error.target else ""
            sentence = f"{server} is a standby node{redirect} ({status})."
        case _ if error.is_redirect:
            kind, next_step = VaultErrorKind.UNEXPECTED, "Set VAULT_ADDR to the address of Vault itself."
            sentence = (
                f"{server} redirects to {error.target or 'another address'} ({status}), which the bot doesn't follow."
            )
        case 412:
            sentence = f"{server} hasn't replicated the bot's login yet ({status})."
        case 429:
            next_step = "Check Vault's rate limit quotas."
            sentence = f"{server} is throttling calls ({status})."
        case 503 if "sealed" in str(error):
            return VaultError(VaultErrorKind.SEALED, path, "Vault is sealed.", "Ask a Vault operator to unseal it.")
        case _ if "active cluster node not found" in str(error) or "leader" in str(error):
            sentence = f"{server} has no leader ({status})."
        case 503:
            # A load balancer without a Vault behind it answers 503 too.
            kind, sentence = VaultErrorKind.DOWN, f"{server} is unavailable ({status})."
        case _:
            sentence = f"{server} had an internal error ({status})."
    return VaultError(kind, path, sentence, next_step)


def login_error(error: hvac.exceptions.VaultError, place: str, next_step: str) -> VaultError:
    """The `VaultError` for an exception during a login, where 400, 401, 403 and 404 mean a refusal.

    Arguments:
        place: where the bot tried to log in, such as `at auth/approle`.
        next_step: what people can do about a refusal.
    """
    if isinstance(error, _REFUSALS):
        sentence = f"Vault rejected the bot's login {place}."
        return VaultError(VaultErrorKind.LOGIN, "login", sentence, next_step)
    return error_for(error, "login")


def forbidden(path: str) -> VaultError:
    """The error for a path that the token may not read."""
    return VaultError(
        VaultErrorKind.FORBIDDEN,
        path,
        f"Vault doesn't allow the bot to read {path}.",
        "Allow this path in the bot's Vault policy.",
    )


def missing(path: str) -> VaultError:
    """The error for a path without a secret, or with a deleted one."""
    return VaultError(
        VaultErrorKind.MISSING,
        path,
        f"Vault has no secret at {path}.",
        "Write the secret there, or correct the path in bot.toml.",
    )


def _at_address(error: Exception) -> str:
    """` at` and the address that was called, without the path; empty if the exception does not have it."""
    request = getattr(error, "request", None)
    parts = urlsplit(getattr(request, "url", None) or getattr(error, "url", None) or "")
    return f" at {parts.scheme}://{parts.netloc}" if parts.netloc else ""
