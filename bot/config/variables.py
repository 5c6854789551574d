"""Reads single environment variables: secrets, names, addresses and paths. Each function reports problems.

Which variables there are is left to `environment` and `vault_environment`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bot.config.problems import Problems
from bot.net.tls import tls_context
from bot.redaction import FileSecret, Secret, UnreadableSecret

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# The characters of a header, and so of a token: printable ASCII without blanks.
_PRINTABLE = re.compile(r"[!-~]+")


def is_safe_address(url: str) -> bool:
    """Whether secrets may be sent to a URL: https, or http to this machine; no user info, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not _PRINTABLE.fullmatch(url) or not host or parts.username is not None or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def read_address(environ: Mapping[str, str], name: str, default: str, problems: Problems) -> str:
    """The URL in a variable. It is a problem if secrets may not be sent there."""
    url = environ.get(name) or default
    if not is_safe_address(url):
        problems.add(name, "is not an https address", "Use https. http is allowed only for this machine")
    return url


def read_pem_path(environ: Mapping[str, str], name: str, problems: Problems) -> str | None:
    """The path in a variable. It is a problem if there is no certificate in it."""
    path = environ.get(name) or None
    problem = pem_problem(path) if path else None
    if problem:
        problems.add(name, problem, "Set it to the path of a PEM file")
    return path


def pem_problem(path: str) -> str | None:
    """What is wrong with the path of a PEM file, or of a directory of PEM files; None if nothing is."""
    if not Path(path).exists():
        return "is the path of a file that doesn't exist"
    try:
        tls_context(only=path)
    except OSError:
        return f"is the path of a {'directory' if Path(path).is_dir() else 'file'} without a certificate"
    return None


def read_secret(environ: Mapping[str, str], name: str, problems: Problems) -> Secret | None:
    """The secret in NAME, or in the file whose path is in NAME_FILE; None if neither is set."""
    value, path = environ.get(name), environ.get(f"{name}_FILE")
    if value and path:
        problems.add(name, f"is set twice, in {name} and in {name}_FILE", "Set one of the two")
    elif path:
        return read_file(f"{name}_FILE", path, problems, "Set it to the path of a file with the secret")
    return Secret(value) if value else None


def read_file(variable: str, path: str, problems: Problems, fix: str) -> Secret:
    """The secret in a file; an empty one if the file can't be read, which is a problem with this fix."""
    try:
        return FileSecret(variable, path)
    except UnreadableSecret as error:
        problems.add(error.variable, error.problem, fix)
        return Secret("")


def read_token(environ: Mapping[str, str], name: str, problems: Problems) -> Secret | None:
    """As `read_secret`, for a secret that is sent in a header, so that it is printable ASCII without blanks."""
    secret = read_secret(environ, name, problems)
    check_printable(name, secret, problems)
    return secret


def read_name(environ: Mapping[str, str], name: str, problems: Problems) -> str:
    """The name in a variable, which is printable ASCII without blanks; empty if it is not set."""
    value = environ.get(name) or ""
    check_printable(name, Secret(value), problems)
    return value


def check_printable(name: str, value: Secret | None, problems: Problems) -> None:
    """Adds a problem if a value is not printable ASCII without blanks. It does not show the value."""
    if value and not value.is_one_word:
        problem = "contains a space or a character that is not ASCII, such as the … of an example"
        problems.add(name, problem, "Copy the whole value again, and nothing else")
