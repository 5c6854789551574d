"""Prints every sentence that people see, as one Markdown page.

Run `.venv/bin/python -m tests.ui_gallery > tests/ui_gallery.md` after each change of a sentence.
"""

from __future__ import annotations

from tests.gallery.page import page


def main() -> None:
    print(page(), end="")


if __name__ == "__main__":
    main()
