"""A real browser, and the page of the control panel in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Headless Chromium: the one on the path if there is one, otherwise Playwright's."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, url: str, width: int = 1300, height: int = 900) -> Iterator[Page]:
    """A page in a browser session of its own."""
    page = browser.new_page(viewport={"width": width, "height": height}, timezone_id="UTC")
    page.goto(url)
    yield page
    page.close()


def wait_for_refresh(page: Page) -> None:
    """Waits until the page shows the state of this moment. The first of the responses may be to an older request."""
    for _ in range(3):
        with page.expect_response("**/panel/state*"):
            pass
