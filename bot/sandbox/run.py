"""`taskgroup-bot sandbox`: opens the town, starts the bot in it, then plays the story or serves the page."""

from __future__ import annotations

import errno
import signal
import threading

import click

from bot.sandbox.desk import add_desk
from bot.sandbox.play import play
from bot.sandbox.town import Town

LOOK_SECONDS = 0.2


def run(port: int, is_play: bool) -> int:
    """The exit code: 0, or 1 when something did not start or a part of the story did not happen."""
    town = Town() if is_play else Town(port, projects=2)
    if not is_play:
        add_desk(town)
    try:
        town.open()
        town.start_bot()
        return play(town) if is_play else _serve_page(town)
    except (RuntimeError, OSError) as error:
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = f"port {port} is in use. Choose another: --port N" if is_taken else error
        click.echo(f"The sandbox did not start: {why}", err=True)
        return 1
    finally:
        town.close()


def _serve_page(town: Town) -> int:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    click.echo(f"The sandbox is at {town.slack.server.url}  (Ctrl-C ends it)")
    click.echo("Type the command as alice, then act as carol and press Approve.")
    was_told = False
    while not stopping.wait(LOOK_SECONDS):
        exit_code = town.bot_exit
        if exit_code is not None and not was_told:
            click.echo(f"The bot is not running (exit {exit_code}). The end of its log:\n{town.end_of_log()}")
        was_told = exit_code is not None
    return 0
