"""Takes the picture of the README: `python -m tests.browser.picture` writes tests/browser/card.png."""

from __future__ import annotations

from pathlib import Path

from bot.sandbox.desk import add_desk
from bot.sandbox.town import Town
from tests.browser.page import open_page

PICTURE = Path(__file__).with_name("card.png")


def main() -> None:
    town = Town()
    add_desk(town)
    try:
        town.open()
        town.start_bot()
        with open_page(town.slack.server.url, width=1400) as page:
            page.get_by_role("button", name="Send").click()
            card = page.locator("article.message")
            card.locator(".block-header").wait_for()
            card.screenshot(path=PICTURE)
    finally:
        town.close()


if __name__ == "__main__":
    main()
