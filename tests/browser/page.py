"""A real browser in front of the sandbox's page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Headless Chromium: Debian's where there is one, else Playwright's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, url: str, width: int = 1300, height: int = 900) -> Iterator[Page]:
    """The page, in a session of its own."""
    page = browser.new_page(viewport={"width": width, "height": height}, timezone_id="UTC")
    page.goto(url)
    yield page
    page.close()


def refreshed(page: Page) -> None:
    """Returns when the page has shown anew all that was so before: the first answer may have been under way."""
    for _ in range(3):
        with page.expect_response("**/panel/state*"):
            pass
