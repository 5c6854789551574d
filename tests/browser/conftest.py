"""The control panel in a real browser: of a sandbox with the bot, or with an app that records what it receives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.sandbox.control_panel.routes import add_control_panel
from bot.sandbox.system import Sandbox
from tests.browser.page import open_browser, open_page
from tests.sandbox.app import App

# In ms. Long enough for the bot to act while other tests run.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def bot_page(browser: Browser) -> Iterator[tuple[Sandbox, Page, list[str]]]:
    """A sandbox with two projects and the bot, its page, and the errors in the console of the browser."""
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
def app_page(browser: Browser) -> Iterator[tuple[Sandbox, Page, App]]:
    """A sandbox with a recording app in place of the bot, its page, and the app."""
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
