"""Takes the picture for the README: `python -m tests.browser.picture` writes tests/browser/card.png."""

from __future__ import annotations

from pathlib import Path

from bot.sandbox.control_panel.routes import add_control_panel
from bot.sandbox.system import Sandbox
from tests.browser.page import open_browser, open_page

PICTURE = Path(__file__).with_name("card.png")
# Only the card, with space around it, on a screen so narrow that the page has one column.
CARD_ONLY = "main { max-width: 820px; padding: 0 } article.message { border: 0; padding: 1.2rem 1.6rem }"
WIDTH, HEIGHT = 860, 900


def main() -> None:
    sandbox = Sandbox()
    add_control_panel(sandbox)
    try:
        sandbox.open()
        sandbox.start_bot()
        with open_browser() as browser, open_page(browser, sandbox.slack.server.url, WIDTH, HEIGHT) as page:
            page.add_style_tag(content=CARD_ONLY)
            page.get_by_role("button", name="Send").click()
            card = page.locator("article.message")
            card.locator("button", has_text="Approve").wait_for()
            page.mouse.move(0, 0)
            card.screenshot(path=PICTURE)
    finally:
        sandbox.close()


if __name__ == "__main__":
    main()
