"""What the tests of faults share."""

from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.fixture
def patient_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A press is made before it is sent, which takes a slow machine long. That 3 s suffice is tested elsewhere."""
    monkeypatch.setattr("bot.sandbox.slack.workspace.TRIGGER_LIFETIME", timedelta(seconds=20))
