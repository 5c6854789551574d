"""The command line. Each command reads the settings, calls one part, and ends with an exit code.

Imports are inside the commands, so that each loads only what it needs.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from bot.store.audit import AuditRow
    from bot.store.state_keys import StateKeys
    from bot.store.verification import Broken, Verified

WRONG_SETTING = 2
EXAMPLES = ("bot.toml", "postgres.sql")
_EXIT_CODES = """\b
Exit codes: 0 success, 1 a check or the command failed, 2 wrong usage or settings.
Settings come from environment variables and from bot.toml (its path is BOT_CONFIG).
bot/config/README.md lists them. `taskgroup-bot example bot.toml` prints an example."""

T = TypeVar("T")


def _load(read: Callable[[Mapping[str, str]], T]) -> T:
    """Reads settings. Prints a line for each invalid one and ends the command."""
    from bot.config.problems import InvalidSettings

    try:
        return read(os.environ)
    except InvalidSettings as error:
        click.echo(str(error), err=True)
        sys.exit(WRONG_SETTING)


def _harden_process() -> None:
    # Before other imports, because a library can read SSLKEYLOGFILE while it is imported.
    from bot.hardening import harden_process

    harden_process()


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.version_option(package_name="taskgroup-bot")
def main() -> None:
    """Resume paused Huawei Cloud OMS task groups from Slack, after approval, with keys from Vault."""


@main.command(epilog="Exit codes: 0 stopped by SIGTERM or SIGINT, 1 can't start, 2 wrong settings.")
def serve() -> None:
    """Run the bot until SIGTERM or SIGINT."""
    # First, because a signal can arrive during the imports below.
    from bot.shutdown import listen_for_signals

    shutdown = listen_for_signals()
    _harden_process()

    from sqlalchemy.exc import SQLAlchemyError

    from bot.app import CannotStart
    from bot.app import serve as run
    from bot.config.settings import load
    from bot.logs import set_up_logging
    from bot.store.database import CannotOpenDatabase
    from bot.store.url import connection_problem, parse_url

    settings = _load(load)
    set_up_logging(settings.environment.log_level)
    try:
        run(settings, shutdown)
    except (CannotStart, CannotOpenDatabase, OSError) as error:
        _exit_with_error(f"Can't start: {str(error).rstrip('.')}.")
    except SQLAlchemyError as error:
        reason = connection_problem(error, parse_url(settings.environment.database_url.reveal()))
        _exit_with_error(f"Can't start: the database can't be used ({reason}). Check DATABASE_URL.")


def _exit_with_error(line: str) -> NoReturn:
    click.echo(line, err=True)
    # sys.exit would wait for threads that are still in a call.
    os._exit(1)


@main.command(epilog="Exit codes: 0 all checks passed, 1 a check failed, 2 wrong settings.")
def check() -> None:
    """Check the settings and everything that serve needs.

    Prints one line for each check, with the fix if it failed. Changes nothing.
    """
    _harden_process()

    from bot.check.run import run_checks
    from bot.config.settings import load
    from bot.logs import set_up_logging

    settings = _load(load)
    set_up_logging("WARNING")
    passed = True
    for finding in run_checks(settings):
        passed = passed and finding.is_ok
        click.echo(str(finding))
    sys.exit(0 if passed else 1)


def _checked_port(context: click.Context, parameter: click.Parameter, value: int) -> int:
    if not 0 <= value <= 65535:
        raise click.BadParameter(f"{value} is not a port. Use a number from 0 to 65535.")
    return value


@main.command()
@click.option("--play", is_flag=True, help="Run one example from the command to the end, print it, and exit.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=int,
    metavar="PORT",
    callback=_checked_port,
    help="Port of the page on 127.0.0.1; 0 picks a free port.",
)
def sandbox(play: bool, port: int) -> None:
    """Try the bot on this machine, without any account."""
    try:
        from bot.sandbox.run import play_demo, serve_control_panel
    except ModuleNotFoundError as error:
        click.echo(f"The sandbox is not installed ({error.name}). Run the first command of README.md.", err=True)
        sys.exit(1)
    sys.exit(play_demo() if play else serve_control_panel(port))


@main.command(epilog=f"Examples: {', '.join(EXAMPLES)}.")
@click.argument("name", metavar="NAME", type=click.Choice(EXAMPLES))
def example(name: str) -> None:
    """Print an example file, with comments."""
    from importlib import resources

    from bot.config.settings import example as bot_toml

    match name:
        case "bot.toml":
            click.echo(bot_toml(), nl=False)
        case "postgres.sql":
            click.echo((resources.files("bot.store") / "postgres.sql").read_text(encoding="utf-8"), nl=False)


@main.command(epilog="Exit codes: 0 printed, 1 no such request or unreadable, 2 wrong settings.")
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--format", "output", default="markdown", show_default=True, type=click.Choice(["markdown", "json"]))
def report(request_id: str, output: str) -> None:
    """Print what is known about a request (R-…), from its creation to its end. Needs only DATABASE_URL."""
    from datetime import UTC, datetime

    from bot.report_command import NoReport, find_report
    from bot.ui.report_file import report_json, report_markdown

    with _open_database() as connection:
        try:
            found = find_report(connection, request_id, datetime.now(UTC))
        except NoReport as error:
            click.echo(str(error), err=True)
            sys.exit(1)
    click.echo(report_json(found) if output == "json" else report_markdown(found))
    if found.unverified_rows and _load_state_keys().has_current:
        click.echo("The bot didn't write every audit row of this request. Run `taskgroup-bot audit verify`.", err=True)
    else:
        click.echo(_authorship_line(0), err=True)


@main.group(epilog="Both commands need only DATABASE_URL (or DATABASE_URL_FILE).")
def audit() -> None:
    """Read the audit chain."""


@audit.command(epilog="Exit codes: 0 intact, 1 broken or unreadable, 2 wrong settings or not a hash.")
@click.option("--head", "noted", metavar="HASH", help="A hash that was published earlier and must be in the chain.")
def verify(noted: str | None) -> None:
    """Check that no row was changed, removed, inserted or moved, and that each call was approved.

    With STATE_KEY or SLACK_BOT_TOKEN (or *_FILE), also check that the bot wrote the rows.
    Prints "Intact" with the number of rows and the newest hash, or "Broken" with the first wrong row.
    """
    from bot.store.verification import Broken
    from bot.store.verification import verify as verify_chain

    if noted is not None and not re.fullmatch("[0-9A-Fa-f]{64}", noted):
        click.echo("--head: not a hash. Use the 64 hexadecimal digits from the channel or the log.", err=True)
        sys.exit(WRONG_SETTING)
    with _open_database() as connection:
        found = verify_chain(connection, noted.lower() if noted else None)
    click.echo(_chain_lines(found))
    if isinstance(found, Broken):
        sys.exit(1)
    if found.matched_at is not None:
        click.echo(
            f"The given hash belongs to row {found.matched_at:,}. "
            "Nothing up to this row has changed since the hash was published."
        )


@audit.command(epilog="Exit codes: 0 written, 1 broken, unreadable or no such request, 2 wrong settings.")
@click.option("--request", "typed_id", metavar="ID", help="Only the rows of one request (R-…).")
def export(typed_id: str | None) -> None:
    """Print the audit chain as JSON lines, and verify it.

    Verifies the whole chain while it prints, and prints the result to stderr.
    """
    from bot.domain.ids import parse_request_id
    from bot.store.verification import Broken
    from bot.store.verification import verify as verify_chain

    request_id = None if typed_id is None else parse_request_id(typed_id) or typed_id
    count = 0

    def write(row: AuditRow) -> None:
        nonlocal count
        if typed_id is None or row.request_id == request_id:
            count += 1
            sys.stdout.write(f"{_json_line(row)}\n")

    with _open_database() as connection:
        found = verify_chain(connection, visit=write)
    # If the pipe is closed, this raises here, where click handles it, and not at exit.
    sys.stdout.flush()
    is_known = typed_id is None or count > 0
    click.echo(f"Printed: {count:,} rows." if is_known else f"The audit has no request {typed_id}.", err=True)
    click.echo(_chain_lines(found), err=True)
    sys.exit(1 if isinstance(found, Broken) or not is_known else 0)


def _chain_lines(found: Verified | Broken) -> str:
    """The result of a check in one line, and if the chain is intact, in another one whether the bot wrote it."""
    from bot.store.verification import Verified

    if isinstance(found, Verified):
        return (
            f"Intact: {found.head.seq:,} rows. Newest hash: {found.head.hash}\n{_authorship_line(found.unknown_rows)}"
        )
    return f"Broken: {found.problem}."


def _authorship_line(unknown_rows: int) -> str:
    """Whether the rows are known to be the bot's."""
    if not _load_state_keys().has_current:
        return "Authorship was not checked. Set STATE_KEY, or SLACK_BOT_TOKEN if the bot has no STATE_KEY."
    if unknown_rows:
        return f"Authorship was not checked for {unknown_rows:,} rows: they have no key, or an unknown one."
    return "The bot wrote every row."


def _load_state_keys() -> StateKeys:
    from bot.config.settings import load_state_keys

    return _load(load_state_keys)


def _json_line(row: AuditRow) -> str:
    """A row in ASCII, so that no character in it starts a new line or controls the terminal."""
    # A value of another type, such as bytes in a SQLite file, was tampered with. Then `_chain_lines` reports it.
    values = {name: value if isinstance(value, str | int | None) else repr(value) for name, value in vars(row).items()}
    try:
        return json.dumps(values | {"detail": json.loads(row.detail)}, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(values)


@contextmanager
def _open_database() -> Iterator[Connection]:
    """Opens the database for reading. Prints one line and ends the command after an error."""
    from sqlalchemy.exc import SQLAlchemyError

    from bot.config.settings import load_database_url
    from bot.store.database import UnreadableDatabase, open_to_read
    from bot.store.url import connection_problem, parse_url

    url = _load(load_database_url)
    try:
        store = open_to_read(url.reveal(), _load_state_keys())
        with closing(store), store.read() as connection:
            yield connection
    except UnreadableDatabase as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except SQLAlchemyError as error:
        reason = connection_problem(error, parse_url(url.reveal()))
        click.echo(f"The database can't be read ({reason}). Check DATABASE_URL.", err=True)
        sys.exit(1)
