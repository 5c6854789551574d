"""A real PgBouncer in front of the PostgreSQL server of the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from bot.sandbox.ports import free_port
from tests.support.postgres import UNPRIVILEGED

# `options` is ignored as it is in many installations: a client's settings there are lost without an error.
_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users.txt
pool_mode = {mode}
default_pool_size = 5
ignore_startup_parameters = options
"""


@contextmanager
def pgbouncer(database_url: str, mode: str) -> Iterator[str]:
    """Runs PgBouncer in front of this database.

    Arguments:
        mode: `session` or `transaction`.

    Yields: the URL of the same database, through PgBouncer.
    """
    url, port = make_url(database_url), free_port()
    directory = Path(tempfile.mkdtemp(prefix="taskgroup-bot-pgbouncer-"))
    settings = directory / "pgbouncer.ini"
    settings.write_text(
        _SETTINGS.format(server_port=url.port, port=port, directory=directory, mode=mode), encoding="ascii"
    )
    (directory / "users.txt").write_text('"postgres" ""\n', encoding="ascii")
    directory.chmod(0o755)
    # Debian installs it where only root's PATH leads, and it refuses to run as root.
    program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    assert program, "tests/run installs pgbouncer"
    process = subprocess.Popen(
        [program, "-q", str(settings)],
        user=UNPRIVILEGED if os.geteuid() == 0 else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield url.set(port=port).render_as_string(hide_password=False)
    finally:
        process.kill()
        process.wait(timeout=10)
        shutil.rmtree(directory)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
