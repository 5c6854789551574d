"""Takes pictures of cards in light and dark mode: `python -m tests.browser.screenshots DIR` writes them to DIR."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

from slack_sdk import WebClient

from bot.domain.request import Request, State
from bot.sandbox.control_panel.routes import add_control_panel
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, BOT_TOKEN, CAROL, DAVE, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.ui.blocks import SlackMessage, text_message
from bot.ui.card import card
from bot.ui.report import report_message, report_message_with_chart
from bot.ui.thread import thread_line
from tests.browser.page import open_browser, open_page
from tests.browser.picture import CARD_ONLY, HEIGHT, WIDTH
from tests.gallery.report import REPORT
from tests.gallery.requests import LEADS, REQUESTS
from tests.support.values import NOON

TITLES = (
    "Pending, 1 of 2 approvals",
    "Pending, with warnings, prefix, CDN",
    "Pending, retry, choice of all or failed objects",
    "Approved, two approvals, with a start time",
    "Unknown",
    "Not started, permission missing",
    "Not started, the bot's access key was refused",
    "Moving, with speed",
    "Moving, pause failed",
    "Done, with failures",
    "Failed",
    "Failed, for three reasons",
    "Denied, with a reason",
)
#: The people of the sample requests, as people of the sandbox.
PEOPLE = {
    "UALICE00": ALICE,
    "UBOB0000": BOB,
    "UCAROL00": CAROL,
    "UDAVE000": DAVE,
    LEADS: APPROVERS_GROUP,
    "C0TEST0001": MIGRATIONS,
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def take_screenshots(directory: Path) -> list[Path]:
    """Writes a picture of each card, with its message in the thread, in each color scheme. Returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    sandbox, files = Sandbox(), []
    add_control_panel(sandbox)
    try:
        sandbox.open()
        sandbox.slack.api.enforces_rate_limits = False
        client = WebClient(BOT_TOKEN, base_url=sandbox.slack.api_url)
        stamps = [_post(client, title) for title in TITLES]
        with open_browser() as browser, open_page(browser, sandbox.slack.server.url, WIDTH, HEIGHT) as page:
            page.clock.set_fixed_time(NOON)
            page.reload()
            page.add_style_tag(content=CARD_ONLY)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                for number, ts in enumerate(stamps, 1):
                    files.append(directory / f"{number:02}-{scheme}.png")
                    page.locator(f"[id='m{ts.replace('.', '')}']").screenshot(path=files[-1])
    finally:
        sandbox.close()
    return files


def _post(client: WebClient, title: str) -> str:
    """Posts the card, and its message in the thread if it has one. Returns the `ts` of the card."""
    request = REQUESTS[title]
    message = card(request)
    blocks = json.loads(_with_people(json.dumps(message.blocks)))
    ts = str(client.chat_postMessage(channel=MIGRATIONS, text=_with_people(message.text), blocks=blocks)["ts"])
    reply = _reply(request)
    if reply is not None:
        blocks = json.loads(_with_people(json.dumps(reply.blocks)))
        client.chat_postMessage(channel=MIGRATIONS, thread_ts=ts, text=_with_people(reply.text), blocks=blocks)
    return ts


def _reply(request: Request) -> SlackMessage | None:
    """The message in the thread of the card: a report with a chart, one without it, or a line."""
    if request.state is State.DONE:
        return report_message_with_chart(REPORT)
    if request.state is State.FAILED:
        return report_message(replace(REPORT, request=request))
    line = thread_line(request)
    return text_message(line) if line else None


def _with_people(text: str) -> str:
    for sample, person in PEOPLE.items():
        text = text.replace(sample, person)
    return text


if __name__ == "__main__":
    for file in take_screenshots(Path(sys.argv[1])):
        print(file)
