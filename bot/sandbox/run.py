"""`taskgroup-bot sandbox`: opens the town, starts the bot in it, then plays the story or serves the page."""

from __future__ import annotations

import errno
import signal
import threading

import click

from bot.sandbox.control_panel import add_control_panel
from bot.sandbox.demo import run_demo
from bot.sandbox.system import Sandbox

LOOK_SECONDS = 0.2


def run(port: int, is_play: bool) -> int:
    """The exit code: 0, or 1 when something did not start or a part of the story did not happen."""
    sandbox = Sandbox() if is_play else Sandbox(port, projects=2)
    if not is_play:
        add_control_panel(sandbox)
    try:
        sandbox.open()
        sandbox.start_bot()
        return run_demo(sandbox) if is_play else _serve_page(sandbox)
    except (RuntimeError, OSError) as error:
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = f"port {port} is in use. Choose another: --port N" if is_taken else error
        click.echo(f"The sandbox did not start: {why}", err=True)
        return 1
    finally:
        sandbox.close()


def _serve_page(sandbox: Sandbox) -> int:
    shutdown = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shutdown.set())
    click.echo(f"The sandbox is at {sandbox.slack.server.url}  (Ctrl-C ends it)")
    click.echo("Type the command as alice, then act as carol and press Approve.")
    was_told = False
    while not shutdown.wait(LOOK_SECONDS):
        exit_code = sandbox.bot_exit
        if exit_code is not None and not was_told:
            click.echo(f"The bot is not running (exit {exit_code}). The end of its log:\n{sandbox.end_of_log()}")
        was_told = exit_code is not None
    return 0
