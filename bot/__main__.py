"""`python -m bot` is `taskgroup-bot`."""

from bot.cli import main

main()
