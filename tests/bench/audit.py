"""Measures `audit verify` on a chain of a million rows: `python -m tests.bench.audit [ROWS]`.

Prints figures for SQLite and PostgreSQL. Exits with 1 if one is above its limit.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg

from bot.store.audit import GENESIS_HASH, row_hash
from bot.store.database import open_store
from tests.support.postgres import Postgres

LIMIT_SECONDS = 10.0
ROUNDS = 3
Row = tuple[int, str, str | None, str, str, str, str, str]


def rows(count: int) -> Iterator[Row]:
    """The rows of a valid chain, each with the details of a sent PUT."""
    detail = '{"number":1,"secret/oms/media/destination":3,"secret/oms/media/source":7,"token given back":true}'
    digest = GENESIS_HASH
    for seq in range(1, count + 1):
        at, request_id = "2026-03-02T12:00:00.000000+00:00", f"R-{seq // 10:08d}"
        previous, digest = digest, row_hash(seq, at, request_id, "bot", "put.sending", detail, digest)
        yield seq, at, request_id, "bot", "put.sending", detail, previous, digest


def build_sqlite(url: str, count: int) -> None:
    open_store(url).close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows(count))
        (head,) = connection.execute("SELECT hash FROM audit WHERE seq = ?", (count,)).fetchone()
        connection.execute("UPDATE audit_head SET seq = ?, hash = ?", (count, head))
    connection.close()


def build_postgresql(url: str, count: int) -> None:
    open_store(url).close()
    with psycopg.connect(url) as connection:
        with connection.cursor().copy("COPY audit FROM STDIN") as copy:
            for row in rows(count):
                copy.write_row(row)
        connection.execute(
            "UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1)"
        )


def measure(name: str, url: str, count: int) -> bool:
    """Runs the command several times and prints the fastest, which other load on the machine affects least.

    Returns:
        Whether it is below the limit.
    """
    environment = {"DATABASE_URL": url}
    results = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "audit", "verify"], env=os.environ | environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        results.append((time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, output
        assert f"Intact: {count:,} rows" in output, output
    seconds, cpu_seconds, memory_bytes = min(results)
    print(f"audit verify, {count:,} rows, {name}, best of {ROUNDS}:  ", end="")
    print(f"{seconds:.2f} s (limit {LIMIT_SECONDS:.0f} s)   ", end="")
    print(f"{cpu_seconds:.2f} s of processor   {memory_bytes / 1e6:.0f} MB at most")
    return seconds < LIMIT_SECONDS


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{psutil.cpu_count()} cores, Python {sys.version.split()[0]}")
    server = Postgres().start()
    try:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            sqlite_url, postgresql_url = f"sqlite:///{directory / 'bot.sqlite'}", server.new_database()
            build_sqlite(sqlite_url, count)
            passed = measure("SQLite", sqlite_url, count)
            build_postgresql(postgresql_url, count)
            passed = measure("PostgreSQL", postgresql_url, count) and passed
    finally:
        server.stop()
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
