"""Writes the Markdown pages with every sentence that people see in Slack and in the terminal.

Run `.venv/bin/python -m tests.ui_gallery` after each change of a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.gallery.errors import errors_page
from tests.gallery.page import page
from tests.gallery.terminal import terminal_page

#: The pages, and what makes their text.
PAGES: Mapping[Path, Callable[[], str]] = {
    Path(__file__).parent / "ui_gallery.md": page,
    Path(__file__).parent / "errors_gallery.md": errors_page,
    Path(__file__).parent / "terminal_gallery.md": terminal_page,
}


def main() -> None:
    for path, text in PAGES.items():
        path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
