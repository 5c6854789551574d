"""The page in a real browser, in front of a town in which the bot runs, or an app only listens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.sandbox.desk import add_desk
from bot.sandbox.town import Town
from tests.browser.page import open_browser, open_page
from tests.sandbox.app import App

# In ms: for what the bot or the clock brings about, while other tests run.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def seen(browser: Browser) -> Iterator[tuple[Town, Page, list[str]]]:
    """The page of two projects with the bot, and what went wrong in the page."""
    town = Town(projects=2)
    add_desk(town)
    errors: list[str] = []
    try:
        town.open()
        town.start_bot()
        with open_page(browser, town.slack.server.url) as page:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            yield town, page, errors
    finally:
        town.close()


@pytest.fixture
def alone(browser: Browser) -> Iterator[tuple[Town, Page, App]]:
    """The page of a town in which an app only listens."""
    town = Town()
    add_desk(town)
    try:
        town.open()
        app = App(town.slack)
        with open_page(browser, town.slack.server.url) as page:
            yield town, page, app
        app.close()
    finally:
        town.close()
