"""`taskgroup-bot sandbox`: starts the sandbox with the bot in it, then runs the demo or serves the control panel."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable

import click

from bot.sandbox.control_panel.routes import add_control_panel
from bot.sandbox.demo import run_demo
from bot.sandbox.system import Sandbox

POLL_SECONDS = 0.2


def play_demo() -> int:
    """Runs the demo once. Returns the exit code: 1 if the sandbox did not start, or a step of the demo failed."""
    return _run(Sandbox(), run_demo)


def serve_control_panel(port: int) -> int:
    """Serves the control panel until SIGTERM or SIGINT. Returns the exit code: 1 if the sandbox did not start.

    Arguments:
        port: 0 takes a free one.
    """
    sandbox = Sandbox(port, projects=2)
    add_control_panel(sandbox)
    return _run(sandbox, serve_until_signal, port)


def serve_until_signal(sandbox: Sandbox) -> int:
    """Prints each end of the bot once, until SIGTERM or SIGINT. Returns 0."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    click.echo(f"The sandbox is at {sandbox.slack.server.url}  (Ctrl-C ends it)")
    click.echo("Type the command as alice, then act as carol and press Approve.")
    was_printed = False
    while not stopping.wait(POLL_SECONDS):
        exit_code = sandbox.bot_exit_code
        if exit_code is not None and not was_printed:
            click.echo(f"The bot is not running (exit {exit_code}). The end of its log:\n{sandbox.end_of_log()}")
        was_printed = exit_code is not None
    return 0


def _run(sandbox: Sandbox, run_in: Callable[[Sandbox], int], port: int = 0) -> int:
    try:
        sandbox.open()
        sandbox.start_bot()
        return run_in(sandbox)
    except (RuntimeError, OSError) as error:
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = f"port {port} is in use. Choose another: --port N" if is_taken else error
        click.echo(f"The sandbox did not start: {why}", err=True)
        return 1
    finally:
        sandbox.close()
