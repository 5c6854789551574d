"""The certificates that the bot trusts: every TLS connection that it opens has a context from here.

Which service gets which certificates is left to `bot.clients`.
"""

from __future__ import annotations

import errno
import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import certifi

# Set by people; OpenSSL reads them (SSL_CTX_set_default_verify_paths).
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# The name of a certificate in a directory that OpenSSL searches.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")


def tls_context(ca: str | None = None, *, only: str | None = None) -> ssl.SSLContext:
    """A context for connections to servers. It verifies certificates and host names.

    It trusts the system's certificates, or those in SSL_CERT_FILE and SSL_CERT_DIR. If the system has none and neither
    variable is set, it trusts the certificates of certifi. Building it takes about 20 ms, so build it once: it reads
    the files again after a server's certificate was not trusted, so that a new CA in them needs no restart.

    Arguments:
        ca: a PEM file, or a directory of PEM files, to trust as well.
        only: the same, to trust instead of the system's certificates, as the Vault CLI does with VAULT_CACERT.

    Raises:
        OSError: `ca` or `only` cannot be read, or has no certificate.
    """
    # Unlike ssl.create_default_context, this sets no VERIFY_X509_STRICT (Python 3.13). Private CAs often lack the
    # extensions that it requires.
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    # An intermediate certificate can be trusted without its root, as Go and so the Vault CLI allow.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load = partial(_load, context, ca, only)
    context.load()
    return context


class _Context(ssl.SSLContext):
    load: Callable[[], None]

    def wrap_socket(self, *args: Any, **settings: Any) -> ssl.SSLSocket:
        try:
            return super().wrap_socket(*args, **settings)
        except ssl.SSLCertVerificationError:
            with suppress(OSError):
                self.load()
            raise


def _load(context: ssl.SSLContext, ca: str | None, only: str | None) -> None:
    if only is None:
        context.load_default_certs()
        if not any(os.environ.get(name) for name in _VARIABLES) and not _has_certificates(context):
            context.load_verify_locations(certifi.where())
    for path in (ca, only):
        if path is not None:
            _trust(context, Path(path))


def _has_certificates(context: ssl.SSLContext) -> bool:
    """Whether a context has the system's certificates. Those in a directory are loaded when they are needed."""
    if context.cert_store_stats()["x509"]:
        return True
    directory = ssl.get_default_verify_paths().capath
    return directory is not None and any(_HASHED_NAME.fullmatch(name) for name in os.listdir(directory))


def _trust(context: ssl.SSLContext, path: Path) -> None:
    """Loads every file of a directory, as the Vault CLI does. OpenSSL searches only for hashed names."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    for file in files:
        context.load_verify_locations(file)
    if not files:
        raise FileNotFoundError(errno.ENOENT, "no certificate in this directory", str(path))
