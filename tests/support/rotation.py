"""A PostgreSQL user whose password changes, and a file with the URL of their database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from tests.support.postgres import PASSWORD_USERS, Postgres


def administer(url: str, *statements: str) -> None:
    """Runs statements in another database of the same server."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@dataclass(frozen=True)
class Rotation:
    """The database of a user who needs a password. Use `new_rotation` to make one.

    Arguments:
        url: logs in as the superuser, who needs none.
        path: the file with the URL for the user.
    """

    url: str
    path: Path
    user: str

    def write(self, password: str, **parts: Any) -> None:
        """Writes the file with this password, and with other parts of the URL."""
        url = make_url(self.url).set(username=self.user, password=password).set(**parts)
        self.path.write_text(url.render_as_string(hide_password=False) + "\n", encoding="utf-8")

    def change_password(self, password: str) -> None:
        """Changes the password in the database, and ends the sessions of the user."""
        administer(
            self.url,
            f"ALTER ROLE {self.user} PASSWORD '{password}'",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{self.user}'",
        )


def new_rotation(postgres: Postgres, path: Path) -> Rotation:
    """Creates a user with the password `first`, their database, and the file."""
    url = postgres.new_database()
    name = make_url(url).database
    rotation = Rotation(url, path, f"user_of_{name}")
    administer(
        url,
        f"CREATE ROLE {rotation.user} LOGIN PASSWORD 'first' IN ROLE {PASSWORD_USERS}",
        f"ALTER DATABASE {name} OWNER TO {rotation.user}",
    )
    rotation.write("first")
    return rotation
