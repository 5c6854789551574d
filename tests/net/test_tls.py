"""Which certificates the bot trusts: the system's, added ones, ones instead of the system's, those of certifi."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.net.tls import tls_context
from tests.support.tls import INTERMEDIATE, PAIR, ROOT, chain_context, serving

# The name of ROOT in a directory that OpenSSL searches (openssl x509 -hash).
ROOT_HASH = "2faabc7f"
# Runs in a process of its own, because OpenSSL reads the variables when a context is built. It prints what happened.
SESSION = """
import sys, certifi
certifi.where = lambda: sys.argv[2]
import requests
from bot.net.session import new_session
try:
    print(new_session().get(sys.argv[1], timeout=5).status_code)
except requests.exceptions.SSLError:
    print("refused")
"""


def handshake(context: ssl.SSLContext) -> None:
    """Connects to a server whose certificate the intermediate certificate signed, and which sends both."""
    with serving(chain_context(), ROOT) as served:
        address = urlsplit(served.url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as plain:
            context.wrap_socket(plain, server_hostname="127.0.0.1").close()


def test_the_systems_certificates_are_trusted_and_no_others() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls_context())


@pytest.mark.parametrize("anchor", [ROOT, INTERMEDIATE])
def test_an_added_root_or_intermediate_certificate_is_trusted(anchor: Path) -> None:
    handshake(tls_context(str(anchor)))
    handshake(tls_context(only=str(anchor)))


def test_a_private_ca_may_lack_the_extensions_that_python_3_13_requires_by_default() -> None:
    assert not tls_context(str(ROOT)).verify_flags & ssl.VERIFY_X509_STRICT


def test_every_file_of_a_directory_is_trusted(tmp_path: Path) -> None:
    # Kubernetes mounts a directory with such links.
    (tmp_path / "..data").mkdir()
    shutil.copy(ROOT, tmp_path / "..data" / "ca.crt")
    (tmp_path / "ca.crt").symlink_to("..data/ca.crt")
    handshake(tls_context(only=str(tmp_path)))


def test_added_certificates_leave_the_systems_trusted_and_only_replaces_them() -> None:
    system = tls_context().cert_store_stats()["x509"]
    assert tls_context(str(ROOT)).cert_store_stats()["x509"] == system + 1
    assert tls_context(only=str(ROOT)).cert_store_stats()["x509"] == 1


def test_a_new_ca_in_the_file_is_trusted_without_a_restart(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text(PAIR[PAIR.index("-----BEGIN CERTIFICATE") :], encoding="ascii")
    contexts = tls_context(str(pem)), tls_context(only=str(pem))
    for context in contexts:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(context)
    pem.unlink()
    for context in contexts:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(context)
    shutil.copy(ROOT, pem)
    for context in contexts:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(context)
        handshake(context)


def test_a_path_without_a_certificate_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text"
    text.write_text("no certificate", encoding="ascii")
    for path in (empty, text, tmp_path / "missing"):
        with pytest.raises((FileNotFoundError, ssl.SSLError)):
            tls_context(str(path))


def outcome(certifi: Path, **variables: str) -> str:
    """What a request of a session ends with, for a bundle of certifi and environment variables."""
    with serving(chain_context(), ROOT, b"HTTP/1.1 204 No Content\r\n\r\n") as served:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT_")}
        command = [sys.executable, "-c", SESSION, served.url, str(certifi)]
        return subprocess.run(command, env=environ | variables, capture_output=True, text=True, check=True).stdout


def test_a_ca_that_only_certifi_has_is_not_trusted() -> None:
    assert outcome(ROOT) == "refused\n"


def test_certificates_in_ssl_cert_file_and_ssl_cert_dir_are_trusted(tmp_path: Path) -> None:
    (tmp_path / f"{ROOT_HASH}.0").symlink_to(ROOT)
    assert outcome(INTERMEDIATE, SSL_CERT_FILE=str(ROOT)) == "204\n"
    assert outcome(INTERMEDIATE, SSL_CERT_DIR=str(tmp_path)) == "204\n"


def test_a_system_without_certificates_trusts_those_of_certifi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda _: None)
    paths = ssl.get_default_verify_paths()._replace(capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr("certifi.where", lambda: str(ROOT))
    handshake(tls_context())


def test_ssl_cert_file_and_ssl_cert_dir_without_certificates_do_not_bring_certifi_back(tmp_path: Path) -> None:
    assert outcome(ROOT, SSL_CERT_FILE=str(tmp_path / "missing"), SSL_CERT_DIR=str(tmp_path)) == "refused\n"
