"""The page in a real browser, in front of a town in which the bot runs, or an app only listens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.sandbox.control_panel import add_control_panel
from bot.sandbox.system import Sandbox
from tests.browser.page import open_browser, open_page
from tests.sandbox.app import App

# In ms: for what the bot or the clock brings about, while other tests run.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def seen(browser: Browser) -> Iterator[tuple[Sandbox, Page, list[str]]]:
    """The page of two projects with the bot, and what went wrong in the page."""
    sandbox = Sandbox(projects=2)
    add_control_panel(sandbox)
    errors: list[str] = []
    try:
        sandbox.open()
        sandbox.start_bot()
        with open_page(browser, sandbox.slack.server.url) as page:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            yield sandbox, page, errors
    finally:
        sandbox.close()


@pytest.fixture
def alone(browser: Browser) -> Iterator[tuple[Sandbox, Page, App]]:
    """The page of a town in which an app only listens."""
    sandbox = Sandbox()
    add_control_panel(sandbox)
    try:
        sandbox.open()
        app = App(sandbox.slack)
        with open_page(browser, sandbox.slack.server.url) as page:
            yield sandbox, page, app
        app.close()
    finally:
        sandbox.close()
